"""Append-only log of a model's answers, which survives a crash.

The first line identifies questions, model and settings; each further line is one answer. Every
batch is on disk before the next one starts. A new run reads the log, drops a line that a crash cut
off, and asks only the questions without an answer. One process at a time writes a log.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rewardmap_verl.errors import DataError, shorten
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.preparation.atomic import disk_errors, exclusive_lock

__all__ = ["HEADER", "VERSION", "AnswerLog", "LoggedAnswer", "check_version"]

HEADER: Final = "rewardmap_answers"
"""The key that marks the header line; its value is the version of the format."""
VERSION: Final = 1
_SOMETIMES: Final = ("refusal", "prompt_tokens", "transcript")


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """One answer, as logged."""

    key: str
    index: int
    response: str | None
    tokens: int | None
    """Generated tokens; ``None`` if a server does not tell."""
    finish: str
    """Why generation stopped: "stop", "length" at the maximum number of tokens, "refusal"."""
    refusal: str = ""
    """What a server gave as the reason of a refusal."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, as a server counts them."""
    transcript: str = ""
    """All turns of an answer that zooms; ``response`` is the last one."""


def check_version(header: Mapping[str, Any], path: Path) -> None:
    """Check that this version can read a log.

    Raises:
        DataError: The log has another version.
    """
    if header.get(HEADER) != VERSION:
        hint = f"Only version {VERSION} can be read. Evaluate again, or use the older release."
        raise DataError(path, HEADER, header.get(HEADER), hint)


def _essence(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a header that must be equal for answers to be mixed.

    The path of the data is left out, and so is the folder's name of a local model.
    """
    kept = {name: header.get(name) for name in ("questions", "model", "settings")}
    model = kept["model"]
    if isinstance(model, Mapping) and model.get("files"):
        kept["model"] = model["files"]
    return kept


def _append(file: FileIO, content: bytes) -> None:
    """Write to the end of a file, down to the disk; after an error the file is as before."""
    start, rest = file.tell(), memoryview(content)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(start)
        file.seek(start)
        raise


def _record(answer: LoggedAnswer) -> dict[str, Any]:
    """Return an answer as an object; fields that few answers have are left out where empty."""
    values = asdict(answer)
    return {k: v for k, v in values.items() if k not in _SOMETIMES or v not in ("", None)}


@dataclass
class AnswerLog:
    """Append-only file of answers; use it as a context manager."""

    path: Path
    header: Mapping[str, Any]
    """``questions`` (their fingerprint), ``model``, and ``settings`` of the generation."""
    known: set[str] = field(default_factory=set)
    """Keys of the questions that have an answer."""
    cut: int = 0
    """Bytes of an incomplete last line that were dropped."""
    _file: FileIO | None = None
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> AnswerLog:
        """Open the file; see ``open``."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file and release the lock."""
        self._open.close()

    def open(self) -> None:
        """Check the existing file, if any, and open it for appending.

        Raises:
            DataError: It belongs to other questions, another model or other settings, it is no
                answer log, or another process is writing to it.
        """
        with disk_errors(self.path), contextlib.ExitStack() as stack:
            self._create()
            stack.enter_context(exclusive_lock(self.path))
            complete = self._read()
            self._file = stack.enter_context(self.path.open("r+b", buffering=0))
            self._file.truncate(complete)
            self._file.seek(complete)
            if not complete:
                self._write([{HEADER: VERSION, **self.header}])
            self._open = stack.pop_all()

    def _create(self) -> None:
        """Create the file if it does not exist.

        Raises:
            DataError: The path is a folder or a device.
        """
        if self.path.exists() and not self.path.is_file():
            hint = "It is not a regular file. Give another --answers."
            raise DataError(self.path, hint=hint)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()

    def append(self, answers: Iterable[LoggedAnswer]) -> None:
        """Append answers; they are on disk when this returns."""
        answers = list(answers)
        self._write(_record(one) for one in answers)
        self.known.update(one.key for one in answers)

    def _write(self, records: Iterable[Mapping[str, Any]]) -> None:
        assert self._file is not None, "open() first"
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
        with disk_errors(self.path, "Answers of finished batches are kept."):
            _append(self._file, text.encode("utf-8", "backslashreplace"))

    def _read(self) -> int:
        """Read the existing answers, and return the number of bytes in complete lines."""
        content = self.path.read_bytes()
        complete = content.rfind(b"\n") + 1
        self.cut = len(content) - complete
        lines = content[:complete].splitlines()
        if not lines:
            return 0
        self._check_header(self._decode(lines[0], 1))
        for number, line in enumerate(lines[1:], 2):
            self.known.add(str(self._decode(line, number).get("key")))
        return complete

    def _decode(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            values = parse_json(line)
        except ValueError as error:
            hint = f"Not valid JSON ({error}). Fix or remove the line, or give another --answers."
            raise DataError(f"{self.path}, line {number}", found=line, hint=hint) from None
        if not isinstance(values, dict):
            hint = "A line of an answer log is a JSON object. Give another --answers."
            raise DataError(f"{self.path}, line {number}", found=values, hint=hint)
        return values

    def _check_header(self, found: Mapping[str, Any]) -> None:
        if HEADER not in found:
            hint = "The header of an answer log is missing. Give another --answers."
            raise DataError(f"{self.path}, line 1", HEADER, "nothing", hint)
        check_version(found, self.path)
        for name, due in _essence(self.header).items():
            if _essence(found).get(name) != due:
                hint = (
                    f"This evaluation has {shorten(due)}. Answers of both cannot be mixed: give "
                    "another --answers, or remove the file."
                )
                raise DataError(self.path, name, _essence(found).get(name), hint)
