"""The six other benchmarks: what VLMEvalKit is given, and what is read of its results.

The result files are written here in the layout of VLMEvalKit at e8e78f0: a folder for each model,
in it links to the newest run's files and a folder for each run.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.benchmarks import (
    BENCHMARKS,
    benchmark_columns,
    read_results,
    write_entry,
)

FILES = {
    "SEEDBench2_Plus": "split,Overall,chart,map,web\nnone,0.7,0.71,0.625,0.8\n",
    "SpatialEval": "split,Overall,mazenav,spatialgrid\nnone,0.55,0.3,0.8\n",
    "VStarBench": "split,Overall,direct_attributes\nnone,0.78,0.8\n",
    "HRBench4K": "cycle,type,accuracy\n0,all,0.7\n0,single,0.8\n1,all,0.6\n"
    "Average,single,0.85\nAverage,all,0.65\nAverage,cross,0.5\n",
    "ChartQA_TEST": "test_human,test_augmented,Overall\n80.1,93.9,87.0\n",
    "MMStar": "split,Overall,math\nnone,0.625,0.6\n",
}
EXPECTED = (62.5, 55.0, 78.0, 65.0, 87.0, 62.5)

Work = Callable[..., Path]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A function that writes the results of a model into a run's folder, with links beside it."""

    def make(model: str, run: str = "T20260801-120000", link: bool = True, **files: str) -> Path:
        folder = tmp_path / "outputs" / model / run
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {**FILES, **files}.items():
            path = folder / f"{model}_{name}_acc.csv"
            if text:
                path.write_text(text, encoding="utf-8")
            if link and text:
                place = folder.parent / path.name
                place.unlink(missing_ok=True)
                place.symlink_to(path.relative_to(folder.parent))
        return tmp_path / "outputs"

    return make


def test_the_row_of_the_paper(work: Work) -> None:
    folder = work("rewardmap")
    rows, notes = read_results(folder)
    (row,) = rows
    assert (row.name, notes) == ("rewardmap", [])
    assert row.cells == pytest.approx((*EXPECTED, sum(EXPECTED) / 6))
    assert len(row.cells) == len(benchmark_columns())
    assert read_results(folder / "rewardmap")[0] == rows


def test_the_newest_run_counts(work: Work) -> None:
    newer = {"MMStar": "split,Overall\nnone,0.7\n"}
    work("m", link=False)
    folder = work("m", run="T20260802-090000", link=False, **newer)
    assert read_results(folder)[0][0].cells[5] == pytest.approx(70.0)
    work("m", link=True)
    assert read_results(folder)[0][0].cells[5] == pytest.approx(62.5), "VLMEvalKit's link decides"


def test_several_models(work: Work) -> None:
    work("base")
    folder = work("trained", ChartQA_TEST="Overall\n90\n")
    assert [row.name for row in read_results(folder)[0]] == ["base", "trained"]
    assert [row.name for row in read_results(folder, ["trained"])[0]] == ["trained"]
    with pytest.raises(DataError, match=r"\['other'\].*base, trained"):
        read_results(folder, ["other"])


def test_results_as_json(work: Work, tmp_path: Path) -> None:
    """EVAL_FORMAT=json writes tables by columns."""
    folder = work("m", MMStar="")
    (folder / "m" / "m_MMStar_acc.csv").unlink(missing_ok=True)
    table = {"split": {"0": "none"}, "Overall": {"0": 0.5}}
    (folder / "m" / "m_MMStar_acc.json").write_text(json.dumps(table), encoding="utf-8")
    assert read_results(folder)[0][0].cells[5] == pytest.approx(50.0)


