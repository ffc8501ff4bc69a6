"""The file that answers are appended to while a model works: what is in it is never lost.

The first line says which questions and which model; each further line is one answer. Every batch
reaches the disk before the next begins. When the program starts again it reads what is there,
passes over a line that a crash cut off, and asks only what has no answer yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from rewardmap_verl.errors import DataError, shorten

__all__ = ["HEADER", "VERSION", "AnswerLog", "LoggedAnswer", "check_version"]

HEADER: Final = "rewardmap_answers"
"""The key that makes a line a header; its value is the version."""
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """One answer as it is written."""

    key: str
    index: int
    response: str | None
    tokens: int
    finish: str
    """Why the model stopped: "stop", or "length" when it ran out of tokens."""


def check_version(header: Mapping[str, Any], path: Path) -> None:
    """Check that this version can read a file.

    Raises:
        DataError: Another version wrote it.
    """
    if header.get(HEADER) != VERSION:
        hint = f"Version {VERSION} is read here; evaluate again, or with the version that wrote it."
        raise DataError(path, HEADER, header.get(HEADER), hint)


def _essence(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be equal for answers to belong together: not where the data lie, and of a
    model in a folder not how the folder is called."""
    kept = {name: header.get(name) for name in ("questions", "model", "settings")}
    model = kept["model"]
    if isinstance(model, Mapping) and model.get("files"):
        kept["model"] = model["files"]
    return kept


@dataclass
class AnswerLog:
    """Appends answers to a file; use it as a context manager."""

    path: Path
    header: Mapping[str, Any]
    """``questions``: their fingerprint; ``model``; ``settings``: of the generation."""
    known: set[str] = field(default_factory=set)
    """Keys of the questions that are answered."""
    cut: int = 0
    """Bytes of an unfinished last line that were dropped."""
    _file: BinaryIO | None = None

    def __enter__(self) -> AnswerLog:
        """Open the file; see :meth:`open`."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def open(self) -> None:
        """Open the file for appending, after what it holds was read and checked.

        Raises:
            DataError: It is of other questions, another model or other settings, or not ours.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._read() if self.path.is_file() else 0
        self._file = self.path.open("r+b" if self.path.is_file() else "w+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._write([{HEADER: VERSION, **self.header}])

    def append(self, answers: Iterable[LoggedAnswer]) -> None:
        """Write answers; they are on the disk when this returns."""
        answers = list(answers)
        self._write(
            {
                "key": one.key,
                "index": one.index,
                "response": one.response,
                "tokens": one.tokens,
                "finish": one.finish,
            }
            for one in answers
        )
        self.known.update(one.key for one in answers)

    def _write(self, records: Iterable[Mapping[str, Any]]) -> None:
        assert self._file is not None, "open() first"
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
        self._file.write(text.encode("utf-8", "backslashreplace"))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> int:
        """Read what is there, and return how many bytes of it are whole lines."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        self.cut = len(content) - whole
        lines = content[:whole].splitlines()
        if not lines:
            return 0
        self._check_header(self._decode(lines[0], 1))
        for number, line in enumerate(lines[1:], 2):
            self.known.add(str(self._decode(line, number).get("key")))
        return whole

    def _decode(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            values = json.loads(line)
        except ValueError as error:
            hint = f"It is not JSON ({error}). Fix or remove the line, or give another --answers."
            raise DataError(f"{self.path}, line {number}", found=line, hint=hint) from None
        if not isinstance(values, dict):
            hint = "It is no answer. Give another --answers."
            raise DataError(f"{self.path}, line {number}", found=values, hint=hint)
        return values

    def _check_header(self, found: Mapping[str, Any]) -> None:
        if HEADER not in found:
            hint = "It does not begin with this program's header. Give another --answers."
            raise DataError(f"{self.path}, line 1", HEADER, "nothing", hint)
        check_version(found, self.path)
        for name, due in _essence(self.header).items():
            if _essence(found).get(name) != due:
                hint = (
                    f"Now it is {shorten(due)}. Answers of two kinds may not be mixed: give "
                    "another --answers, or remove the file."
                )
                raise DataError(self.path, name, _essence(found).get(name), hint)
