"""Every question is right, has one reading, and is made the same way every time."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.questions.context import shuffled_pairs
from rewardmap_verl.questions.counting1 import option_sets
from rewardmap_verl.questions.planning import split_by_transfers
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.transit.network import Line, Network, Stop
from rewardmap_verl.transit.planner import fewest_transfers, line_graph
from rewardmap_verl.transit.reader import parse_network, read_network
from rewardmap_verl.transit.synthetic import generate_network, standard_settings

CITIES = (
    "america/new_york",
    "america/washington",
    "australia/sydney",
    "china/beijing",
    "china/shanghai",
    "italy/rome",
    "malaysia/kl",
    "norway/oslo",
    "portugal/lisboa",
    "switzerland/geneva",
)


@cache
def made(root: Path, city: str) -> tuple[Network, tuple[Question, ...]]:
    network = read_network(root / "stations" / f"{city}.json")
    return network, tuple(generate_questions(network, "medium", 7))


def the_stop(network: Network, name: str) -> Stop:
    """The one stop that a printed name means; fails when it means several."""
    (stop,) = network.find_stops(name)
    assert stop.name == name
    return stop


def ride_of(network: Network, line: Line, first: Stop, names: Iterable[str]) -> list[int]:
    """Follow names from stop to neighboring stop; fails where a name is not the next stop's."""
    ride = [first.index]
    for name in names:
        (step,) = {stop.index for stop in network.find_stops_on(name, line)} & set(
            line_graph(line)[ride[-1]]
        )
        ride.append(step)
    return ride


def check_torf(network: Network, question: Question) -> None:
    first = the_stop(network, question.station_1)
    assert question.annotation["lines_1"] == list(first.lines)
    if question.type is QuestionType.TORF2:
        assert question.station_2 == ""
        assert question.line in {line.name for line in network.lines}
        assert question.answer == (question.line in first.lines)
        return
    second = the_stop(network, question.station_2)
    assert question.annotation["lines_2"] == list(second.lines)
    assert question.answer == bool(set(first.lines) & set(second.lines))


def check_counting1(network: Network, question: Question) -> None:
    first, second = the_stop(network, question.station_1), the_stop(network, question.station_2)
    options = question.annotation["options"]
    assert len(set(options)) == 4
    assert min(options) >= 0
    between = question.annotation["intermediate"]
    assert options[question.answer] == len(between)
    for name in set(first.lines) & set(second.lines):
        line = network.line(name)
        ride = ride_of(network, line, first, [*between, question.station_2])
        assert ride[-1] == second.index
        # Nobody can count along another way: the line has one path between the two.
        graph = line_graph(line)
        graph.remove_edge(*ride[:2])
        reached = {ride[0]}
        while more := {n for stop in reached for n in graph[stop]} - reached:
            reached |= more
        assert ride[-1] not in reached


def check_counting(network: Network, question: Question) -> None:
    if question.type is QuestionType.COUNTING3:
        assert question.answer == len(network.lines) == len(question.annotation["lines"])
        return
    stop = the_stop(network, question.station_1)
    assert question.answer == len(stop.lines)
    assert question.annotation == {"lines_1": list(stop.lines)}
    assert question.answer > 1 or not stop.marked


def check_planning(network: Network, question: Question) -> None:
    first, second = the_stop(network, question.station_1), the_stop(network, question.station_2)
    transfers = fewest_transfers(network, first.index, second.index)
    assert question.question_transfer_count == transfers
    assert question.answer == -1
    for legs in question.plans:
        assert len(legs) - 1 == transfers
        assert legs[0]["departure_stop"] == question.station_1
        assert legs[-1]["arrival_stop"] == question.station_2
        here = first
        for leg in legs:
            line = network.find_line(leg["route_name"])
            assert line is not None
            assert network.find_stop_on(leg["departure_stop"], line) == here
            ride = ride_of(network, line, here, [*leg["via_stops"], leg["arrival_stop"]])
            assert leg["num_via_stops"] == len(leg["via_stops"])
            arrived = network.find_stop_on(leg["arrival_stop"], line)
            assert arrived is not None
            assert arrived.index == ride[-1]
            here = arrived
        assert here == second
    assert question.annotation["transfer_stops"] == [
        leg["departure_stop"] for leg in question.plans[0][1:]
    ]


CHECKS = {
    QuestionType.TORF1: check_torf,
    QuestionType.TORF2: check_torf,
    QuestionType.COUNTING1: check_counting1,
    QuestionType.COUNTING2: check_counting,
    QuestionType.COUNTING3: check_counting,
    QuestionType.PLANNING: check_planning,
}


