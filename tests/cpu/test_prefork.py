"""Processes that are forked from one are what an ordinary Python would be, or one takes over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.cpu import prefork
from rewardmap_verl.cpu.environment import cpu_environment
from rewardmap_verl.cpu.prefork import client, server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks as Linux does")

TELL = """
import json, os, sys
print(json.dumps({
    "arguments": sys.argv, "name": __name__, "folder": os.getcwd(), "path": sys.path[0],
    "variable": os.environ.get("WANTED"), "ahead": "fractions" in sys.modules,
    "input": sys.stdin.read(), "pid": os.getpid(), "parent": os.getppid(),
    "niceness": os.nice(0),
}), flush=True)
"""
SERVE = "from rewardmap_verl.cpu.prefork import server; server.main({!r}, {}, {})"


@pytest.fixture
def tell(tmp_path: Path) -> Path:
    script = tmp_path / "tell.py"
    script.write_text(TELL)
    return script


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[str]:
    """A server that has ``fractions`` imported and ``statistics`` at the first request."""
    with serving(tmp_path / "s" / "prefork") as path:
        yield path


@contextlib.contextmanager
def serving(path: Path, code: str = "", first: tuple[str, ...] = ("fractions",)) -> Iterator[str]:
    path.parent.mkdir()
    prefork.write_executable(prefork.executable_of(str(path)))
    command = code + SERVE.format(str(path), first, ("statistics",))
    process = subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE)
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.01)
    try:
        yield str(path)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
        assert not path.parent.exists()


def start(socket: str, *arguments: str, **changed: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefork.worker_command().split(), *arguments],
        env={**os.environ, prefork.SOCKET: socket, **changed},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> dict:
    out, errors = process.communicate("in", timeout=60)
    assert process.returncode == 0, errors
    return json.loads(out)


def test_a_script_runs_as_under_python(socket, tell):
    process = start(socket, "-u", str(tell), "--one", "two words", WANTED="here")
    found = told(process)
    assert found["arguments"] == [str(tell), "--one", "two words"]
    assert (found["name"], found["variable"], found["input"]) == ("__main__", "here", "in")
    assert (found["folder"], found["path"]) == (str(Path.cwd()), str(tell.parent))


def test_it_is_forked_from_the_server(socket, tell):
    found = told(start(socket, str(tell)))
    assert found["ahead"]
    again = told(start(socket, str(tell)))
    assert found["parent"] == again["parent"] != os.getpid()
    assert found["pid"] != again["pid"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(7)", 7),
        ("raise SystemExit", 0),
        ("raise SystemExit('no')", 1),
        ("raise ValueError", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import atexit, os; atexit.register(os._exit, 5)", 5),
    ],
)
def test_it_ends_as_its_process(socket, tmp_path, code, expected):
    script = tmp_path / "end.py"
    script.write_text(code)
    process = start(socket, str(script))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == expected
    assert ("ValueError" in errors) == ("ValueError" in code)


def test_files_that_were_inherited_are_there(socket, tmp_path):
    script = tmp_path / "write.py"
    script.write_text("import os, sys; os.write(int(sys.argv[1]), b'through')")
    reading, writing = os.pipe()
    command = [*prefork.worker_command().split(), str(script), str(writing)]
    subprocess.run(
        command, env={**os.environ, prefork.SOCKET: socket}, pass_fds=[writing], check=True
    )
    os.close(writing)
    assert os.read(reading, 100) == b"through"
    assert os.read(reading, 100) == b""  # nobody else holds it open, the server neither
    os.close(reading)


def test_what_multiprocessing_spawns_is_forked_too(socket, tmp_path):
    script = tmp_path / "spawn.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing, os, sys

        def child(queue):
            parent = multiprocessing.parent_process()
            queue.put((os.getppid(), "fractions" in sys.modules, parent.pid))

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            process = context.Process(target=child, args=(queue,))
            process.start()
            print(*queue.get(), os.getppid(), os.getpid(), flush=True)
            process.join()
            raise SystemExit(process.exitcode)
        """)
    )
    process = start(socket, str(script))
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    childs_parent, ahead, named_parent, servers, own = out.split()
    assert (childs_parent, ahead, named_parent) == (servers, "True", own)


