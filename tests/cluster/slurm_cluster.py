"""A real Slurm on one machine: a controller and three nodes, each in Linux namespaces of its own.

A node has its own network, host name, process ids and ``/etc/hosts``; files are shared. Killing
the first process of a node kills everything on it, as a power cut would.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

NODES = {"gpu-a1": "10.77.0.11", "gpu-a2": "10.77.0.12", "gpu-b7": "10.77.0.13"}
GPUS = 8
HAS_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "unshare", "nsenter", "ip")

CONFIG = """
ClusterName=test
SlurmctldHost=controller(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
# A job that is requeued waits until its credential has expired, two minutes by default
AuthInfo=socket={folder}/munge.socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SlurmdTimeout=10
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
{nodes}
PartitionName=train Nodes=ALL Default=YES State=UP
"""

CONTROLLER = """
hostname controller
ip link set lo up
ip link add bridge type bridge
ip address add 10.77.0.1/24 dev bridge
ip link set bridge up
munged --foreground --force --key-file="$1/munge.key" --socket="$1/munge.socket" \\
  --pid-file="$1/munge.pid" --log-file="$1/munge.log" --seed-file="$1/munge.seed" &
until [[ -S $1/munge.socket ]]; do sleep 0.1; done
slurmctld -D -L "$1/slurmctld.log" &
wait
"""

NODE = """
hostname "$2"
mount --bind "$1/hosts-$2" /etc/hosts
ip link set lo up
until ip link show eth-node >/dev/null 2>&1; do sleep 0.1; done
ip address add "$3/24" dev eth-node
ip link set eth-node up
slurmd -D -N "$2" -L "$1/slurmd-$2.log" &
wait
"""


def missing_programs() -> list[str]:
    """Return what the cluster needs and the machine does not have."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return missing if os.geteuid() == 0 else [*missing, "the rights of root"]


class SlurmCluster:
    """A running controller with its nodes; use as a context manager."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rm-slurm-"))
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]),
            "SLURM_CONF": str(self.folder / "slurm.conf"),
        }
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._inside: dict[str, int] = {}

    def __enter__(self) -> SlurmCluster:
        self._write_files()
        self._start("controller", CONTROLLER)
        for name in NODES:
            self.start_node(name)
        try:
            wait_until(lambda: self.states() == dict.fromkeys(NODES, "idle"), 60, "idle nodes")
        except TimeoutError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._started):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_node(self, name: str) -> None:
        """Start a node, or start it again after ``kill``."""
        self.set_hosts(name, f"127.0.0.1 localhost\n{NODES[name]} {name}")
        inside = self._start(name, NODE, name, NODES[name])
        host = f"veth{list(NODES).index(name)}"
        for command in (
            f"link add {host} type veth peer name eth-node netns {inside}",
            f"link set {host} master bridge up",
        ):
            self._enter("controller", "ip", *command.split(), only="--net")

    def kill(self, name: str) -> None:
        """Cut the power of a node."""
        program = self._started.pop(name)
        program.kill()
        program.wait(timeout=20)
        inside = self._inside.pop(name)
        wait_until(lambda: not psutil.pid_exists(inside), 20, f"the end of {name}")

    def set_hosts(self, name: str, text: str) -> None:
        """Set ``/etc/hosts`` of a node."""
        others = "".join(f"{ip} {node}\n" for node, ip in NODES.items() if node != name)
        (self.folder / f"hosts-{name}").write_text(f"{text}\n{others}", encoding="utf-8")

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a client of Slurm, such as ``sbatch``, beside the controller."""
        return self._enter("controller", *command, environment=environment)

    def submit(self, *arguments: str, folder: Path, **environment: str) -> int:
        """Submit a job in a folder and return its number."""
        done = self.run("sbatch", f"--chdir={folder}", *arguments, **environment)
        found = re.search(r"Submitted batch job (\d+)", done.stdout)
        assert found, done.stderr
        return int(found[1])

    def states(self) -> dict[str, str]:
        """Return the state of each node that Slurm shows."""
        done = self.run("sinfo", "--noheader", "--Node", "--format=%N %t")
        return dict(line.split() for line in done.stdout.splitlines())

    def job(self, number: int) -> dict[str, str]:
        """Return the fields of a job that Slurm shows, such as JobState, Reason and ExitCode."""
        done = self.run("scontrol", "show", "job", str(number))
        return dict(re.findall(r"(\w+)=(\S*)", done.stdout))

    def wait_for(self, number: int, *states: str, seconds: float) -> dict[str, str]:
        """Wait until a job is in one of these states."""
        wait_until(
            lambda: self.job(number).get("JobState") in states, seconds, f"{states} of {number}"
        )
        return self.job(number)

    def processes(self, name: str) -> list[str]:
        """Return the commands that run on a node."""
        done = self._enter(name, "ps", "-eo", "args=")
        return done.stdout.splitlines()

    def _write_files(self) -> None:
        gpus = self.folder / "gpus"
        gpus.mkdir()
        for index in range(GPUS):  # clones of /dev/null
            os.mknod(gpus / f"gpu{index}", 0o20666, os.makedev(1, 3))
        nodes = "\n".join(
            f"NodeName={name} NodeAddr={ip} CPUs=64 RealMemory=900000 Gres=gpu:{GPUS}"
            for name, ip in NODES.items()
        )
        files = {
            "slurm.conf": CONFIG.format(folder=self.folder, nodes=nodes),
            "gres.conf": f"Name=gpu File={gpus}/gpu[0-{GPUS - 1}]\n",
        }
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        (self.folder / "state").mkdir()

    def _start(self, name: str, script: str, *arguments: str) -> int:
        """Start a script in new namespaces and return the id of its first process."""
        apart = ["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        log = (self.folder / f"{name}.log").open("ab")
        program = subprocess.Popen(
            ["unshare", *apart, "bash", "-c", script, name, str(self.folder), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=self.environment,
        )
        log.close()
        parent = psutil.Process(program.pid)
        wait_until(lambda: bool(parent.children()), 20, f"the start of {name}")
        self._started[name], self._inside[name] = program, parent.children()[0].pid
        return self._inside[name]

    def _enter(
        self,
        name: str,
        *command: str,
        only: str = "--all",
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        target = f"--target={self._inside[name]}"
        return subprocess.run(
            ["nsenter", target, only, "--", *command],
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=60,
        )


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll a condition until it holds.

    Raises:
        TimeoutError: It did not hold in time.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.2)
