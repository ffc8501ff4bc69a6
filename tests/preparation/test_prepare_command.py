"""``rewardmap prepare`` from the command line, and the script in data_prep/."""

from __future__ import annotations

import inspect
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from rewardmap_verl.commands.main import app
from rewardmap_verl.commands.option_groups import option_groups
from rewardmap_verl.commands.prepare.shared import QuestionOptions
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.validate import faults

SCRIPT = Path(__file__).resolve().parents[2] / "data_prep/prepare.py"


ONE_MAP = ("--train-maps", "1", "--test-maps", "1", "--workers", "1")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)], env={"COLUMNS": "200"})


def test_the_source_and_the_folder_are_enough(tmp_path: Path) -> None:
    result = run(
        "synthetic", "--out", tmp_path / "out", "--train-maps", 2, "--test-maps", 1, "--workers", 1
    )
    assert result.exit_code == 0, result.output
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.source, len(manifest.maps)) == ("synthetic", 3)
    for kind, count in manifest.rows_by_type["train"].items():
        assert any(kind in line and str(count) in line for line in result.output.splitlines())


def test_every_setting_has_its_option(root: Path, tmp_path: Path) -> None:
    options = {
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
    result = run("local", *(part for pair in options.items() for part in pair), *repeated)
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


def test_an_up_to_date_folder_is_reported(root: Path, tmp_path: Path) -> None:
    arguments = ("local", "--root", root, "--out", tmp_path / "out", "--workers", 1)
    assert "Up to date" not in run(*arguments).output
    assert "Up to date" in run(*arguments).output


def test_skipped_cities_are_reported(root: Path, tmp_path: Path) -> None:
    (root / "maps/north/beta.png").unlink()
    result = run("local", "--root", root, "--out", tmp_path / "out", "--workers", 1)
    assert "Skipped 1 city with no map image: north/beta" in result.output
    assert "The test cities were chosen at random by the seed" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["local"], "Missing option '--root'"),
        (["gtfs"], "Missing option '--feed'"),
        (["local", "--root", "/no/such/folder"], "no such folder"),
        (["synthetic", "--root", "somewhere"], "No such option: --root"),
        (["synthetic", "--feed", "feed.zip"], "No such option: --feed"),
        (["gtfs", "--feed", "feed.zip", "--train-maps", "3"], "No such option: --train-maps"),
        (["local", "--root", ".", "--data", "x/y"], "No such option: --data"),
        (["reasonmap", "--quota", "TorF1=3"], "No such option: --quota"),
        (["reasonmap", "--beyond-papers"], "No such option: --beyond-papers"),
        (["synthetic", "--test-city", "rome"], "No such option: --test-city"),
        (["synthetic", "--quota", "TorF9=3"], "TYPE=N"),
        (["synthetic", "--quota", "TorF1=-3"], "TYPE=N"),
        (["synthetic", "--form", "sonnet"], "short"),
        (["synthetic", "--max-pixels", "100"], "max_pixels"),
        (["synthetic", "--size", "micro"], "'micro' is not one of"),
        (["synthetic", "--size", "tiny", "--difficulty", "0.5"], "--size full"),
        (["synthetic", "--max-prompt-length", "30", *ONE_MAP], "too long"),
    ],
)
def test_faults_are_one_readable_message(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    source, *options = arguments
    result = run(source, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_help_lists_the_sources() -> None:
    text = run("--help").output
    for word in ("synthetic", "local", "reasonmap", "gtfs", "rewardmap prepare synthetic --out"):
        assert word in text


@pytest.mark.parametrize(
    ("source", "own", "foreign"),
    [
        ("synthetic", ("--train-maps", "--difficulty", "--quota"), ("--root", "--feed", "--data")),
        ("local", ("--root", "--test-city", "--quota"), ("--feed", "--data", "--language")),
        ("reasonmap", ("--data", "--maps-from", "--root"), ("--quota", "--feed", "--test-city")),
        ("gtfs", ("--feed", "--route-type", "--quota"), ("--root", "--data", "--train-maps")),
    ],
)
def test_help_of_a_source_has_its_options_and_an_example(
    source: str, own: tuple[str, ...], foreign: tuple[str, ...]
) -> None:
    text = run(source, "--help").output
    assert f"rewardmap prepare {source}" in text
    for option in (*own, "--out", "--seed", "--size", "--max-pixels", "--workers", "--force"):
        assert option in text
    for option in foreign:
        assert f" {option} " not in text


def test_option_groups_become_flat_options() -> None:
    @option_groups
    def command(first: int, questions: QuestionOptions, last: bool = False) -> None:
        seen.append((first, questions, last))

    seen: list[object] = []
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["first", "quota", "beyond_papers", "brief", "last"]
    assert parameters["first"].default is inspect.Parameter.empty
    command(first=1, quota=["TorF1=2"], beyond_papers=True, brief=None, last=True)
    assert seen == [(1, QuestionOptions(quota=["TorF1=2"], beyond_papers=True), True)]


def test_the_script_is_the_command(
    monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path
) -> None:
    options = ["local", "--root", str(root), "--workers", "1", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert stop.value.code == 0
    assert read_manifest(tmp_path / "out").source == "local"


def test_types_beyond_the_papers_are_asked_when_wanted(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    maps = ["--size", "tiny", "--train-maps", 2, "--test-maps", 1, "--workers", 1]
    base = ["synthetic", "--out", out, *maps]
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


def test_knobs_of_invented_maps(tmp_path: Path) -> None:
    base = ("synthetic", "--out", tmp_path / "out", "--size", "tiny", *ONE_MAP)
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
    result = run("synthetic", "--out", tmp_path / "out", *ONE_MAP, *options, *pixels)
    assert result.exit_code == 0, result.output
    entry = read_manifest(tmp_path / "out").maps[0]
    assert 5_000_000 <= entry.width * entry.height <= 6_000_000
    # Sharp: many edges are one step from white to ink; enlarged ones are ramps (6 % here).
    with Image.open(tmp_path / "out" / entry.image) as image:
        steps = np.abs(np.diff(np.asarray(image.convert("L"), int), axis=1))
    assert (steps > 100).sum() > 0.25 * (steps > 5).sum()


@pytest.mark.parametrize("name", ["/proc/nothing/out", "/proc", "file/out", "x" * 300])
def test_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    result = run("synthetic", "--out", name, *ONE_MAP)
    assert result.exit_code == 2
    assert "Error" in result.output and "choose a" in result.output
