"""Golden transcripts: one small network, every kind of answer with its full breakdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.perfect import write_route
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.rewards.score import GroundTruth, Score, score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import parse_network


@pytest.fixture(scope="module")
def town() -> Network:
    """Acorn to Gate takes two transfers (1, 2, 3), over Cedar and Elm; Line 4 is a detour."""
    return parse_network(
        {
            "Line 1": ["Acorn Station", "Birch Station", "Cedar Station"],
            "Line 2": ["Cedar Station", "Dune Station", "Elm Station"],
            "Line 3": ["Elm Station", "Fern Station", "Gate Station"],
            "Line 4": ["Birch Station", "Hill Station"],
            "Line 5": ["Hill Station", "Dune Station"],
        },
        "land",
        "town",
    )


def truth(start: str, goal: str, transfers: int, form: str = "") -> GroundTruth:
    return GroundTruth.from_row(
        {
            "type": "planning",
            "country": "land",
            "city": "town",
            "station_1": f"{start} Station",
            "station_2": f"{goal} Station",
            "question_transfer_count": transfers,
            "difficulty_city": "easy",
            "form": form,
        }
    )


def answer(*legs: str) -> str:
    """Write ``"1 Acorn Cedar"`` as a block."""
    rows = [leg.split() for leg in legs]
    return "\n--\n".join(
        f"Route Name: Line {line}\nDeparture Stop: {a} Station\nArrival Stop: {b} Station"
        for line, a, b in rows
    )


def values_of(score: Score) -> dict[str, Any]:
    return {k: None if v is None else round(v, 3) for k, v in score.as_dict().items()}


GOLD = ("1 Acorn Cedar", "2 Cedar Elm", "3 Elm Gate")


@pytest.mark.parametrize(
    ("legs", "detail", "items"),
    [
        # acc, detail · 13/10 of (1 origin + 1 destination + 9 lines + 2 transfers)
        (GOLD, 13, (1, 1, 1, 1)),
        (("9 Acorn Cedar", *GOLD[1:]), 10, (1, 1, 2 / 3, 1)),
        (("3 Acorn Cedar", *GOLD[1:]), 10, (1, 1, 2 / 3, 1)),
        ((GOLD[0], "2 Cedar Fern", GOLD[2]), 9, (1, 1, 2 / 3, 1 / 2)),
        ((GOLD[0], "2 Dune Elm", GOLD[2]), 9, (1, 1, 2 / 3, 1 / 2)),
        (("1 Hill Cedar", *GOLD[1:]), 9, (0, 1, 2 / 3, 1)),
        ((*GOLD[:2], "3 Elm Hill"), 9, (1, 0, 2 / 3, 1)),
        (("9 Acorn Cedar", "9 Cedar Elm", "9 Elm Gate"), 4, (1, 1, 0, 1)),
        (("1 Acorn Gate",), 2, (1, 1, 0, 0)),
        (("3 Acorn Gate",), 2, (1, 1, 0, 0)),
        (GOLD[:2], 1 + 6 + 1, (1, 0, 2 / 3, 1 / 2)),
        (GOLD[1:], 1 + 6 + 1, (0, 1, 2 / 3, 1 / 2)),
        (GOLD[::-1], 0, (0, 0, 0, 0)),  # continues past the destination
        (("3 Gate Elm", "2 Elm Cedar", "1 Cedar Acorn"), 2, (0, 0, 0, 1)),
        (("1 Acorn Acorn", "1 Acorn Acorn", "9 Acorn Gate"), 0, (0, 0, 0, 0)),
        (("1 Acorn Cedar", "1 Cedar Acorn", "9 Acorn Gate"), 0, (0, 0, 0, 0)),
        (("9 Acorn Gate", "1 Acorn Cedar", "2 Cedar Elm"), 0, (0, 0, 0, 0)),
        ((*GOLD, "9 Gate Hill"), 0, (0, 0, 0, 0)),
        (("9 X Y",), 0, (0, 0, 0, 0)),
    ],
)
def test_items_of_a_route_with_two_transfers(
    town: Network, legs: tuple[str, ...], detail: float, items: tuple[float, ...]
) -> None:
    right = legs == GOLD
    score = score_answer(answer(*legs), truth("Acorn", "Gate", 2), town, RewardConfig())
    value = min(10 * detail / 13, 10 if right else 8)
    assert values_of(score) == {
        "score": round(1.5 * (1 + 10 * right + 0.5 * value), 3),
        "acc": float(right),
        "format": 1.0,
        "correctness": 10.0 * right,
        "detail": round(value, 3),
        "weight": 1.5,
        "readable": 1.0,
        "legs": float(len(legs)),
        "leg_surplus": max(0.0, len(legs) - 3.0),
        "origin": float(items[0]),
        "destination": float(items[1]),
        "lines": round(items[2], 3),
        "transfers": round(items[3], 3),
    }


@pytest.mark.parametrize(
    ("legs", "detail"),
    [
        (GOLD, 10.0),
        (("1 Acorn Birch", "1 Birch Cedar", *GOLD[1:]), 10 * 8 / 13),
        (("4 Birch Birch", *GOLD), None),
        (("1 Acorn Acorn", *GOLD), 10 * 8 / 13),
        (("1 Acorn Acorn", "1 Acorn Acorn", *GOLD), 10 * 3 / 13),
        (("1 Acorn Acorn",) * 20 + GOLD, 0.0),
        (("1 Acorn Birch", "4 Birch Hill", "5 Hill Dune", "2 Dune Elm", GOLD[2]), 10 * 3 / 13),
    ],
)
def test_longer_right_routes_lose_by_the_leg(
    town: Network, legs: tuple[str, ...], detail: float | None
) -> None:
    score = score_answer(answer(*legs), truth("Acorn", "Gate", 2), town, RewardConfig())
    assert score.acc == float(detail is not None)
    assert score.detail == pytest.approx(detail or 0.0)


def test_a_direct_trip(town: Network) -> None:
    asked = truth("Acorn", "Cedar", 0)
    scores = {
        legs: score_answer(answer(*legs), asked, town, RewardConfig())
        for legs in [
            ("1 Acorn Cedar",),
            ("2 Acorn Cedar",),
            ("1 Acorn Birch",),
            ("1 Acorn Birch", "1 Birch Cedar"),
        ]
    }
    assert [score.detail for score in scores.values()] == pytest.approx(
        [10, 20 / 6, 10 / 6, 10 / 6]
    )
    assert [score.acc for score in scores.values()] == [1, 0, 0, 1]
    assert [score.metrics["transfers"] for score in scores.values()] == [None] * 4


def test_fewer_transfers_than_counted_and_another_way_are_as_good_as_gold(town: Network) -> None:
    config = RewardConfig()
    gold = score_answer(answer(*GOLD), truth("Acorn", "Gate", 2), town, config)
    fewer = score_answer(answer(*GOLD), truth("Acorn", "Gate", 4), town, config)
    assert gold.score == fewer.score == 24.0
    by_hill = answer("1 Acorn Birch", "4 Birch Hill", "5 Hill Dune")
    by_cedar = answer("1 Acorn Cedar", "2 Cedar Dune")
    asked = truth("Acorn", "Dune", 2)
    assert score_answer(by_hill, asked, town, config) != score_answer("", asked, town, config)
    assert (
        score_answer(by_hill, asked, town, config).score
        == score_answer(by_cedar, asked, town, config).score
        == 24.0
    )


def test_a_count_too_low_does_not_make_the_best_route_too_long(town: Network) -> None:
    score = score_answer(answer(*GOLD), truth("Acorn", "Gate", 0), town, RewardConfig())
    assert (score.detail, score.metrics["leg_surplus"], score.weight) == (10.0, 0.0, 1.0)


def test_unreadable_answers_earn_nothing(town: Network) -> None:
    for text in ("", "I cannot tell.", "Route Name: Line 1", None, 3, b"\xff", [answer(*GOLD)]):
        score = score_answer(text, truth("Acorn", "Gate", 2), town, RewardConfig())
        assert values_of(score) == {
            **dict.fromkeys(("score", "acc", "format", "correctness", "detail", "readable"), 0.0),
            "weight": 1.5,
            "legs": 0.0,
            **dict.fromkeys(("leg_surplus", "origin", "destination", "lines", "transfers")),
        }


def test_form_is_graded(town: Network) -> None:
    gold = answer(*GOLD)
    asked = truth("Acorn", "Gate", 2, "short")
    formats = [
        score_answer(text, asked, town, RewardConfig()).format
        for text in (
            gold,
            gold.replace("Route Name", "route name"),
            gold.replace("Route Name", "route name").replace("--\n", ""),
            gold.replace("Route Name", "route name").replace("--\n", "") + "\nBye",
            gold.replace("Route Name", "route name").replace("--\n", "")
            + "\nNumber of Via Stops: 2\nBye",
            "no route",
        )
    ]
    assert formats == [1.0, 0.875, 0.75, 0.625, 0.5, 0.0]


def test_switches_leave_parts_out(town: Network) -> None:
    asked = truth("Acorn", "Gate", 2)
    scores = [
        score_answer(answer(*GOLD), asked, town, RewardConfig(**{switch: False}))
        for switch in ("use_format", "use_detail", "use_difficulty")
    ]
    assert [score.score for score in scores] == [22.5, 16.5, 16.0]
    assert (scores[0].format, scores[1].detail, scores[2].weight) == (0.0, 0.0, 1.0)


def test_planning_needs_its_network() -> None:
    with pytest.raises(DataError, match="land/town: network"):
        score_answer(answer(*GOLD), truth("Acorn", "Gate", 2), None, RewardConfig())


def test_short_answers_have_no_detail() -> None:
    row = {
        "type": "Counting1",
        "country": "land",
        "city": "town",
        "station_1": "Acorn Station",
        "station_2": "Birch Station",
        "answer": 2,
        "question_transfer_count": 0,
        "difficulty_city": "hard",
    }
    asked = GroundTruth.from_row(row)
    table = {
        r"\boxed{C}": (16.5, 1.0, 1.0, 10.0),
        r"\boxed{C) 7}": (15.75, 1.0, 0.5, 10.0),
        "The answer is C.": (15.0, 1.0, 0.0, 10.0),
        r"\boxed{B}": (1.5, 0.0, 1.0, 0.0),
        r"\boxed{B or C}": (0.0, 0.0, 0.0, 0.0),
        "": (0.0, 0.0, 0.0, 0.0),
    }
    for text, expected in table.items():
        score = score_answer(text, asked, None, RewardConfig())
        assert (score.score, score.acc, score.format, score.correctness) == expected, text
        assert score.detail is None
        assert set(score.metrics.values()) == {None}


EDGWARE = {
    "Line 1": ["Acorn Station", "Edgware Road (Circle) Station", "Birch Station"],
    "Line 2": ["Cedar Station", "Edgware Road (Bakerloo) Station", "Dune Station"],
    "Line 3": ["Birch Station", "Elm Station", "Cedar Station"],
}


@pytest.mark.parametrize(
    ("stop", "correct"),
    [
        ("Edgware Road Station", False),
        ("Edgware Road", False),
        ("Edgware Road (Circle) Station", False),
        ("Edgware Road (Bakerloo) Station", False),
    ],
)
def test_a_partial_name_joins_no_lines_that_do_not_meet(stop: str, correct: bool) -> None:
    network = parse_network(EDGWARE, "land", "town")
    route = (LegText("Line 1", "Acorn Station", stop), LegText("Line 2", stop, "Dune Station"))
    score = score_answer(write_route(route), truth("Acorn", "Dune", 2), network, RewardConfig())
    assert score.acc == correct
    assert score.metrics["transfers"] == 0.0


def test_a_partial_name_means_the_stop_of_the_line_that_is_ridden() -> None:
    network = parse_network(EDGWARE, "land", "town")
    asked = GroundTruth.from_row(
        {
            "type": "planning",
            "country": "land",
            "city": "town",
            "station_1": "Edgware Road (Circle) Station",
            "station_2": "Birch Station",
            "question_transfer_count": 0,
            "difficulty_city": "easy",
        }
    )
    route = write_route((LegText("Line 1", "Edgware Road", "Birch Station"),))
    assert score_answer(route, asked, network, RewardConfig()).acc == 1.0


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"{text}<|im_end|>",
        lambda text: text.replace("Cedar Station\n", "Cedar Station - transfer here\n"),
        lambda text: text.replace("Cedar Station\n", "Cedar Station (transfer to Line 2)\n"),
        lambda text: text.replace("Cedar Station\n", "Cedar Station, change to Line 2\n"),
        lambda text: text.replace("Line 2", "The Line 2").replace("Line 1", "Linie 1"),
        lambda text: text.replace("Line 2", "Line 2 towards Elm"),
        lambda text: f"{text}\n--\n{text}",
        lambda text: f"Route Name: 9\nDeparture Stop: Acorn\nArrival Stop: Gate\nAnswer:\n{text}",
    ],
)
def test_correct_routes_in_other_words_are_correct(
    town: Network, change: Callable[[str], str]
) -> None:
    text = change(answer(*GOLD))
    score = score_answer(text, truth("Acorn", "Gate", 2), town, RewardConfig())
    assert (score.acc, score.detail) == (1.0, 10.0), text
    assert score.format >= 0.75
