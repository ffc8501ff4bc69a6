"""Scores of rollout groups, and metrics over many groups.

A group is what GRPO compares: the rollouts of one prompt at one step. If all of them have the same
reward, their advantages are zero and the group carries no signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

import numpy as np

from rewardmap_verl.zoom.statistics import USED

__all__ = [
    "DIRECT",
    "EVERY_TYPE",
    "WITH_TRANSFERS",
    "Group",
    "group_metrics",
    "metrics_by_type",
    "result_names",
    "without_repeats",
]

Scores = Mapping[str, tuple[float | None, ...]]

EVERY_TYPE = "all"
"""Name for all question types of a stage together."""

PLANNING = "planning"

DIRECT = "planning, direct"
"""Name for planning questions whose best route has no transfer."""

WITH_TRANSFERS = "planning, transfers"
"""Name for the other planning questions."""

SAME = 1e-6
"""Tolerance for equal rewards, which are sums of a few decimals."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rollouts of one prompt at one training step or validation."""

    stage: str
    kind: str  # question type
    row: int  # row number in the data files
    slot: int  # position in the training order
    epoch: int  # pass over the rows of the stage
    repeat: bool  # fills the last batch of a stage with a row already trained
    scores: Scores  # each score of Score.as_dict(), one value per rollout or None
    replay: bool = False  # replayed from another stage
    place: str = ""  # country and city of the map; "" if unknown
    transfers: int | None = None  # transfers of the gold route; None for other questions

    @property
    def counted_as(self) -> tuple[str, ...]:
        """Names of the results that it belongs to: its type, planning by transfers, all types."""
        if self.transfers is None:
            return (self.kind, EVERY_TYPE)
        part = WITH_TRANSFERS if self.transfers else DIRECT
        return (self.kind, part, EVERY_TYPE)

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy of the rollouts; ``None`` if none was scored."""
        values = _values([self], "acc")
        return fmean(values) if values else None

    @property
    def size(self) -> int:
        """Number of rollouts."""
        return max((len(values) for values in self.scores.values()), default=0)

    def as_json(self) -> dict[str, Any]:
        """Return a plain mapping for the record."""
        return {
            "stage": self.stage,
            "type": self.kind,
            "row": self.row,
            "slot": self.slot,
            "epoch": self.epoch,
            "repeat": self.repeat,
            "scores": {name: list(values) for name, values in self.scores.items()},
            "replay": self.replay,
            "place": self.place,
            "transfers": self.transfers,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Group:
        """Restore ``as_json``, also of records without the last three fields."""
        return cls(
            stage=data["stage"],
            kind=data["type"],
            row=data["row"],
            slot=data["slot"],
            epoch=data["epoch"],
            repeat=data["repeat"],
            scores={name: tuple(values) for name, values in data["scores"].items()},
            replay=data.get("replay", False),
            place=data.get("place", ""),
            transfers=data.get("transfers"),
        )


def result_names(groups: Iterable[Group]) -> list[str]:
    """Return the names of results (``Group.counted_as``) in order of first occurrence.

    Planning by transfers follows planning if there are routes of both kinds; ``EVERY_TYPE`` comes
    last if there are several types.
    """
    found = dict.fromkeys(group.counted_as for group in groups)
    kinds = dict.fromkeys(names[0] for names in found)
    parts = sorted({name for names in found for name in names[1:-1]})
    split = parts if len(parts) > 1 else []
    names = [name for kind in kinds for name in (kind, *(split if kind == PLANNING else []))]
    return [*names, *([EVERY_TYPE] if len(kinds) > 1 else [])]


def without_repeats(groups: Iterable[Group]) -> list[Group]:
    """Remove repeats, so that every row counts once per epoch of its stage."""
    return [group for group in groups if not group.repeat]


def metrics_by_type(groups: Sequence[Group]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Yield (stage, type, metrics) for each type of each stage.

    If a stage has several types, ``EVERY_TYPE`` follows with the metrics of all of them. Stages
    are in the order of their first slot, types in alphabetical order.
    """
    stages = list(dict.fromkeys(group.stage for group in sorted(groups, key=_slot)))
    for stage in stages:
        mine = [group for group in groups if group.stage == stage]
        by_type = {
            kind: list(members) for kind, members in groupby(sorted(mine, key=_kind), key=_kind)
        }
        for kind, members in by_type.items():
            yield stage, kind, group_metrics(members)
        if len(by_type) > 1:
            yield stage, EVERY_TYPE, group_metrics(mine)


def group_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """Compute metrics over groups.

    Returns:
        ``groups`` and ``rollouts``: their numbers. Each score: its mean over rollouts.
        ``no_signal``: share of groups whose rollouts all have the same reward.
        ``no_signal_binary``: the same share if only correctness were rewarded. ``unreadable``:
        share of answers that could not be parsed. ``leg_surplus_max``: largest surplus of legs.
        ``acc_with_zoom``, ``acc_without_zoom``: accuracy of answers that saw a crop of the zoom
        tool, and of the others. A metric without values is absent.
    """
    result: dict[str, float] = {
        "groups": float(len(groups)),
        "rollouts": float(sum(group.size for group in groups)),
    }
    names = dict.fromkeys(name for group in groups for name in group.scores if name != "readable")
    for name in names:
        values = _values(groups, name)
        if values:
            result[name] = float(np.mean(values))
    result.update(_derived(groups))
    return result


def _derived(groups: Sequence[Group]) -> Iterator[tuple[str, float]]:
    for name, score in (("no_signal", "score"), ("no_signal_binary", "acc")):
        scored = [values for group in groups if (values := _values([group], score))]
        if scored:
            yield name, float(np.mean([max(values) - min(values) < SAME for values in scored]))
    readable = _values(groups, "readable")
    if readable:
        yield "unreadable", 1.0 - float(np.mean(readable))
    yield from _accuracy_by_zoom(groups)
    surplus = _values(groups, "leg_surplus")
    if surplus:
        yield "leg_surplus_max", max(surplus)


def _accuracy_by_zoom(groups: Sequence[Group]) -> Iterator[tuple[str, float]]:
    """Yield the accuracy of answers that saw a crop, and of those that did not."""
    pairs = [
        (used, correct)
        for group in groups
        for used, correct in zip(
            group.scores.get(USED, ()), group.scores.get("acc", ()), strict=False
        )
        if used is not None and correct is not None
    ]
    for name, wanted in (("acc_with_zoom", 1.0), ("acc_without_zoom", 0.0)):
        found = [correct for used, correct in pairs if used == wanted]
        if found:
            yield name, float(np.mean(found))


def _values(groups: Iterable[Group], name: str) -> list[float]:
    return [value for group in groups for value in group.scores.get(name, ()) if value is not None]


def _slot(group: Group) -> int:
    return group.slot


def _kind(group: Group) -> str:
    return group.kind
