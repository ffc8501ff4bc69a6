"""The six properties of the reward, for any network, question, configuration and answer."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.attacks import (
    Legs,
    faulty_routes,
    padded_routes,
    short_answers,
    wrong_routes,
)
from rewardmap_verl.rewards.config import DetailItems, MapWeights, QuestionWeights, RewardConfig
from rewardmap_verl.rewards.correctness import is_correct_route, resolve_leg
from rewardmap_verl.rewards.detail import Trip, required_trip
from rewardmap_verl.rewards.perfect import perfect_answer, perfect_legs, write_route
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.rewards.score import ROUTE_METRICS, GroundTruth, Score, bounds, score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Planner
from rewardmap_verl.transit.reader import parse_network

quick = settings(
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

NAMES = ("Acorn", "Birch", "Cedar", "Dune", "Elm", "Fern", "Gate", "Hill", "Isle", "Jetty", "Knoll")
STRANGE = (
    "Nowhere Station",
    "nan",
    "inf",
    "\ud800",
    "Line 1",
    "",
    "站",
    "Elm",
    "dune station.",
    "--",
    "Route Name: Line 1",
)


@dataclass(frozen=True)
class Case:
    """A planning question about a network, with its perfect route."""

    network: Network
    truth: GroundTruth
    trip: Trip
    gold: Legs

    def score(self, legs: Legs, config: RewardConfig) -> Score:
        return score_answer(write_route(legs), self.truth, self.network, config)

    def is_right(self, legs: Legs) -> bool:
        rides = [resolve_leg(self.network, leg) for leg in legs]
        return is_correct_route(rides, self.trip.origin, self.trip.destination)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    stop = st.sampled_from(NAMES)
    lines = draw(
        st.lists(st.lists(stop, min_size=2, max_size=6, unique=True), min_size=1, max_size=5)
    )
    lists = {f"Line {i + 1}": [f"{name} Station" for name in line] for i, line in enumerate(lines)}
    return parse_network(lists, "land", "town")


@st.composite
def cases(draw: st.DrawFn, least_extra: int = -1) -> Case:
    """``least_extra`` is how much the question's count may at least exceed the fewest transfers."""
    network = draw(networks())
    ends = st.sampled_from([stop.name for stop in network.stops])
    truth = GroundTruth(
        type=QuestionType.PLANNING,
        country="land",
        city="town",
        station_1=draw(ends),
        station_2=draw(ends),
        answer=-1,
        question_transfer_count=0,
        difficulty_city=draw(st.sampled_from(["easy", "middle", "hard"])),
    )
    assume(truth.station_1 != truth.station_2)
    planner = Planner(network)
    first, second = (network.find_stops(name)[0] for name in (truth.station_1, truth.station_2))
    fewest = planner.fewest_transfers(first.index, second.index)
    assume(fewest is not None)
    extra = draw(st.integers(least_extra, 2))
    truth = replace(truth, question_transfer_count=max(0, fewest + extra))
    trip = required_trip(truth, network)
    return Case(network, truth, trip, perfect_legs(truth, network, planner))


@st.composite
def configs(draw: st.DrawFn) -> RewardConfig:
    def number(low: float, high: float) -> float:
        return draw(st.floats(low, high, allow_nan=False))

    try:
        return RewardConfig(
            alpha=number(0.05, 3),
            correctness=number(1, 50),
            format=number(0, 5),
            format_floor=number(0.05, 1),
            detail_cap=number(1, 20),
            detail_floor=number(0, 3),
            wrong_share=number(0.05, 0.95),
            items=DetailItems(
                origin=number(0.1, 5),
                destination=number(0.1, 5),
                direct_line=number(0, 5),
                line=number(0, 5),
                transfer=number(0, 5),
                surplus_leg=number(0.1, 9),
            ),
            map_weights=MapWeights(easy=number(0.1, 3), middle=number(0.1, 3), hard=number(0.1, 3)),
            question_weights=QuestionWeights(direct=number(0, 2), transfers=number(0, 2)),
            use_format=draw(st.booleans()),
            use_difficulty=draw(st.booleans()),
        )
    except ValidationError:
        assume(False)
        raise


