"""What a report says first: rewards that stages can be compared by, and what changed most."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import RECORD_NAME, RecordWriter
from rewardmap_verl.reports.curves import make_charts
from rewardmap_verl.reports.report import Report, write_report
from rewardmap_verl.reports.runs import read_run
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.score import bounds, score_answer

pytestmark = pytest.mark.timeout(180)


def group(kind: str, row: int, scores: dict[str, float | None], stage: str) -> Group:
    return Group(stage, kind, row, row, 0, False, {name: (x,) for name, x in scores.items()})


def test_perfect_answers_have_the_same_height_in_every_stage(
    prepared: Path, simulated: ModuleType, tmp_path: Path
) -> None:
    """A perfect true/false answer has less than half the reward of a perfect route."""
    networks = simulated.read_networks(prepared, simulated.read_manifest(prepared))
    rows = list(simulated.read_prepared_questions(prepared, "train"))
    writer, rewards = RecordWriter(tmp_path / RECORD_NAME), set()
    for step, kind in enumerate(["TorF1", "Counting3", "planning"], 1):
        row = next(row for row in rows if row.truth.type == kind)
        network = networks[row.truth.country, row.truth.city]
        score = score_answer(row.answer, row.truth, network, RewardConfig())
        assert score.score == bounds(row.truth, RewardConfig())[1]
        rewards.add(score.score)
        writer.write("train", step, [group(kind, step, score.as_dict(), kind)])
    assert len(rewards) > 1
    chart = chart_of(tmp_path, RewardConfig())
    assert {one["name"]: list(one["y"]) for one in chart["data"]} == {
        kind: pytest.approx([1.0]) for kind in ("TorF1", "Counting3", "planning")
    }
    assert chart["layout"]["yaxis"]["tickformat"] == ".0%"


def chart_of(run: Path, config: RewardConfig) -> Any:
    """Return the chart of the reward."""
    charts = {one["title"]: one["figure"] for one in make_charts([read_run(run)], [config])}
    return charts["Reward by type"]


def test_other_settings_of_the_reward_count(tmp_path: Path) -> None:
    scores: dict[str, float | None] = {"score": 12.0, "weight": 2.0, "detail": None}
    RecordWriter(tmp_path / RECORD_NAME).write("train", 1, [group("TorF1", 1, scores, "s")])
    config = RewardConfig(format=2.0)
    assert list(chart_of(tmp_path, config)["data"][0]["y"]) == pytest.approx([0.5])


def dump(run: Path, step: int, outputs: dict[str, str]) -> None:
    """Write a validation of some questions."""
    lines = [
        {"input": "q", "output": text, "gts": gold, "step": step, "acc": 0.0, "uid": f"u{i}_0_0"}
        for i, (gold, text) in enumerate(outputs.items())
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "validation").mkdir(exist_ok=True)
    (run / "validation" / f"{step}.jsonl").write_text(text, "utf-8")


def changed_report(prepared: Path, simulated: ModuleType, folder: Path) -> tuple[Report, Any]:
    """Return the report of a run that learned the third question, and that question."""
    questions = list(simulated.read_prepared_questions(prepared, "test"))[:5]
    run = folder / "run"
    run.mkdir()
    before = {one.truth.to_json(): "no idea" for one in questions}
    after = {**before, questions[2].truth.to_json(): questions[2].answer}
    dump(run, 0, before)
    dump(run, 9, after)
    return write_report([run], folder / "out", data=[prepared]), questions[2]


@pytest.fixture
def changed_page(
    prepared: Path, simulated: ModuleType, tmp_path: Path, browser: Any
) -> Iterator[tuple[Any, Any]]:
    """The page of a run that learned a question, and that question."""
    done, question = changed_report(prepared, simulated, tmp_path)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(f"file://{done.page.resolve()}", timeout=60_000)
    page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    yield page, question
    context.close()


def test_the_page_leads_to_the_question_that_changed_most(changed_page: tuple[Any, Any]) -> None:
    page, question = changed_page
    link = page.locator(".changed a")
    assert "reward 0 → 100 %" in link.inner_text()
    link.click()
    chosen = page.locator(".one[aria-current=true]")
    assert chosen.locator("pre").inner_text().strip() == question.answer.strip()
    assert "step 9" in page.inner_text("#detail")


def test_it_opens_with_what_changed_most_before_and_after(changed_page: tuple[Any, Any]) -> None:
    page, question = changed_page
    page.wait_for_selector(".together")
    assert not page.url.partition("#")[2], "nothing was chosen yet"
    first = page.locator(".row").first
    assert "0 →" in first.inner_text() and first.get_attribute("aria-selected") == "true"
    before, after = page.locator(".one").all()
    assert "After 0 steps" in before.inner_text() and "no idea" in before.inner_text()
    assert after.locator("pre").inner_text().strip() == question.answer.strip()
    left, right = before.bounding_box(), after.bounding_box()
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    before.click()
    assert page.locator(".one[aria-current=true] h5").inner_text() == "After 0 steps"
    assert "step 0" in page.locator(".chip[aria-pressed=true]").inner_text()
    page.click("#apart")
    assert page.locator(".together").count() == 0
    assert "no idea" in page.inner_text("#answer pre")


def test_one_validation_has_no_changes(
    prepared: Path, simulated: ModuleType, tmp_path: Path
) -> None:
    (question,) = list(simulated.read_prepared_questions(prepared, "test"))[:1]
    run = tmp_path / "run"
    run.mkdir()
    dump(run, 3, {question.truth.to_json(): question.answer})
    done = write_report([run], tmp_path / "out", data=[prepared])
    assert "Changed most" not in done.page.read_text("utf-8")