def test_a_missing_benchmark_is_reported(work: Work) -> None:
    rows, notes = read_results(work("m", VStarBench="", MMStar=""))
    assert rows[0].cells[2] is rows[0].cells[5] is rows[0].cells[6] is None
    assert notes == ["m: no result of VStarBench, MMStar, so no mean."]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SEEDBench2_Plus", "split,Overall,chart\nnone,0.7,0.7\n", "map: found 'no such column'"),
        ("SpatialEval", "split,Overall\n", "has not finished"),
        ("MMStar", "split,Overall\nnone,nan and more\n", "must be a number"),
        ("MMStar", "split,Overall\nnone,62.5\n", "between 0 and 100"),
        ("HRBench4K", "cycle,type,accuracy\n0,all,0.7\n", "cycle Average"),
    ],
)
def test_damaged_results(work: Work, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        read_results(work("m", **{name: text}))
    assert f"m_{name}_acc.csv" in str(error.value)


def test_a_folder_without_results(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(DataError, match="no result of VLMEvalKit"):
        read_results(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_results(tmp_path / "nothing")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return folder


def test_the_entry_has_the_authors_settings(model: Path, tmp_path: Path) -> None:
    config, _ = write_entry(model, tmp_path / "run", "ours")
    found = json.loads(config.read_text(encoding="utf-8"))
    assert found["model"]["ours"] == {
        "class": "Qwen2VLChat",
        "model_path": str(model),
        "min_pixels": 1280 * 28 * 28,
        "max_pixels": 16384 * 28 * 28,
        "use_custom_prompt": False,
    }
    assert set(found["data"]) == {one.name for one in BENCHMARKS} == set(FILES)
    assert all(one["dataset"] == name for name, one in found["data"].items())


def test_the_script_calls_vlmevalkit(model: Path, tmp_path: Path) -> None:
    """With a torchrun that only says how it was called."""
    config, script = write_entry(model, tmp_path / "a run", "ours")
    (tmp_path / "bin").mkdir()
    torchrun = tmp_path / "bin" / "torchrun"
    torchrun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    torchrun.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "GPUS": "4"}
    bare = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert bare.returncode != 0 and "VLMEVALKIT" in bare.stderr
    done = subprocess.run(
        [script, "--verbose"],
        env={**environment, "VLMEVALKIT": str(tmp_path / "kit")},
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.splitlines()
    program = str(tmp_path / "kit" / "run.py")
    assert words[:4] == ["--nproc-per-node=4", program, "--config", str(config)]
    assert words[4:] == ["--work-dir", str(tmp_path / "a run" / "outputs"), "--reuse", "--verbose"]


@pytest.mark.parametrize("name", ["", "a/b", ".hidden"])
def test_what_cannot_be_entered(model: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="--name"):
        write_entry(model, tmp_path, name)
    with pytest.raises(DataError, match=r"config\.json"):
        write_entry(tmp_path / "nothing", tmp_path, "ours")


def test_the_command(work: Work, model: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    entered = runner.invoke(app, ["benchmarks", "entry", str(model), "--out", str(tmp_path / "b")])
    assert entered.exit_code == 0 and (tmp_path / "b" / "rewardmap.sh").is_file()
    tables = tmp_path / "tables"
    shown = runner.invoke(
        app,
        ["benchmarks", "results", str(work("ours")), "--out", str(tables)],
        env={"COLUMNS": "160"},
    )
    assert shown.exit_code == 0, shown.output
    assert "87.00" in shown.output and "HRBench" in shown.output
    assert "| ours | 62.50 |" in (tables / "table2.md").read_text(encoding="utf-8")
    assert "| *Qwen2.5-VL-7B, RewardMap (P, R)* | 61.96 |" in (tables / "table2.md").read_text(
        "utf-8"
    )
    assert "ours & 62.50" in (tables / "table2.tex").read_text(encoding="utf-8")
    assert json.loads((tables / "table2.json").read_text(encoding="utf-8"))[0]["V*"] == 78.0
    failed = runner.invoke(app, ["benchmarks", "results", str(tmp_path / "nothing")])
    assert failed.exit_code == 2 and "no such folder" in failed.output
