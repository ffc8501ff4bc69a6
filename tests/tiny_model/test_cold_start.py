"""Data of the supervised start, and its errors when verl's SFT trainer fails."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.tiny_model import cold_start as module
from rewardmap_verl.tiny_model.cold_start import cold_start, trainer_command, write_conversations
from rewardmap_verl.tiny_model.conversations import (
    Conversation,
    of_types,
    read_conversations,
    read_texts,
    sample_evenly,
)

LEG = {
    "route_name": "Line 1",
    "departure_stop": "Cato",
    "arrival_stop": "Juno",
    "via_stops": [],
    "num_via_stops": 0,
}


def make_row(kind: str, answer: int, **more: object) -> dict:
    truth = {
        "type": kind,
        "country": "c",
        "city": "t",
        "station_1": "Cato",
        "station_2": "Juno",
        "answer": answer,
        "question_transfer_count": 0,
        "difficulty_city": "easy",
        **more,
    }
    return {
        "prompt": [{"role": "user", "content": f"<image>\nQuestion {kind}?"}],
        "images": [{"image": "images/a.png", "max_pixels": 784 * 4}],
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
        "extra_info": {"network": "networks/c/t.json"},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    train = [
        make_row("TorF1", 1),
        make_row("Counting1", 2),
        make_row("Counting2", 3),
        make_row("planning", -1, form="short", plans=[[LEG]]),
    ]
    (tmp_path / "images").mkdir()
    Image.new("RGB", (56, 56)).save(tmp_path / "images/a.png")
    network = tmp_path / "networks/c/t.json"
    network.parent.mkdir(parents=True)
    network.write_text('{"Line 1": ["Cato", "Juno"]}', encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(train), tmp_path / "train.parquet")
    pq.write_table(pa.Table.from_pylist([make_row("TorF2", 0)]), tmp_path / "test.parquet")
    return tmp_path


def test_every_row_becomes_a_question_with_its_gold_answer(folder: Path) -> None:
    found = list(read_conversations(folder))
    assert [one.answer for one in found] == [
        "\\boxed{yes}",
        "\\boxed{C}",
        "\\boxed{3}",
        "Route Name: Line 1\nDeparture Stop: Cato\nArrival Stop: Juno",
    ]
    assert found[0].prompt == "<image>\nQuestion TorF1?"
    assert found[0].image == folder.resolve() / "images/a.png"


def test_texts_are_all_questions_and_the_answers_of_the_training_split(folder: Path) -> None:
    texts = read_texts(folder)
    assert "<image>\nQuestion TorF2?" in texts
    assert "\\boxed{no}" not in texts
    assert "\\boxed{yes}" in texts


def test_missing_split_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.parquet.*make prep-data"):
        list(read_conversations(tmp_path))


def test_broken_ground_truth_names_its_row(folder: Path) -> None:
    rows = [make_row("TorF1", 1), make_row("TorF1", 7)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    with pytest.raises(DataError, match=r"row 1.*answer"):
        list(read_conversations(folder))


def conversations(**counts: int) -> list[Conversation]:
    return [
        Conversation(QuestionType(kind), f"{kind} {number}", "a", Path("/i.png"), 784)
        for kind, count in counts.items()
        for number in range(count)
    ]


def test_filter_by_type_reports_absent_types() -> None:
    everything = conversations(TorF1=2, planning=3)
    assert of_types(everything, (), Path("d")) == everything
    assert [one.type.value for one in of_types(everything, ["planning"], Path("d"))] == [
        "planning"
    ] * 3
    with pytest.raises(DataError, match=r"d: found 'Counting2'.*TorF1, planning"):
        of_types(everything, ["Counting2"], Path("d"))


def test_sample_is_even_over_types_and_a_function_of_the_seed() -> None:
    everything = conversations(TorF1=50, planning=50, Counting3=3)
    chosen = sample_evenly(everything, 23, seed=1)
    assert Counter(one.type.value for one in chosen) == {
        "TorF1": 10,
        "planning": 10,
        "Counting3": 3,
    }
    assert chosen == sample_evenly(everything, 23, seed=1)
    assert chosen != sample_evenly(everything, 23, seed=2)
    assert len({one.prompt for one in chosen}) == 23
    assert sorted(sample_evenly(everything, 999, 1), key=str) == sorted(everything, key=str)


def test_rows_are_those_of_verls_sft_trainer(tmp_path: Path) -> None:
    assert write_conversations(conversations(TorF1=2), tmp_path / "rows.parquet") == 2
    row = pq.read_table(tmp_path / "rows.parquet").to_pylist()[0]
    assert row == {
        "messages": [
            {"role": "user", "content": "TorF1 0"},
            {"role": "assistant", "content": "a"},
        ],
        "images": [{"image": "/i.png", "max_pixels": 784}],
    }
    with pytest.raises(DataError, match="training rows"):
        write_conversations([], tmp_path / "none.parquet")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "untrained"
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "chat_template.jinja").write_text("template")
    return path


def stand_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Run ``code`` where the trainer would run, in its working folder."""
    monkeypatch.setattr(module, "trainer_command", lambda *_: [sys.executable, "-c", code])