def any_legs(case_network: Network) -> st.SearchStrategy[Legs]:
    """Routes of all kinds of nonsense, many of which are nearly right."""
    stops = st.sampled_from([stop.name for stop in case_network.stops]) | st.sampled_from(STRANGE)
    lines = st.sampled_from([line.name for line in case_network.lines] + ["Line 9", "", "1号线"])
    return st.lists(st.builds(LegText, lines, stops, stops), min_size=1, max_size=5).map(tuple)


def nearly(case: Case, draw: st.DrawFn) -> Legs:
    """The perfect route with up to three fields replaced by anything."""
    legs = list(case.gold)
    names = [stop.name for stop in case.network.stops] + list(STRANGE)
    lines = [line.name for line in case.network.lines] + ["Line 9"]
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(legs) - 1))
        field = draw(st.sampled_from(["line", "departure", "arrival"]))
        value = draw(st.sampled_from(lines if field == "line" else names))
        legs[number] = replace(legs[number], **{field: value})
    return tuple(legs)


@st.composite
def cases_with_answers(draw: st.DrawFn) -> tuple[Case, Legs]:
    case = draw(cases())
    if draw(st.booleans()):
        return case, nearly(case, draw)
    return case, draw(any_legs(case.network))


def longer_routes(case: Case) -> list[Legs]:
    """Right routes with one leg more than the question allows."""
    pad = case.trip.allowed + 1 - len(case.gold)
    stay = LegText(case.gold[0].line, case.gold[0].departure, case.gold[0].departure)
    longer = [(*(stay,) * pad, *case.gold)]
    leg = case.gold[0]
    via = list(leg.via_names or ())
    if via and pad == 1:
        halves = replace(leg, arrival=via[0]), replace(leg, departure=via[0])
        longer.append((*halves, *case.gold[1:]))
    return longer


def wrong_line_route(case: Case) -> Legs:
    """One ride from the right origin to the right destination on a line that does not exist."""
    return (LegText("Line 77", case.truth.station_1, case.truth.station_2),)


# 1 ---------------------------------------------------------------------------------------------


@quick
@given(cases(), configs())
def test_answers_are_ordered(case: Case, config: RewardConfig) -> None:
    gold = case.score(case.gold, config).score
    wrong_line = case.score(wrong_line_route(case), config).score
    unreadable = score_answer("I cannot tell.", case.truth, case.network, config).score
    empty = score_answer("", case.truth, case.network, config).score
    for longer in longer_routes(case):
        assert gold > case.score(longer, config).score > wrong_line
    assert wrong_line > unreadable >= empty == 0.0


@quick
@given(cases())
def test_the_order_has_a_margin_with_the_shipped_numbers(case: Case) -> None:
    config = RewardConfig()
    gold = case.score(case.gold, config)
    wrong_line = case.score(wrong_line_route(case), config).score
    for longer in longer_routes(case):
        score = case.score(longer, config).score
        assert gold.score - score >= 0.5 * gold.weight
        assert score - wrong_line >= 2.0 * gold.weight
    assert wrong_line >= 1.0 * gold.weight


# 2 ---------------------------------------------------------------------------------------------


@quick
@given(cases_with_answers(), configs())
def test_no_wrong_answer_comes_near_a_right_one(
    asked: tuple[Case, Legs], config: RewardConfig
) -> None:
    case, legs = asked
    gold, score = case.score(case.gold, config), case.score(legs, config)
    assert gold.acc == 1.0
    assert gold.score == pytest.approx(bounds(case.truth, config)[1])
    assert score.score <= gold.score + 1e-9
    if not score.acc:
        assert score.detail is not None
        assert score.detail <= config.wrong_cap < config.detail_cap
        worst_right = case.score(longer_routes(case)[0], config)
        assert score.score < worst_right.score < gold.score


@quick
@given(cases(), configs(), st.randoms(use_true_random=False))
def test_attacks_stay_below_every_right_answer(
    case: Case, config: RewardConfig, rng: random.Random
) -> None:
    gold = case.score(case.gold, config)
    for name, legs in wrong_routes(case.gold, case.network, case.trip, rng):
        score = case.score(legs, config)
        if not score.acc:
            assert score.score < gold.score, name
            assert (score.detail or 0.0) <= config.wrong_cap, name


