"""The process that imports once and forks every other one; see the package.

It imports in two rounds. The first, at once, is what depends on no process's environment. The
second waits for the first request and takes its environment: Ray reads its own variables while it
is imported, and verl and parts of vLLM some of theirs. A later request that differs in one of
:data:`FIXED` is declined, and its client becomes an ordinary Python.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import logging
import multiprocessing
import os
import random
import runpy
import select
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rewardmap_verl.cpu.prefork import SOCKET, executable_of

__all__ = ["FIXED", "Request", "Server", "main"]

FIRST = (
    *("torch", "torch._dynamo", "torch.distributed.fsdp", "torchvision", "tensordict"),
    *("transformers", "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl", "datasets", "pandas"),
    *("transformers.models.qwen2_5_vl.processing_qwen2_5_vl", "sympy", "pydantic"),
    *("vllm", "vllm.entrypoints.openai.api_server"),  # most of vLLM, and nothing of Ray
)
SECOND = (
    *("ray", "vllm.v1.engine.async_llm"),
    *("vllm.v1.engine.core", "vllm.v1.worker.cpu_worker", "vllm.v1.worker.cpu_model_runner"),
    *("vllm.model_executor.models.qwen2_5_vl", "transfer_queue", "verl.trainer.ppo.v1"),
    *("verl.workers.engine_workers", "verl.experimental.reward_loop"),
    *("rewardmap_verl.verl_plugin.dataset", "rewardmap_verl.verl_plugin.replay_buffer"),
    "rewardmap_verl.verl_plugin.reward_manager",
)
FIXED = (
    *("PYTHONHASHSEED", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VERL_PLATFORM", "VLLM_LOGGING_LEVEL"),
)
"""Variables that a process reads once, before it is forked."""
PRELOAD = "LD_PRELOAD"
"""Libraries to load before all others, separated by colons or spaces."""
FIXED_BY_RAY = (
    *("RAY_RAYLET_PID", "RAY_AUTH_MODE", "TRANSFER_QUEUE_ENABLE", "VLLM_BATCH_INVARIANT"),
    "VERL_LOGGING_LEVEL",
)
"""Variables that Ray, verl and the rest of vLLM read while they are imported."""
HARMLESS_THREADS = {"jemalloc_bg_thd"}  # of pyarrow; jemalloc restarts it after a fork
MAXIMUM = 2**20
GRACE = 30.0
OWN_FILES = 400  # numbers of files from here on are the server's


@dataclass(frozen=True, slots=True)
class Request:
    """What a client wants to be: arguments of Python, environment, folder, priority, open files."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    niceness: int
    files: Mapping[int, int]
    """Number that the process expects → number here."""


