"""The 30 real networks: gold is maximal, faults and padding are not, every stop can be answered."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.rewards.attacks import (
    faulty_routes,
    padded_routes,
    short_answers,
    wrong_routes,
)
from rewardmap_verl.rewards.detail import required_trip
from rewardmap_verl.rewards.perfect import perfect_answer, perfect_legs, write_route
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.rewards.score import (
    GroundTruth,
    RewardConfig,
    bounds,
    check_against_network,
    score_answer,
)
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network

CONFIG = RewardConfig()
QUOTAS = Quotas(1, 1, 1, 1, 1, 5)


@pytest.fixture(scope="module")
def networks(shared_data: Path) -> list[Network]:
    return [read_network(path) for path in sorted(shared_data.glob("stations/*/*.json"))]


@pytest.fixture(scope="module")
def asked(networks: list[Network]) -> list[tuple[GroundTruth, str, Network]]:
    """A few questions of each type about each network, with their gold answers."""
    return [
        (GroundTruth.from_question(question), gold_answer(question), network)
        for network in networks
        for question in generate_questions(network, "middle", 11, QUOTAS)
    ]


def test_gold_is_maximal_for_every_question(asked: list[tuple[GroundTruth, str, Network]]) -> None:
    assert len({network.city for _, _, network in asked}) == 30
    for truth, gold, network in asked:
        check_against_network(truth, network)
        score = score_answer(gold, truth, network, CONFIG)
        assert score.acc == 1.0
        assert score.score == pytest.approx(bounds(truth, CONFIG)[1])


def test_wrong_short_answers_are_below_gold(asked: list[tuple[GroundTruth, str, Network]]) -> None:
    for truth, gold, _ in asked:
        if not truth.is_planning:
            assert perfect_answer(truth, None) == gold
            best = score_answer(gold, truth, None, CONFIG).score
            for name, text in short_answers(truth):
                assert score_answer(text, truth, None, CONFIG).score <= best - 10, name


def test_routes_keep_the_properties(asked: list[tuple[GroundTruth, str, Network]]) -> None:
    for number, (truth, gold, network) in enumerate(asked):
        if not truth.is_planning:
            continue
        rng = random.Random(f"real/{number}")
        legs, trip = perfect_legs(truth, network), required_trip(truth, network)
        best = score_answer(gold, truth, network, CONFIG)
        for name, wrong in wrong_routes(legs, network, trip, rng):
            score = score_answer(write_route(wrong, truth.form), truth, network, CONFIG)
            assert score.acc or score.score <= best.score - 10 * best.weight, name
        for name, padded in padded_routes(legs, network, rng):
            score = score_answer(write_route(padded, truth.form), truth, network, CONFIG)
            assert score.score < best.score, name
        for name, broken in faulty_routes(legs, network, trip, rng):
            score = score_answer(write_route(broken, truth.form), truth, network, CONFIG)
            assert not score.acc, name


def test_every_stop_of_every_line_can_be_answered_as_it_is_spelled(
    networks: list[Network],
) -> None:
    """In the released code no spelling of Changsha's "长沙火车南站站" could ever be right."""
    for network in networks:
        for line in network.lines:
            first, *others = (network.stops[i] for i in line.stops)
            for stop in others:
                for spelling in stop.spellings:
                    row = {
                        "type": "planning",
                        "country": network.country,
                        "city": network.city,
                        "station_1": first.name,
                        "station_2": spelling,
                        "question_transfer_count": 0,
                        "difficulty_city": "easy",
                    }
                    truth = GroundTruth.from_row(row)
                    check_against_network(truth, network)
                    route = write_route([LegText(line.name, first.name, spelling)])
                    assert score_answer(route, truth, network, CONFIG).acc == 1.0, spelling


def test_no_two_stops_pass_for_one_another(networks: list[Network]) -> None:
    """A route to another stop of the line is never right, homonyms apart."""
    for network in networks:
        rng = random.Random(network.city)
        line = rng.choice(network.lines)
        stops = [network.stops[i] for i in line.stops]
        start = stops[0]
        for goal in rng.sample(stops[1:], min(8, len(stops) - 1)):
            row = {
                "type": "planning",
                "country": network.country,
                "city": network.city,
                "station_1": start.name,
                "station_2": goal.name,
                "question_transfer_count": 0,
                "difficulty_city": "easy",
            }
            truth = GroundTruth.from_row(row)
            for other in stops[1:]:
                route = write_route([LegText(line.name, start.name, other.name)])
                same = {s.index for s in network.find_stops(other.name)}
                right = score_answer(route, truth, network, CONFIG).acc == 1.0
                assert right == (goal.index in same), (goal.name, other.name)
