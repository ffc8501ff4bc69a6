"""A download from the Hub continues where its connection was lost; the next run keeps whole files.

``huggingface_hub`` runs as it is, against a small server on this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NAME = "someone/maps"
COMMIT = "0" * 40
FILES = ("test.parquet", "train.parquet")
PROGRAM = """
import sys
from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.sources.published_sets import open_dataset
try:
    print(sum(1 for one in open_dataset(sys.argv[1]) for _ in one))
except DataError as error:
    print(error)
    sys.exit(1)
"""


class Hub(ThreadingHTTPServer):
    """The requests that a download makes: the list of files, a file's size and its bytes."""

    def __init__(self, content: bytes, cut: str, cuts: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.cut = cut
        self.cuts = cuts
        """How many answers for this file end after half of their bytes."""
        self.starts: list[tuple[str, int]] = []
        """File and first byte of each answer."""


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(200, b"", len(self.server.content))

    def do_GET(self) -> None:
        if "/resolve/" not in self.path:
            files = [
                {"type": "file", "path": f"data/{file}", "size": 1, "oid": COMMIT} for file in FILES
            ]
            info = {"id": NAME, "sha": COMMIT, "siblings": []}
            body = json.dumps(files if "/tree/" in self.path else info).encode()
            self.answer(200, body, len(body))
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        rest = self.server.content[start:]
        name = self.path.rpartition("/")[2]
        self.server.starts.append((name, start))
        cut = name == self.server.cut and self.server.cuts > 0
        self.server.cuts -= cut
        self.answer(206 if start else 200, rest[: len(rest) // 2] if cut else rest, len(rest))

    def answer(self, status: int, body: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", f'"{zlib.crc32(self.path.encode())}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        end = len(self.server.content)
        if status == 206:
            self.send_header("Content-Range", f"bytes {end - length}-{end - 1}/{end}")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def hub(content: bytes, cut: str = "", cuts: int = 0) -> Iterator[Hub]:
    server = Hub(content, cut, cuts)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def read(server: Hub, home: Path) -> subprocess.CompletedProcess[str]:
    """Open the data set in a new process and count its rows."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, NAME],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def parquet(tmp_path: Path) -> bytes:
    """A file of some megabytes: what arrives is stored in blocks."""
    noise = np.random.default_rng(1)
    rows = [{"n": number, "figure": noise.bytes(1_000_000)} for number in range(24)]
    path = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path.read_bytes()


def test_a_lost_connection_is_resumed(tmp_path: Path) -> None:
    with hub(parquet(tmp_path), "test.parquet", cuts=1) as server:
        done = read(server, tmp_path / "home")
    assert (done.returncode, done.stdout) == (0, "48\n"), done.stdout + done.stderr
    (first, start), (second, resumed), (third, whole) = server.starts
    assert (first, second, third) == ("test.parquet", "test.parquet", "train.parquet")
    assert start == whole == 0 and resumed > 1_000_000


def test_a_run_that_failed_keeps_the_files_that_were_complete(tmp_path: Path) -> None:
    content = parquet(tmp_path)
    with hub(content, "train.parquet", cuts=100) as server:
        failed = read(server, tmp_path / "home")
    assert failed.returncode == 1
    assert "run `hf download" in failed.stdout and "Traceback" not in failed.stderr
    with hub(content) as server:
        done = read(server, tmp_path / "home")
    assert (done.returncode, done.stdout) == (0, "48\n"), done.stdout + done.stderr
    assert [name for name, _ in server.starts] == ["train.parquet"]
