"""The types beyond the papers: every answer against the network, by other means than the makers."""

from __future__ import annotations

from collections import Counter, deque
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import Question, QuestionType, Reading
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.rewards.perfect import perfect_answer
from rewardmap_verl.rewards.score import bounds, score_answer
from rewardmap_verl.transit.network import Network, Stop
from rewardmap_verl.transit.reader import parse_network, read_network

OURS = [kind for kind in QuestionType if kind.spec.beyond_papers]
NONE = Quotas(0, 0, 0, 0, 0, 0)
CITIES = (
    "america/new_york",
    "america/washington",
    "australia/sydney",
    "china/beijing",
    "china/shanghai",
    "italy/rome",
    "norway/oslo",
    "singapore/singapore",
)


@cache
def made(root: Path, city: str) -> tuple[Network, list[Question]]:
    network = read_network(root / "stations" / f"{city}.json")
    return network, generate_questions(network, "hard", 5, NONE.with_beyond_papers(20))


def the_stop(network: Network, name: str) -> Stop:
    (stop,) = network.find_stops(name)
    return stop


def fewest_changes(network: Network, first: Stop, second: Stop) -> int:
    """Breadth-first over lines: from the lines of one stop to those of the other."""
    calls = {line.name: set(line.listed) for line in network.lines}
    queue = deque((name, 0) for name in first.lines)
    seen = set(first.lines)
    while queue:
        name, changes = queue.popleft()
        if second.index in calls[name]:
            return changes
        for other, stops in calls.items():
            if other not in seen and stops & calls[name]:
                seen.add(other)
                queue.append((other, changes + 1))
    raise AssertionError("there is no way")


def check_transfers(network: Network, question: Question) -> None:
    first, second = the_stop(network, question.station_1), the_stop(network, question.station_2)
    assert question.answer == fewest_changes(network, first, second)
    assert len(question.annotation["transfer_stops"]) == question.answer


def check_next_stop(network: Network, question: Question) -> None:
    options = question.annotation["options"]
    line = network.line(question.line)
    here, end = the_stop(network, question.station_1), the_stop(network, question.station_2)
    stops = [the_stop(network, name) for name in options]
    assert len({stop.index for stop in stops}) == 4
    assert not {here, end} & set(stops)
    assert end.index in {i for path in line.paths for i in (path[0], path[-1])}
    steps = {pair for path in line.paths for a, b in pairwise(path) for pair in ((a, b), (b, a))}
    answers = []
    for number, stop in enumerate(stops):
        # The right one is a neighbor from which the end is reached without coming back.
        reached, more = {here.index}, {stop.index} if (here.index, stop.index) in steps else set()
        while more:
            reached |= more
            more = {b for a, b in steps if a in reached - {here.index}} - reached
        if end.index in reached:
            answers.append(number)
    assert answers == [question.answer]


def check_joining_line(network: Network, question: Question) -> None:
    options = question.annotation["options"]
    assert len(set(options)) == 4
    pair = {the_stop(network, name).index for name in (question.station_1, question.station_2)}
    joining = [line.name for line in network.lines if pair <= set(line.listed)]
    assert joining == [options[question.answer]]


def check_valid_route(network: Network, question: Question) -> None:
    legs = question.annotation["legs"]
    assert legs[0][1] == question.station_1
    assert legs[-1][2] == question.station_2
    assert all(a[2] == b[1] for a, b in pairwise(legs))
    false = [
        number
        for number, (name, *ends) in enumerate(legs)
        if not {the_stop(network, end).index for end in ends} <= set(network.line(name).listed)
    ]
    assert question.answer == (not false)
    assert false == ([] if question.answer else [question.annotation["fault"]])
    for name, *ends in legs:
        assert ends[0] != ends[1]
        assert name in question.text and all(end in question.text for end in ends)
    for name, *ends in legs if question.answer else ():
        pair = {the_stop(network, end).index for end in ends}
        assert any(pair <= set(path) for path in network.line(name).paths)


CHECKS = {
    QuestionType.TRANSFERS: check_transfers,
    QuestionType.NEXT_STOP: check_next_stop,
    QuestionType.JOINING_LINE: check_joining_line,
    QuestionType.VALID_ROUTE: check_valid_route,
}


def check_all(network: Network, questions: list[Question]) -> None:
    texts = Counter(question.text for question in questions)
    assert max(texts.values(), default=1) == 1
    for question in questions:
        CHECKS[question.type](network, question)
        truth = GroundTruth.from_question(question)
        check_against_network(truth, network)
        perfect = perfect_answer(truth, network)
        assert perfect == gold_answer(question)
        config = RewardConfig()
        assert score_answer(perfect, truth, network, config).score == bounds(truth, config)[1]
        if "options" in question.annotation:
            for letter, option in zip("ABCD", question.annotation["options"], strict=True):
                assert f"\n{letter}) {option}" in question.text


@pytest.mark.parametrize("city", CITIES)
def test_answers_about_real_maps_are_right(shared_data: Path, city: str) -> None:
    network, questions = made(shared_data, city)
    check_all(network, questions)


