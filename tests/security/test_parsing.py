"""JSON and YAML from outside: a value or a ValueError, at a bounded cost."""

from __future__ import annotations

import pytest

from rewardmap_verl.inputs.parsing import parse_json, parse_yaml

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{", "", b"\xff\xfe\x00"])
def test_json_that_cannot_be_read_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize(
    "text", ["[" * 10_000, LAUGHS, "a: [", "!!python/object/apply:os.system ['true']", "\x00"]
)
def test_yaml_that_cannot_be_read_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_yaml(text)


def test_plain_values_are_read() -> None:
    assert parse_json('{"a": [1, null]}') == {"a": [1, None]}
    assert parse_yaml("a: [1, null]\nb: {c: yes}") == {"a": [1, None], "b": {"c": True}}
