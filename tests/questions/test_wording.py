"""The words of questions and of their perfect answers."""

from __future__ import annotations

import pytest

from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import (
    FORMS,
    counting1_text,
    counting2_text,
    counting3_text,
    gold_answer,
    planning_text,
    route_text,
    torf1_text,
    torf2_text,
)

LEGS = (
    {
        "route_name": "Line 1",
        "departure_stop": "Ada",
        "arrival_stop": "Bo",
        "via_stops": ["Cy", "Di"],
        "num_via_stops": 2,
    },
    {
        "route_name": "Azul",
        "departure_stop": "Bo",
        "arrival_stop": "Ed",
        "via_stops": [],
        "num_via_stops": 0,
    },
)


def question(kind: QuestionType, answer: int, form: str = "") -> Question:
    plans = (LEGS,) if kind is QuestionType.PLANNING else ()
    return Question(kind, "no", "where", "Ada", "Ed", "", "?", answer, 0, "easy", form, {}, plans)


@pytest.mark.parametrize(
    ("kind", "answer", "text"),
    [
        (QuestionType.TORF1, 1, r"\boxed{yes}"),
        (QuestionType.TORF2, 0, r"\boxed{no}"),
        (QuestionType.COUNTING1, 2, r"\boxed{C}"),
        (QuestionType.COUNTING2, 3, r"\boxed{3}"),
        (QuestionType.COUNTING3, 12, r"\boxed{12}"),
    ],
)
def test_gold_answers_in_a_box(kind: QuestionType, answer: int, text: str) -> None:
    assert gold_answer(question(kind, answer)) == text


def test_gold_answer_of_a_route_in_each_form() -> None:
    first = "Route Name: Line 1\nDeparture Stop: Ada\nArrival Stop: Bo"
    second = "Route Name: Azul\nDeparture Stop: Bo\nArrival Stop: Ed"
    assert gold_answer(question(QuestionType.PLANNING, -1, "short")) == f"{first}\n--\n{second}"
    assert route_text(LEGS, "long_count") == (
        f"{first}\nNumber of Via Stops: 2\n--\n{second}\nNumber of Via Stops: 0"
    )
    assert route_text(LEGS, "long_via") == (
        f"{first}\nVia Stops: Cy, Di\n--\n{second}\nVia Stops: none"
    )


@pytest.mark.parametrize("brief", [False, True])
def test_every_wording_says_what_is_asked_and_how_to_answer(brief: bool) -> None:
    boxes = [
        torf1_text("Ada", "K7", brief),
        torf2_text("Ada", "Line 3", brief),
        counting1_text("Ada", "K7", [4, 1, 3, 2], brief),
        counting2_text("Ada", brief),
        counting3_text(brief),
    ]
    assert all(r"\boxed{}" in text for text in boxes)
    assert all("yes or no" in text for text in boxes[:2])
    assert "letter" in boxes[2]
    assert boxes[2].endswith("\nA) 4\nB) 1\nC) 3\nD) 2")
    assert all("number" in text for text in boxes[3:])
    for form in FORMS:
        text = planning_text("Ada", "K7", form, brief)
        assert "from Ada to K7" in text
        assert "Route Name: Line x\nDeparture Stop: xx Station\nArrival Stop: xx Station" in text
        assert ("Number of Via Stops: x" in text) == (form == "long_count")
        assert ("\nVia Stops: xx Station, xx Station" in text) == (form == "long_via")


def test_no_wording_holds_the_image_marker_and_brief_is_brief() -> None:
    texts = {brief: [planning_text("Ada", "K7", form, brief) for form in FORMS] for brief in (0, 1)}
    assert all("<" not in text for both in texts.values() for text in both)
    assert all(len(text.split()) < 32 for text in texts[1])
    assert all(len(text.split()) < 120 for text in texts[0])


def test_a_line_is_named_so_that_the_sentence_reads_well() -> None:
    assert "Does Line 3 stop" in torf2_text("Ada", "Line 3")
    assert "Does 昌平线 stop" in torf2_text("Ada", "昌平线")
    assert "Does the line Azul stop" in torf2_text("Ada", "Azul")
