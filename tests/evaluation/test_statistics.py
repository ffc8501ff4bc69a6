"""Intervals and tests: known answers, coverage, and the same numbers for the same seed."""

from __future__ import annotations

import random

import pytest

from rewardmap_verl.evaluation.statistics import Sample, compare, interval


def sample(values: list[float], maps: int = 1, weights: list[float] | None = None) -> Sample:
    places = tuple(f"land/city{i % maps}" for i in range(len(values)))
    return Sample(tuple(values), tuple(weights or [1.0] * len(values)), places)


def test_the_mean_is_weighted() -> None:
    assert sample([1, 0, 1], weights=[1, 2, 1]).mean == 0.5
    assert interval(sample([1, 0, 1], weights=[1.5, 3.0, 0.5])).mean == pytest.approx(0.4)


def test_no_spread_no_width() -> None:
    found = interval(sample([1.0] * 50))
    assert (found.mean, found.low, found.high, found.count) == (1.0, 1.0, 1.0, 50)


def test_the_interval_is_that_of_a_binomial() -> None:
    """For 200 coin flips the 95% interval is 0.5 ± 0.069."""
    found = interval(sample([0.0, 1.0] * 100))
    assert found.drawn == "questions"
    assert found.low == pytest.approx(0.5 - 0.069, abs=0.01)
    assert found.high == pytest.approx(0.5 + 0.069, abs=0.01)


def test_maps_are_resampled_as_units() -> None:
    """With equal answers per map, 20 maps of 10 questions are worth 20 questions."""
    places = tuple(f"land/{i // 10}" for i in range(200))
    values = tuple(float(i // 10 % 2) for i in range(200))
    by_map = interval(Sample(values, (1.0,) * 200, places))
    alone = interval(sample([float(i % 2) for i in range(20)], maps=20))
    assert by_map.drawn == alone.drawn == "maps"
    assert by_map.high - by_map.low == pytest.approx(alone.high - alone.low, abs=0.03)
    loose = interval(sample(list(values)))
    assert by_map.high - by_map.low > 2.5 * (loose.high - loose.low)


def test_a_seed_decides_everything() -> None:
    one = sample([i**2 % 61 / 61 for i in range(60)], maps=12)
    assert interval(one, 3, "x") == interval(one, 3, "x")
    assert interval(one, 3, "x") != interval(one, 4, "x")
    assert interval(one, 3, "x") != interval(one, 3, "y")


def test_intervals_have_their_nominal_coverage() -> None:
    rng = random.Random(7)
    hits = 0
    for trial in range(60):
        values = [float(rng.random() < 0.3) for _ in range(120)]
        found = interval(sample(values), trial, draws=1000)
        hits += found.low <= 0.3 <= found.high
    assert hits >= 51  # 57 expected; fewer than 51 has a chance of 1 in 250


def test_equal_models_do_not_differ() -> None:
    one = sample([0.0, 1.0, 1.0, 0.0] * 10)
    found = compare(one, one)
    assert (found.difference.mean, found.p, found.better, found.worse) == (0.0, 1.0, 0, 0)


def test_the_p_of_a_sign_test() -> None:
    """Ten questions, all better: two of 2**10 ways to swap are as extreme."""
    found = compare(sample([1.0] * 10), sample([0.0] * 10))
    assert found.p == pytest.approx(2 / 1024, abs=0.0015)
    assert (found.better, found.worse) == (10, 0)
    assert found.difference.mean == 1.0


def test_pairing_counts() -> None:
    """Always a little better on questions of very different difficulty."""
    base = [i / 40 for i in range(40)]
    found = compare(sample([x + 0.01 for x in base]), sample(base))
    assert found.p < 0.001
    assert found.difference.low == pytest.approx(0.01) == found.difference.high


def test_p_is_even_for_models_that_are_alike() -> None:
    rng = random.Random(11)
    small = 0
    for trial in range(60):
        pairs = [(float(rng.random() < 0.5), float(rng.random() < 0.5)) for _ in range(40)]
        found = compare(
            sample([a for a, _ in pairs]), sample([b for _, b in pairs]), trial, draws=1000
        )
        small += found.p < 0.2
    assert 3 <= small <= 24  # 12 expected
