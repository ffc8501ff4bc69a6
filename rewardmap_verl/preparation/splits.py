"""Which cities train and which are kept apart as test: always by city, never by question.

The default is the split of ReasonMap (arXiv 2505.18675) and RewardMap (arXiv 2510.02240): eleven of
the thirty cities are test.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from rewardmap_verl.errors import ConfigError

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

_TEST_SHARE = 3  # of a source that is not the papers', every third city is test


def assign_splits(
    keys: Sequence[str], test_cities: Sequence[str] | None, seed: int
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Say for each city which split its questions go to.

    Args:
        keys: "country/city" of every city.
        test_cities: Cities to keep as test, as "city" or "country/city". None takes the papers'
            eleven where any of them is present, otherwise a third of the cities by the seed.
        seed: For the choice of that third.

    Returns:
        The splits by key, and notes for the user. A source with one city only gives both splits:
        its questions are divided, because training needs something to validate on.

    Raises:
        ConfigError: A named test city does not exist, or nothing is left to train on.
    """
    if len(keys) == 1 and test_cities is None:
        note = f"{keys[0]} is the only city: every fourth of its questions is test, on a known map."
        return {keys[0]: ("train", "test")}, (note,)
    test, notes = _test_keys(keys, test_cities, seed)
    if keys and len(test) == len(keys):
        raise ConfigError(
            "test_cities", found=sorted(test), hint="Leave at least one city to train on."
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
    note = f"Test cities were chosen by the seed: {', '.join(sorted(chosen))}."
    return set(chosen), (note,) if chosen else ()


def _named(name: str, keys: Sequence[str]) -> list[str]:
    found = [key for key in keys if name in (key, key.rsplit("/", 1)[-1])]
    if not found:
        raise ConfigError(
            "test_cities",
            found=name,
            hint=f"There is no such city; there are: {', '.join(sorted(keys))}.",
        )
    return found
