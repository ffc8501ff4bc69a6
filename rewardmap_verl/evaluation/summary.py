"""The metrics of one model: the weighted means of the papers' tables, and their breakdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from rewardmap_verl.evaluation.map_score import PARTS
from rewardmap_verl.evaluation.statistics import (
    DRAWS,
    Interval,
    PairedComparison,
    Sample,
    compare,
    interval,
)
from rewardmap_verl.evaluation.verdicts import Verdict
from rewardmap_verl.transit.difficulty import LEVELS

__all__ = [
    "SECTIONS",
    "Metric",
    "MetricSummary",
    "accuracy_by_data_source",
    "compare_verdicts",
    "summarize",
]

SECTIONS: Final = ("short", "long", "plus", "further")
"""ReasonMap's short and long questions, ReasonMap-Plus, and types beyond the papers."""

_COUNTING: Final = ("Counting1", "Counting2", "Counting3")
_TRUE_FALSE: Final = ("TorF1", "TorF2")
_SHORT_PARTS: Final = tuple(part for part in PARTS if not part.startswith("via"))

_Value = Callable[[Verdict], float | None]
_Key = tuple[str, str, bool]
"""Section, name, weighted or not."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, with the values that it averages."""

    section: str
    name: str
    """``accuracy``, ``map_score``, ``map_score/lines``, ``accuracy/Counting1`` …"""
    weighted: bool
    sample: Sample


_accuracy: _Value = attrgetter("right")


def _map_part(name: str) -> _Value:
    part = attrgetter(name)
    return lambda verdict: None if verdict.map_score is None else part(verdict.map_score)


def _metric(
    section: str, name: str, verdicts: Iterable[Verdict], value: _Value, weighted: bool
) -> Iterator[Metric]:
    found = [(v, x) for v in verdicts if (x := value(v)) is not None]
    if found:
        sample = Sample(
            tuple(x for _, x in found),
            tuple(v.weight if weighted else 1.0 for v, _ in found),
            tuple(v.place for v, _ in found),
        )
        yield Metric(section, name, weighted, sample)


def _metrics(section: str, verdicts: Sequence[Verdict]) -> Iterator[Metric]:
    """Yield a section's metrics: accuracy, map score, types, readable answers, tokens."""
    yield from _metric(section, "accuracy", verdicts, _accuracy, True)
    yield from _metric(section, "accuracy", verdicts, _accuracy, False)
    if section == "plus":
        for name, types in (("count", _COUNTING), ("true_false", _TRUE_FALSE)):
            chosen = [v for v in verdicts if v.type in types]
            yield from _metric(section, f"accuracy/{name}", chosen, _accuracy, True)
        for kind in (*_COUNTING, *_TRUE_FALSE):
            chosen = [v for v in verdicts if v.type == kind]
            yield from _metric(section, f"accuracy/{kind}", chosen, _accuracy, True)
    elif section == "further":
        for kind in sorted({v.type for v in verdicts}):
            chosen = [v for v in verdicts if v.type == kind]
            yield from _metric(section, f"accuracy/{kind}", chosen, _accuracy, False)
    else:
        yield from _metric(section, "map_score", verdicts, _map_part("total"), True)
        for part in PARTS if section == "long" else _SHORT_PARTS:
            yield from _metric(section, f"map_score/{part}", verdicts, _map_part(part), True)
    yield from _metric(section, "readable", verdicts, attrgetter("readable"), False)
    yield from _metric(section, "tokens", verdicts, attrgetter("tokens"), False)


def _breakdown(section: str, verdicts: Sequence[Verdict]) -> Iterator[Metric]:
    """Yield unweighted accuracies by level and by map."""
    for level in LEVELS:
        chosen = [v for v in verdicts if v.map_level == level]
        yield from _metric(section, f"accuracy/map {level}", chosen, _accuracy, False)
        if section != "plus":
            chosen = [v for v in verdicts if v.question_level == level]
            yield from _metric(section, f"accuracy/question {level}", chosen, _accuracy, False)
    for place in sorted({v.place for v in verdicts}):
        chosen = [v for v in verdicts if v.place == place]
        yield from _metric(section, f"accuracy/{place}", chosen, _accuracy, False)


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """All metrics of one model."""

    sections: tuple[str, ...]
    """Sections with at least one answer."""
    metrics: dict[_Key, Interval]
    """By section, name and whether weighted."""
    by_data_source: dict[str, float]
    """Unweighted accuracy by verl's names, as its validation logs it (``acc/mean@1``)."""
    reward: float | None
    """Mean reward of all answers."""

    def get(self, section: str, name: str, weighted: bool = True) -> Interval | None:
        """Return a metric; ``None`` when the section has no answers or no such metric."""
        return self.metrics.get((section, name, weighted))


def answered_sections(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """Return the sections with at least one answer, in order."""
    found = {v.section for v in verdicts if v.answers}
    return tuple(section for section in SECTIONS if section in found)


def accuracy_by_data_source(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Return the accuracy by verl's names, as its validation logs it (``acc/mean@1``)."""
    rights: dict[str, list[float]] = {}
    for verdict in verdicts:
        rights.setdefault(verdict.data_source, []).append(verdict.right)
    return {name: sum(found) / len(found) for name, found in sorted(rights.items())}


def _intervals(metrics: Iterable[Metric], seed: int, draws: int) -> Iterator[tuple[_Key, Interval]]:
    for one in metrics:
        found = interval(one.sample, seed, f"{one.section}/{one.name}", draws)
        yield (one.section, one.name, one.weighted), found


def summarize(verdicts: Sequence[Verdict], seed: int = 0, breakdown: bool = True) -> MetricSummary:
    """Compute every metric with its interval.

    A section without any answer is omitted; in the others a question without an answer counts as
    wrong.

    Args:
        verdicts: One per question.
        seed: Seed of the intervals.
        breakdown: Also by level and by map, with intervals of a tenth of the draws.
    """
    sections = answered_sections(verdicts)
    counted = [v for v in verdicts if v.section in sections]
    metrics: dict[_Key, Interval] = {}
    for section in sections:
        chosen = [v for v in counted if v.section == section]
        metrics |= _intervals(_metrics(section, chosen), seed, DRAWS)
        if breakdown:
            metrics |= _intervals(_breakdown(section, chosen), seed, DRAWS // 10)
    rewards = [v.reward for v in counted]
    return MetricSummary(
        sections,
        metrics,
        accuracy_by_data_source(counted),
        sum(rewards) / len(rewards) if rewards else None,
    )


_COMPARED: Final = ("accuracy", "map_score", "accuracy/count", "accuracy/true_false")


def compare_verdicts(
    first: Sequence[Verdict], second: Sequence[Verdict], seed: int = 0
) -> dict[tuple[str, str], PairedComparison]:
    """Compare two models on one data set, in the sections that both answered."""
    both = [s for s in answered_sections(first) if s in answered_sections(second)]
    found = {}
    for section in both:
        theirs = {
            (f.name, f.weighted): f
            for f in _metrics(section, [v for v in second if v.section == section])
        }
        for metric in _metrics(section, [v for v in first if v.section == section]):
            if metric.weighted and metric.name in _COMPARED:
                other = theirs[metric.name, True]
                found[section, metric.name] = compare(
                    metric.sample, other.sample, seed, f"{section}/{metric.name}"
                )
    return found
