"""Conversations that reason: their answers are perfect, their boxes show what they speak about."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import Result

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.manifest import MapRecord, read_manifest
from rewardmap_verl.preparation.records import read_networks, read_prepared_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.explain import explain_answer
from rewardmap_verl.transit.planner import Planner
from rewardmap_verl.zoom.places import parts_of_map, read_places
from rewardmap_verl.zoom.reading import reading_steps

ZOOM = ("--zoom", "max_calls=2", "--zoom", "max_pixels=12544", "--zoom", "min_pixels=7056")
BOX = re.compile(r'"box": (\[[^]]*\])')


@pytest.fixture(scope="session")
def exported(
    tmp_path_factory: pytest.TempPathFactory, rewardmap: Callable[..., Result]
) -> Callable[..., list[dict[str, Any]]]:
    """A function that exports a folder for verl and returns the rows of its training split."""

    def export(folder: Path, reasoning: str, *more: str) -> list[dict[str, Any]]:
        target = tmp_path_factory.mktemp("export") / "traces"
        settings = ZOOM if reasoning == "zoom" else ()
        words = ("--reasoning", reasoning, *settings, *more, "--out", target)
        rewardmap("export", folder, "verl", *words)
        rows: list[dict[str, Any]] = pq.read_table(target / "train.parquet").to_pylist()
        return rows

    return export


def turns(row: dict[str, Any], role: str) -> list[str]:
    return [one["content"] for one in row["messages"] if one["role"] == role]


@pytest.mark.parametrize("reasoning", ["text", "zoom"])
@pytest.mark.parametrize("maps", ["drawn", "foreign"])
def test_the_last_turn_earns_the_highest_reward(
    maps: str, reasoning: str, exported: Any, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(maps)
    networks = read_networks(folder, read_manifest(folder))
    rows = exported(folder, reasoning)
    questions = list(read_prepared_questions(folder, "train"))
    for row, question in zip(rows, questions, strict=True):
        answer = turns(row, "assistant")[-1]
        network = networks[question.truth.country, question.truth.city]
        found = explain_answer(answer, question.truth, network, RewardConfig())
        assert found.score.score == pytest.approx(found.highest), answer
        assert len(answer) > len(question.answer), "it reasons before it answers"
    if maps == "drawn":
        assert {question.truth.type for question in questions} == set(QuestionType)


def test_boxes_show_the_stops_that_a_turn_names(drawn: Path, exported: Any) -> None:
    manifest = read_manifest(drawn)
    networks = read_networks(drawn, manifest)
    places = {(one.country, one.city): read_places(drawn, one) for one in manifest.maps}
    calls = 0
    questions = read_prepared_questions(drawn, "train")
    for row, question in zip(exported(drawn, "zoom"), questions, strict=True):
        key = (question.truth.country, question.truth.city)
        for turn in turns(row, "assistant")[:-1]:
            left, top, right, bottom = json.loads(BOX.search(turn)[1])  # type: ignore[index]
            stop = aim_of(turn, networks[key])
            x, y = places[key].points[stop.index][0]  # type: ignore[union-attr]
            width, height = places[key].size  # type: ignore[union-attr]
            assert left <= 1000 * x / width <= right and top <= 1000 * y / height <= bottom
            calls += 1
    assert calls > 20


def aim_of(turn: str, network: Any) -> Any:
    """The last stop that a turn names before it calls."""
    said = turn.partition("\n<tool_call>")[0]
    found = {said.rfind(stop.name): stop for stop in network.stops}
    assert max(found) >= 0, said
    return found[max(found)]


def test_the_tool_answers_as_in_a_run(drawn: Path, exported: Any) -> None:
    for row in exported(drawn, "zoom"):
        said = turns(row, "tool")
        assert len(said) <= 2 and len(row["images"]) == len(said) + 1
        asked = [
            json.loads(BOX.search(turn)[1])  # type: ignore[index]
            for turn in turns(row, "assistant")[:-1]
        ]
        expected = [f"<image>Box {box}. Calls left: {1 - n}." for n, box in enumerate(asked)]
        assert said == expected
        for image in row["images"][1:]:
            assert Image.open(image["image"]).size[0] % 28 == 0
            assert 7056 <= image["max_pixels"] <= 12544


def test_maps_of_others_are_looked_at_part_by_part(foreign: Path, exported: Any) -> None:
    """Positions are unknown there, so no box claims to show a stop."""
    halves = [box.as_list() for box in parts_of_map(2, 840, 560)]
    assert halves == [[0, 0, 500, 1000], [500, 0, 1000, 1000]]
    for row in exported(foreign, "zoom"):
        *looks, answer = turns(row, "assistant")
        assert [json.loads(BOX.search(turn)[1]) for turn in looks] == halves  # type: ignore[index]
        assert not any(name in "".join(looks) for name in ("Alpha", "Beta", "Epsilon"))
        assert answer.count("\n") >= 1
    quarters = exported(foreign, "zoom", "--zoom", "max_calls=4")
    assert Counter(len(row["images"]) for row in quarters) == {5: len(quarters)}


def test_drawn_maps_can_be_looked_at_part_by_part(drawn: Path, exported: Any) -> None:
    """For overviews that do not show where a stop is, no box depends on the question."""
    rows = exported(drawn, "zoom", "--by-parts")
    asked = [[json.loads(box) for box in BOX.findall("".join(turns(r, "assistant")))] for r in rows]
    sizes = {(one.width, one.height) for one in read_manifest(drawn).maps}
    halves = [[box.as_list() for box in parts_of_map(2, *size)] for size in sizes]
    assert len(asked) > 0 and all(boxes in halves for boxes in asked)
    for row in rows:
        assert turns(row, "assistant")[0].startswith("I look at the map part by part.")


@pytest.mark.parametrize("legs", [3, [3], [["Line 1", 2]], [[None, [], {}]], "abc"])
def test_an_annotation_of_another_shape_explains_nothing(legs: Any, drawn: Path) -> None:
    networks = read_networks(drawn, read_manifest(drawn))
    question = next(iter(read_prepared_questions(drawn, "train")))
    truth = replace(question.truth, type=QuestionType.VALID_ROUTE, annotation={"legs": legs})
    network = networks[truth.country, truth.city]
    assert reading_steps(truth, network, Planner(network)) == ()


def test_the_description_is_optional(drawn: Path, exported: Any) -> None:
    described = exported(drawn, "zoom")
    assert all(len(turns(row, "system")) == 1 for row in described)
    plain = exported(drawn, "zoom", "--zoom", "describe=false")
    assert not any(turns(row, "system") for row in plain)


def test_llama_factory_reads_it(drawn: Path, rewardmap: Any, tmp_path: Path) -> None:
    """Its rules for sharegpt: user and observation at odd places, gpt at even ones; as many
    pictures as marks; columns as declared."""
    target = tmp_path / "sharegpt"
    rewardmap("export", drawn, "sharegpt", "--reasoning", "zoom", *ZOOM, "--out", target)
    entries = json.loads((target / "dataset_info.json").read_text(encoding="utf-8"))
    for entry in entries.values():
        assert entry["formatting"] == "sharegpt"
        for row in json.loads((target / entry["file_name"]).read_text(encoding="utf-8")):
            assert set(entry["columns"].values()) <= set(row)
            said = [one["from"] for one in row["conversations"]]
            assert said[0] == "human" and set(said[2::2]) <= {"observation"}
            assert set(said[1::2]) == {"gpt"} and len(said) % 2 == 0
            marks = sum(one["value"].count("<image>") for one in row["conversations"])
            assert marks == len(row["images"])
            assert all((target / image).is_file() for image in row["images"])
            assert row["system"].startswith("You have one tool:")


def test_what_cannot_be_exported_is_said(
    drawn: Path, rewardmap: Any, tmp_path: Path, foreign: Path
) -> None:
    out = ("--out", tmp_path / "none")
    said = rewardmap("export", drawn, "hub", "--reasoning", "text", *out, fails=True).output
    assert "sharegpt and verl" in said
    for words in (("--zoom", "max_calls=2"), ("--by-parts",)):
        said = rewardmap("export", drawn, "verl", "--reasoning", "text", *words, *out, fails=True)
        assert words[0] in said.output and "It needs --reasoning zoom." in said.output
    words = ("--reasoning", "zoom", "--zoom", "max_call=2", *out)
    assert "max_calls" in rewardmap("export", drawn, "verl", *words, fails=True).output
    plain = tmp_path / "plain"
    rewardmap("prepare", "synthetic", "--train-maps", 1, "--test-maps", 1, "--out", plain)
    said = rewardmap("export", plain, "verl", "--reasoning", "zoom", *out, fails=True).output
    assert "--keep-originals" in said
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("stops", f"[[{bad}, 2]]") for bad in ("1e999", "-1e999", "NaN", "1e308", '"x"', "null")),
        *(("size", f"[{bad}, 10]") for bad in ("1e999", "NaN", "0", '"x"', "null")),
    ],
)
def test_damaged_positions_are_one_error(field: str, value: str, tmp_path: Path) -> None:
    values = {"stops": "[[1, 2]]", "size": "[10, 10]", "labels": "[]", field: value}
    text = ", ".join(f'"{name}": {one}' for name, one in values.items())
    (tmp_path / "positions.json").write_text(f"{{{text}}}")
    with pytest.raises(DataError, match=r"positions\.json"):
        read_places(tmp_path, MapRecord.model_construct(positions="positions.json"))
