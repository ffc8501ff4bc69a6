"""The card of a model, and the check that a merged model is the trained one."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from rewardmap_verl.checkpoints.fsdp_checkpoint import join_shards
from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.results import FORMAT
from rewardmap_verl.reports import card as card_module
from rewardmap_verl.reports import merged, same_answers
from rewardmap_verl.reports.card import CardOptions, write_card
from rewardmap_verl.reports.merged import compare_weights
from rewardmap_verl.reports.runs import read_run

torch = pytest.importorskip("torch")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "merged"
    folder.mkdir()
    (folder / "config.json").write_text("{}", "utf-8")
    return folder


def head_and_body(card: Path) -> tuple[dict[str, Any], str]:
    _, head, body = card.read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def test_a_card_has_data_recipe_scores_and_license(run_folder: Path, model: Path) -> None:
    card = write_card(run_folder, model, CardOptions("apache-2.0", "my-model"))
    head, body = head_and_body(card)
    assert head["license"] == "apache-2.0" and head["pipeline_tag"] == "image-text-to-text"
    for part in ("# my-model", "| all |", "synthetic maps, seed", "| planning |", "apache-2.0."):
        assert part in body
    assert "Held-out cities, not used in training: synthetic/" in body


def test_a_card_without_a_license_states_that(run_folder: Path, model: Path) -> None:
    head, body = head_and_body(write_card(run_folder, model))
    assert head["license"] == "other" and "Not stated yet" in body


def test_settings_of_the_run_are_listed_and_cannot_break_the_table(
    simulated: ModuleType, prepared: Path, tmp_path: Path, model: Path
) -> None:
    run = simulated.simulate_run(prepared, tmp_path / "run", steps=1)
    simulated.write_settings(
        run,
        {
            "reward": {"rewardmap": {"alpha": 0.7}},
            "data": {"folder": str(prepared), "curriculum": {"stages": "a|b\nc"}},
            "actor_rollout_ref": {"model": {"path": "Qwen/Qwen2.5-VL-7B-Instruct"}},
        },
    )
    head, body = head_and_body(write_card(run, model))
    assert head["base_model"] == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert "| `reward.rewardmap.alpha` | 0.7 |" in body
    assert "| `data.curriculum.stages` | a\\|b c |" in body


METRIC = {"count": 12, "drawn": "questions", "weighted": True}


def evaluation(folder: Path, metrics: list[dict[str, Any]]) -> CardOptions:
    results = {
        "rewardmap_results": FORMAT,
        "questions": {"name": "/home/me/data/synthetic, test"},
        "models": [{"name": "m", "metrics": metrics}],
        "table": [["weighted accuracy"]],
    }
    (folder / "results.json").write_text(json.dumps(results), "utf-8")
    return CardOptions(name="my-model", evaluation=folder, datasets=["me/maps"])


def test_an_evaluation_is_in_the_card_and_in_its_metadata(
    run_folder: Path, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"results\.json"):
        write_card(run_folder, model, CardOptions(evaluation=tmp_path))
    short = {**METRIC, "section": "short", "mean": 0.3151, "low": 0.25, "high": 0.4}
    options = evaluation(
        tmp_path,
        [
            {**short, "metric": "accuracy"},
            {**short, "metric": "accuracy", "weighted": False, "mean": 0.9},
            {**short, "metric": "map_score", "mean": 6.21},
            {**short, "metric": "tokens", "weighted": False},
        ],
    )
    card = ModelCard.load(write_card(run_folder, model, options))
    assert "| weighted accuracy |" in card.text and "/home/me" not in card.content
    assert card.data.datasets == ["me/maps"] and card.data.model_name == "my-model"
    accuracy, score = card.data.eval_results
    assert (accuracy.dataset_type, accuracy.dataset_name) == ("me/maps", "synthetic, test")
    assert (accuracy.metric_value, score.metric_value) == (31.51, 6.21)
    assert accuracy.metric_args == {"interval_95": [25.0, 40.0], "questions": 12}
    assert accuracy.metric_name == "Accuracy (routes, short form), weighted by difficulty"
    with pytest.raises(DataError, match="Evaluate again"):
        write_card(run_folder, model, evaluation(tmp_path, [{**short, "mean": None}]))


def test_the_published_data_and_a_given_base_are_referred_to(
    run_folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = card_module.read_manifest
    published = {"source": "reasonmap"}
    monkeypatch.setattr(
        card_module, "read_manifest", lambda folder: read(folder).model_copy(update=published)
    )
    head, body = head_and_body(write_card(run_folder, model, CardOptions(base_model="org/base")))
    assert head["base_model"] == "org/base" and "Base model: `org/base`" in body
    assert head["datasets"] == ["FSCCS/ReasonMap-Train", "FSCCS/ReasonMap-Plus", "FSCCS/ReasonMap"]


@pytest.mark.end_to_end
def test_the_code_of_a_card_answers_a_question(
    run_folder: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The code is run as it is, with an embedded model and a map of the data."""
    model = tmp_path / "model"
    done = CliRunner().invoke(app, ["tiny-model", str(prepared), "--out", str(model)])
    assert done.exit_code == 0, done.output
    card = write_card(run_folder, model)
    shutil.copy(next((prepared / "images").iterdir()), tmp_path / "map.png")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", card.read_text("utf-8"), re.DOTALL)
    capsys.readouterr()
    values: dict[str, Any] = {}
    exec(code.replace("=512", "=8"), values)
    assert values["question"].startswith("\nBest route from ")
    assert values["inputs"]["pixel_values"].shape[0] > 0
    assert values["tokens"].shape[1] - values["start"] in range(1, 9)
    assert capsys.readouterr().out.endswith("\n")


