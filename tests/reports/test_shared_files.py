"""``score``, ``explain``, ``evaluate`` and ``report`` read the same files of answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.evaluation.answer_log import AnswerLog, LoggedAnswer
from rewardmap_verl.evaluation.inference import Generation, log_header
from rewardmap_verl.evaluation.questions import read_questions
from rewardmap_verl.rewards.perfect import perfect_answer

pytestmark = pytest.mark.timeout(180)

NAMES = ("evaluation", "answer log", "dumps", "dump")
SCORED = ("scored log", "scored dump")


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def files(
    prepared: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What ``evaluate``, verl and ``score`` write: folders, and the file in each."""
    folder = tmp_path_factory.mktemp("evaluations") / "perfect"
    questions = read_questions(prepared, "test")
    with AnswerLog(folder / "answers.jsonl", log_header(questions, "m", Generation())) as log:
        log.append(
            [
                LoggedAnswer(q.key, q.index, perfect_answer(q.truth, q.network), 5, "stop")
                for q in questions.items
            ]
        )
    run("evaluate", folder / "answers.jsonl", prepared, "--out", folder, "--no-baselines")
    dumps = run_folder / "validation"
    scored = [folder.parent / f"{name}.jsonl" for name in SCORED]
    for source, target in zip((folder, dumps), scored, strict=True):
        run("score", source, "--out", target)
    found = (folder, folder / "answers.jsonl", dumps, dumps / "6.jsonl", *scored)
    return dict(zip((*NAMES, *SCORED), found, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_score_and_explain_need_no_other_argument(files: dict[str, Path], name: str) -> None:
    lines = [json.loads(line) for line in run("score", files[name]).splitlines()]
    assert lines and all(line["error"] is None for line in lines)
    if not name.startswith("dump"):
        assert {line["acc"] for line in lines} == {1.0}
    last = len(lines) - (not name.startswith("dump"))  # rows of a split count from 0
    assert f"of {lines[-1]['score']:.4g}" in run("explain", files[name], "--row", last) or (
        lines[-1]["acc"] == 0.0
    )


@pytest.mark.parametrize("name", SCORED)
def test_explain_reads_scored_answers(files: dict[str, Path], prepared: Path, name: str) -> None:
    *_, last = [json.loads(line) for line in files[name].read_text("utf-8").splitlines()]
    row = last["id"] if name == "scored log" else len(files[name].read_text("utf-8").splitlines())
    words = ("--data", prepared, "--row", row, "--format", "json")
    found = json.loads(run("explain", files[name], *words))
    assert found["score"]["score"] == last["score"]


@pytest.mark.parametrize("name", (*NAMES, *SCORED))
def test_evaluate_reads_them(
    files: dict[str, Path], name: str, prepared: Path, tmp_path: Path
) -> None:
    words = ("--out", tmp_path, "--no-baselines", "--lenient")
    assert "questions" in run("evaluate", files[name], prepared, *words)


def test_a_report_of_an_evaluation_has_its_table_and_its_answers(
    files: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    run("report", files["evaluation"], "--out", tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    count = len(read_questions(prepared, "test").items)
    assert f"{count} groups, {count} answers" in page and "Plus count" in page
    assert 'class="note"' not in page.partition("<noscript>")[0]
    assert list((tmp_path / "out" / "maps").iterdir())


@pytest.mark.parametrize("name", SCORED)
def test_a_report_of_scored_answers_has_maps_and_rewards(
    files: dict[str, Path], prepared: Path, tmp_path: Path, name: str
) -> None:
    run("report", files[name], "--data", prepared, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    count = len(files[name].read_text("utf-8").splitlines())
    assert f"{count} answers" in page
    assert 'class="note"' not in page.partition("<noscript>")[0]
    assert list((tmp_path / "out" / "maps").iterdir())


def test_a_row_that_could_not_be_scored_is_named_by_every_command(
    files: dict[str, Path], prepared: Path, tmp_path: Path
) -> None:
    lines = files["scored log"].read_text("utf-8").splitlines()
    (tmp_path / "rows.jsonl").write_text("\n".join(['{"id": "x"}', *lines]), "utf-8")
    scored = tmp_path / "scored.jsonl"
    run("score", tmp_path / "rows.jsonl", "--data", prepared, "--out", scored)
    said = "could not score this row"
    command = ["explain", str(scored), "--data", str(prepared), "--row", "x"]
    explained = CliRunner().invoke(app, command)
    assert explained.exit_code == 2 and said in " ".join(explained.output.split())
    words = ("--out", tmp_path / "e", "--no-baselines")
    assert said in " ".join(run("evaluate", scored, prepared, *words).split())
    assert said in " ".join(run("report", scored, "--data", prepared).split())
    assert (tmp_path / "scored-report" / "index.html").is_file()


def test_results_as_json_have_what_the_tables_have(files: dict[str, Path], prepared: Path) -> None:
    (question, *_) = read_questions(prepared, "test").items
    found = json.loads(run("explain", files["evaluation"], "--format", "json"))
    assert found["score"]["acc"] == 1.0 and found["highest"] == found["score"]["score"]
    assert question.truth.city in found["question"]
    checked = json.loads(run("validate", prepared, "--no-answers", "--format", "json"))
    assert checked["faults"] == [] and checked["maps"] == 4
    audited = json.loads(run("audit", prepared, "-n", 1, "--tries", 2, "--format", "json"))
    assert audited["breaches"] == [] and len(audited["leaks"]) >= 6
    for group in audited["groups"]:
        assert all(one["best_wrong"]["score"] < one["gold"] for one in group["questions"])