@pytest.mark.parametrize("where", ["off", "/there/is/nothing"])
def test_without_a_server_it_is_python(tell, where):
    process = start(where, str(tell), "x")
    found = told(process)
    assert (found["pid"], found["ahead"]) == (process.pid, False)
    assert found["arguments"] == [str(tell), "x"]


def test_what_is_read_once_must_agree(socket, tell):
    process = start(socket, str(tell), PYTHONHASHSEED="7")
    assert told(process)["pid"] == process.pid


def test_a_declined_process_is_told_of(tmp_path: Path, tell: Path, capfd: Any) -> None:
    with serving(tmp_path / "s" / "prefork") as socket:
        assert not told(start(socket, str(tell), PYTHONHASHSEED="7"))["ahead"]
    assert "ordinary Python, ten seconds later: PYTHONHASHSEED differ" in capfd.readouterr().err


def test_what_a_package_sets_is_not_asked_of_a_client(tmp_path: Path, tell: Path) -> None:
    """OpenCV, for one, sets ``LD_LIBRARY_PATH`` while it is imported."""
    (tmp_path / "sets_a_variable.py").write_text("import os; os.environ['MKL_NUM_THREADS'] = '3'")
    code = f"import sys; sys.path.append({str(tmp_path)!r}); "
    with serving(tmp_path / "s" / "prefork", code, ("fractions", "sets_a_variable")) as socket:
        assert told(start(socket, str(tell)))["ahead"]


def test_its_priority_is_that_of_its_client(socket, tell):
    command = ["nice", "-n", "5", *prefork.worker_command().split(), str(tell)]
    environ = {**os.environ, prefork.SOCKET: socket}
    out = subprocess.run(command, env=environ, input="", capture_output=True, text=True, check=True)
    found = json.loads(out.stdout)
    assert (found["ahead"], found["niceness"]) == (True, os.nice(0) + 5)


def test_vllm_can_name_its_process(tmp_path):
    script = tmp_path / "title.py"
    script.write_text(
        "import setproctitle, sys; setproctitle.setproctitle('VLLM::EngineCore'); "
        "print(open('/proc/self/cmdline').read().strip(chr(0)).strip(), 'fractions' in sys.modules)"
    )
    with serving(tmp_path / "r" / "prefork", "import ray;") as path:
        out, errors = start(path, str(script)).communicate(timeout=60)
    assert out == "VLLM::EngineCore True\n", errors  # forked, not an ordinary Python


def test_a_library_to_preload_must_be_loaded(socket, tell):
    lines = Path("/proc/self/maps").read_text().splitlines()
    libc = next(line.split()[-1] for line in lines if "libc.so" in line or "libc-" in line)
    assert told(start(socket, str(tell), LD_PRELOAD=libc))["ahead"]
    process = start(socket, str(tell), LD_PRELOAD=f"{libc}:{libc}.another")
    assert told(process)["pid"] == process.pid


