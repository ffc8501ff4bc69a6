"""Asking a model: batches, the log that survives a crash, and what may not be mixed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.answer_log import AnswerLog, LoggedAnswer
from rewardmap_verl.evaluation.inference import (
    Generation,
    answer_questions,
    chat_messages,
    check_model,
    engine_options,
    log_header,
    model_identity,
)
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.saved import read_saved
from rewardmap_verl.zoom.dialogue import CALL_TOKENS
from rewardmap_verl.zoom.settings import ZoomSettings


class Parrot:
    """An engine that answers with the question, and crashes after some batches."""

    def __init__(self, batches: int = 1000) -> None:
        self.left = batches
        self.question: list[int] = []

    def answer(self, batch: Sequence[EvalQuestion]) -> list[LoggedAnswer]:
        if self.left == 0:
            raise RuntimeError("out of memory")
        self.left -= 1
        self.question += [one.index for one in batch]
        return [LoggedAnswer(one.key, one.index, one.text, 3, "stop") for one in batch]


@pytest.fixture
def twelve(ask: Any, make_row: Any) -> EvalSet:
    return ask([make_row("TorF1", i) for i in range(12)])  # type: ignore[no-any-return]


HEADER = {"questions": "f", "model": {"name": "m", "files": "1"}, "settings": {"max_tokens": 9}}


def run(
    path: Path, questions: EvalSet, engine: Parrot, header: dict[str, Any] | None = None
) -> list[int]:
    done: list[int] = []
    with AnswerLog(path, {**HEADER, **(header or {})}) as log:
        answer_questions(questions, lambda: engine, log, 5, done.append)
    return done


def test_answers_are_written_in_order_with_a_header(tmp_path: Path, twelve: EvalSet) -> None:
    path = tmp_path / "deep" / "answers.jsonl"
    assert run(path, twelve, Parrot()) == [0, 5, 5, 2]
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"rewardmap_answers": 1, **HEADER}
    assert [line["index"] for line in lines[1:]] == list(range(12))
    saved = read_saved(path)
    assert saved.rows[3].answer.response == "Question 3 of type TorF1?"
    assert (saved.rows[3].answer.tokens, saved.fingerprint, saved.model) == (3, "f", "m")


def test_after_a_crash_only_the_rest_is_asked(tmp_path: Path, twelve: EvalSet) -> None:
    path = tmp_path / "answers.jsonl"
    with pytest.raises(RuntimeError):
        run(path, twelve, Parrot(batches=2))
    again = Parrot()
    assert run(path, twelve, again) == [10, 2]
    assert again.question == [10, 11]
    assert len(read_saved(path).rows) == 12


def test_a_first_look_is_not_asked_again(tmp_path: Path, twelve: EvalSet) -> None:
    path, engine = tmp_path / "answers.jsonl", Parrot()
    run(path, twelve.first(4), engine)
    assert run(path, twelve, engine) == [4, 5, 3]
    assert engine.question == list(range(12))


def test_nothing_is_started_when_all_is_answered(tmp_path: Path, twelve: EvalSet) -> None:
    path = tmp_path / "answers.jsonl"
    run(path, twelve, Parrot())
    before = path.read_bytes()
    with AnswerLog(path, HEADER) as log:
        assert answer_questions(twelve, lambda: pytest.fail("started"), log, 5) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_a_crash_cut_off_is_asked_again(
    tmp_path: Path, twelve: EvalSet, cut: int
) -> None:
    path = tmp_path / "answers.jsonl"
    run(path, twelve, Parrot())
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    again = Parrot()
    run(path, twelve, again)
    assert again.question == [11]
    assert path.read_bytes() == whole


def test_strange_text_survives(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    strange = 'line\nbreak \u2028 \ud800 {"key": 1} 换乘'
    with AnswerLog(path, HEADER) as log:
        log.append([LoggedAnswer("k", 0, strange, 1, "length")])
    with AnswerLog(path, HEADER) as log:
        assert log.known == {"k"}
    assert read_saved(path).rows[0].answer.response == strange


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("questions", "others"),
        ("model", {"name": "m", "files": "2"}),
        ("settings", {"max_tokens": 10}),
    ],
)
def test_answers_of_two_kinds_are_not_mixed(
    tmp_path: Path, twelve: EvalSet, field: str, value: object
) -> None:
    path = tmp_path / "answers.jsonl"
    run(path, twelve, Parrot(batches=5))
    before = path.read_bytes()
    with pytest.raises(DataError, match=rf"answers\.jsonl: {field}: found .*give another"):
        run(path, twelve, Parrot(), {field: value})
    assert path.read_bytes() == before


def test_a_renamed_folder_resumes(tmp_path: Path, twelve: EvalSet) -> None:
    path = tmp_path / "answers.jsonl"
    run(path, twelve, Parrot(), {"data": "data/here", "model": {"name": "a", "files": "1"}})
    moved = {"data": "/data/there", "model": {"name": "b", "files": "1"}}
    assert run(path, twelve, Parrot(0), moved) == [12]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"rewardmap_answers": 2}\n', "Only version 1 can be read"),
        (b'{"key": "k"}\n', "The header of an answer log is missing"),
        (b"hello\n", "line 1.*Not valid JSON"),
        (b"[]\n", "is a JSON object"),
    ],
)
def test_a_file_that_is_not_ours_is_left_alone(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        AnswerLog(path, HEADER).open()
    assert path.read_bytes() == content


def make_model(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_model_is_known_by_its_files(tmp_path: Path) -> None:
    one, copy = make_model(tmp_path / "a" / "tiny"), make_model(tmp_path / "b" / "tiny")
    other = make_model(tmp_path / "c" / "tiny", b"weighed")
    assert model_identity(str(one)) == model_identity(str(copy))
    assert model_identity(str(one)) != model_identity(str(other))
    assert model_identity("Qwen/Qwen2.5-VL-7B-Instruct")["name"] == "Qwen/Qwen2.5-VL-7B-Instruct"


def test_folders_without_a_model_are_reported(tmp_path: Path) -> None:
    check_model("Qwen/Qwen2.5-VL-7B-Instruct")
    check_model(str(make_model(tmp_path / "model")))
    run_folder = make_model(tmp_path / "run" / "merged").parent
    checkpoints = tmp_path / "other" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "latest_checkpointed_iteration.txt").touch()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").touch()
    for name, message in (
        (str(run_folder), "folder of a run; its model is .*merged"),
        (str(checkpoints), "merge them into a model"),
        (str(tmp_path / "bare"), "no weights"),
        (str(tmp_path / "nothing"), "name of the hub"),
        ("Qwen2.5-VL", "name of the hub"),
    ):
        with pytest.raises(DataError, match=message):
            check_model(name)


def test_prompts_are_verls() -> None:
    """verl splits the prompt at the mark and keeps the line break behind it."""
    assert chat_messages("<image>\nWhere?") == [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "\nWhere?"}]}
    ]
    assert chat_messages("Where?")[0]["content"] == [{"type": "text", "text": "Where?"}]


def test_vllm_is_set_for_the_prompts_and_the_machine(twelve: EvalSet) -> None:
    questions = replace(twelve, prompt_tokens=4000)
    gpu = engine_options(Generation(max_tokens=100), questions, on_cpu=False)
    cpu = engine_options(Generation(max_tokens=100), questions, on_cpu=True)
    assert gpu["max_model_len"] == cpu["max_model_len"] == 4100
    assert (gpu["dtype"], cpu["dtype"], cpu["enforce_eager"]) == ("auto", "float32", True)
    assert "gpu_memory_utilization" in gpu and "gpu_memory_utilization" not in cpu
    assert engine_options(Generation(), twelve, on_cpu=True)["max_model_len"] is None


def test_crops_have_room_in_the_context(tmp_path: Path, twelve: EvalSet) -> None:
    budget = ZoomSettings(max_calls=2, max_pixels=12544, min_pixels=3136, describe=False)
    zoom = Generation(max_tokens=100, zoom=budget)
    options = engine_options(zoom, replace(twelve, prompt_tokens=4000), on_cpu=True)
    assert options["max_model_len"] == 4000 + 100 + 2 * (16 + CALL_TOKENS)
    assert options["limit_mm_per_prompt"]["image"] == 3
    model = str(make_model(tmp_path / "model"))
    plain = log_header(twelve, model, Generation(max_tokens=100))
    settings = log_header(twelve, model, zoom)["settings"]
    assert settings == {**plain["settings"], "zoom": budget.model_dump()}


def test_the_header_identifies_questions_and_model(tmp_path: Path, twelve: EvalSet) -> None:
    model = make_model(tmp_path / "model")
    header = log_header(twelve, str(model), Generation(max_tokens=77))
    assert header["questions"] == twelve.fingerprint
    assert header["model"]["name"] == f"{tmp_path.name}/model"
    assert header["settings"] == {"temperature": 0.0, "max_tokens": 77, "dtype": "auto"}
    other = log_header(twelve, str(model), Generation(max_tokens=77, repetition_penalty=1.05))
    assert other["settings"] == {**header["settings"], "repetition_penalty": 1.05}
    more = log_header(twelve, str(model), Generation(max_tokens=77, data_parallel_size=8))
    assert more == header, "the number of engines does not change answers"


def test_fingerprints_follow_the_questions(ask: Callable[..., EvalSet], make_row: Any) -> None:
    rows = [make_row("TorF1", i) for i in range(3)]
    one = ask(rows)
    assert one.fingerprint == ask(rows).fingerprint
    assert one.fingerprint != ask(rows[:2]).fingerprint
    assert one.fingerprint == one.first(2).fingerprint, "a first look is part of the whole"
    assert one.fingerprint != ask([*rows[:2], make_row("TorF1", 2, answer=0)]).fingerprint
    twins = ask([rows[0], rows[0]])
    assert len({item.key for item in twins.items}) == 2
