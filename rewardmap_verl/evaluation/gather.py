"""Match saved answers to questions; answers without a match are errors, or are counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.saved import OWN_FORMAT, SavedAnswers, SavedRow
from rewardmap_verl.evaluation.verdicts import Answer

__all__ = ["Gathered", "QuestionFinder", "check_fingerprint", "gather"]

_FAILURES: Final = ("failed to obtain answer via api",)
"""VLMEvalKit's text in place of an answer when a model failed."""

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Gathered:
    """The answers by question, and notes for the reader."""

    answers: Mapping[str, tuple[Answer, ...]]
    """By question key; a question without an entry has no answer."""
    notes: tuple[str, ...] = ()
    """Sentences about missing, duplicate, empty, foreign and broken answers."""


@dataclass
class QuestionFinder:
    """Finds the question of a row."""

    questions: EvalSet
    by_key: dict[str, EvalQuestion] = field(init=False)
    by_index: dict[int, EvalQuestion] = field(init=False)
    by_gold: dict[str, list[EvalQuestion]] = field(init=False)
    by_text: dict[str, list[EvalQuestion]] = field(init=False)
    given: Counter[str] = field(default_factory=Counter)
    """Answers found for each key; questions of identical text take turns."""

    def __post_init__(self) -> None:
        items = self.questions.split
        self.by_key = {item.key: item for item in items}
        self.by_index = {item.index: item for item in items}
        self.by_gold, self.by_text = defaultdict(list), defaultdict(list)
        for item in items:
            self.by_gold[item.gold].append(item)
            self.by_text[_squeeze(item.text)].append(item)

    def find(self, row: SavedRow) -> EvalQuestion | str:
        """Return the question, or a phrase that says why there is none."""
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
        """Choose among questions that share a gold answer or a text by the row's other fields."""
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
    """Return how a row and a question differ; "" when they agree."""
    for name, said in row.facts.items():
        if said != str(getattr(item.truth, name)):
            return f"index {row.index}, {name} {said!r} for {getattr(item.truth, name)!r}"
    if text and row.question and _squeeze(row.question) != _squeeze(item.text):
        return f"index {row.index}, question {row.question[:80]!r} for {item.text[:80]!r}"
    return ""


def gather(saved: SavedAnswers, questions: EvalSet, lenient: bool = False) -> Gathered:
    """Find the question of every answer.

    Args:
        saved: The answers of a file.
        questions: The questions of the evaluation.
        lenient: Count answers to other questions, and take the later of two answers to one
            question; by default the first such row is an error. It is always an error if no answer
            belongs to any of the questions.

    Raises:
        DataError: A row cannot be matched; names file and row.
    """
    if not lenient:
        check_fingerprint(saved, questions)
    matched = _Matched(questions, lenient)
    for row in saved.rows:
        matched.add(row)
    if not matched.rows:
        raise _foreign(saved.rows[0], matched.foreign[0][1], questions)
    answers = {
        item.key: tuple(row.answer for row in matched.rows[item.key].values())
        for item in questions.items
        if item.key in matched.rows
    }
    _check_not_empty(answers, saved)
    notes = (*_notes_of_rows(saved, matched), *_notes_of_answers(answers, questions))
    return Gathered(answers, notes)


def check_fingerprint(saved: SavedAnswers, questions: EvalSet) -> None:
    """Check that answers belong to the questions, if the file has their fingerprint.

    Raises:
        DataError: They are answers to other questions.
    """
    if saved.fingerprint and saved.fingerprint != questions.fingerprint:
        hint = (
            f"{questions.name} has the fingerprint {questions.fingerprint}, so the answers are to "
            "other questions. Give the data they were made for, or --lenient to keep what matches."
        )
        raise DataError(saved.path, "questions", saved.fingerprint, hint)


def _check_not_empty(answers: Mapping[str, tuple[Answer, ...]], saved: SavedAnswers) -> None:
    """Refuse a file of another program without a single text: it may be another format.

    In a log of ``rewardmap evaluate`` the field is certain; empty answers are the model's own, and
    wrong.

    Raises:
        DataError: Every answer is empty.
    """
    given = [answer for several in answers.values() for answer in several]
    if saved.format != OWN_FORMAT and given and all(answer.empty for answer in given):
        hint = "Every answer is empty. The model failed, or the answers are in another field."
        raise DataError(saved.path, "response", f"{len(given)} empty answers", hint)