def test_a_question_cannot_end_the_block_of_code() -> None:
    hostile = 'a"\n```\n# \u2028 `b`'
    text = card_module._python_string(hostile)
    assert "`" not in text and "\n" not in text and ast.literal_eval(text) == hostile


def test_a_card_is_written_again_and_one_by_hand_is_kept(run_folder: Path, model: Path) -> None:
    write_card(run_folder, model, CardOptions(name="one"))
    assert "# two" in write_card(run_folder, model, CardOptions(name="two")).read_text("utf-8")
    (model / "README.md").write_text("by hand", "utf-8")
    with pytest.raises(DataError, match="Move it away"):
        write_card(run_folder, model)
    with pytest.raises(DataError, match=r"config\.json"):
        write_card(run_folder, model.parent)


def test_the_command_writes_a_card(run_folder: Path, model: Path) -> None:
    done = CliRunner().invoke(app, ["card", str(run_folder), str(model), "--license", "mit"])
    assert done.exit_code == 0 and head_and_body(model / "README.md")[0]["license"] == "mit"


# Merged weights


def test_weights_are_compared_in_the_format_that_was_kept() -> None:
    trained = {"a": torch.tensor([1.0, 1.001]), "b": torch.ones(2, 2)}
    kept = {name: tensor.to(torch.bfloat16) for name, tensor in trained.items()}
    assert compare_weights(trained, kept).same
    kept["a"][0] = 2
    found = compare_weights(trained, kept)
    assert found.different == ("a",) and found.tensors == 1 and not found.same


def test_missing_strange_and_reshaped_tensors_are_found() -> None:
    ones = torch.ones(2, 3)
    found = compare_weights({"a": ones, "b": ones}, {"b": ones.T, "c": ones})
    assert (found.missing, found.strange, found.different) == (("a",), ("c",), ("b",))
    assert not compare_weights({}, {}).same


def piece(rows: Any, dim: int | None) -> Any:
    placement = SimpleNamespace(is_shard=lambda: dim is not None, dim=dim)
    return SimpleNamespace(placements=(placement,), _local_tensor=rows)


