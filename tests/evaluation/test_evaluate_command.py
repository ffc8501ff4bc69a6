"""``rewardmap evaluate`` from end to end, without a model."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.evaluation.answer_log import AnswerLog, LoggedAnswer
from rewardmap_verl.evaluation.baselines import BASELINES, baseline_answers, frequent_answers
from rewardmap_verl.evaluation.inference import Generation, log_header
from rewardmap_verl.evaluation.questions import EvalSet, read_questions
from rewardmap_verl.evaluation.results import evaluate_answers
from rewardmap_verl.evaluation.summary import MetricSummary, accuracy_by_data_source
from rewardmap_verl.evaluation.tables import COLUMNS, TableRow, main_tables
from rewardmap_verl.evaluation.verdicts import judge_answers
from rewardmap_verl.evaluation.weights import load_weights
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.perfect import perfect_answer
from rewardmap_verl.rewards.score import score_answer


def evaluate(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "160"})
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def results(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def gold_rows(questions: EvalSet) -> list[dict[str, Any]]:
    return [
        {"index": q.index, "response": perfect_answer(q.truth, q.network), "tokens": 7}
        for q in questions.items
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def test_gold_answers_have_everything(prepared: Path, questions: EvalSet, tmp_path: Path) -> None:
    answers = write(tmp_path / "gold.jsonl", gold_rows(questions))
    shown = evaluate(answers, prepared, "--out", tmp_path / "out", "--detail")
    for word in ("100.00", "baseline: random", "baseline: planner", "map_score/ends", "Counting3"):
        assert word in shown
    assert "Qwen2.5-VL" not in shown, "published metrics are about other questions"
    (model,) = results(tmp_path / "out")["models"]
    assert set(model["accuracy_by_data_source"].values()) == {1.0}
    metrics = {(f["section"], f["metric"], f["weighted"]): f for f in model["metrics"]}
    assert metrics["plus", "accuracy", True]["mean"] == 1.0
    assert metrics["short", "tokens", False]["mean"] == 7.0
    assert len(model["questions"]) == len(questions.items)
    assert [b["name"] for b in results(tmp_path / "out")["baselines"]] == list(BASELINES)


def test_tables_in_markdown_and_latex(prepared: Path, tmp_path: Path) -> None:
    evaluate("planner", prepared, "--out", tmp_path, "--published", "--name", "my_model & co")
    markdown = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert markdown[0].startswith("| model | Acc. (S.) |")
    assert len({line.count("|") for line in markdown if line.startswith("|")}) == 1
    assert "*OpenAI o3*" in "\n".join(markdown)
    (ours,) = [line for line in markdown if "*Qwen2.5-VL-7B, RewardMap (P, R)*" in line]
    assert ours.endswith("| 31.51 | – | 6.21 | 72.18 | 76.42 | 74.25 |"), (
        "there is no long question"
    )
    assert any("2510.02240" in line for line in markdown), "the source is named"
    published = results(tmp_path)["published"]
    assert len(published["sources"]) == 2 and len(published["models"]) > 30
    latex = (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert r"my\_model \& co & 100.00" in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    columns = latex.splitlines()[0].count("r") - 1  # one is tabular's
    assert {line.count("&") - line.count(r"\&") for line in rows[1:]} == {columns}


def test_a_narrow_terminal_breaks_no_number() -> None:
    cells = tuple(12345.67 if c.name == "tokens" else 66.66 for c in COLUMNS)
    row = TableRow("a model", cells, tuple((55.55, 77.77) for _ in COLUMNS))
    for width in (80, 200):
        console = Console(width=width, record=True, file=io.StringIO())
        for table in main_tables([row], "title", width):
            console.print(table)
        shown = console.export_text()
        assert shown.count("66.66") == len(COLUMNS) - 2 and shown.count("12346") == 2
        assert "…" not in shown


def test_two_sources_are_compared(prepared: Path, tmp_path: Path) -> None:
    shown = evaluate("gold", prepared, "--against", "random", "--out", tmp_path)
    assert "gold minus random" in shown
    compared = {(c["section"], c["metric"]): c for c in results(tmp_path)["comparison"]}
    one = compared["plus", "accuracy"]
    assert one["difference"]["mean"] > 0.3 and one["p"] < 0.01 and one["worse"] == 0


def test_saved_answers_of_a_model_have_its_name(
    prepared: Path, questions: EvalSet, tmp_path: Path
) -> None:
    header = {"rewardmap_answers": 1, "questions": questions.fingerprint}
    rows = [{**header, "model": {"name": "run/merged", "files": "f"}}, *gold_rows(questions)]
    answers = write(tmp_path / "answers.jsonl", rows)
    evaluate("random", prepared, "--against", answers, "--out", tmp_path / "out")
    names = [one["name"] for one in results(tmp_path / "out")["models"]]
    assert names == ["random", "run/merged"]


def test_the_same_call_gives_the_same_bytes(prepared: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        evaluate("random", prepared, "--out", tmp_path / name, "--seed", "3")
    for file in ("results.json", "table.md", "table.tex"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_missing_answer_counts_as_wrong(
    prepared: Path, questions: EvalSet, tmp_path: Path
) -> None:
    rows = gold_rows(questions)
    answers = write(tmp_path / "some.jsonl", rows[: len(rows) // 2])
    shown = evaluate(answers, prepared, "--out", tmp_path / "out", "--no-baselines")
    assert "have no answer and count as wrong" in shown
    (model,) = results(tmp_path / "out")["models"]
    right = sum(one["right"] for one in model["questions"])
    assert right == len(rows) // 2
    assert any("no answer" in note for note in model["notes"])


def test_other_weights(prepared: Path, tmp_path: Path) -> None:
    block = "easy: {w}\nmiddle: {w}\nhard: {w}\n"
    flat = "{easy: 1, middle: 1, hard: 1}"
    file = tmp_path / "flat.yaml"
    text = "reasonmap:\n  " + block.format(w=flat).replace("\n", "\n  ").rstrip()
    file.write_text(f"{text}\nreasonmap_plus: {flat}\n", encoding="utf-8")
    evaluate("random", prepared, "--weights", file, "--out", tmp_path / "out", "--no-baselines")
    (model,) = results(tmp_path / "out")["models"]
    means = {(f["section"], f["metric"], f["weighted"]): f["mean"] for f in model["metrics"]}
    for section in ("short", "plus"):
        assert means[section, "accuracy", True] == pytest.approx(means[section, "accuracy", False])
    file.write_text("reasonmap_plus: {easy: 0}\n", encoding="utf-8")
    assert "flat.yaml" in refused("random", prepared, "--weights", file)


def test_unusable_input_is_reported(prepared: Path, questions: EvalSet, tmp_path: Path) -> None:
    rows = gold_rows(questions)
    foreign = write(tmp_path / "foreign.jsonl", [{"index": 9999, "response": "x"}])
    double = write(tmp_path / "double.jsonl", [*rows, {**rows[0], "response": "x"}])
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "foreign.jsonl, line 1: question: found" in refused(foreign, prepared)
    assert "Remove one of the rows" in refused(double, prepared)
    assert "manifest.json" in refused("random", empty)
    assert "config.json" in refused(empty, prepared)
    assert "no such split" in refused("random", prepared, "--split", "validation")
    assert "name of the hub" in refused(tmp_path / "nothing", prepared)


def test_content_parts_are_read(prepared: Path, questions: EvalSet, tmp_path: Path) -> None:
    rows = [{**row, "response": [row["response"]]} for row in gold_rows(questions)]
    parts = [{**row, "response": [{"type": "text", "text": row["response"][0]}]} for row in rows]
    for name, some in (("list", rows), ("parts", parts)):
        answers = write(tmp_path / f"{name}.jsonl", some)
        evaluate(answers, prepared, "--out", tmp_path / name, "--no-baselines")
        (model,) = results(tmp_path / name)["models"]
        assert set(model["accuracy_by_data_source"].values()) == {1.0}


def test_other_shapes_are_refused_with_their_row(
    prepared: Path, questions: EvalSet, tmp_path: Path
) -> None:
    rows = gold_rows(questions)
    rows[2]["response"] = {"a": 1}
    shown = refused(write(tmp_path / "odd.jsonl", rows), prepared)
    assert "odd.jsonl, line 3: response: found" in shown
    empty = [{**row, "response": None} for row in rows]
    shown = refused(write(tmp_path / "empty.jsonl", empty), prepared)
    assert f"{len(rows)} empty answers" in shown


def test_an_answer_log_can_be_scored(prepared: Path, questions: EvalSet, tmp_path: Path) -> None:
    header = log_header(questions, "some/model", Generation())
    log, out = tmp_path / "answers.jsonl", tmp_path / "scored.jsonl"
    with AnswerLog(log, header) as opened:
        opened.append(
            LoggedAnswer(q.key, q.index, perfect_answer(q.truth, q.network), 7, "stop")
            for q in questions.items
        )
    done = CliRunner().invoke(app, ["score", str(log), "--out", str(out)])
    assert done.exit_code == 0, done.output
    scored = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in scored] == [q.index for q in questions.items]
    assert {row["acc"] for row in scored} == {1.0}
    elsewhere = ["score", str(log), "--data", str(tmp_path)]
    assert CliRunner().invoke(app, elsewhere).exit_code == 2


def test_published_rows_show_their_number_of_questions(prepared: Path, tmp_path: Path) -> None:
    data = shutil.copytree(prepared, tmp_path / "data")
    manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    manifest["dropped"] = {"test": {"that repeat another row": 2, "about an unknown stop": 1}}
    (data / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    shown = " ".join(evaluate("gold", data, "--out", tmp_path / "out", "--published").split())
    counts = results(tmp_path / "out")["questions"]["counts"]
    assert f"Questions: {counts['plus']} plus" in shown
    assert "on 312 short, 312 long, 1,448 plus questions" in shown
    assert "not means over the same questions as the published ones" in shown
    assert (
        "3 test questions of the source are not in the data: 2 that repeat another row, "
        "1 about an unknown stop." in shown
    )
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "3 test questions of the source" in table and "on 312 short" in table


def test_damaged_data_and_targets_are_reported(prepared: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = shutil.copytree(prepared, tmp_path / "data")
    rows = pq.read_table(data / "test.parquet").to_pylist()[:2]
    for name, value in (("reward_model", None), ("prompt", None), ("images", [None])):
        table = pa.Table.from_pylist([rows[0], {**rows[1], name: value}])
        pq.write_table(table, data / "test.parquet")
        assert f"row 1: {name}" in refused("gold", data, "--out", tmp_path / "out")
    (data / "test.parquet").write_bytes(b"PAR1" * 30)
    assert "test.parquet" in refused("gold", data, "--out", tmp_path / "out")
    (tmp_path / "file").touch()
    assert "choose another folder" in refused("gold", prepared, "--out", tmp_path / "file")


def test_any_name_can_be_shown(prepared: Path, tmp_path: Path) -> None:
    shown = evaluate("gold", prepared, "--name", "[/] <b> |", "--out", tmp_path, "--no-baselines")
    assert "[/] <b> |" in shown
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert r"\[/\] \<b\> \|" in table


def test_a_manifest_of_another_version(prepared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(prepared, tmp_path / "data")
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": 99}), encoding="utf-8")
    assert "manifest.json: format" in refused("random", copy)


def test_help_teaches() -> None:
    shown = CliRunner().invoke(app, ["evaluate", "--help"], env={"COLUMNS": "160"}).output
    for word in ("planner data/synthetic", "--against", "crash", "validation"):
        assert word in shown


# ---------------------------------------------------------------------------------------------
# baselines


def accuracy(name: str, questions: EvalSet, prepared: Path, seed: int = 0) -> dict[str, float]:
    frequent = frequent_answers(read_questions(prepared, "train").items)
    answers = baseline_answers(name, questions, frequent, seed)
    weights, config = load_weights(), RewardConfig()
    return accuracy_by_data_source(
        judge_answers(item, answers[item.key], weights, config) for item in questions.items
    )


def test_the_planner_reaches_what_gold_has(questions: EvalSet, prepared: Path) -> None:
    assert set(accuracy("planner", questions, prepared).values()) == {1.0}
    assert set(accuracy("gold", questions, prepared).values()) == {1.0}


def test_the_planner_ignores_gold_answers(questions: EvalSet) -> None:
    """With every gold answer turned into another it answers as before."""
    from dataclasses import replace

    other = [
        replace(item, truth=replace(item.truth, answer=1 - min(item.truth.answer, 1), plans=()))
        for item in questions.items
    ]
    blind = baseline_answers("planner", replace(questions, items=tuple(other)), {})
    assert blind == baseline_answers("planner", questions, {})


def test_chance_is_chance(questions: EvalSet, prepared: Path) -> None:
    runs = [accuracy("random", questions, prepared, seed) for seed in range(30)]
    mean = {kind: sum(one[kind] for one in runs) / len(runs) for kind in runs[0]}
    assert mean["rewardmap/TorF1"] == pytest.approx(0.5, abs=0.15)
    assert mean["rewardmap/Counting1"] == pytest.approx(0.25, abs=0.15)
    assert mean["rewardmap/planning"] < 0.5


def test_the_majority_answer_is_half_right_on_balanced_questions(prepared: Path) -> None:
    """True/false questions are balanced: the majority answer is right for half of them."""
    found = accuracy("majority", read_questions(prepared, "train"), prepared)
    assert found["rewardmap/TorF1"] == found["rewardmap/TorF2"] == 0.5


def test_types_beyond_the_papers_are_a_section_of_their_own(ask: Any, make_row: Any) -> None:
    """They do not change the metrics of ReasonMap-Plus; the planner does not answer them."""
    rows = [make_row("TorF1"), make_row("Transfers", answer=0), make_row("NextStop", answer=2)]
    both, papers = ask(rows), ask(rows[:1])
    weights, config = load_weights(), RewardConfig()

    def summary(name: str, questions: EvalSet) -> MetricSummary:
        answers = baseline_answers(name, questions, {})
        return evaluate_answers(name, answers, questions, weights, config).summary

    gold = summary("gold", both)
    assert gold.sections == ("plus", "further")
    assert gold.get("plus", "accuracy") == summary("gold", papers).get("plus", "accuracy")
    for name in ("accuracy", "accuracy/Transfers", "accuracy/NextStop"):
        found = gold.get("further", name, weighted=False)
        assert found is not None and found.mean == 1.0
    assert summary("planner", both).sections == ("plus",)


# ---------------------------------------------------------------------------------------------
# one scorer


def test_a_validation_dump_gives_the_accuracies_of_the_validation(
    prepared: Path, questions: EvalSet, tmp_path: Path
) -> None:
    """verl's own functions write the dump and compute the metrics; ours reads the dump.

    The parts are those that the reward manager hands to verl (``Score.as_dict``).
    """
    import verl  # noqa: F401  first: its plugins are loaded at its end
    from verl.trainer.ppo.metric_utils import process_validation_metrics
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    answers = baseline_answers("random", questions, {}, seed=5)
    gold = baseline_answers("gold", questions, {})
    texts = [
        str((gold if i % 3 == 0 else answers)[item.key][0].response)
        for i, item in enumerate(questions.items)
    ]
    parts = [
        score_answer(text, GroundTruth.from_json(q.gold), q.network, RewardConfig()).as_dict()
        for q, text in zip(questions.items, texts, strict=True)
    ]
    infos = {name: [one[name] for one in parts] for name in parts[0]}
    uids = [f"uid{i}" for i in range(len(texts))]
    sources = [item.data_source for item in questions.items]
    scores = infos.pop("score")
    PPOTrainer._write_generations(
        inputs=[f"user\n{item.text}" for item in questions.items],
        outputs=texts,
        gts=[item.gold for item in questions.items],
        scores=scores,
        reward_extra_infos_dict={**infos, "uid": [f"{uid}_0_0" for uid in uids]},
        dump_path=str(tmp_path / "validation"),
        global_steps=12,
    )
    logged = process_validation_metrics(sources, uids, {"acc": infos["acc"], "reward": scores})
    evaluate(tmp_path / "validation", prepared, "--out", tmp_path / "out", "--no-baselines")
    (model,) = results(tmp_path / "out")["models"]
    assert model["name"] == "validation, step 12"
    assert model["accuracy_by_data_source"] == {
        source: pytest.approx(found["acc"]["mean@1"]) for source, found in sorted(logged.items())
    }
    assert 0.0 < model["accuracy_by_data_source"]["rewardmap/TorF1"] <= 1.0
    assert model["reward"] == pytest.approx(sum(scores) / len(scores))
