"""Turns of dumped trajectories."""

from __future__ import annotations

import pytest

from rewardmap_verl.rewards.response_text import last_turn
from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.tool import call_text
from rewardmap_verl.zoom.turns import Turn, read_turns

CALL = call_text(Box(0, 0, 500, 250))
SHOWN = "Box [0, 0, 500, 250]. Calls left: 1."
REFUSED = "The box has no size inside the map. Calls left: 0."


@pytest.mark.parametrize(
    ("around", "ends"),
    [
        ("\ntool\n{}", "\nassistant\n"),
        ("\nuser\n<tool_response>\n{}\n</tool_response>", "\nassistant\n"),
    ],
)  # the templates of Qwen2.5-VL and Qwen3-VL
def test_turns_and_boxes(around: str, ends: str) -> None:
    asked = [f"{CALL}{around.format(said)}{ends}" for said in (SHOWN, REFUSED)]
    text = f"I look.{asked[0]}{asked[1]}\\boxed{{yes}}"
    turns = read_turns(text)
    assert [turn.speaker for turn in turns] == ["model", "tool", "model", "tool", "model"]
    assert [turn.box for turn in turns] == [None, Box(0, 0, 500, 250), None, None, None]
    assert turns[0].text == f"I look.{CALL}"
    assert SHOWN in turns[1].text
    assert turns[-1].text == "\\boxed{yes}" == last_turn(text)


@pytest.mark.parametrize(
    "text", ["", "\\boxed{yes}", f"{CALL}", f"{CALL}\ntool\nBox", "</tool_call>"]
)
def test_one_turn(text: str) -> None:
    assert read_turns(text) == (Turn("model", text),)


@pytest.mark.parametrize("numbers", ["9, 9, 9, 9", "5, 0, 1, 1", "0, 0, 1001, 5", "1, 2, 3"])
def test_a_box_that_the_tool_would_not_take_is_none(numbers: str) -> None:
    turns = read_turns(f"{CALL}\ntool\nBox [{numbers}]. Calls left: 1.\nassistant\n")
    assert [turn.box for turn in turns] == [None, None, None]


def test_other_values_and_floods() -> None:
    assert read_turns(None) == read_turns(["</tool_call>"]) == ()
    flood = f"{CALL}\ntool\n{SHOWN}\nassistant\n" * 5000
    assert len(read_turns(flood)) < 300
    assert len(read_turns("</tool_call>\ntool\n" * 20_000)) == 1