def check_set(network: Network, questions: Iterable[Question]) -> None:
    """Properties of the questions of one map taken together."""
    seen = Counter(
        (q.type, frozenset((q.station_1, q.station_2)) if q.station_2 else q.station_1, q.line)
        for q in questions
    )
    assert max(seen.values(), default=1) == 1
    for kind in (QuestionType.TORF1, QuestionType.TORF2):
        answers = Counter(q.answer for q in questions if q.type is kind)
        assert abs(answers[0] - answers[1]) <= 1
    letters = Counter(q.answer for q in questions if q.type is QuestionType.COUNTING1)
    assert max(letters.values(), default=0) - min((letters[i] for i in range(4)), default=0) <= 1
    for question in questions:
        assert (question.country, question.city) == (network.country, network.city)
        assert json.loads(json.dumps(question.annotation)) == question.annotation
        assert bool(question.form) == (question.type is QuestionType.PLANNING)
        assert question.station_1 in question.text
        assert question.station_2 in question.text
        CHECKS[question.type](network, question)


@pytest.mark.parametrize("city", CITIES)
def test_questions_about_real_maps_are_right_and_have_one_reading(
    shared_data: Path, city: str
) -> None:
    network, questions = made(shared_data, city)
    check_set(network, questions)
    assert {question.difficulty_city for question in questions} == {"middle"}


@pytest.mark.parametrize("city", ["america/new_york", "china/beijing", "italy/rome"])
def test_a_large_map_fills_the_quotas(shared_data: Path, city: str) -> None:
    _, questions = made(shared_data, city)
    assert Counter(str(q.type) for q in questions) == {
        "TorF1": 36,
        "TorF2": 33,
        "Counting1": 35,
        "Counting2": 33,
        "Counting3": 1,
        "planning": 36,
    }
    trips = [q for q in questions if q.type is QuestionType.PLANNING]
    assert Counter(min(q.question_transfer_count, 2) for q in trips) == {0: 18, 1: 14, 2: 4}
    assert set(Counter(q.form for q in trips).values()) == {12}


def test_a_map_of_one_line_has_no_question_of_yes_or_no(shared_data: Path) -> None:
    _, questions = made(shared_data, "australia/sydney")
    kinds = {question.type for question in questions}
    assert QuestionType.TORF1 not in kinds
    assert QuestionType.TORF2 not in kinds
    assert QuestionType.COUNTING1 in kinds


def test_homonyms_loops_and_junctions_are_not_asked_about(shared_data: Path) -> None:
    _, new_york = made(shared_data, "america/new_york")
    asked = {name for q in new_york for name in (q.station_1, q.station_2)}
    assert not asked & {"86 St Station", "7 Av Station", "125 St Station"}
    _, beijing = made(shared_data, "china/beijing")
    counted = {q.annotation["line"] for q in beijing if q.type is QuestionType.COUNTING1}
    assert counted
    assert not counted & {"Line 2", "Line 10"}


@st.composite
def networks(draw: st.DrawFn) -> Network:
    rows = st.lists(st.sampled_from("abcdefghijkl"), min_size=2, max_size=9, unique=True)
    lines = draw(st.lists(rows, min_size=1, max_size=5))
    loop = draw(st.booleans())
    source = {f"{i}": row for i, row in enumerate(lines)}
    if loop and len(lines[0]) > 2:
        source["0"] = [*lines[0], lines[0][0]]
    return parse_network(source, "no", "where")


@given(networks(), st.integers(0, 3))
@settings(max_examples=30)
def test_questions_about_any_small_network_are_right(network: Network, seed: int) -> None:
    quotas = Quotas(torf1=6, torf2=6, counting1=6, counting2=6, planning=8)
    questions = generate_questions(network, "easy", seed, quotas)
    check_set(network, questions)
    counts = Counter(question.type for question in questions)
    for kind in QuestionType:
        assert counts[kind] <= quotas.of(kind)
    assert counts[QuestionType.COUNTING3] == 1
    assert generate_questions(network, "easy", seed, quotas) == questions


def test_seed_and_wording_change_what_they_should(shared_data: Path) -> None:
    network, questions = made(shared_data, "italy/rome")
    assert generate_questions(network, "middle", 7) == list(questions)
    assert generate_questions(network, "middle", 8) != list(questions)
    brief = generate_questions(network, "middle", 7, brief=True)
    for long, short in zip(questions, brief, strict=True):
        assert asdict(long) | {"text": ""} == asdict(short) | {"text": ""}
        assert len(short.text) < len(long.text)