@dataclass
class Server:
    """Forks processes for clients and tells each how its process ended."""

    listener: socket.socket
    lifetime: int
    """A file that is at its end once the program that started the server is gone."""
    environment: dict[str, str]
    modules: Sequence[str]
    """What to import at the first request."""
    is_ready: bool = False
    clients: dict[int, tuple[socket.socket, int]] = field(default_factory=dict)
    """File that tells of a process's end → its client, its id."""

    def serve(self) -> None:
        """Fork until the program that started the server is gone and the last process has ended.

        Processes that are there :data:`GRACE` seconds after that program are killed.
        """
        with selectors.DefaultSelector() as waiting:
            for file in (self.listener, self.lifetime):
                waiting.register(file, selectors.EVENT_READ)
            is_wanted = True
            while is_wanted or self.clients:
                events = waiting.select(None if is_wanted else GRACE)
                if not events:
                    for _, pid in self.clients.values():
                        os.kill(pid, signal.SIGKILL)
                for key, _ in events:
                    if key.fileobj is self.listener:
                        self.accept(waiting)
                    elif key.fileobj == self.lifetime:
                        is_wanted = False
                        waiting.unregister(self.lifetime)
                        waiting.unregister(self.listener)
                    elif isinstance(key.fileobj, int):
                        self.tell_end(key.fileobj, waiting)
                    else:
                        self.lose(key.data, waiting)

    def accept(self, waiting: selectors.BaseSelector) -> None:
        """Serve one client."""
        client = moved(self.listener.accept()[0])
        try:
            request = receive(client)
        except (OSError, ValueError, KeyError):
            client.close()
            return
        problem = self.prepare(request.environment)
        if problem:
            said = "A process starts as an ordinary Python, ten seconds later: %s."
            logging.getLogger(__name__).warning(said, problem)
            send(client, {"declined": problem})
            pid = 0
        else:
            pid = os.fork()
            if pid == 0:
                become(request, [self.listener.fileno(), *self.own_files(client, waiting)])
        for number in request.files.values():
            os.close(number)
        if not pid:
            client.close()
            return
        ended = moved_file(os.pidfd_open(pid))
        self.clients[ended] = client, pid
        waiting.register(ended, selectors.EVENT_READ)
        waiting.register(client, selectors.EVENT_READ, ended)
        with contextlib.suppress(OSError):
            send(client, {"pid": pid})

    def prepare(self, environment: Mapping[str, str]) -> str:
        """Import the rest at the first request; why a request cannot be met, or nothing."""
        differing = [
            name
            for name in (*FIXED, *(FIXED_BY_RAY if self.is_ready else ()))
            if environment.get(name) != self.environment.get(name)
        ]
        preload = environment.get(PRELOAD, "")
        if preload != self.environment.get(PRELOAD, "") and missing_libraries(preload):
            differing.append(PRELOAD)
        if differing:
            return f"{', '.join(differing)} differ"
        if not self.is_ready:
            self.environment = dict(environment)
            os.environ.clear()
            os.environ.update(environment)
            load(self.modules)
            self.is_ready = True
        threads = other_threads()
        return f"threads are running: {', '.join(threads)}" if threads else ""

    def own_files(self, client: socket.socket, waiting: selectors.BaseSelector) -> list[int]:
        """What a forked process must not keep."""
        others = [
            number for ended, (one, _) in self.clients.items() for number in (ended, one.fileno())
        ]
        return [client.fileno(), *others, waiting.fileno()]  # type: ignore[attr-defined]

    def tell_end(self, ended: int, waiting: selectors.BaseSelector) -> None:
        """A process has ended: its client must know."""
        client, pid = self.clients.pop(ended)
        _, status = os.waitpid(pid, 0)
        waiting.unregister(ended)
        os.close(ended)
        if client.fileno() >= 0:
            waiting.unregister(client)
            with contextlib.suppress(OSError):
                send(client, {"code": os.waitstatus_to_exitcode(status)})
            client.close()

    def lose(self, ended: int, waiting: selectors.BaseSelector) -> None:
        """A client is gone, killed in place of its process."""
        client, pid = self.clients[ended]
        waiting.unregister(client)
        client.close()
        os.kill(pid, signal.SIGKILL)


def main(path: str, first: Sequence[str] = FIRST, second: Sequence[str] = SECOND) -> None:
    """Import ``first``, then serve at ``path`` until standard input ends."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    lifetime = moved_file(0)
    os.open(os.devnull, os.O_RDONLY)  # takes the number 0
    given = dict(os.environ)  # some packages set variables while they are imported
    gc.disable()
    for name in first:
        if not select.select([lifetime], [], [], 0)[0]:  # else nobody waits any more
            load([name])
    try:
        Server(moved(listener), lifetime, given, second).serve()
    finally:
        with contextlib.suppress(OSError):
            for file in (Path(path), executable_of(path)):
                file.unlink()
            Path(path).parent.rmdir()


def load(names: Sequence[str]) -> None:
    """Import modules; one that is missing is the business of those who need it."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a process that needs it will say so, with its own traceback
            logging.getLogger(__name__).warning("%s is not imported ahead: %s", name, error)