@dataclass
class _Matched:
    """Rows of saved answers by question, and the rows that were left over."""

    questions: EvalSet
    lenient: bool
    rows: dict[str, dict[str, SavedRow]] = field(default_factory=lambda: defaultdict(dict))
    """By question key, then by rollout."""
    foreign: list[tuple[str, str]] = field(default_factory=list)
    """Location of each row without a question, and why it has none."""
    repeated: int = 0
    """Rows equal to an earlier one."""
    replaced: int = 0
    """Rows with another answer than an earlier one."""
    finder: QuestionFinder = field(init=False)

    def __post_init__(self) -> None:
        self.finder = QuestionFinder(self.questions)

    def add(self, row: SavedRow) -> None:
        """Add a row.

        Raises:
            DataError: It has no question, or another answer than an earlier row, and ``lenient``
                is off.
        """
        item = self.finder.find(row)
        if isinstance(item, str):
            self.foreign.append((row.where, item))
            if not self.lenient:
                raise _foreign(row, item, self.questions)
            return
        earlier = self.rows[item.key].get(row.rollout)
        if earlier is not None:
            self._count(earlier, row)
        self.rows[item.key][row.rollout] = row

    def _count(self, earlier: SavedRow, row: SavedRow) -> None:
        same = earlier.answer.response == row.answer.response
        if not same and not self.lenient:
            raise _double(earlier, row)
        self.repeated += same
        self.replaced += not same


def _foreign(row: SavedRow, found: str, questions: EvalSet) -> DataError:
    hint = (
        f"{questions.name} has no such question. Give the data that the answers were made for, or "
        "--lenient to skip such rows."
    )
    return DataError(row.where, "question", found, hint)


def _double(earlier: SavedRow, row: SavedRow) -> DataError:
    hint = (
        f"{earlier.where} has another answer to this question. Remove one of the rows, or "
        "take the later one with --lenient."
    )
    return DataError(row.where, "response", row.answer.response, hint)


def _notes_of_rows(saved: SavedAnswers, matched: _Matched) -> Iterator[str]:
    if saved.broken:
        shown = "; ".join(str(fault) for fault in saved.broken[:_SHOWN])
        yield f"{len(saved.broken)} lines could not be read and count as missing: {shown}"
    if foreign := matched.foreign:
        shown = "; ".join(f"{where}: {reason}" for where, reason in foreign[:_SHOWN])
        yield f"{len(foreign)} answers belong to other questions and were skipped: {shown}"
    if matched.repeated:
        yield f"{matched.repeated} rows repeat an earlier row and were counted once."
    if matched.replaced:
        yield f"{matched.replaced} questions were answered twice; the later answer counts."


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
            yield f"None of the {len(items)} {section} questions was answered; they are not scored."
        elif missing:
            rows = ", ".join(str(item.index) for item in missing[:_SHOWN])
            yield (
                f"{len(missing)} of {len(items)} {section} questions have no answer and count as "
                f"wrong (rows {rows}{', …' if len(missing) > _SHOWN else ''})."
            )
    given = [answer for several in answers.values() for answer in several]
    if refused := sum(answer.refused for answer in given):
        yield f"{refused} of {len(given)} questions were refused and count as wrong."
    if empty := sum(answer.empty and not answer.refused for answer in given):
        yield f"{empty} of {len(given)} answers are empty and count as wrong."
    if cut := sum(answer.cut for answer in given):
        yield f"{cut} of {len(given)} answers were cut off at the token limit (--max-tokens)."
    if failed := sum(map(_failed, given)):
        yield f"{failed} of {len(given)} answers report a failed model call and count as wrong."
    if prompts := sum(answer.prompt_tokens or 0 for answer in given):
        written = sum(answer.tokens or 0 for answer in given)
        yield f"Tokens as counted by the server: {prompts:,} in prompts, {written:,} in answers."