def test_torchs_own_openmp_counts_as_loaded():
    code = (
        "import glob, pathlib, torch; from rewardmap_verl.cpu.prefork import server; "
        "names = glob.glob(str(pathlib.Path(torch.__file__).parent / 'lib/libgomp*.so*')); "
        "names += glob.glob(str(pathlib.Path(torch.__file__).parents[1] / 'torch.libs/libgomp*')); "
        "print(len(names), server.missing_libraries(' '.join(names)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "1 []"


def test_other_uses_of_python_are_not_forked(socket):
    process = start(socket, "-c", "import os; print(os.getpid())")
    assert int(process.communicate(timeout=60)[0]) == process.pid


def test_a_process_with_threads_is_not_forked(tmp_path, tell):
    code = "import threading, time; threading.Thread(target=time.sleep, args=(8,)).start();"
    with serving(tmp_path / "t" / "prefork", code) as path:
        process = start(path, str(tell))
        assert told(process)["pid"] == process.pid


def test_signals_go_on_to_the_process(socket, tmp_path):
    script = tmp_path / "wait.py"
    script.write_text("import time; print('up', flush=True); time.sleep(60)")
    process = start(socket, str(script))
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM


def test_a_signal_to_the_group_of_one_process_spares_the_others(socket, tmp_path):
    script = tmp_path / "group.py"
    script.write_text("import os, sys; print(os.getpgid(0), flush=True); sys.stdin.read()")
    one, two = start(socket, str(script)), start(socket, str(script))
    groups = [int(process.stdout.readline()) for process in (one, two)]
    os.killpg(groups[0], signal.SIGTERM)
    one.communicate(timeout=60)
    assert one.returncode == -signal.SIGTERM
    assert two.poll() is None
    assert two.communicate(timeout=60) == ("", "")
    assert two.returncode == 0


def test_a_process_does_not_outlive_its_client(socket, tmp_path):
    script = tmp_path / "wait.py"
    script.write_text("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    process = start(socket, str(script))
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_ray_is_told_unless_the_user_names_a_python():
    command = prefork.worker_command()
    assert prefork.ray_hook(None) == {"py_executable": command}
    given = {"py_executable": None, "env_vars": {"A": "1"}}  # as Ray's own class has it
    assert prefork.ray_hook(given) == {"py_executable": command, "env_vars": {"A": "1"}}
    assert prefork.ray_hook({"py_executable": "mine"}) == {"py_executable": "mine"}


def test_training_is_told_from_other_commands():
    assert prefork.trains(["python", "-m", "verl.trainer.main_ppo", "+recipe=rewardmap"])
    assert not prefork.trains(["python", "-m", "verl.trainer.main_ppo", "--cfg", "job"])
    assert not prefork.trains(["python", "-m", "verl.trainer.sft_trainer"])
    assert not prefork.trains(["python", "x.py", "verl.trainer.main_ppo"])
    assert not prefork.trains([])


def test_no_second_server_and_none_where_it_is_forbidden():
    assert prefork.start({prefork.SOCKET: "off"}) is None
    assert prefork.start({prefork.SOCKET: "/of/an/outer/run"}) is None
    assert prefork.start({"RAY_ADDRESS": "127.0.0.1:6379"}) is None, "workers on other machines"


def test_a_cluster_of_the_runs_own_is_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(prefork.tempfile, "mkdtemp", lambda **_: str(tmp_path))
    monkeypatch.setattr(prefork.os, "posix_spawn", lambda *_, **__: 0)
    assert prefork.start({"RAY_ADDRESS": "local"}) == str(tmp_path / "prefork")


def test_the_server_ends_with_the_program_that_started_it(tmp_path):
    code = (
        "import os; from rewardmap_verl.cpu import prefork; "
        "print(prefork.start({**os.environ}), flush=True); input()"
    )
    environ = {**os.environ, **cpu_environment(), "TMPDIR": str(tmp_path)}
    environ.pop(prefork.SOCKET, None)
    program = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    path = Path(program.stdout.readline().strip())
    for _ in range(2400):
        if path.exists():
            break
        time.sleep(0.05)
    assert path.exists()
    program.communicate("\n", timeout=60)
    for _ in range(2400):  # it ends once it has imported
        if not path.parent.exists():
            break
        time.sleep(0.05)
    assert not path.parent.exists()


def test_the_first_round_is_before_ray_and_verl() -> None:
    """Ray's own variables are not there yet; what is read by then is what verl's processes have."""
    code = (
        "import sys\n"
        "from rewardmap_verl.cpu.environment import set_defaults\n"
        "set_defaults()\n"
        "from rewardmap_verl.cpu.prefork import server\n"
        "server.load(server.FIRST)\n"
        "early = [name for name in ('ray', 'verl') if name in sys.modules]\n"
        "from verl.trainer.constants_ppo import PPO_RAY_RUNTIME_ENV\n"
        "print(early, PPO_RAY_RUNTIME_ENV['env_vars']['VLLM_LOGGING_LEVEL'])\n"
    )
    environ = {name: value for name, value in os.environ.items() if name != "VLLM_LOGGING_LEVEL"}
    environ |= {"VERL_PLATFORM": "cpu", prefork.SOCKET: "off"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=300
    )
    wanted = cpu_environment({})["VLLM_LOGGING_LEVEL"]
    assert done.stdout.splitlines()[-1:] == [f"[] {wanted}"], done.stderr[-2000:]


def test_modules_that_are_imported_ahead_exist():
    import importlib.util

    for name in (*server.FIRST, *server.SECOND):
        assert importlib.util.find_spec(name.partition(".")[0]) is not None, name


def test_the_client_needs_no_package():
    assert client.understood(["-u", "/x/default_worker.py", "--a"])
    assert client.understood(["-c", "from multiprocessing…", "--multiprocessing-fork"])
    assert not client.understood(["-m", "x"])
    assert not client.understood([])
