"""The map score, part by part, on a network that fits on a napkin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.line_names import reference_line
from rewardmap_verl.evaluation.map_score import PARTS, MapScore, highest
from rewardmap_verl.evaluation.verdicts import Answer, judge_answers
from rewardmap_verl.evaluation.weights import load_weights
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.transit.reader import parse_network

Score = Callable[..., MapScore]


def leg(line: str, departure: str, arrival: str, *via: str, **more: Any) -> dict[str, Any]:
    found = {"route_name": line, "departure_stop": departure, "arrival_stop": arrival}
    return {**found, "via_stops": list(via), "num_via_stops": len(via), **more}


def block(line: str, departure: str, arrival: str, via: str = "") -> str:
    labels = ("Route Name", "Departure Stop", "Arrival Stop")
    values = zip(labels, (line, departure, arrival), strict=True)
    return "\n".join(f"{label}: {value}" for label, value in values) + (f"\n{via}" if via else "")


DIRECT = [leg("Line 1", "Alpha", "Delta", "Beta", "Gamma")]
CHANGE = [leg("Line 1", "Beta", "Gamma"), leg("Line 2", "Gamma", "Zeta", "Epsilon")]
ONE = block("Line 1", "Alpha", "Delta")
TWO = block("Line 1", "Beta", "Gamma") + "\n--\n" + block("Line 2", "Gamma", "Zeta")
ENDS_OF_TWO = {"station_1": "Beta", "station_2": "Zeta", "plans": [CHANGE]}


@pytest.fixture
def score(ask: Any, make_row: Any) -> Score:
    """A function that judges an answer to a planning question."""

    def of(answer: object, **fields: Any) -> MapScore:
        question = ask([make_row("planning", **fields)]).items[0]
        found = judge_answers(question, [Answer(answer)], load_weights(), RewardConfig()).map_score
        assert found is not None
        return found

    return of


def test_a_perfect_direct_trip(score: Score) -> None:
    assert score(ONE) == MapScore(15.0, ends=1, lines=2, stops=2, bonus=10)


def test_a_perfect_trip_with_a_change(score: Score) -> None:
    assert score(TWO, **ENDS_OF_TWO) == MapScore(19.0, ends=1, lines=4, stops=4, bonus=10)


def test_long_questions_have_twice_the_scale(score: Score) -> None:
    counted = block("Line 1", "Alpha", "Delta", "Number of Via Stops: 2")
    named = block("Line 1", "Alpha", "Delta", "Via Stops: Beta, Gamma")
    assert score(counted, form="long_count") == MapScore(29.0, 1, 2, 2, via_count=4, bonus=20)
    assert score(named, form="long_via") == MapScore(31.0, 1, 2, 2, via_names=6, bonus=20)


@pytest.mark.parametrize(
    ("said", "credit"), [("2", 4), ("2 stops", 4), ("3", 2), ("1", 2), ("4", 0), ("9", 0)]
)
def test_a_count_loses_in_proportion_to_its_error(score: Score, said: str, credit: float) -> None:
    answer = block("Line 1", "Alpha", "Delta", f"Number of Via Stops: {said}")
    assert score(answer, form="long_count").via_count == pytest.approx(credit)


@pytest.mark.parametrize("said", ["", "some", "1 or 2", "-2", "2.5", "2/1"])
def test_what_is_no_count_earns_nothing(score: Score, said: str) -> None:
    answer = block("Line 1", "Alpha", "Delta", f"Number of Via Stops: {said}")
    assert score(answer, form="long_count").via_count == 0


def test_no_stop_between_allows_only_none(score: Score) -> None:
    plans = [[leg("Line 1", "Alpha", "Beta")]]
    due = {"station_2": "Beta", "plans": plans, "form": "long_count"}
    for said, credit in (("0", 4), ("1", 0)):
        answer = block("Line 1", "Alpha", "Beta", f"Number of Via Stops: {said}")
        assert score(answer, **due).via_count == credit


@pytest.mark.parametrize(
    ("said", "credit"),
    [
        ("Beta, Gamma", 6),  # half of 10 for the overlap, half of 2 for two names
        ("Gamma Station、beta", 6),  # order, case, comma and the word Station do not matter
        ("Beta", (5 + 1) / 2),
        ("Beta, Beta, Beta, Beta", (5 + 1) / 2),  # a name counts once
        ("Beta, Zeta", (10 / 3 + 1) / 2),
        ("None", 0),
    ],
)
def test_names_of_stops_between(score: Score, said: str, credit: float) -> None:
    answer = block("Line 1", "Alpha", "Delta", f"Via Stops: {said}")
    assert score(answer, form="long_via").via_names == pytest.approx(credit)


def test_the_overlap_needs_the_line(score: Score) -> None:
    answer = block("Line 3", "Alpha", "Delta", "Via Stops: Beta, Gamma")
    assert score(answer, form="long_via") == MapScore(4.0, 1, 0, 2, via_names=1)


def test_wrong_ends_earn_nothing(score: Score) -> None:
    assert score(block("Line 1", "Beta", "Delta")) == MapScore()
    assert score(block("Line 1", "Alpha", "Gamma")) == MapScore()


@pytest.mark.parametrize("answer", ["", "I do not know.", None, 7, "Route Name: Line 1"])
def test_no_route_earns_nothing(score: Score, answer: object) -> None:
    assert score(answer) == MapScore()


def test_a_wrong_route_stays_below_a_right_one(score: Score) -> None:
    wrong = block("Line 1", "Beta", "Gamma") + "\n--\n" + block("Line 3", "Gamma", "Zeta")
    assert score(wrong, **ENDS_OF_TWO) == MapScore(7.0, ends=1, lines=2, stops=4)


def test_the_best_plan_counts_in_any_position(score: Score) -> None:
    other = [leg("Line 3", "Alpha", "Delta")]
    for plans in ([DIRECT, other], [other, DIRECT]):
        assert score(ONE, plans=plans).total == 15


def test_legs_beyond_the_plan_compare_with_nothing(score: Score) -> None:
    answer = f"{ONE}\n--\n{block('Line 1', 'Delta', 'Delta')}"
    assert score(answer) == score(ONE)


def test_no_plan_and_an_empty_plan(score: Score) -> None:
    assert score(ONE, plans=[]) == MapScore()
    assert score(ONE, plans=[[]]) == MapScore(11.0, ends=1, bonus=10)


def test_caps(score: Score) -> None:
    """Ten points for what is compared, and ten more for a right answer."""
    back = ("Line 1", "Alpha", "Beta"), ("Line 1", "Beta", "Alpha")
    legs = [leg(*back[0]), leg(*back[1]), leg(*back[0]), leg("Line 1", "Beta", "Delta")]
    answer = "\n--\n".join(block(*one) for one in (back[0], back[1], back[0]))
    answer += "\n--\n" + block("Line 1", "Beta", "Delta")
    assert score(answer, plans=[legs]) == MapScore(20.0, 1, 8, 8, bonus=10)


_NAMES = st.sampled_from(["Alpha", "beta", "Gamma Station", "Delta", "Eta", "Zeta", "Mars", ""])
_LINES = st.sampled_from(["Line 1", "2", "line 3", "Line 9", ""])
_VIA = st.one_of(
    st.just(""),
    st.lists(_NAMES, max_size=9).map(lambda names: "Via Stops: " + ", ".join(names)),
    st.text(max_size=6).map(lambda text: f"Number of Via Stops: {text}"),
    st.integers(-9, 99).map(lambda number: f"Number of Via Stops: {number}"),
)
_ROUTES = st.lists(st.builds(block, _LINES, _NAMES, _NAMES, _VIA), max_size=6).map("\n--\n".join)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answer=_ROUTES | st.text(max_size=300),
    form=st.sampled_from(["short", "long_count", "long_via"]),
)
def test_any_answer_stays_on_the_scale(ask: Any, make_row: Any, answer: str, form: str) -> None:
    """And a right one is above every wrong one."""
    plans = [DIRECT, [leg("Line 3", "Alpha", "Zeta", "Eta"), leg("Line 9", "Zeta", "Delta")]]
    question = ask([make_row("planning", form=form, plans=plans)]).items[0]
    verdict = judge_answers(question, [Answer(answer)], load_weights(), RewardConfig())
    score = verdict.map_score
    assert score is not None
    half = highest(form) / 2
    assert 0 <= score.total <= highest(form)
    assert (score.total > half) == (verdict.right == 1)
    parts = sum(getattr(score, part) for part in PARTS if part != "bonus")
    assert score.total == pytest.approx(min(parts, half) + score.bonus)


@pytest.mark.parametrize("value", ["many", -1, 1.5, [2]])
def test_a_faulty_plan_is_a_fault_of_the_data(score: Score, value: object) -> None:
    with pytest.raises(DataError, match=r"testland/one, .*row 0: plans\.num_via_stops"):
        score(ONE, plans=[[leg("Line 1", "Alpha", "Delta", num_via_stops=value)]])
    with pytest.raises(DataError, match=r"plans\.route_name"):
        score(ONE, plans=[[leg("Line 1", "Alpha", "Delta", route_name=None)]])


@pytest.mark.parametrize("value", ["2", 2.0, None])
def test_a_number_may_be_text_or_missing(score: Score, value: object) -> None:
    answer = block("Line 1", "Alpha", "Delta", "Number of Via Stops: 2")
    plan = [leg("Line 1", "Alpha", "Delta", "Beta", "Gamma", num_via_stops=value)]
    assert score(answer, plans=[plan], form="long_count").via_count == 4


@pytest.mark.parametrize(
    ("place", "lines", "name", "line"),
    [
        ("china/dalian", ("Line 5", "Line 12"), "地铁5号线(后关--虎滩新区)", "Line 5"),
        ("china/beijing", ("Line 1", "Line 8", "Line 2"), "地铁2号线(8号线)", "Line 2"),
        ("china/beijing", ("Line 1", "房山线"), "地铁房山线(东管头南--阎村东)", "房山线"),
        ("china/beijing", ("Line 1", "Line 4"), "地铁八通线(环球度假区--四惠)", "Line 1"),
        ("america/los_angeles", ("Line A", "Line B"), "Metro B-Line", "Line B"),
        ("america/new_york", ("1", "Q"), "Q Train", "Q"),
        ("malaysia/kl", ("Line 1", "Line 9"), "MRT Kajang Line", "Line 9"),
        ("malaysia/kl", ("Line 1", "Line 9"), "KTM Batu Caves - Pulau Sebang/Tampin", "Line 1"),
        ("hungary/budapest", ("Line 3", "Line 4"), "M4-es metróvonal", "Line 4"),
        ("italy/rome", ("Line A", "Line B"), "B1", "Line B"),
        ("new_zealand/auckland", ("Southern Line", "Western Line"), "Sth", "Southern Line"),
        ("united_arab_emirates/dubai", ("Red Line", "Green Line"), "MRed2", "Red Line"),
        ("singapore/singapore", ("Circle Line",), "地铁99号线(甲--乙)", None),
        ("nowhere/town", ("Line 9",), "MRT Kajang Line", None),
    ],
)
def test_names_of_map_services(
    place: str, lines: tuple[str, ...], name: str, line: str | None
) -> None:
    network = parse_network({one: ["A", "B"] for one in lines}, *place.split("/"))
    found = reference_line(network, name)
    assert (found.name if found else None) == line
