"""How sure a difference between two ways of training is: a bootstrap over seeds and maps.

Two things vary by chance: the seed of a run, and which maps happen to be in the test. Both are
drawn anew, with replacement and crossed: a drawn seed is seen on the drawn maps. That is rather too
careful than too bold (Owen 2007, "The pigeonhole bootstrap"). Two arms are paired: they share the
drawn seeds and, where they answered the same questions, the drawn maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rewardmap_verl.evaluation.statistics import FEWEST_MAPS, Sample, generator

__all__ = ["Spread", "difference", "mean_interval"]

DRAWS: Final = 4_000
"""A hundred lie beyond either end of the interval; a page has over a hundred intervals."""
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over seeds with its 95 % interval (percentiles)."""

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    """The mean of each seed, in the order of the seeds."""

    @property
    def seeds(self) -> int:
        """Runs behind it."""
        return len(self.by_seed)


@dataclass(frozen=True, slots=True)
class _Table:
    """Σ w·x and Σ w of every seed (row) and cluster (column)."""

    tops: _Floats
    bottoms: _Floats
    names: tuple[str, ...]


def _cluster_names(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """What is drawn as one: maps where there are enough of them, single values otherwise."""
    places = {place for sample in samples for place in sample.places}
    if len(places) >= FEWEST_MAPS:
        return [sample.places for sample in samples]
    return [tuple(f"{place} #{i}" for i, place in enumerate(sample.places)) for sample in samples]


def _table(samples: Sequence[Sample]) -> _Table:
    clusters = _cluster_names(samples)
    names = sorted({name for one in clusters for name in one})
    column = {name: i for i, name in enumerate(names)}
    tops, bottoms = (np.zeros((len(samples), len(names))) for _ in range(2))
    for row, (sample, places) in enumerate(zip(samples, clusters, strict=True)):
        columns = [column[place] for place in places]
        weights = np.array(sample.weights)
        np.add.at(tops[row], columns, weights * np.array(sample.values))
        np.add.at(bottoms[row], columns, weights)
    return _Table(tops, bottoms, tuple(names))


def _means(table: _Table, seeds: Any, clusters: Any) -> _Floats:
    """The mean of every draw: over the drawn seeds, each on the drawn clusters."""
    tops = clusters @ table.tops.T
    bottoms = clusters @ table.bottoms.T
    means: _Floats = np.divide(tops, bottoms, out=np.zeros_like(tops), where=bottoms > 0)
    weights = seeds * (bottoms > 0)
    found: _Floats = (means * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
    return found


def _draw(rng: np.random.Generator, size: int) -> Any:
    return rng.multinomial(size, np.full(size, 1 / size), size=DRAWS).astype(np.float64)


def _spread(by_seed: Sequence[float], drawn: _Floats) -> Spread:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Spread(sum(by_seed) / len(by_seed), float(low), float(high), tuple(by_seed))


def mean_interval(samples: Mapping[int, Sample], name: str = "") -> Spread | None:
    """The mean over seeds; ``None`` without any.

    Args:
        samples: By seed.
        name: Of the figure; another figure draws other numbers.
    """
    if not samples:
        return None
    chosen = [samples[seed] for seed in sorted(samples)]
    table = _table(chosen)
    rng = generator(0, f"evidence/{name}")
    drawn = _means(table, _draw(rng, len(chosen)), _draw(rng, len(table.names)))
    return _spread([one.mean for one in chosen], drawn)


def difference(
    first: Mapping[int, Sample], second: Mapping[int, Sample], name: str = ""
) -> Spread | None:
    """First minus second, over the seeds that both have; ``None`` when there is none.

    Args:
        first: By seed.
        second: By seed.
        name: Of the comparison; another one draws other numbers.
    """
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return None
    one, other = [first[seed] for seed in seeds], [second[seed] for seed in seeds]
    tables = _table(one), _table(other)
    rng = generator(0, f"evidence/{name}")
    drawn_seeds = _draw(rng, len(seeds))
    clusters = _draw(rng, len(tables[0].names))
    paired = tables[0].names == tables[1].names
    others = clusters if paired else _draw(rng, len(tables[1].names))
    drawn = _means(tables[0], drawn_seeds, clusters) - _means(tables[1], drawn_seeds, others)
    return _spread([a.mean - b.mean for a, b in zip(one, other, strict=True)], drawn)