def test_one_type_does_not_depend_on_the_quota_of_another(shared_data: Path) -> None:
    network, questions = made(shared_data, "italy/rome")
    only = generate_questions(network, "middle", 7, Quotas(0, 0, 35, 0, 0, 0))
    assert only == [q for q in questions if q.type is QuestionType.COUNTING1]


_PROGRAM = """
import hashlib, sys
from rewardmap_verl.questions.sampling import generate_questions
from rewardmap_verl.transit.reader import parse_network
rows = {"x": list("abcdefgh"), "y": list("cjkl"), "z": list("lmnaop"), "w": list("qrste")}
questions = generate_questions(parse_network(rows, "no", "where"), "hard", 3)
print(hashlib.sha256(repr(questions).encode()).hexdigest())
"""


def test_questions_do_not_depend_on_the_hash_seed() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == hashlib.sha256().digest_size * 2


def test_options_are_near_distinct_and_can_all_be_asked_about() -> None:
    sets = option_sets(range(1, 12))
    assert sets
    for options in sets:
        assert len(set(options)) == 4
        assert set(options) <= set(range(1, 12))
        assert max(options) - min(options) <= 6
    assert option_sets([0, 1, 2, 3]) == [(0, 1, 2, 3)]
    assert option_sets([1, 2, 3]) == option_sets([]) == []


def test_short_lines_are_asked_about_with_neighboring_stops_or_not_at_all() -> None:
    def asked(stops: int) -> Counter[int]:
        lines = {name: [f"{name}{i}" for i in range(stops)] for name in "abc"}
        network = parse_network(lines, "no", "where")
        questions = generate_questions(network, "easy", 0, Quotas(0, 0, 12, 0, 0, 0))
        for question in questions:
            check_counting1(network, question)
        return Counter(one.annotation["options"][one.answer] for one in questions)

    assert asked(4) == {}
    assert asked(5) == {0: 3, 1: 3, 2: 3, 3: 3}


def test_each_option_is_equally_often_correct_given_the_four() -> None:
    ranks: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    total: Counter[int] = Counter()
    for index in range(40):
        network = generate_network(5, index, standard_settings()).network
        quotas = Quotas(0, 0, 32, 0, 0, 0)
        for question in generate_questions(network, "middle", index, quotas):
            options = question.annotation["options"]
            rank = sorted(options).index(options[question.answer])
            ranks[tuple(sorted(options))][rank] += 1
            total[rank] += 1
    assert total.total() > 39 * 32 and len(ranks) >= 4
    for found in ranks.values():
        assert len(found) == 4 and len(set(found.values())) == 1, found


@pytest.mark.parametrize(
    ("count", "parts"),
    [(0, (0, 0, 0)), (1, (1, 0, 0)), (3, (2, 1, 0)), (8, (4, 3, 1)), (40, (20, 15, 5))],
)
def test_trips_are_shared_out(count: int, parts: tuple[int, int, int]) -> None:
    assert split_by_transfers(count) == parts


@given(st.integers(0, 500))
def test_shares_add_up(count: int) -> None:
    assert sum(split_by_transfers(count)) == count
    assert list(split_by_transfers(count)) == sorted(split_by_transfers(count), reverse=True)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 9])
def test_pairs_come_once_each_in_either_direction(size: int) -> None:
    stops = [Stop(i, str(i), (str(i),), ("x",)) for i in range(size)]
    pairs = list(shuffled_pairs(random.Random(1), stops))
    assert len(pairs) == size * (size - 1) // 2
    assert len({frozenset((a.index, b.index)) for a, b in pairs}) == len(pairs)
    assert all(a != b for a, b in pairs)


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        ({"torf1": -1}, "torf1: found -1"),
        ({"planning": 2.5}, "planning: found 2.5"),
        ({"counting1": True}, "counting1: found True"),
        ({"forms": ()}, "forms"),
        ({"forms": ("short", "poem")}, "poem.*long_count"),
    ],
)
def test_wrong_quotas_are_named(wrong: dict[str, object], parts: str) -> None:
    with pytest.raises(ConfigError, match=parts):
        Quotas(**wrong)  # type: ignore[arg-type]


def test_a_wrong_level_is_named_with_the_city() -> None:
    with pytest.raises(DataError, match="no/where: difficulty_city: found 'awful'"):
        generate_questions(parse_network({"1": ["a", "b"]}, "no", "where"), "awful", 0)
