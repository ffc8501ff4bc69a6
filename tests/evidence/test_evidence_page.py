"""The generated page and the command line, from complete and incomplete results."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.evidence import document
from benchmarks.evidence.cli import evidence
from benchmarks.evidence.document import (
    REPORT_NAME,
    load_results,
    report_text,
    results_text,
    write_page,
)
from benchmarks.evidence.result import Result
from benchmarks.evidence.study import Study, Trial
from rewardmap_verl.errors import ConfigError, DataError

Make = Callable[..., Result]
PNG = b"\x89PNG"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip figures, which take seconds, where they do not matter."""
    for name in ("accuracy", "signal", "reward"):
        monkeypatch.setattr(document, f"{name}_figure", lambda _: PNG)


def outcome(text: str, claim: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("|") and claim in line]
    return line.rstrip(" |").rpartition("|")[2].strip()


BETTER = "RewardMap plans better than the binary baseline on held-out maps"
HALF = "The curriculum alone plans better than the binary baseline"


def test_verdicts_follow_the_results(filled: Study) -> None:
    text = results_text(filled, load_results(filled))
    assert outcome(text, BETTER) == "**supported**"
    assert outcome(text, HALF) in ("undecided", "**supported**", "**against**")
    assert outcome(text, "With the binary reward, at least 20 %") == "**supported**"
    assert "Incomplete" not in text
    assert "claims were changed" not in text


def test_verdicts_change_with_the_results(study: Study, make_result: Make) -> None:
    for trial in study.trials():
        accuracy = 0.1 if trial.arm == "rewardmap" else 1.0
        make_result(study, trial, accuracy).write(study.result(trial))
    text = results_text(study, load_results(study))
    assert outcome(text, BETTER) == "**against**"


def test_page_is_deterministic(filled: Study, tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        written = write_page(filled, tmp_path / name / "evidence.md")
        assert [path.name for path in written[1:]] == [
            "evidence_accuracy.png",
            "evidence_signal.png",
            "reward.png",
            REPORT_NAME,
        ]
        assert all(path.read_bytes().startswith(PNG) for path in written[1:4])
        pages.append([path.read_bytes() for path in written])
    assert pages[0] == pages[1]
    text = pages[0][0].decode()
    for name in ("evidence_accuracy.png", "evidence_signal.png"):
        assert f"images/{name}" in text


def test_report_has_rules_seeds_and_controls(filled: Study) -> None:
    text = report_text(filled, load_results(filled))
    for part in ("planning of rewardmap minus rl_baseline, above 0", "blank image", "overpaid"):
        assert part in text
    assert "no_signal_binary of rl_baseline, before, at least 0.2" in text


@pytest.mark.usefixtures("undrawn")
def test_text_outside_the_marks_is_kept(filled: Study, tmp_path: Path) -> None:
    page = tmp_path / "evidence.md"
    write_page(filled, page)
    page.write_text("Before.\n" + page.read_text() + "After.\n")
    first = page.read_text()
    write_page(filled, page)
    assert page.read_text() == first
    assert first.startswith("Before.") and first.endswith("After.\n")


@pytest.mark.usefixtures("undrawn")
def test_missing_arms_and_seeds_are_named(filled: Study, tmp_path: Path) -> None:
    shutil.rmtree(filled.out / "sft_then_rl")
    filled.result(Trial("rl_baseline", 3)).unlink()
    text = results_text(filled, load_results(filled))
    assert "`sft_then_rl` (0 of 3 seeds)" in text
    assert "`rl_baseline` (2 of 3 seeds)" in text
    assert "plans better than supervised fine-tuning" not in text, "not run"
    assert outcome(text, BETTER) == "undecided", "two seeds in common"
    write_page(filled, tmp_path / "page.md")


def test_page_without_results_has_the_protocol(study: Study, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert write_page(study, page) == [page]
    text = page.read_text()
    assert "No results yet" in text
    for arm in study.arms:
        assert f"`{arm}`" in text


def test_changed_claims_are_reported(filled: Study, protocol_values: dict[str, Any]) -> None:
    protocol_values["claims"][0]["at_least"] = 0.1
    changed = Study(
        type(filled.protocol).model_validate(protocol_values), "small", filled.work, filled.out
    )
    text = results_text(changed, load_results(changed))
    assert "The claims were changed after some runs" in text


def test_unreadable_result_is_an_error(filled: Study, tmp_path: Path) -> None:
    path = filled.result(Trial("rewardmap", 2))
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match=r"seed-2\.json.*truncated"):
        write_page(filled, tmp_path / "page.md")
    path.rename(path.with_name("seed-best.json"))
    with pytest.raises(DataError, match=r"seed-best\.json.*seed-N"):
        load_results(filled)


def test_results_of_another_protocol_are_refused(
    filled: Study, protocol_values: dict[str, Any]
) -> None:
    protocol_values["training"]["rollouts"] = 16
    changed = Study(
        type(filled.protocol).model_validate(protocol_values), "small", filled.work, filled.out
    )
    with pytest.raises(ConfigError, match=r"training\.rollouts: 8 → 16"):
        load_results(changed)


def test_results_of_two_data_sets_do_not_mix(filled: Study, make_result: Make) -> None:
    trial = Trial("rewardmap", 1)
    found = make_result(filled, trial, 0.5)
    settings = {**found.settings, "data": "other"}
    from benchmarks.evidence.study import digest

    changed = found.model_copy(update={"settings": settings, "fingerprint": digest(settings)})
    changed.write(filled.result(trial))
    with pytest.raises(DataError, match=r"settings\.data"):
        load_results(filled)


def test_a_page_without_marks_is_left_alone(filled: Study, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Mine.\n")
    with pytest.raises(DataError, match="no protocol section"):
        write_page(filled, page)
    assert page.read_text() == "Mine.\n"


# The command


def invoke(*words: str) -> Any:
    return CliRunner().invoke(evidence, [*words])


def test_the_command_prints_a_protocol_that_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(invoke("protocol").output, encoding="utf-8")
    out = str(tmp_path / "out")
    shown = invoke("status", "--protocol", str(path), "--out", out)
    assert shown.exit_code == 0
    assert "no result" in shown.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "--arm", "best"), "best"),
        (("run", "--seeds", "0"), "at least 1"),
        (("run", "--budget", "huge"), "huge"),
        (("doc", "--protocol", "absent.yaml"), "absent.yaml"),
    ],
)
def test_command_errors_are_one_message(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(*words)
    assert done.exit_code == 2
    assert told in done.output
    assert "Traceback" not in done.output
    assert list(tmp_path.iterdir()) == [], "nothing was written"


def test_status_reports_a_broken_file(
    filled: Study, protocol_values: dict[str, Any], write_protocol: Any
) -> None:
    path = filled.result(Trial("rewardmap", 2))
    path.write_text("{")
    protocol = write_protocol(protocol_values)
    shown = invoke("status", "--protocol", str(protocol), "--out", str(filled.out))
    assert shown.exit_code == 2, "the table is shown nevertheless"
    assert "truncated" in " ".join(shown.output.split()) or "Invalid JSON" in shown.output
    assert shown.output.count("→") >= 17


def test_status_shows_verdicts(
    filled: Study, protocol_values: dict[str, Any], write_protocol: Any
) -> None:
    protocol = write_protocol(protocol_values)
    shown = invoke("status", "--protocol", str(protocol), "--out", str(filled.out))
    assert shown.exit_code == 0
    words = " ".join(shown.output.split())
    assert "supported" in words and "no result" not in words
    assert words.count("%]") == 0 and "[" in words, "intervals are not parsed as markup"
