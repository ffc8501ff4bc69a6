"""Texts of responses in the shapes that programs save."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmap_verl.errors import DataError
from rewardmap_verl.rewards.response_text import last_turn, response_text

TEXT = "\\boxed{yes}"
PART = {"type": "text", "text": TEXT}
MESSAGE = {"role": "assistant", "content": TEXT}


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        [TEXT],
        [[TEXT]],
        [PART],
        [{"type": "output_text", "text": TEXT, "annotations": []}],
        [{"type": "thinking", "thinking": "no"}, PART],
        [{"type": "text", "text": "\\boxed"}, {"type": "text", "text": "{yes}"}],
        MESSAGE,
        {"role": "assistant", "content": [PART]},
        [{"role": "user", "content": "Question?"}, MESSAGE],
        {"choices": [{"index": 0, "message": MESSAGE}]},
        {"choices": [{"text": TEXT}]},
    ],
)
def test_the_text_of_every_known_shape_is_read(value: object) -> None:
    assert response_text(value, "row 1") == TEXT


@pytest.mark.parametrize(("value", "text"), [(None, None), (float("nan"), None), (3, "3")])
def test_failed_calls_have_no_text_and_numbers_are_text(value: object, text: str | None) -> None:
    assert response_text(value, "row 1") == text


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        ["yes", "no"],
        {"x": TEXT},
        [{"role": "user", "content": TEXT}, {"role": "user", "content": TEXT}],
        {"choices": [{"text": "a"}, {"text": "b"}]},
        [[[[[[[[[TEXT]]]]]]]]],
        [{"type": "image_url", "image_url": {"url": "…"}}],
    ],
)
def test_other_shapes_are_refused_with_their_row(value: Any) -> None:
    with pytest.raises(DataError, match="row 7: response: found"):
        response_text(value, "row 7")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["text", "content", "role", "choices", "message", "type"]), inner
    ),
)  # fmt: skip


@given(JSON)
def test_every_value_is_read_or_refused(value: object) -> None:
    try:
        text = response_text(value, "row 1")
    except DataError:
        return
    assert text is None or isinstance(text, str)


CALL = '<tool_call>\n{"name": "zoom", "arguments": {"box": [0, 0, 9, 9]}}\n</tool_call>'


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (f"{CALL}\ntool\nBox [0, 0, 9, 9].\nassistant\n\\boxed{{yes}}\n", "\\boxed{yes}\n"),
        (f"{CALL}\ntool\nno\nassistant\n{CALL}\ntool\nyes\nassistant\n2", "2"),
        (f"{CALL}\ntool\nno\nassistant\n{CALL}", CALL),
        (CALL, CALL),
        ("Line 1\nassistant\nLine 2", "Line 1\nassistant\nLine 2"),
        ("", ""),
        (None, None),
        (["a"], ["a"]),
    ],
)
def test_the_last_turn_of_a_dumped_trajectory_counts(response: object, answer: object) -> None:
    assert last_turn(response) == answer
