"""Data with the types beyond the papers: audited, exported, and never dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.curriculum.config import PERCEPTION, CurriculumConfig
from rewardmap_verl.curriculum.stage_rows import plan_stages, rows_never_trained
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.questions.types import QuestionType

OURS = [kind.value for kind in QuestionType if kind.spec.beyond_papers]


@pytest.fixture
def out(synthetic: Callable[..., PrepareSettings]) -> Path:
    """A prepared folder with all ten types."""
    quotas = Quotas(1, 1, 1, 1, 1, 1, forms=("short",)).with_beyond_papers(2)
    settings = synthetic(quotas=quotas)
    manifest = prepare(settings)
    assert set(OURS) - {"JoiningLine"} <= set(manifest.rows_by_type["train"])
    return settings.out


def test_no_stage_drops_them_silently(out: Path) -> None:
    types = [row["type"] for row in pq.read_table(out / "train.parquet")["extra_info"].to_pylist()]
    columns = {"type": types}
    with pytest.raises(ConfigError, match=r"no stage for .*ValidRoute.*leave_out"):
        plan_stages(CurriculumConfig(stages="staged"), columns, 2)
    left_out = CurriculumConfig(stages="staged", leave_out=tuple(OURS))
    stages = plan_stages(left_out, columns, 2)
    assert rows_never_trained(stages, columns) == sum(kind in OURS for kind in types)
    present = [kind for kind in OURS if kind in types]
    own = [
        {"name": "papers", "types": [*PERCEPTION, "planning"]},
        {"name": "beyond", "types": present},
    ]
    stages = plan_stages(CurriculumConfig(stages=own), columns, 2)
    assert rows_never_trained(stages, columns) == 0
    assert len(stages[1].streams[0].rows) == sum(kind in OURS for kind in types)


def test_the_reward_withstands_attacks_on_them(out: Path) -> None:
    result = CliRunner().invoke(app, ["audit", str(out)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "ValidRoute" in result.output and "NextStop" in result.output


def test_exports_include_them(out: Path, tmp_path: Path) -> None:
    for form in ("sharegpt", "vlmevalkit", "hub", "gallery"):
        target = str(tmp_path / form)
        result = CliRunner().invoke(app, ["export", str(out), form, "--out", target])
        assert result.exit_code == 0, result.output
    table = next((tmp_path / "vlmevalkit").glob("*.tsv")).read_text(encoding="utf-8")
    assert "ValidRoute" not in table  # VLMEvalKit's class knows the papers' types
    card = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    assert "| ValidRoute |" in card
    train = json.loads(next((tmp_path / "sharegpt").glob("*train*.json")).read_text("utf-8"))
    assert len(train) == pq.read_metadata(out / "train.parquet").num_rows