def missing_libraries(preload: str) -> list[str]:
    """Libraries of an ``LD_PRELOAD`` that this process has not loaded.

    vLLM's engine asks for torch's libgomp there, so that no other copy of it is loaded in its
    place. A process that has loaded that very file is in the state that is asked for.
    """
    wanted = preload.replace(":", " ").split()
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    loaded = {line.split(maxsplit=5)[-1] for line in maps.splitlines()}
    return [path for path in wanted if os.path.realpath(path) not in loaded]


def other_threads() -> list[str]:
    """Names of threads that a fork would lose."""
    own = threading.get_native_id()
    tasks = [task for task in Path("/proc/self/task").iterdir() if int(task.name) != own]
    names = [(task / "comm").read_text().strip() for task in tasks]
    return [name for name in names if name not in HARMLESS_THREADS]


def receive(client: socket.socket) -> Request:
    """A client's request."""
    message, files, _, _ = socket.recv_fds(client, MAXIMUM, 250)
    asked = json.loads(message)
    return Request(
        arguments=asked["arguments"],
        environment=asked["environment"],
        folder=asked["folder"],
        niceness=asked["niceness"],
        files=dict(zip(asked["files"], (moved_file(number) for number in files), strict=True)),
    )


def send(client: socket.socket, message: Mapping[str, Any]) -> None:
    """Tell a client."""
    client.send(json.dumps(message).encode())


def moved(connection: socket.socket) -> socket.socket:
    """A socket whose number is out of the way of those that processes expect."""
    return socket.socket(fileno=moved_file(connection.detach()))


def moved_file(number: int) -> int:
    """The same open file under a number that no process expects."""
    other = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, OWN_FILES)
    os.close(number)
    return other


def become(request: Request, own_files: Sequence[int]) -> None:
    """Be, in a forked process, what was asked for; never returns."""
    code = 1
    try:
        for number in own_files:
            os.close(number)
        take_over(request)
        code = run(request.arguments)
    except BaseException:  # as Python's own end of a program: said, and an exit code
        traceback.print_exc()
    finally:
        leave(code)


def take_over(request: Request) -> None:
    """Set the state of this process that the request names."""
    # Ray ends a worker with its whole process group, as it starts each in a group of its own.
    os.setpgid(0, 0)
    for wanted, number in request.files.items():
        os.dup2(number, wanted)
        os.close(number)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    # Ray's processes run at 15, and so must what they spawn. vLLM's engine at 0, before all others,
    # answered the first requests of a step alone, for two to three times the CPU seconds.
    with contextlib.suppress(OSError):  # more urgent than the server may be
        os.setpriority(os.PRIO_PROCESS, 0, request.niceness)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )
    executable = executable_of(request.environment[SOCKET])
    if os.access(executable, os.X_OK):  # not in a folder that allows no programs
        multiprocessing.set_executable(str(executable))
    name_through_ray()
    gc.freeze()
    gc.enable()
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def name_through_ray() -> None:
    """Let vLLM give its process a name.

    Ray has a copy of ``setproctitle``, and of two in one process the second does not find the
    memory that holds the name: vLLM's calls have to reach Ray's.
    """
    rays = sys.modules.get("ray._raylet")
    if rays is not None:
        with contextlib.suppress(ImportError):
            titles: Any = importlib.import_module("setproctitle")
            titles.setproctitle = rays.setproctitle


def run(arguments: Sequence[str]) -> int:
    """Run ``python ARGUMENTS``; its exit code."""
    from rewardmap_verl.cpu.gc_tuning import collect_rarely

    collect_rarely()
    try:
        if arguments[0] == "-c":
            sys.argv[:], sys.path[0] = ["-c", *arguments[2:]], ""
            exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv[:], sys.path[0] = arguments, str(Path(arguments[0]).parent)
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def leave(code: int) -> None:
    """End this process as Python does: threads, exit functions, output."""
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        multiprocessing.util._exit_function()  # type: ignore[attr-defined]
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
