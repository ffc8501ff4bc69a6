"""Intervals and verdicts on known values."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.evidence.baselines import Scale
from benchmarks.evidence.protocol import Cell, Claim
from benchmarks.evidence.result import Result
from benchmarks.evidence.samples import Results, cell_samples
from benchmarks.evidence.study import Study, Trial
from benchmarks.evidence.verdict import judge_claim
from rewardmap_verl.evaluation.statistics import Sample, seed_difference, seed_interval

Make = Callable[..., Result]


def sample(values: list[float], per_map: int = 1) -> Sample:
    places = tuple(f"land/{i // per_map}" for i in range(len(values)))
    return Sample(tuple(values), tuple(1.0 for _ in values), places)


def noisy(rng: random.Random, mean: float, count: int = 200, per_map: int = 1) -> Sample:
    return sample([float(rng.random() < mean) for _ in range(count)], per_map)


def test_mean_of_equal_values_has_no_spread() -> None:
    spread = seed_interval({1: sample([0.25] * 20), 2: sample([0.25] * 20)})
    assert spread is not None
    assert (spread.mean, spread.low, spread.high) == pytest.approx((0.25, 0.25, 0.25))
    assert spread.by_seed == pytest.approx((0.25, 0.25))


def test_no_seed_no_interval() -> None:
    assert seed_interval({}) is None
    assert seed_difference({1: sample([1.0])}, {2: sample([0.0])}) is None


def test_interval_of_one_seed_matches_the_binomial() -> None:
    """The standard error of a share p over n questions is √(p(1-p)/n)."""
    spread = seed_interval({1: sample([1.0] * 50 + [0.0] * 150)})
    assert spread is not None
    assert spread.high - spread.low == pytest.approx(2 * 1.96 * (0.25 * 0.75 / 200) ** 0.5, rel=0.1)


def test_seeds_that_differ_widen_the_interval() -> None:
    alike = seed_interval({seed: sample([0.5] * 20) for seed in (1, 2, 3)})
    apart = seed_interval(
        {seed: sample([mean] * 20) for seed, mean in ((1, 0.2), (2, 0.5), (3, 0.8))}
    )
    assert alike is not None and apart is not None
    assert apart.mean == pytest.approx(alike.mean)
    assert (apart.low, apart.high) == pytest.approx((0.2, 0.8))


def test_questions_of_one_map_count_as_one() -> None:
    rng = random.Random("maps")
    maps = [float(rng.random() < 0.5) for _ in range(20)]
    spread_out = [value for value in maps for _ in range(10)]
    single, grouped = (seed_interval({1: sample(spread_out, per_map)}) for per_map in (1, 10))
    assert single is not None and grouped is not None
    assert grouped.high - grouped.low > 2 * (single.high - single.low)


def test_pairing_detects_differences_below_the_noise() -> None:
    rng = random.Random("pairs")
    base = [float(rng.random() < 0.5) for _ in range(100)]
    better = [max(one, float(rng.random() < 0.15)) for one in base]
    seeds = (1, 2, 3)
    paired = seed_difference(
        dict.fromkeys(seeds, sample(better)), dict.fromkeys(seeds, sample(base))
    )
    assert paired is not None and paired.low > 0
    elsewhere = Sample(tuple(base), (1.0,) * 100, tuple(f"sea/{i}" for i in range(100)))
    unpaired = seed_difference(
        dict.fromkeys(seeds, sample(better)), dict.fromkeys(seeds, elsewhere)
    )
    assert unpaired is not None
    assert unpaired.mean == pytest.approx(paired.mean)
    assert unpaired.high - unpaired.low > 1.5 * (paired.high - paired.low)


def test_coverage_is_at_least_nominal() -> None:
    covered = 0
    for trial in range(60):
        rng = random.Random(f"cover/{trial}")
        spread = seed_interval({seed: noisy(rng, 0.3, 60) for seed in (1, 2, 3)}, f"{trial}")
        assert spread is not None
        covered += spread.low <= 0.3 <= spread.high
    assert covered >= 52, "95 % of 60 is 57; the crossed bootstrap is conservative"


def test_only_seeds_that_both_have_are_compared() -> None:
    first = {1: sample([1.0] * 9), 2: sample([0.0] * 9)}
    second = {2: sample([0.0] * 9), 3: sample([1.0] * 9)}
    spread = seed_difference(first, second)
    assert spread is not None
    assert spread.by_seed == (0.0,)


def test_equal_names_give_equal_intervals() -> None:
    samples = {seed: noisy(random.Random(str(seed)), 0.4) for seed in (1, 2, 3)}
    assert seed_interval(samples, "a") == seed_interval(samples, "a")


# Claims


def claim(**values: Any) -> Claim:
    return Claim.model_validate(
        {"id": "one", "text": "…", "metric": "planning", "first": {"arm": "rewardmap"}, **values}
    )


BETTER = claim(second={"arm": "rl_baseline"})


def results_of(study: Study, make: Make, accuracies: dict[str, float], seeds: int = 3) -> Results:
    return Results.of(
        make(study, Trial(arm, seed), accuracy)
        for arm, accuracy in accuracies.items()
        for seed in range(1, seeds + 1)
    )


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [(1.0, 0.1, "supported"), (0.1, 1.0, "against"), (0.5, 0.5, "undecided")],
)
def test_outcome_follows_the_interval(
    first: float, second: float, outcome: str, study: Study, make_result: Make
) -> None:
    results = results_of(study, make_result, {"rewardmap": first, "rl_baseline": second})
    assert judge_claim(BETTER, results).outcome == outcome


def test_two_seeds_decide_nothing(study: Study, make_result: Make) -> None:
    accuracies = {"rewardmap": 1.0, "rl_baseline": 0.1}
    results = results_of(study, make_result, accuracies, seeds=2)
    verdict = judge_claim(BETTER, results)
    assert verdict.outcome == "undecided"
    assert verdict.spread is not None and verdict.spread.low > 0


def test_a_missing_arm_is_not_run(study: Study, make_result: Make) -> None:
    results = results_of(study, make_result, {"rewardmap": 1.0})
    verdict = judge_claim(BETTER, results)
    assert (verdict.outcome, verdict.spread) == ("not run", None)


@pytest.mark.parametrize(
    ("bound", "outcome"),
    [
        ({"at_least": 0.2}, "supported"),
        ({"at_least": 0.8}, "against"),
        ({"at_most": 0.8}, "supported"),
        ({"at_most": 0.2}, "against"),
    ],
)
def test_bounds(bound: dict[str, float], outcome: str, study: Study, make_result: Make) -> None:
    results = results_of(study, make_result, {"rewardmap": 0.5})
    assert judge_claim(claim(metric="no_signal", **bound), results).outcome == outcome


def test_cells_select_arm_time_and_image(study: Study, make_result: Make) -> None:
    results = results_of(study, make_result, {"rewardmap": 1.0})

    def mean(metric: str = "planning", **cell: Any) -> float:
        samples = cell_samples(results, Cell(arm="rewardmap", **cell), metric)
        assert sorted(samples) == [1, 2, 3]
        return sum(one.mean for one in samples.values()) / 3

    assert mean() == 1.0
    assert mean("all") == 1.0
    assert mean("detail") == 10.0
    assert mean(when="before") < 0.4
    assert mean(image="blank") < 0.4
    assert mean("no_signal") == 0.5
    assert mean("no_signal_binary", when="before") == 1.0
    assert cell_samples(results, Cell(arm="rewardmap"), "next_stop") == {}


@pytest.mark.parametrize(("share", "outcome"), [(0.0, "supported"), (1.0, "against")])
def test_a_difference_from_chance_has_a_bound(
    share: float, outcome: str, study: Study, make_result: Make
) -> None:
    results = results_of(study, make_result, {"rewardmap": share})
    questions = results.all[0].questions
    chance = results.all[0].validations[-1].blank
    scale = Scale(
        data="data",
        maps={},
        rows={},
        image_tokens=20,
        prompt_tokens=60,
        types=tuple(one.type for one in questions),
        places=tuple(one.place for one in questions),
        baselines={"random": chance},
    )
    near_chance = claim(second={"baseline": "random"}, at_most=0.3)
    assert judge_claim(near_chance, Results(results.by_arm, scale)).outcome == outcome
    assert judge_claim(near_chance, results).outcome == "not run", "no baselines are there"
