"""The gold answer as it travels: what is read, what is refused, and what the message names."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.questions.sampling import generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import parse_network

ROW: dict[str, Any] = {
    "type": "planning",
    "country": "land",
    "city": "town",
    "station_1": "Acorn Station",
    "station_2": "Cedar Station",
    "answer": -1,
    "question_transfer_count": 1,
    "difficulty_city": "medium",
    "form": "long_via",
    "unknown_key": "is passed over",
}


@pytest.fixture(scope="module")
def town() -> Network:
    lists = {
        "Line 1": ["Acorn Station", "Birch Station"],
        "Line 2": ["Birch Station", "Cedar Station"],
    }
    return parse_network(lists, "land", "town")


def test_it_survives_the_way_through_json_and_pickle(town: Network) -> None:
    for question in generate_questions(town, "easy", 0):
        truth = GroundTruth.from_question(question)
        assert GroundTruth.from_json(truth.to_json()) == truth
        assert pickle.loads(pickle.dumps(truth)) == truth
        check_against_network(truth, town)


def test_equal_truths_have_equal_text() -> None:
    one, other = GroundTruth.from_row(ROW), GroundTruth.from_row(dict(reversed(ROW.items())))
    assert one.to_json() == other.to_json()
    assert "\n" not in one.to_json()


def test_a_row_is_read() -> None:
    truth = GroundTruth.from_row(ROW)
    assert truth.type is QuestionType.PLANNING
    assert truth.difficulty_city == "middle"
    assert truth.form == "long_via"
    assert truth.question_transfer_count == 1


@pytest.mark.parametrize(
    ("kind", "given", "read"),
    [
        ("TorF1", 1, 1),
        ("TorF2", True, 1),
        ("TorF1", "0", 0),
        ("Counting1", 3.0, 3),
        ("Counting2", "12", 12),
        ("Counting3", 0, 0),
        ("planning", None, -1),
        ("planning", "anything", -1),
    ],
)
def test_numbers_of_other_tools_are_read(kind: str, given: object, read: int) -> None:
    assert GroundTruth.from_row({**ROW, "type": kind, "answer": given}).answer == read


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("type", "Counting4", "planning"),
        ("type", "torf1", "planning"),
        ("type", None, "planning"),
        ("type", ["planning"], "planning"),
        ("country", "", "planning"),
        ("city", None, "planning"),
        ("city", "../../etc", "planning"),
        ("city", "a\\b", "planning"),
        ("station_1", None, "planning"),
        ("station_2", " ", "TorF1"),
        ("station_1", 7, "Counting2"),
        ("answer", None, "TorF1"),
        ("answer", 2, "TorF1"),
        ("answer", 4, "Counting1"),
        ("answer", -1, "Counting1"),
        ("answer", 2.5, "Counting2"),
        ("answer", "two", "Counting3"),
        ("answer", "9" * 5000, "Counting3"),
        ("answer", float("nan"), "Counting3"),
        ("answer", float("inf"), "Counting3"),
        ("question_transfer_count", None, "planning"),
        ("question_transfer_count", -1, "planning"),
        ("question_transfer_count", "1", "planning"),
        ("question_transfer_count", 1.5, "planning"),
        ("difficulty_city", None, "planning"),
        ("difficulty_city", "harder", "TorF1"),
        ("form", "longest", "planning"),
        ("plans", [["Line 1"]], "planning"),
        ("plans", "Line 1", "planning"),
        ("annotation", [1], "planning"),
    ],
)
def test_a_faulty_field_is_named_with_city_and_row(field: str, value: object, kind: str) -> None:
    with pytest.raises(DataError) as caught:
        GroundTruth.from_row({**ROW, "answer": 1, "type": kind, field: value}, "row 7")
    message = str(caught.value)
    assert f", row 7: {field}: found " in message
    assert "land/town" in message or field in ("country", "city")


def test_transfers_do_not_matter_to_other_types() -> None:
    for count in (None, -1, "1"):
        row = {**ROW, "type": "TorF1", "answer": 1, "question_transfer_count": count}
        assert GroundTruth.from_row(row).question_transfer_count == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"x"', "[" * 100_000, None])
def test_what_is_no_json_object_is_refused(text: Any) -> None:
    with pytest.raises(DataError):
        GroundTruth.from_json(text, "row 7")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"station_1": "Elm Station"}, "station_1"),
        ({"station_2": "Elm Station"}, "station_2"),
        ({"type": "TorF1", "answer": 1, "station_2": "Elm"}, "station_2"),
        ({"type": "TorF2", "answer": 1, "line": "Line 9"}, "line"),
        ({"type": "Counting2", "answer": 1, "station_1": "Elm"}, "station_1"),
        ({"city": "village"}, "network"),
    ],
)
def test_names_are_checked_against_the_network(
    town: Network, changes: dict[str, Any], field: str
) -> None:
    truth = GroundTruth.from_row({**ROW, **changes})
    with pytest.raises(DataError, match=f"row 7: {field}: found"):
        check_against_network(truth, town, "row 7")


def test_names_that_a_type_does_not_ask_about_are_not_checked(town: Network) -> None:
    row = {**ROW, "type": "Counting3", "answer": 2, "station_1": None, "station_2": "Elm"}
    check_against_network(GroundTruth.from_row(row), town)


def test_a_missing_network_is_named() -> None:
    with pytest.raises(DataError, match="land/town, row 7: city: found 'town'"):
        check_against_network(GroundTruth.from_row(ROW), None, "row 7")
