"""Accuracy on held-out questions before and after training, beside answers without a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rewardmap_verl.curriculum.config import file_names
from rewardmap_verl.curriculum.groups import Group, result_names
from rewardmap_verl.curriculum.record import Entry
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.baselines import baseline_answers
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet, read_questions
from rewardmap_verl.evaluation.sources import training_answers
from rewardmap_verl.evaluation.statistics import Interval, Sample, interval
from rewardmap_verl.preparation.manifest import MANIFEST_NAME
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.score import score_answer

__all__ = ["Baselines", "HeldOut", "held_out", "read_baselines", "validation_rounds"]

_RANDOM_ANSWERS = 5_000
"""Random answers to judge in total; more repetitions of fewer questions."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Accuracies of one question type, from 0 to 1, with 95% intervals."""

    kind: str
    """Question type, planning by transfers, or all types."""
    questions: int
    chance: float | None
    """Accuracy of random answers; ``None`` without the data of the run."""
    majority: float | None
    """Accuracy of the most frequent answer of the training split."""
    before: Interval | None
    """At the first validation; ``None`` if there is only one."""
    after: Interval
    """At the last validation."""
    change: Interval | None
    """After minus before, question by question."""
    lead: Interval | None
    """After minus majority, question by question."""


@dataclass(frozen=True, slots=True)
class Baselines:
    """What answers without a model reach, by row of the validation data."""

    chance: Mapping[int, float]
    majority: Mapping[int, float]
    places: Mapping[int, str]
    """The map of each row."""


def read_baselines(config: Mapping[str, Any], folders: Sequence[Path] = ()) -> Baselines | None:
    """Compute the baselines of a run; ``None`` if its validation data are not there any more.

    Args:
        config: Configuration of the run; see ``rewardmap_verl.checkpoints.run_metadata``.
        folders: Where its prepared folder may be now, if it is not at its place.
    """
    data = config.get("data") or {}
    named = data.get("val_files") or f"{data.get('folder')}/test.parquet"
    files = [Path(name) for name in file_names(named)]
    if len(files) != 1:
        return None
    places = [files[0], *(folder / files[0].name for folder in folders)]
    found = next((file for file in places if (file.parent / MANIFEST_NAME).is_file()), None)
    if found is None:
        return None
    try:
        return _baselines(read_questions(found.parent, found.stem))
    except DataError:  # prepared by another version; the summary does without
        return None


def _baselines(questions: EvalSet) -> Baselines:
    items = questions.items
    frequent = training_answers(questions)
    seeds = range(max(1, min(20, _RANDOM_ANSWERS // len(items))))
    drawn = [_right(items, baseline_answers("random", questions, frequent, s)) for s in seeds]
    return Baselines(
        chance={one.index: fmean(right[one.index] for right in drawn) for one in items},
        majority=_right(items, baseline_answers("majority", questions, frequent)),
        places={one.index: f"{one.truth.country}/{one.truth.city}" for one in items},
    )


def _right(items: Sequence[EvalQuestion], answers: Mapping[str, Any]) -> dict[int, float]:
    """Return for each row whether the answer is correct."""
    config = RewardConfig()
    return {
        one.index: score_answer(answers[one.key][0].response, one.truth, one.network, config).acc
        for one in items
    }


def validation_rounds(entries: Iterable[Entry]) -> dict[int, dict[int, Group]]:
    """Return the groups of each validation by its step and their row.

    A resumed run validates its first step again; the later result counts.
    """
    rounds: dict[int, dict[int, Group]] = {}
    for entry in entries:
        if entry.part == "val":
            rounds.setdefault(entry.step, {}).update({group.row: group for group in entry.groups})
    return rounds


def held_out(entries: Iterable[Entry], baselines: Baselines | None = None) -> list[HeldOut]:
    """Compare the first and the last validation: each type, planning by transfers, all types."""
    rounds = validation_rounds(entries)
    if not rounds:
        return []
    last = rounds[max(rounds)]
    first = rounds[min(rounds)] if len(rounds) > 1 else {}
    names = result_names(group for _, group in sorted(last.items()))
    return [line for name in names for line in _lines(name, first, last, baselines)]


def _lines(
    kind: str,
    first: Mapping[int, Group],
    last: Mapping[int, Group],
    baselines: Baselines | None,
) -> Iterator[HeldOut]:
    """Yield the line of a type, or nothing if its answers have no accuracy."""
    rows = [
        row
        for row, group in sorted(last.items())
        if kind in group.counted_as and group.accuracy is not None
    ]
    if not rows:
        return
    after = {row: last[row].accuracy for row in rows}
    before = {row: first[row].accuracy for row in rows if row in first}
    if baselines is not None and not baselines.places.keys() >= set(rows):
        baselines = None
    places = {row: last[row].place for row in rows if last[row].place}
    places |= baselines.places if baselines else {}
    majority = baselines.majority if baselines else {}
    yield HeldOut(
        kind=kind,
        questions=len(rows),
        chance=fmean(baselines.chance[row] for row in rows) if baselines else None,
        majority=fmean(majority[row] for row in rows) if baselines else None,
        before=_interval(before, {}, places, kind),
        after=_interval(after, {}, places, kind),  # type: ignore[arg-type]
        change=_interval(after, before, places, kind) if before else None,
        lead=_interval(after, majority, places, kind) if baselines else None,
    )


def _interval(
    values: Mapping[int, float | None],
    minus: Mapping[int, float | None],
    places: Mapping[int, str],
    name: str,
) -> Interval | None:
    """Return the mean of values, or of their difference to other values of the same rows."""
    rows = [row for row in values if not minus or row in minus]
    found = [(values[row] or 0.0) - (minus.get(row) or 0.0) for row in rows]
    if not rows:
        return None
    maps = tuple(places.get(row, str(row)) for row in rows)
    return interval(Sample(tuple(found), (1.0,) * len(rows), maps), name=name)
