"""How sure a figure is: bootstrap intervals, and a paired test of two models.

Questions about one map are not independent: a model that reads a map badly gets all of them wrong.
Intervals therefore draw whole maps, where there are enough of them, and questions otherwise.
Everything is a function of the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Comparison", "Interval", "Sample", "compare", "interval"]

DRAWS: Final = 10_000
FEWEST_MAPS: Final = 8
"""With fewer maps, drawing maps says little; questions are drawn instead."""

_CHUNK: Final = 1_000
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure of every question that it is averaged over."""

    values: tuple[float, ...]
    weights: tuple[float, ...]
    places: tuple[str, ...]
    """The map of each question."""

    @property
    def mean(self) -> float:
        """The weighted mean, ``Σ w·x / Σ w``."""
        total = sum(self.weights)
        return sum(w * x for w, x in zip(self.weights, self.values, strict=True)) / total

    def difference(self, other: Sample) -> Sample:
        """Return this minus another, question by question; weights and maps are the same."""
        values = tuple(a - b for a, b in zip(self.values, other.values, strict=True))
        return Sample(values, self.weights, self.places)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% bootstrap interval (percentiles)."""

    mean: float
    low: float
    high: float
    count: int
    """Questions."""
    drawn: str
    """``"maps"`` or ``"questions"``: what was drawn."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model against another on the same questions."""

    difference: Interval
    """The first minus the second."""
    p: float
    """Two-sided; how often swapping the two models at random gives as large a difference."""
    better: int
    """Questions on which the first is better."""
    worse: int


def generator(seed: int, name: str) -> np.random.Generator:
    """Return numbers that depend on nothing but a seed and a name."""
    return np.random.default_rng(random.Random(f"{seed}/{name}").getrandbits(64))


def _clusters(sample: Sample) -> tuple[_Floats, _Floats, str]:
    """Return Σ w·x and Σ w of everything that is drawn as one, and what that is."""
    weights: _Floats = np.array(sample.weights, dtype=np.float64)
    weighted: _Floats = weights * np.array(sample.values, dtype=np.float64)
    names = sorted(set(sample.places))
    if len(names) < FEWEST_MAPS:
        return weighted, weights, "questions"
    number = {name: i for i, name in enumerate(names)}
    group = np.array([number[place] for place in sample.places])
    size = len(names)
    tops: _Floats = np.bincount(group, weighted, minlength=size).astype(np.float64)
    bottoms: _Floats = np.bincount(group, weights, minlength=size).astype(np.float64)
    return tops, bottoms, "maps"


def _bootstrap_means(
    tops: _Floats, bottoms: _Floats, rng: np.random.Generator, draws: int
) -> _Floats:
    size = len(tops)
    means = []
    for _ in range(draws // _CHUNK):
        times: Any = rng.multinomial(size, np.full(size, 1 / size), size=_CHUNK)
        means.append((times @ tops) / (times @ bottoms))
    return np.concatenate(means)


def interval(sample: Sample, seed: int = 0, name: str = "", draws: int = DRAWS) -> Interval:
    """Return the mean and its 95% interval.

    Args:
        sample: At least one question.
        seed: Equal seeds give equal intervals.
        name: Of the figure; other figures draw other numbers.
        draws: Bootstrap samples: a multiple of 1,000.
    """
    tops, bottoms, drawn = _clusters(sample)
    means = _bootstrap_means(tops, bottoms, generator(seed, f"interval/{name}"), draws)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(sample.mean, float(low), float(high), len(sample.values), drawn)


def compare(
    first: Sample, second: Sample, seed: int = 0, name: str = "", draws: int = DRAWS
) -> Comparison:
    """Compare two models on the same questions.

    The interval of the difference is a paired bootstrap over maps. ``p`` is of a permutation test:
    if the models were alike, each question's two answers could be swapped. Ten thousand random
    swaps, the observed one counted in, so p is at least 0.0001.
    """
    apart = first.difference(second)
    weighted = np.array(apart.weights) * np.array(apart.values)
    rng = generator(seed, f"swap/{name}")
    observed, as_large = abs(float(weighted.sum())), 0
    moved = weighted[weighted != 0.0]
    for _ in range(draws // _CHUNK):
        signs = rng.integers(0, 2, size=(_CHUNK, len(moved)), dtype=np.int8) * 2 - 1
        as_large += int((np.abs(signs @ moved) >= observed - 1e-9).sum())
    return Comparison(
        difference=interval(apart, seed, f"difference/{name}", draws),
        p=(as_large + 1) / (draws + 1),
        better=sum(value > 0 for value in apart.values),
        worse=sum(value < 0 for value in apart.values),
    )
