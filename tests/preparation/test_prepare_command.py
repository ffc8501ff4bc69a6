"""``rewardmap prepare`` as a user sees it, and the scripts in data_prep/."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from rewardmap_verl.commands.main import app
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.validate import faults

SCRIPTS = Path(__file__).resolve().parents[2] / "data_prep"


ONE_MAP = ("--train-maps", "1", "--test-maps", "1", "--workers", "1")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)], env={"COLUMNS": "200"})


def test_one_word_is_enough(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "out", "--train-maps", 2, "--test-maps", 1, "--workers", 1)
    assert result.exit_code == 0, result.output
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.source, len(manifest.maps)) == ("synthetic", 3)
    for kind, count in manifest.rows_by_type["train"].items():
        assert any(kind in line and str(count) in line for line in result.output.splitlines())


def test_every_setting_has_its_option(root: Path, tmp_path: Path) -> None:
    options = {
        "--source": "local",
        "--root": root,
        "--out": tmp_path / "out",
        "--seed": 4,
        "--size": "full",
        "--max-pixels": 20 * 784,
        "--min-pixels": 8 * 784,
        "--max-prompt-length": 900,
        "--workers": 1,
    }
    repeated = ["--quota", "TorF1=6", "--quota", "planning=3", "--quota", "counting3=0"]
    repeated += ["--form", "long_via", "--test-city", "south/gamma", "--brief", "--strict"]
    result = run(*(part for pair in options.items() for part in pair), *repeated)
    assert result.exit_code == 0, result.output
    manifest = read_manifest(tmp_path / "out")
    assert manifest.seed == 4
    assert manifest.settings["quotas"]["torf1"] == 6
    assert manifest.settings["quotas"]["counting2"] == 33
    assert manifest.settings["quotas"]["forms"] == ["long_via"]
    assert manifest.settings["brief"] is True
    assert "Counting3" not in manifest.rows_by_type["train"]
    assert all(8 <= entry.image_tokens <= 20 for entry in manifest.maps)
    assert max(manifest.longest_prompt.values()) <= 900


def test_micro_maps_have_a_visual_token_for_each_cell(tmp_path: Path) -> None:
    out = tmp_path / "out"
    few = ("--train-maps", 4, "--test-maps", 2, "--workers", 1)
    assert run("--size", "micro", "--out", out, *few).exit_code == 0
    manifest = read_manifest(out)
    assert [(entry.image_tokens, entry.width, entry.height) for entry in manifest.maps] == [
        (20, 140, 112)
    ] * 6
    assert all(entry.positions for entry in manifest.maps)


def test_up_to_date_is_said(root: Path, tmp_path: Path) -> None:
    arguments = ("--source", "local", "--root", root, "--out", tmp_path / "out", "--workers", 1)
    assert "Up to date" not in run(*arguments).output
    assert "Up to date" in run(*arguments).output


def test_what_is_left_out_is_said(root: Path, tmp_path: Path) -> None:
    (root / "maps/north/beta.png").unlink()
    result = run("--source", "local", "--root", root, "--out", tmp_path / "out", "--workers", 1)
    assert "Left out 1 cities with no map image: north/beta" in result.output
    assert "Test cities were chosen by the seed" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "local"], "needs --root"),
        (["--source", "local", "--root", "/no/such/folder"], "no such folder"),
        (["--root", "somewhere"], "--source local or reasonmap"),
        (["--feed", "feed.zip"], "--source gtfs"),
        (["--source", "gtfs", "--train-maps", "3"], "--source synthetic"),
        (["--source", "local", "--data", "x/y"], "--source reasonmap"),
        (["--source", "reasonmap", "--quota", "TorF1=3"], "brings its questions along"),
        (["--test-city", "rome"], "--source local or gtfs"),
        (["--quota", "TorF9=3"], "TYPE=N"),
        (["--quota", "TorF1=-3"], "TYPE=N"),
        (["--form", "sonnet"], "short"),
        (["--max-pixels", "100"], "max_pixels"),
        (["--size", "micro", "--source", "local", "--root", "."], "take --source synthetic"),
        (["--size", "micro", "--language", "german"], "letters for names"),
        (["--size", "micro", "--difficulty", "0.5"], "as simple as they come"),
        (
            [
                "--max-prompt-length",
                "30",
                *["--train-maps", "1", "--test-maps", "1", "--workers", "1"],
            ],
            "too long",
        ),
    ],
)
def test_faults_are_one_readable_message(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = run("--out", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_help_teaches() -> None:
    text = run("--help").output
    for word in ("--source", "--root", "stations/COUNTRY/CITY.json", "rewardmap prepare --out"):
        assert word in text


@pytest.mark.parametrize(
    ("script", "source"), [("prepare_synthetic.py", "synthetic"), ("prepare_local.py", "local")]
)
def test_scripts(
    monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path, script: str, source: str
) -> None:
    arguments = ["--root", str(root), "--workers", "1"] if source == "local" else ONE_MAP
    monkeypatch.setattr(sys, "argv", [script, "--out", str(tmp_path / "out"), *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    assert stop.value.code == 0
    assert read_manifest(tmp_path / "out").source == source


def test_types_beyond_the_papers_are_asked_when_wanted(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    base = ["--out", out, "--train-maps", 2, "--test-maps", 1, "--workers", 1]
    assert run(*base).exit_code == 0
    plain = read_manifest(tmp_path / "out").rows_by_type["train"]
    assert set(plain) == {"TorF1", "TorF2", "Counting1", "Counting2", "Counting3", "planning"}
    result = run(*base, "--beyond-papers", "--quota", "NextStop=3")
    assert result.exit_code == 0, result.output
    assert "ValidRoute" in result.output
    more = read_manifest(tmp_path / "out").rows_by_type["train"]
    assert {kind: more[kind] for kind in plain} == plain
    assert more["Transfers"] == 4 and more["NextStop"] > 4 and more["ValidRoute"] > 0
    assert not list(faults(tmp_path / "out"))


def test_published_questions_are_not_mixed_with_ours(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "out", "--source", "reasonmap", "--beyond-papers")
    assert result.exit_code == 2
    assert "brings its questions along" in " ".join(result.output.split())


def test_knobs_of_invented_maps(tmp_path: Path) -> None:
    base = ("--out", tmp_path / "out", *ONE_MAP)
    result = run(*base, "--difficulty", 0.5)
    assert result.exit_code == 2 and "--size full" in result.output
    result = run(*base, "--size", "full", "--difficulty", 0, "--language", "greek")
    assert result.exit_code == 0, result.output
    manifest = read_manifest(tmp_path / "out")
    assert all(2 <= entry.lines <= 4 for entry in manifest.maps)
    names = (tmp_path / "out" / manifest.maps[0].network).read_text(encoding="utf-8")
    assert any("α" <= letter <= "ω" for letter in names)


def test_a_map_larger_than_natural_is_drawn_and_not_enlarged(tmp_path: Path) -> None:
    pixels = ("--max-pixels", 6_000_000, "--min-pixels", 5_000_000)
    options = ("--size", "full", "--difficulty", 0)
    result = run("--out", tmp_path / "out", *ONE_MAP, *options, *pixels)
    assert result.exit_code == 0, result.output
    entry = read_manifest(tmp_path / "out").maps[0]
    assert 5_000_000 <= entry.width * entry.height <= 6_000_000
    # Sharp: many edges are one step from white to ink; enlarged ones are ramps (6 % here).
    with Image.open(tmp_path / "out" / entry.image) as image:
        steps = np.abs(np.diff(np.asarray(image.convert("L"), int), axis=1))
    assert (steps > 100).sum() > 0.25 * (steps > 5).sum()


@pytest.mark.parametrize("name", ["/proc/nothing/out", "file/out", "x" * 300])
def test_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    result = run("--out", name, *ONE_MAP)
    assert result.exit_code == 2
    assert "Error" in result.output and "choose a" in result.output
