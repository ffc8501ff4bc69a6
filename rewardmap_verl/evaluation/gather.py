"""Finding the question of every saved answer; whatever does not fit is an error or is counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.saved import SavedAnswers, SavedRow
from rewardmap_verl.evaluation.verdicts import Answer

__all__ = ["Gathered", "gather"]

_FAILURES: Final = ("failed to obtain answer via api",)
"""What VLMEvalKit writes in place of an answer when a model has failed."""

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Gathered:
    """The answers by question, and what was noticed on the way."""

    answers: Mapping[str, tuple[Answer, ...]]
    """By the question's key; a question that is not there has no answer."""
    notes: tuple[str, ...] = ()
    """Sentences for the reader: what is missing, double, empty, foreign or broken."""


@dataclass
class _Finder:
    """Finds the question that a row means."""

    questions: EvalSet
    by_key: dict[str, EvalQuestion] = field(init=False)
    by_index: dict[int, EvalQuestion] = field(init=False)
    by_gold: dict[str, list[EvalQuestion]] = field(init=False)
    by_text: dict[str, list[EvalQuestion]] = field(init=False)
    given: Counter[str] = field(default_factory=Counter)
    """Answers that were found for each key: questions that are alike to the letter take turns."""

    def __post_init__(self) -> None:
        items = self.questions.split
        self.by_key = {item.key: item for item in items}
        self.by_index = {item.index: item for item in items}
        self.by_gold, self.by_text = defaultdict(list), defaultdict(list)
        for item in items:
            self.by_gold[item.gold].append(item)
            self.by_text[_squeeze(item.text)].append(item)

    def find(self, row: SavedRow) -> EvalQuestion | str:
        """Return the question, or in words why there is none."""
        if row.key is not None:
            return self.by_key.get(row.key) or f"key {row.key}"
        if row.gold is not None:
            return self._of(row, self.by_gold.get(row.gold, []), contains=True)
        if row.index is not None:
            item = self.by_index.get(row.index)
            if item is None:
                return f"index {row.index} of {len(self.by_index)}"
            return _difference(row, item) or item
        if row.question is not None:
            return self._of(row, self.by_text.get(_squeeze(row.question), []), contains=False)
        return "neither key nor index nor question"

    def _of(self, row: SavedRow, found: list[EvalQuestion], contains: bool) -> EvalQuestion | str:
        """Narrow questions that share a gold answer or a text by the rest of what the row says."""
        if contains and row.question and len(found) > 1:
            question = _squeeze(row.question)
            found = [item for item in found if _squeeze(item.text) in question] or found
        fitting = [item for item in found if not _difference(row, item, text=False)]
        if not fitting:
            return f"question {row.question or row.gold!r}"
        item = min(fitting, key=lambda item: self.given[item.key])
        self.given[item.key] += 1
        return item


def _squeeze(text: str) -> str:
    return " ".join(text.replace("<image>", " ").split())


def _difference(row: SavedRow, item: EvalQuestion, text: bool = True) -> str:
    """Say in what a row and a question differ; "" when they do not."""
    for name, said in row.facts.items():
        if said != str(getattr(item.truth, name)):
            return f"index {row.index}, {name} {said!r} for {getattr(item.truth, name)!r}"
    if text and row.question and _squeeze(row.question) != _squeeze(item.text):
        return f"index {row.index}, question {row.question[:80]!r} for {item.text[:80]!r}"
    return ""


def gather(saved: SavedAnswers, questions: EvalSet, lenient: bool = False) -> Gathered:
    """Find the question of every answer.

    Args:
        saved: What a file holds.
        questions: The questions of the evaluation.
        lenient: Count answers to other questions, and of two answers take the later one, where
            otherwise the first such row is an error. If no answer belongs to any of the questions
            it is an error all the same.

    Raises:
        DataError: Naming file and row.
    """
    if saved.fingerprint and saved.fingerprint != questions.fingerprint and not lenient:
        hint = (
            f"{questions.name} has the fingerprint {questions.fingerprint}: the answers are to "
            "other questions. Give the data they were made for, or --lenient to take what fits."
        )
        raise DataError(saved.path, "questions", saved.fingerprint, hint)
    finder = _Finder(questions)
    found: dict[str, dict[str, SavedRow]] = defaultdict(dict)
    foreign: list[str] = []
    again = other = 0
    for row in saved.rows:
        item = finder.find(row)
        if isinstance(item, str):
            foreign.append(f"{row.where}: {item}")
            if not lenient:
                raise _foreign(row, item, questions)
            continue
        earlier = found[item.key].get(row.rollout)
        if earlier is not None:
            same = earlier.answer.response == row.answer.response
            if not same and not lenient:
                raise _double(earlier, row)
            again, other = again + same, other + (not same)
        found[item.key][row.rollout] = row
    if not found:
        raise _foreign(saved.rows[0], foreign[0], questions)
    answers = {
        item.key: tuple(row.answer for row in found[item.key].values())
        for item in questions.items
        if item.key in found
    }
    notes = (
        *_notes_of_rows(saved, foreign, again, other),
        *_notes_of_answers(answers, questions),
    )
    return Gathered(answers, notes)


def _foreign(row: SavedRow, found: str, questions: EvalSet) -> DataError:
    hint = (
        f"{questions.name} has no such question. Give the data that the answers were made for, or "
        "--lenient to pass such rows over."
    )
    return DataError(row.where, "question", found, hint)


def _double(earlier: SavedRow, row: SavedRow) -> DataError:
    hint = (
        f"The same question is answered otherwise in {earlier.where}. Remove one of the rows, or "
        "take the later one with --lenient."
    )
    return DataError(row.where, "response", row.answer.response, hint)


def _notes_of_rows(
    saved: SavedAnswers, foreign: list[str], again: int, other: int
) -> Iterator[str]:
    if saved.broken:
        shown = "; ".join(str(fault) for fault in saved.broken[:_SHOWN])
        yield f"{len(saved.broken)} lines could not be read and count as missing: {shown}"
    if foreign:
        shown = "; ".join(foreign[:_SHOWN])
        yield f"{len(foreign)} answers belong to other questions and were passed over: {shown}"
    if again:
        yield f"{again} rows repeat an earlier row word by word and were counted once."
    if other:
        yield f"{other} questions were answered twice; the later answer counts."


def _failed(answer: Answer) -> bool:
    text = answer.response
    return isinstance(text, str) and any(word in text.lower()[:200] for word in _FAILURES)


def _notes_of_answers(
    answers: Mapping[str, tuple[Answer, ...]], questions: EvalSet
) -> Iterator[str]:
    sections: dict[str, list[EvalQuestion]] = defaultdict(list)
    for item in questions.items:
        sections[item.section].append(item)
    for section, items in sections.items():
        missing = [item for item in items if item.key not in answers]
        if len(missing) == len(items):
            yield f"None of the {len(items)} {section} questions was answered; they are left out."
        elif missing:
            rows = ", ".join(str(item.index) for item in missing[:_SHOWN])
            yield (
                f"{len(missing)} of {len(items)} {section} questions have no answer and count as "
                f"wrong (rows {rows}{', …' if len(missing) > _SHOWN else ''})."
            )
    given = [answer for several in answers.values() for answer in several]
    if empty := sum(answer.empty for answer in given):
        yield f"{empty} of {len(given)} answers are empty and count as wrong."
    if cut := sum(answer.cut for answer in given):
        yield f"{cut} of {len(given)} answers were cut off at the most tokens; see --max-tokens."
    if failed := sum(map(_failed, given)):
        yield f"{failed} of {len(given)} answers say that the model failed, and count as wrong."
