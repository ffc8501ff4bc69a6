"""Questions do not give their answers away, and the leak test finds those that do."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rewardmap_verl.preparation.settings import SIZES
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.questions.wording import counting1_text
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.leaks import BALANCED_TYPES, Leak, LeakSample, measure_leaks
from rewardmap_verl.rewards.rows import MISSING, QuestionRow
from rewardmap_verl.rewards.score import GroundTruth
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network
from rewardmap_verl.transit.synthesis.pocket_networks import PocketSettings, generate_pocket_network
from rewardmap_verl.transit.synthetic import generate_network, standard_settings

BOUND = 0.05
"""Accuracy that a map-blind policy may have above the most frequent answer."""

QUOTAS = Quotas(
    torf1=24,
    torf2=24,
    counting1=32,
    counting2=0,
    counting3=0,
    planning=0,
    nextstop=24,
    joiningline=24,
    validroute=24,
)


def rows_of(
    networks: Iterable[Network], seed: int = 0, quotas: Quotas = QUOTAS
) -> Iterator[QuestionRow]:
    for network in networks:
        for question in generate_questions(network, "middle", seed, quotas):
            truth = GroundTruth.from_question(question)
            yield QuestionRow("row", truth, network, MISSING, question.text)


def leaks_of(rows: Iterable[QuestionRow]) -> dict[QuestionType, Leak]:
    return {leak.type: leak for leak in measure_leaks(rows, RewardConfig())}


@pytest.fixture(scope="module")
def synthetic() -> list[QuestionRow]:
    networks = (generate_network(1, index, standard_settings()).network for index in range(30))
    return list(rows_of(networks))


def test_no_map_blind_policy_beats_the_most_frequent_answer(synthetic: list[QuestionRow]) -> None:
    leaks = leaks_of(synthetic)
    assert leaks.keys() == BALANCED_TYPES
    for leak in leaks.values():
        assert leak.questions >= 500
        assert leak.excess <= BOUND, leak


def test_no_map_blind_policy_beats_the_most_frequent_answer_on_pocket_maps() -> None:
    """The default of ``prepare synthetic``; its lines are too short for a question of NextStop."""
    size, settings = SIZES["pocket"], PocketSettings()
    networks = (generate_pocket_network(0, index, settings).network for index in range(220))
    leaks = leaks_of(rows_of(networks, quotas=size.quotas.with_beyond_papers(8)))
    assert BALANCED_TYPES - leaks.keys() == {QuestionType.NEXT_STOP}
    for kind in BALANCED_TYPES & leaks.keys():
        assert leaks[kind].questions >= 250
        assert leaks[kind].excess <= BOUND, leaks[kind]


@pytest.mark.timeout(900)
def test_no_map_blind_policy_beats_the_most_frequent_answer_on_real_maps(
    shared_data: Path,
) -> None:
    networks = [read_network(path) for path in sorted(shared_data.glob("stations/*/*.json"))]
    # One seed asks too few questions to tell 5 points from chance.
    rows = [row for seed in (0, 1) for row in rows_of(networks, seed)]
    for leak in leaks_of(rows).values():
        assert leak.excess <= BOUND, leak


def with_options(row: QuestionRow, options: list[int], at: int) -> QuestionRow:
    truth = replace(row.truth, answer=at, annotation={"options": options})
    text = counting1_text(truth.station_1, truth.station_2, options)
    return replace(row, truth=truth, prompt=text)


def test_options_around_the_correct_number_are_found(synthetic: list[QuestionRow]) -> None:
    rng = random.Random("leak")
    rows = []
    for row in synthetic:
        if row.truth.type is QuestionType.COUNTING1:
            number = row.truth.annotation["options"][row.truth.answer]
            options = sorted({number, number + 1, number + 2, max(0, number - 1)})
            options = [*options, number + 3][:4]
            rng.shuffle(options)
            rows.append(with_options(row, options, options.index(number)))
    leak = leaks_of(rows)[QuestionType.COUNTING1]
    assert leak.excess > 0.5
    assert leak.policy == "option distances"
    assert leak.reward_share == pytest.approx((1 + 10 * leak.accuracy) / 11, abs=0.01)


def test_a_line_named_twice_in_false_routes_is_found(synthetic: list[QuestionRow]) -> None:
    rows = []
    for row in synthetic:
        if row.truth.type is QuestionType.VALID_ROUTE:
            legs = [list(leg) for leg in row.truth.annotation["legs"]]
            if not row.truth.answer:
                legs[-1][0] = legs[0][0]
            rows.append(replace(row, truth=replace(row.truth, annotation={"legs": legs})))
    leak = leaks_of(rows)[QuestionType.VALID_ROUTE]
    assert (leak.policy, leak.accuracy) == ("structure", 1.0)


def test_a_word_that_gives_the_answer_away_is_found(synthetic: list[QuestionRow]) -> None:
    rows = [
        replace(row, prompt=f"{row.prompt} {'zig' if row.truth.answer else 'zag'}")
        for row in synthetic
        if row.truth.type is QuestionType.TORF1
    ]
    leak = leaks_of(rows)[QuestionType.TORF1]
    assert leak.policy == "naive Bayes"
    assert leak.accuracy > 0.9


def test_the_sample_is_bounded_and_depends_on_the_seed(synthetic: list[QuestionRow]) -> None:
    rows = [replace(row, where=f"row {number}") for number, row in enumerate(synthetic)]

    def sampled(seed: int) -> list[QuestionRow]:
        sample = LeakSample(seed, limit=20)
        assert list(sample.watch(rows)) == rows
        return sample.rows

    assert len(sampled(0)) == 20 * len(BALANCED_TYPES)
    assert sampled(0) == sampled(0) != sampled(1)
    everything = LeakSample(limit=10_000)
    assert list(everything.watch(rows)) == everything.rows == rows


def test_one_city_is_split_in_two(synthetic: list[QuestionRow]) -> None:
    city = synthetic[0].truth.city
    leaks = leaks_of(row for row in synthetic if row.truth.city == city)
    assert all(0.0 <= leak.accuracy <= 1.0 for leak in leaks.values())