# 3 ---------------------------------------------------------------------------------------------


@quick
@given(cases_with_answers(), configs(), st.randoms(use_true_random=False))
def test_padding_never_raises_the_reward(
    asked: tuple[Case, Legs], config: RewardConfig, rng: random.Random
) -> None:
    case, legs = asked
    for base in (legs, case.gold):
        score = case.score(base, config)
        assume(score.metrics["legs"] == len(base))  # a well-formed leg fixes an unreadable answer
        for name, padded in padded_routes(base, case.network, rng):
            assert case.score(padded, config).score <= score.score + 1e-9, name


@quick
@given(cases_with_answers(), configs())
def test_listing_alternatives_never_raises_the_reward(
    asked: tuple[Case, Legs], config: RewardConfig
) -> None:
    case, legs = asked
    gold, score = case.score(case.gold, config), case.score(legs, config)
    assume(score.metrics["legs"] == len(legs))
    alternatives = case.score(legs + case.gold, config)
    if not alternatives.acc:  # a detour that comes back to the origin first is right, and longer
        assert alternatives.score <= score.score + 1e-9
    assert case.score(case.gold + legs, config).score <= gold.score + 1e-9


@quick
@given(
    cases_with_answers(), configs(), st.sampled_from(["\n", "\n--\n", " ", "``` ", "\n\n--\n--\n"])
)
def test_text_around_never_raises_the_reward(
    asked: tuple[Case, Legs], config: RewardConfig, padding: str
) -> None:
    case, legs = asked
    text = write_route(legs)
    base = score_answer(text, case.truth, case.network, config)
    assume(base.metrics["legs"] == len(legs))  # text after an empty label would be its value
    for padded in (
        text + padding,
        padding + text,
        f"{text}{padding}\nthe answer is 5",
        f"{text}\n{text}",
    ):
        assert score_answer(padded, case.truth, case.network, config).score <= base.score + 1e-9


# 4 ---------------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    [
        "Route Name: Line 1\n",
        "Departure Stop: Elm Station\n",
        "Arrival Stop: Fern Station\n",
        "--\n",
        "\\boxed{",
        "}",
        "yes",
        "A",
        "3",
        "<think>",
        "</think>",
        "<answer>",
        "the answer is ",
        "\ud800",
        "١",
        "²",
        "nan",
        "\x00",
        "ſtop:",
        "Arrİval Stop:",
    ]
)
TEXTS = st.text(max_size=200) | st.lists(FRAGMENTS | st.text(max_size=5), max_size=30).map("".join)
THINGS = TEXTS | st.none() | st.binary(max_size=20) | st.floats() | st.lists(st.text(), max_size=3)


@quick
@given(cases(), configs(), THINGS)
def test_any_response_has_a_finite_score_within_bounds(
    case: Case, config: RewardConfig, response: object
) -> None:
    for kind in QuestionType:
        truth = replace(case.truth, type=kind, answer=1)
        score = score_answer(response, truth, case.network, config)
        low, high = bounds(truth, config)
        assert math.isfinite(score.score)
        assert low <= score.score <= high + 1e-9
        assert list(score.as_dict()) == [
            *("score", "acc", "format", "correctness", "detail", "weight", "readable"),
            *ROUTE_METRICS,
        ]
        assert all(v is None or type(v) is float for v in score.as_dict().values())


# 5 ---------------------------------------------------------------------------------------------


@quick
@given(cases_with_answers(), configs())
def test_every_right_route_of_allowed_length_is_as_good_as_gold(
    asked: tuple[Case, Legs], config: RewardConfig
) -> None:
    case, legs = asked
    if case.is_right(legs) and len(legs) <= case.trip.allowed:
        assert case.score(legs, config) == case.score(case.gold, config) or len(legs) != len(
            case.gold
        )
        assert case.score(legs, config).score == case.score(case.gold, config).score


@quick
@given(cases(least_extra=1), configs())
def test_fewer_transfers_than_the_question_counts_are_as_good_as_gold(
    case: Case, config: RewardConfig
) -> None:
    assert len(case.gold) <= case.truth.question_transfer_count
    assert case.score(case.gold, config).score == pytest.approx(bounds(case.truth, config)[1])


