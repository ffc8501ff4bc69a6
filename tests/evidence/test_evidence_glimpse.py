"""The glimpse budget on the real stack: two arms, one seed, a few minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.evidence.document import load_results, write_page
from benchmarks.evidence.protocol import Protocol, read_protocol
from benchmarks.evidence.study import Study

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(2400)]

MINUTES = 35
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The glimpse budget of the study's protocol, in a separate folder."""
    folder = tmp_path_factory.mktemp("glimpse")
    values: dict[str, Any] = read_protocol().model_dump(mode="json", by_alias=True)
    values["limits"] = {"model": 10, "run": 12}
    (folder / "protocol.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return Study(Protocol.model_validate(values), "glimpse", folder / "runs", folder / "results")


def run(study: Study) -> subprocess.CompletedProcess[str]:
    """Run the study; terminate it with its subprocesses after the time limit."""
    words = ("run", "--budget", "glimpse", "--protocol", "protocol.yaml")
    folders = ("--work", study.work.name, "--out", study.out.name)
    program = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.evidence",
            *words,
            *folders,
        ],
        cwd=study.work.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        output, _ = program.communicate(timeout=60 * MINUTES)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGTERM)
        output, _ = program.communicate(timeout=60)
        pytest.fail(f"still running after {MINUTES} minutes\n{output[-6000:]}")
    return subprocess.CompletedProcess(program.args, program.returncode, output)


def test_glimpse_runs_and_resumes(study: Study, tmp_path: Path) -> None:
    done = run(study)
    assert done.returncode == 0, done.stdout[-6000:]
    results = load_results(study)
    assert sorted(results.by_arm) == sorted(study.budget.arms)
    training = study.protocol.training
    for result in results.all:
        assert [point.step for point in result.curve] == list(range(1, study.budget.steps + 1))
        expected = study.budget.steps * training.prompts * training.rollouts
        assert result.rollouts == expected
        assert result.validations[0].step == 0
        assert result.validations[-1].step == study.budget.steps
        assert any(result.validations[-1].map.text)
        changed = zip(
            result.validations[-1].map.text, result.validations[-1].blank.text, strict=True
        )
        assert any(seen != blank for seen, blank in changed), "the image changes some answers"
    first, second = (next(iter(seeds.values())) for seeds in results.by_arm.values())
    assert first.validations[0].map.right == second.validations[0].map.right, (
        "one shared start model"
    )
    written = write_page(study, tmp_path / "evidence.md")
    assert len(written) == 5
    again = run(study)
    assert again.returncode == 0
    assert again.stdout.count("finished earlier") == len(results.all)