def test_trained_model_is_complete(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = (
        "import os, pathlib; out = pathlib.Path('global_step_4/huggingface'); "
        "out.mkdir(parents=True); (out / 'config.json').write_text(os.environ['VERL_PLATFORM'])"
    )
    stand_in(monkeypatch, save)
    output = cold_start(model, conversations(TorF1=1), tmp_path / "model", steps=4)
    assert (output / "config.json").read_text() == "cpu"
    assert (output / "chat_template.jinja").read_text() == "template"
    assert {path.name for path in tmp_path.iterdir()} == {"untrained", "model", "model-sft.log"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit('the reason')", "exit status 1.*the reason"),
        ("print('finished, saved nothing')", "no model saved.*finished, saved nothing"),
        ("print('asleep', flush=True); import time; time.sleep(60)", "timeout after 2 s.*asleep"),
    ],
)
def test_failure_shows_the_trainers_last_lines_and_leaves_only_its_log(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    stand_in(monkeypatch, code)
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        cold_start(model, conversations(TorF1=1), tmp_path / "model", timeout=2.0)
    assert {path.name for path in tmp_path.iterdir()} == {"untrained", "model-sft.log"}


def test_progress_has_the_steps_and_every_new_line_once(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLL", 0.02)
    (tmp_path / "model-sft.log").write_text("step:9 - an earlier attempt\n")
    steps = "import time\nfor i in (1, 2):\n print(f'step:{i} - loss', flush=True); time.sleep(0.1)"
    stand_in(monkeypatch, steps)
    seen: list[tuple[int, str]] = []
    with pytest.raises(ConfigError, match="no model saved"):
        cold_start(
            model,
            conversations(TorF1=1),
            tmp_path / "model",
            progress=lambda step, lines: seen.extend((step, line) for line in lines),
        )
    assert seen == [(1, "step:1 - loss"), (2, "step:2 - loss")]


def test_wrong_folders_are_refused_before_the_trainer_starts(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ConfigError, match="existing path"):
        cold_start(model, conversations(TorF1=1), model)
    with pytest.raises(ConfigError, match="tiny-model"):
        cold_start(tmp_path / "nothing", conversations(TorF1=1), tmp_path / "model")


def test_command_overrides_the_recipe_last(tmp_path: Path) -> None:
    command = trainer_command(tmp_path, tmp_path, 7, ["optim.lr=1"])
    assert command[1:4] == ["-m", "verl.trainer.sft_trainer", "+recipe=cold_start"]
    assert "trainer.total_training_steps=7" in command
    assert command[-1] == "optim.lr=1"