@pytest.mark.parametrize("city", ["america/new_york", "china/beijing", "singapore/singapore"])
def test_a_large_map_fills_the_quotas_evenly(shared_data: Path, city: str) -> None:
    _, questions = made(shared_data, city)
    assert Counter(q.type for q in questions) == dict.fromkeys(OURS, 20)
    answers = {kind: Counter(q.answer for q in questions if q.type is kind) for kind in OURS}
    assert answers[QuestionType.VALID_ROUTE] == {0: 10, 1: 10}
    for kind in (QuestionType.NEXT_STOP, QuestionType.JOINING_LINE):
        assert answers[kind] == {0: 5, 1: 5, 2: 5, 3: 5}
    assert len(answers[QuestionType.TRANSFERS]) >= 2


def test_a_network_that_cannot_be_asked_is_not(shared_data: Path) -> None:
    _, sydney = made(shared_data, "australia/sydney")  # one line
    assert {q.type for q in sydney} == {QuestionType.TRANSFERS, QuestionType.NEXT_STOP}
    assert {q.answer for q in sydney if q.type is QuestionType.TRANSFERS} == {0}
    _, rome = made(shared_data, "italy/rome")  # three lines, no fourth option
    assert QuestionType.JOINING_LINE not in {q.type for q in rome}


def test_loops_homonyms_and_open_interchanges_are_not_asked_about(shared_data: Path) -> None:
    _, questions = made(shared_data, "china/beijing")
    ridden = {q.line for q in questions if q.type is QuestionType.NEXT_STOP}
    assert ridden and not ridden & {"Line 2", "Line 10"}
    new_york, questions = made(shared_data, "america/new_york")
    named = {name for q in questions for name in (q.station_1, q.station_2)}
    assert not named & {"86 St Station", "7 Av Station", "125 St Station"}
    open_ones = {s.name for s in new_york.stops if s.marked and len(s.lines) == 1}
    joining = [q for q in questions if q.type is QuestionType.JOINING_LINE]
    assert not open_ones & {name for q in joining for name in (q.station_1, q.station_2)}


def test_no_ride_leads_from_a_trunk_into_its_branch() -> None:
    junction = "Bo (Branch-starting Station)"
    lines = {
        "Line 1": ["Ada", junction, "Cy", "Di", junction, "Xi", "Yo", "Zoo"],
        "Line 2": ["Pa", "Bo", "Qi"],
        "Line 3": ["Pa", "Qi"],
        "Line 4": ["Pa", "Zoo"],
    }
    network = parse_network(lines, "no", "where")
    arms = [{"Ada", "Bo", "Cy", "Di"}, {"Bo", "Xi", "Yo", "Zoo"}]
    questions = generate_questions(network, "easy", 1, NONE.with_beyond_papers(50))
    check_all(network, questions)
    rides = [
        {q.station_1, q.station_2}
        for q in questions
        if q.type is QuestionType.NEXT_STOP and q.line == "Line 1"
    ]
    assert rides and all(any(ride <= arm for arm in arms) for ride in rides)
    true = [q for q in questions if q.type is QuestionType.VALID_ROUTE and q.answer]
    legs = [set(ends) for q in true for name, *ends in q.annotation["legs"] if name == "Line 1"]
    assert legs and all(any(leg <= arm for arm in arms) for leg in legs)


def test_none_is_asked_unless_wanted(shared_data: Path) -> None:
    network, _ = made(shared_data, "italy/rome")
    papers = generate_questions(network, "hard", 5)
    assert not any(q.type.spec.beyond_papers for q in papers)
    both = generate_questions(network, "hard", 5, Quotas().with_beyond_papers(3))
    assert both[: len(papers)] == papers


@st.composite
def networks(draw: st.DrawFn) -> Network:
    rows = st.lists(st.sampled_from("abcdefghijkl"), min_size=2, max_size=9, unique=True)
    lines = draw(st.lists(rows, min_size=1, max_size=6))
    source = {f"{i}": row for i, row in enumerate(lines)}
    if draw(st.booleans()) and len(lines[0]) > 2:
        source["0"] = [*lines[0], lines[0][0]]
    return parse_network(source, "no", "where")


@given(networks(), st.integers(0, 3))
@settings(max_examples=40)
def test_answers_about_any_small_network_are_right(network: Network, seed: int) -> None:
    quotas = NONE.with_beyond_papers(7)
    questions = generate_questions(network, "easy", seed, quotas)
    check_all(network, questions)
    assert max(Counter(q.type for q in questions).values(), default=0) <= 7
    assert generate_questions(network, "easy", seed, quotas) == questions


def test_every_type_says_how_it_is_read() -> None:
    for kind in QuestionType:
        assert isinstance(kind.reading, Reading)
        assert (kind.reading is Reading.ROUTE) == (kind is QuestionType.PLANNING)
        assert kind.value.lower() in Quotas.__dataclass_fields__


def test_brief_wording_is_brief(shared_data: Path) -> None:
    network, questions = made(shared_data, "china/beijing")
    brief = generate_questions(network, "hard", 5, NONE.with_beyond_papers(20), brief=True)
    for long, short in zip(questions, brief, strict=True):
        assert (long.answer, long.annotation) == (short.answer, short.annotation)
        assert len(short.text) < len(long.text)
        assert r"\boxed{}" in short.text