# 6 ---------------------------------------------------------------------------------------------


@quick
@given(cases(), configs(), st.randoms(use_true_random=False))
def test_breaking_one_thing_lowers_the_reward(
    case: Case, config: RewardConfig, rng: random.Random
) -> None:
    gold = case.score(case.gold, config).score
    for name, legs in faulty_routes(case.gold, case.network, case.trip, rng):
        assert not case.is_right(legs), name
        assert case.score(legs, config).score < gold, name


@quick
@given(cases(), configs(), st.randoms(use_true_random=False), st.integers(2, 4))
def test_fixing_one_thing_never_lowers_the_reward(
    case: Case, config: RewardConfig, rng: random.Random, faults: int
) -> None:
    chain = [case.gold]
    for _ in range(faults):
        chain.append(rng.choice(list(faulty_routes(chain[-1], case.network, case.trip, rng)))[1])
    scores = [case.score(legs, config).score for legs in chain]
    assert all(better >= worse - 1e-9 for better, worse in pairwise(scores))


# Markup -----------------------------------------------------------------------------------------

MARKUPS = {
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "bold labels": lambda text: re.sub(r"(?m)^([A-Z][\w ]+):", r"**\1:**", text),
    "bulleted labels": lambda text: re.sub(r"(?m)^(?=[A-Z])", "- ", text),
    "lower-case labels": lambda text: re.sub(r"(?m)^[A-Z][\w ]+:", lambda m: m[0].lower(), text),
    "no space after the colon": lambda text: text.replace(": ", ":"),
    "full stops": lambda text: re.sub(r"(?m)$", ".", text).replace("--.", "--"),
    "a fence": lambda text: f"```\n{text}\n```",
    "a box": lambda text: f"\\boxed{{{text}}}",
    "a tag": lambda text: f"<answer>\n{text}\n</answer>",
    "text before": lambda text: f"I look at the map: it is easy.\n\n{text}",
    "text after": lambda text: f"{text}\n\nHave a nice trip!",
    "thoughts": lambda text: f"<think>Route Name: Line 1\nArrival Stop: X</think>\n{text}",
    "Chinese lines": lambda text: re.sub(r"Line (\d)", r"\1号线", text),
    "full-width signs": lambda text: text.replace(":", "：").replace("Line 1", "Ｌｉｎｅ　１"),
    "markers": lambda text: text.replace(" Station", " Station (Transfer Station)"),
    "no word station": lambda text: text.replace(" Station", ""),
}


@quick
@given(cases(), st.sampled_from(sorted(MARKUPS)), st.sampled_from(sorted(MARKUPS)))
def test_dress_does_not_change_what_is_right(case: Case, inner: str, outer: str) -> None:
    config = RewardConfig()
    gold = case.score(case.gold, config)
    text = MARKUPS[outer](MARKUPS[inner](write_route(case.gold)))
    decorated = score_answer(text, case.truth, case.network, config)
    assert (decorated.acc, decorated.detail) == (1.0, gold.detail), text
    assert gold.format / 2 <= decorated.format <= gold.format


# Short answers ---------------------------------------------------------------------------------


@quick
@given(st.sampled_from(list(QuestionType)[:5]), st.integers(0, 30), configs())
@example(QuestionType.COUNTING2, 0, RewardConfig())
def test_short_answers_are_ordered(kind: QuestionType, answer: int, config: RewardConfig) -> None:
    most = {"T": 2, "C": 4 if kind is QuestionType.COUNTING1 else 31}[kind.value[0]]
    truth = GroundTruth(
        type=kind,
        country="land",
        city="town",
        station_1="Elm Station",
        station_2="Fern Station",
        answer=answer % most,
        question_transfer_count=0,
        difficulty_city="easy",
    )

    def score(text: str) -> float:
        return score_answer(text, truth, None, config).score

    gold = score(perfect_answer(truth, None))
    assert gold == pytest.approx(bounds(truth, config)[1])
    assert score("") == 0.0
    for name, text in short_answers(truth):
        assert score(text) < gold, name
        assert score_answer(text, truth, None, config).acc == 0.0, name
        assert score(text) >= 0.0, name
