"""Choose one candidate per label so that no two overlap: a min-conflicts search.

Every label starts with its best candidate and moves while that lowers its cost. A label that still
overlaps another takes the candidate it needs and its neighbors move away, if that leaves fewer
overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardmap_verl.drawing.geometry import BoxIndex, overlap
from rewardmap_verl.drawing.label_candidates import LabelCandidate
from rewardmap_verl.drawing.style import MapStyle

_ROUNDS = 60
_HIT, _COST, _ALIKE = 1000, 4, 3
"""Cost of an overlap, weight of a position's cost, and bonus for looking like a neighbor."""

Clashes = dict[tuple[int, int], tuple[tuple[int, int], ...]]
"""For each (label, option), the options of other labels that it would overlap."""


def place_labels(
    options: Sequence[Sequence[LabelCandidate]], neighbors: Sequence[Sequence[int]], style: MapStyle
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Choose an option for each label.

    Args:
        options: The candidates of each label, best first.
        neighbors: For each label, the labels that look best on the same side of their stops.
        style: The style of the map.

    Returns:
        The index of the chosen option of each label, and the labels that still overlap another.
    """
    search = _Search(options, neighbors, _clashes(options, style), [0] * len(options))
    search.improve(range(len(options)))
    for _ in range(2):
        for label in search.stuck():
            search.push(label)
        search.improve(range(len(options)))
    return tuple(search.chosen), tuple(search.stuck())


@dataclass(slots=True)
class _Search:
    options: Sequence[Sequence[LabelCandidate]]
    neighbors: Sequence[Sequence[int]]
    clashes: Clashes
    chosen: list[int]

    def hits(self, label: int, option: int) -> list[int]:
        """Return the labels that the option overlaps now."""
        rivals = self.clashes.get((label, option), ())
        return [other for other, there in rivals if self.chosen[other] == there]

    def price(self, label: int, option: int) -> int:
        position = self.options[label][option].position
        alike = sum(
            self.options[other][self.chosen[other]].position.kind == position.kind
            for other in self.neighbors[label]
        )
        return _HIT * len(self.hits(label, option)) + _COST * position.cost - _ALIKE * alike

    def stuck(self) -> list[int]:
        return [label for label, option in enumerate(self.chosen) if self.hits(label, option)]

    def improve(self, labels: Sequence[int]) -> None:
        """Move labels one by one until no move lowers a cost."""
        for _ in range(_ROUNDS):
            moved = [label for label in labels if self._move(label)]
            if not moved:
                return

    def _move(self, label: int) -> bool:
        best = min(range(len(self.options[label])), key=lambda i: (self.price(label, i), i))
        better = self.price(label, best) < self.price(label, self.chosen[label])
        if better:
            self.chosen[label] = best
        return better

    def push(self, label: int) -> None:
        """Force a label into another option and let others give way; keep it if fewer are stuck."""
        before, worst = list(self.chosen), len(self.stuck())
        for option in range(len(self.options[label])):
            rivals = self.hits(label, option)
            self.chosen[label] = option
            for _ in range(2):
                for rival in rivals:
                    self._move(rival)
            if len(self.stuck()) < worst:
                return
            self.chosen = list(before)


def _clashes(options: Sequence[Sequence[LabelCandidate]], style: MapStyle) -> Clashes:
    flat = [(label, i) for label, candidates in enumerate(options) for i in range(len(candidates))]
    near = BoxIndex(style.unit)
    side, pad = style.font_size / 3, style.label_gap / 2  # two names in a row must not read as one
    for number, (label, i) in enumerate(flat):
        left, top, right, bottom = options[label][i].box
        near.add(number, (left - side, top - pad, right + side, bottom + pad))
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number, (label, i) in enumerate(flat):
        mine = options[label][i]
        for other in near.near(near.boxes[number]):
            whose, j = flat[other]
            if whose <= label:
                continue
            theirs = options[whose][j]
            if overlap(mine.rect.grown(side, pad), theirs.rect.grown(side, pad)):
                found.setdefault((label, i), []).append((whose, j))
                found.setdefault((whose, j), []).append((label, i))
    return {key: tuple(others) for key, others in found.items()}
