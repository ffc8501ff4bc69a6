"""One process at a time writes an answer log, and a full disk loses no finished batch."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.answer_log import AnswerLog, LoggedAnswer

HEADER = {"questions": "q", "model": {"name": "m", "files": "1"}, "settings": {"max_tokens": 9}}

WRITER = f"""
import sys
from pathlib import Path
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.answer_log import AnswerLog
try:
    with AnswerLog(Path(sys.argv[1]), {HEADER}):
        print("opened")
except DataError as error:
    print("refused:", error)
"""


def second_writer(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout


def answer(index: int) -> LoggedAnswer:
    return LoggedAnswer(f"k{index}", index, "yes", 1, "stop")


def test_a_second_process_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswerLog(path, HEADER) as log:
        log.append([answer(0)])
        refused = second_writer(path)
        assert "refused" in refused and "answers.jsonl" in refused and "Another process" in refused
        log.append([answer(1)])
    assert [json.loads(line).get("key") for line in path.read_text().splitlines()] == [
        None,
        "k0",
        "k1",
    ]
    assert second_writer(path) == "opened\n"


def test_a_log_is_free_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("no log\n")
    for _ in range(2):
        with pytest.raises(DataError, match="Not valid JSON"):
            AnswerLog(path, HEADER).open()


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(DataError, match="not a regular file"):
        AnswerLog(path, HEADER).open()


@contextlib.contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Limit the size of files of this process, as a full disk would."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_keeps_the_finished_batches(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswerLog(path, HEADER) as log:
        log.append([answer(0)])
        before = path.read_bytes()
        with limited_files(len(before) + 50), pytest.raises(DataError, match="ulimit"):
            log.append([answer(number) for number in range(1, 40)])
        assert path.read_bytes() == before
        log.append([answer(1)])
    with AnswerLog(path, HEADER) as log:
        assert log.known == {"k0", "k1"}
