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


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def files(
    prepared: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What ``evaluate`` and verl write: folders, and the file in each."""
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
    found = (folder, folder / "answers.jsonl", dumps, dumps / "6.jsonl")
    return dict(zip(NAMES, found, strict=True))


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


@pytest.mark.parametrize("name", NAMES)
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
