"""The tables and the worked example in docs/ match the code."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "reward_table", ROOT / "benchmarks" / "reward_table.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reward_table"] = module  # dataclasses look up their own module
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_what_the_code_computes(table: ModuleType) -> None:
    text = (ROOT / "docs" / "reward.md").read_text(encoding="utf-8")
    for one in table.tables():
        assert one in text


def test_the_released_values_match_the_golden_cases(table: ModuleType, shared_data: Path) -> None:
    rows = (shared_data / "cases_public.jsonl").read_text(encoding="utf-8").splitlines()
    kinds = {kind.tag: kind for kind in table.CASES if kind.tag}
    compared = set()
    for row in map(json.loads, rows):
        kind, transfers = kinds.get(row["tag"]), row["question_transfer_count"]
        if kind is None or (row["tag"] == "plan:hack_loops_qtc" and transfers == 0):
            continue
        released = row["expected"]
        assert released["detail"] == kind.released[transfers], row["id"]
        assert released["acc"] == kind.correct, row["id"]
        weight = table.MAP_WEIGHTS[row["difficulty_city"]] + (0.5 if transfers else 0.0)
        assert released["score"] == pytest.approx(
            weight * (10 * kind.correct + 0.5 * released["detail"])
        )
        compared.add((kind.name, transfers))
    assert len(compared) >= 28


def blocks(name: str) -> list[str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_the_worked_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, usage = blocks("add-a-task.md")
    (tmp_path / "floor_plan.py").write_text(file, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("floor_plan")
    exec(usage, {**vars(module)})
    plan = module.Plan(
        frozenset(map(frozenset, [("hall", "kitchen"), ("kitchen", "office"), ("hall", "bath")])),
        "hall",
        "office",
        3,
    )
    config = module.RewardConfig()
    scores = {
        text: module.score_path(text, plan, config)
        for text in (
            r"\boxed{hall > kitchen > office}",
            r"\boxed{hall > kitchen > hall > kitchen > office}",
            r"\boxed{hall > kitchen}",
            r"\boxed{hall > bath > hall > kitchen}",
            r"<think>\boxed{hall > kitchen > office}</think>",
            None,
        )
    }
    assert [score.acc for score in scores.values()] == [1, 1, 0, 0, 0, 0]
    assert [score.score for score in scores.values()] == pytest.approx([16, 13.5, 3.5, 1, 0, 0])
    assert len({tuple(score.as_dict()) for score in scores.values()}) == 1
    del sys.modules["floor_plan"]
