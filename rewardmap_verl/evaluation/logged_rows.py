"""Join the answers that ``rewardmap evaluate`` wrote with their questions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.answer_log import HEADER
from rewardmap_verl.evaluation.gather import QuestionFinder, check_fingerprint
from rewardmap_verl.evaluation.questions import read_questions
from rewardmap_verl.evaluation.saved import read_saved
from rewardmap_verl.rewards.rows import QuestionRow, read_json_lines

__all__ = ["is_answer_log", "logged_folder", "logged_rows"]


def _header(path: Path) -> Mapping[str, object]:
    line = next(iter(read_json_lines(path)), None)
    values = line.values if line is not None else None
    return values if isinstance(values, Mapping) and HEADER in values else {}


def is_answer_log(path: Path) -> bool:
    """Return whether ``rewardmap evaluate`` wrote a file.

    Raises:
        DataError: The file cannot be read.
    """
    return bool(_header(path))


def logged_rows(path: Path, data: Path | None = None) -> Iterator[tuple[int, QuestionRow]]:
    """Yield every answer of a log with its question, by the question's row in the split.

    Args:
        path: The log.
        data: The prepared folder; by default the one that the log names.

    Raises:
        DataError: The data are missing or others, or a row has no question.
    """
    header = _header(path)
    folder = data or logged_folder(path)
    questions = read_questions(folder, str(header.get("split") or "test"))
    saved = read_saved(path)
    check_fingerprint(saved, questions)
    finder = QuestionFinder(questions)
    for row in saved.rows:
        question = finder.find(row)
        if isinstance(question, str):
            raise DataError(row.where, "question", question, f"{folder} has no such question.")
        place = (row.where, question.truth, question.network, row.answer.response)
        yield question.index, QuestionRow(*place, question.prompt)


def logged_folder(path: Path) -> Path:
    """Return the prepared folder that a log names.

    Raises:
        DataError: It names none, or the folder is gone.
    """
    folder = _header(path).get("folder")
    if isinstance(folder, str) and folder and (Path(folder) / "manifest.json").is_file():
        return Path(folder)
    found = json.dumps(folder) if folder else "no folder"
    raise DataError(path, "folder", found, "Give the prepared folder of the questions: --data.")
