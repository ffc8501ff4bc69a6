"""Boxes: what a model writes is a region of the map, or gets a text that says what is wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardmap_verl.zoom.boxes import SCALE, Box, BoxError, read_box
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.tool import SCHEMA, answer_call, call_text, instructions

MAP = (14_032, 19_843)
SETTINGS = ZoomSettings(max_calls=3)


@pytest.mark.parametrize(
    ("given_box", "taken"),
    [
        ([0, 0, 1000, 1000], [0, 0, 1000, 1000]),
        ([100, 200, 300, 400], [100, 200, 300, 400]),
        ([99.6, 200.4, 300, 400], [100, 200, 300, 400]),
        ([-50, 900, 100, 1200], [0, 900, 100, 1000]),
        ([0, 0, math.inf, 10**30], [0, 0, 1000, 1000]),
    ],
)
def test_a_box_is_rounded_and_cut_off_at_the_border(given_box: list[Any], taken: list[int]) -> None:
    assert read_box({"box": given_box}).as_list() == taken


BAD = {
    "nothing": {},
    "no mapping": [0, 0, 1, 1],
    "null": None,
    "text": {"box": "the upper left"},
    "three values": {"box": [0, 0, 10]},
    "nested": {"box": [[0, 0], [1, 1]]},
    "texts": {"box": ["0", "0", "10", "10"]},
    "booleans": {"box": [False, False, True, True]},
    "not a number": {"box": [0, 0, math.nan, 10]},
    "no width": {"box": [10, 10, 10, 20]},
    "no height": {"box": [10, 10, 20, 10]},
    "reversed": {"box": [500, 0, 100, 100]},
    "outside": {"box": [1200, 0, 1400, 100]},
    "outside to the left": {"box": [-30, 0, -10, 100]},
    "smaller than a thousandth": {"box": [500.1, 10, 500.2, 20]},
    "too narrow": {"box": [0, 500, 1000, 501]},
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_box_gets_a_text(name: str) -> None:
    answer = answer_call(BAD[name], 0, MAP, SETTINGS, 28)
    assert answer.box is None and answer.crop is None
    assert answer.text.endswith("Calls left: 2.")
    assert "box" in answer.text


def test_calls_are_limited() -> None:
    box = {"box": [0, 0, 500, 500]}
    answers = [answer_call(box, earlier, MAP, SETTINGS, 28) for earlier in range(5)]
    assert [answer.crop is not None for answer in answers] == [True, True, True, False, False]
    assert answers[0].text == "Box [0, 0, 500, 500]. Calls left: 2."
    assert answers[3].text == "No zoom is left. Give your answer now."


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
boxes = st.fixed_dictionaries(
    {"box": st.lists(st.floats() | st.integers(), min_size=4, max_size=4)}
)


@settings(max_examples=60)
@given(
    arguments=anything | boxes,
    width=st.integers(1, 20_000),
    height=st.integers(1, 20_000),
    unit=st.sampled_from([28, 32]),
)
def test_nothing_that_a_model_writes_is_an_error(
    arguments: Any, width: int, height: int, unit: int
) -> None:
    answer = answer_call(arguments, 0, (width, height), SETTINGS, unit)
    assert answer.text
    if answer.crop is not None:
        assert answer.box is not None
        left, top, right, bottom = answer.crop.region
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        across, down = answer.crop.size
        assert across % unit == down % unit == 0
        assert across * down <= max(SETTINGS.max_pixels, SETTINGS.min_pixels)
        assert 0 < answer.box.area <= 1


@settings(max_examples=40)
@given(st.integers(1, 5000), st.integers(1, 5000))
def test_neighboring_boxes_leave_no_gap(width: int, height: int) -> None:
    for cut in (1, 333, 500, 999):
        try:
            one = Box(0, 0, cut, SCALE).pixels(width, height)
            other = Box(cut, 0, SCALE, SCALE).pixels(width, height)
        except BoxError:
            continue
        assert one[0] == 0 and other[2] == width
        assert other[0] <= one[2]


def test_the_description_shows_a_call_that_is_valid() -> None:
    text = instructions(SETTINGS)
    assert "up to 3 times" in text
    shown = text.partition("</tools>")[2].partition("<tool_call>")[2].partition("</tool_call>")[0]
    call = json.loads(shown)
    assert call["name"] == SCHEMA["function"]["name"]
    assert read_box(call["arguments"]) == Box(0, 0, 500, 500)
    assert call_text(Box(0, 0, 500, 500)) in text
