"""The split into training and test cities.

By default the test cities are the eleven of ReasonMap (arXiv 2505.18675) and RewardMap (arXiv
2510.02240); the papers train on the other nineteen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.paths import fold_name

__all__ = ["PAPER_TEST_CITIES", "assign_splits"]

PAPER_TEST_CITIES = (
    "auckland",
    "los_angeles",
    "miami",
    "lisboa",
    "geneva",
    "beijing",
    "hangzhou",
    "budapest",
    "singapore",
    "rome",
    "toronto",
)

_TEST_SHARE = 3  # without any of the papers' cities, every third city is test


def assign_splits(
    keys: Sequence[str], test_cities: Sequence[str] | None, seed: int
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return the splits of each city.

    Args:
        keys: "country/city" of every city.
        test_cities: Test cities as "city" or "country/city". None selects those of the papers'
            eleven that are present, or a random third of the cities if none is.
        seed: Seed of the random choice.

    Returns:
        The splits by key, and notes for the user. A single city has both splits: its questions are
        divided, because training needs a validation set.

    Raises:
        ConfigError: A named test city does not exist, or no city is left for training.
    """
    if len(keys) == 1 and test_cities is None:
        note = (
            f"{keys[0]} is the only city: every fourth question is test, on a map seen in training."
        )
        return {keys[0]: ("train", "test")}, (note,)
    test, notes = _test_keys(keys, test_cities, seed)
    if keys and len(test) == len(keys):
        raise ConfigError(
            "test_cities", found=sorted(test), hint="Leave at least one city for training."
        )
    return {key: ("test",) if key in test else ("train",) for key in keys}, notes


def _test_keys(
    keys: Sequence[str], test_cities: Sequence[str] | None, seed: int
) -> tuple[set[str], tuple[str, ...]]:
    if test_cities is not None:
        return {key for name in test_cities for key in _named(name, keys)}, ()
    known = {key for key in keys if key.rsplit("/", 1)[-1] in PAPER_TEST_CITIES}
    if known and len(known) < len(keys):
        return known, ()
    count = max(1, len(keys) // _TEST_SHARE) if keys else 0
    chosen = random.Random(f"{seed}/test cities").sample(sorted(keys), count)
    note = f"The test cities were chosen at random by the seed: {', '.join(sorted(chosen))}."
    return set(chosen), (note,) if chosen else ()


def _named(name: str, keys: Sequence[str]) -> list[str]:
    wanted = fold_name(name)
    found = [key for key in keys if wanted in (fold_name(key), fold_name(key.rsplit("/", 1)[-1]))]
    if not found:
        raise ConfigError(
            "test_cities",
            found=name,
            hint=f"There is no such city; there are: {', '.join(sorted(keys))}.",
        )
    return found