def test_shards_are_joined_in_order_of_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    small = torch.ones(1, 2)
    shards = [
        {"x": piece(whole[:2], 0), "y": piece(whole[:, :2], 1), "z": piece(whole, None),
         "small": piece(small, 0), "plain": small},
        {"x": piece(whole[2:], 0), "y": piece(whole[:, 2:], 1), "z": piece(whole, None),
         "small": piece(small[:0], 0), "plain": small},
    ]  # fmt: skip
    monkeypatch.setattr(torch, "load", lambda path, **_: shards[path])
    found = join_shards([0, 1])  # type: ignore[list-item]
    assert all(torch.equal(found[name], whole) for name in "xyz")
    assert torch.equal(found["small"], small) and torch.equal(found["plain"], small)


def test_shards_that_are_not_all_there_are_refused(tmp_path: Path) -> None:
    actor = tmp_path / "global_step_3" / "actor"
    actor.mkdir(parents=True)
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("3", "utf-8")
    with pytest.raises(DataError, match="no shards"):
        merged._find_shards(tmp_path)
    for rank in (0, 2):
        torch.save({}, actor / f"model_world_size_3_rank_{rank}.pt")
    with pytest.raises(DataError, match="missing"):
        merged._find_shards(tmp_path)
    torch.save({}, actor / "model_world_size_3_rank_1.pt")
    assert [path.name[-4] for path in merged._find_shards(tmp_path)] == ["0", "1", "2"]


def test_adapters_are_recognized(tmp_path: Path, model: Path) -> None:
    torch.save({"q.lora_A.weight": torch.ones(1)}, tmp_path / "model_world_size_1_rank_0.pt")
    with pytest.raises(DataError, match="adapters"):
        merged.compare_with_checkpoint(tmp_path, model)


# Answers of the merged model


class Parrot:
    """An engine that repeats given answers, except for one question."""

    def __init__(self, given: dict[str, str], other: str) -> None:
        self.given, self.other = given, other

    def answer(self, batch: Any) -> list[Any]:
        return [
            SimpleNamespace(response=None if asked.gold == self.other else self.given[asked.gold])
            for asked in batch
        ]


def test_the_questions_of_the_last_validation_are_asked_again(
    run_folder: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rewardmap_verl.evaluation import inference, sources

    monkeypatch.setattr(sources, "prepare_environment", lambda: None)
    given = same_answers.last_validation(read_run(run_folder))
    other = next(iter(given))
    started: list[Any] = []

    def engine(model: str, generation: Any, questions: Any) -> Parrot:
        started.append((model, [asked.gold for asked in questions.items]))
        return Parrot(given, other)

    monkeypatch.setattr(inference, "VllmEngine", engine)
    pairs = same_answers.ask_again(run_folder, Path("merged"), prepared, 1000)
    assert [gold for gold in started[0][1] if gold not in given] == []
    assert len(pairs) == len(given) == len(started[0][1])
    assert [pair.merged for pair in pairs if not pair.same] == [""]


def test_answers_of_another_data_set_are_refused(
    run_folder: Path, prepared: Path, simulated: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="none of the questions"):
        same_answers.ask_again(
            simulated.simulate_run(_other_data(tmp_path), tmp_path / "run", steps=1),
            Path("merged"),
            prepared,
            3,
        )
    for dump in (tmp_path / "run" / "validation").iterdir():
        dump.unlink()
    with pytest.raises(DataError, match="no dumped validation"):
        same_answers.last_validation(read_run(tmp_path / "run"))


def _other_data(folder: Path) -> Path:
    options = ["--train-maps", "1", "--test-maps", "1", "--size", "tiny", "--seed", "99"]
    words = ["prepare", "synthetic", "--out", str(folder / "other"), *options]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return folder / "other"


def test_questions_are_spread_over_the_split() -> None:
    assert same_answers.spread(list(range(10)), 3) == [0, 3, 6]  # type: ignore[arg-type,comparison-overlap]
    assert same_answers.spread(list(range(3)), 9) == [0, 1, 2]  # type: ignore[arg-type,comparison-overlap]
