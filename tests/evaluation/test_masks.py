"""``rewardmap evaluate --without-map --blank``: the same questions with their maps masked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.evaluation import sources
from rewardmap_verl.evaluation.inference import Generation
from rewardmap_verl.evaluation.questions import EvalSet, Mask
from tests.evaluation.chat_server import Reply, chat_server, completion, image_of, question_of


def evaluate(*words: object) -> Any:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)], env={"COLUMNS": "200"})


def test_masked_questions_are_the_same_questions(questions: EvalSet) -> None:
    for mask in Mask:
        masked = questions.masked(mask)
        assert masked.fingerprint == questions.fingerprint
        assert [one.text for one in masked.items] == [one.text for one in questions.items]
    full = questions.items[0]
    none, white = full.masked(Mask.WITHOUT_MAP), full.masked(Mask.BLANK)
    assert none.picture() is None and none.prompt == full.text
    assert white.prompt == full.prompt
    seen, blank = full.picture(), white.picture()
    assert seen is not None and blank is not None and blank.size == seen.size
    assert blank.getcolors() == [(seen.width * seen.height, (255, 255, 255))]
    assert seen.getcolors(1 << 20) != blank.getcolors()


def test_masked_runs_are_rows_beside_the_full_run(prepared: Path, tmp_path: Path) -> None:
    seen: dict[str, list[Any]] = {"map": [], "blank": [], "none": []}

    def reply(request: dict[str, Any]) -> Reply:
        image = image_of(request)
        white = image is not None and image.convert("L").getextrema() == (255, 255)
        seen["none" if image is None else "blank" if white else "map"].append(request)
        assert question_of(request).startswith("\n") is (image is not None)
        return 200, completion(r"\boxed{yes}" if image is not None and not white else None)

    with chat_server(reply) as server:
        words = ["--endpoint", server.url, "--model", "m", prepared, "--out", tmp_path]
        call = (*words, "--no-baselines", "--limit", 12, "--without-map", "--blank")
        done = evaluate(*call)
        assert done.exit_code == 0, done.output
        assert {name: len(requests) for name, requests in seen.items()} == dict.fromkeys(seen, 12)
        assert evaluate(*call).exit_code == 0 and len(server.requests) == 36, "all are resumed"
    found = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert [one["name"] for one in found["masked"]] == ["m, without map", "m, blank map"]
    assert [one["name"] for one in found["models"]] == ["m"]
    assert all(one["right"] == 0.0 for masked in found["masked"] for one in masked["questions"])
    assert sum(one["right"] for one in found["models"][0]["questions"]) > 0
    table = (tmp_path / "table.md").read_text("utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in table[2:5]] == [
        *("m", "m, without map", "m, blank map")
    ]
    log = tmp_path / "answers-blank-map.jsonl"
    header = json.loads(log.read_text("utf-8").splitlines()[0])
    assert header["settings"]["map"] == "blank map"
    mixed = evaluate(*words, "--answers", log, "--limit", 12)
    assert mixed.exit_code == 2 and "cannot be mixed" in " ".join(mixed.output.split())


@pytest.mark.parametrize("option", ["--blank", "--without-map"])
def test_only_a_model_can_be_asked_without_its_maps(prepared: Path, option: str) -> None:
    done = evaluate("random", prepared, option)
    assert done.exit_code == 2 and f"{option}: found 'random'" in " ".join(done.output.split())


def test_masked_runs_share_one_engine(
    questions: EvalSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading a model twice would take its memory twice."""
    from rewardmap_verl.evaluation.answer_log import LoggedAnswer

    started: list[str] = []

    class Parrot:
        def __init__(self, model: str, *_: object) -> None:
            started.append(model)

        def answer(self, batch: Any) -> list[LoggedAnswer]:
            sizes = [one.picture().size if one.image else None for one in batch]
            return [
                LoggedAnswer(one.key, one.index, f"{one.blank} {size}", 3, "stop")
                for one, size in zip(batch, sizes, strict=True)
            ]

    monkeypatch.setattr(sources, "VllmEngine", Parrot)
    monkeypatch.setattr(sources, "prepare_environment", lambda: None)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}", "utf-8")
        (tmp_path / name / "model.safetensors").write_bytes(name.encode())
    asked = sources.AnswerSources(questions.first(2), Generation(), 8)
    answers = {}
    for mask in (None, *Mask):
        log = tmp_path / f"{mask}.jsonl"
        found = asked.answers(str(tmp_path / "one"), log, mask).answers
        answers[mask] = {str(answer.response) for (answer,) in found.values()}
    with Image.open(questions.items[0].image or "") as image:
        size = image.size
    assert f"False {size}" in answers[None] and f"True {size}" in answers[Mask.BLANK]
    assert answers[Mask.WITHOUT_MAP] == {"False None"}
    asked.answers(str(tmp_path / "two"), tmp_path / "two.jsonl")
    assert started == [str(tmp_path / "one"), str(tmp_path / "two")]
