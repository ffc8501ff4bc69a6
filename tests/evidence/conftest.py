"""Fixtures: a study on a small prepared folder, and made-up results."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.evidence.blank_image import write_blank
from benchmarks.evidence.protocol import Protocol, read_protocol
from benchmarks.evidence.result import Answers, Question, Result, StepPoint, Validation
from benchmarks.evidence.study import Study, Trial, digest
from rewardmap_verl.commands.main import app

KINDS = ("TorF1", "TorF2", "Counting1", "Counting2", "Counting3", "planning")
STEPS = 6
MAPS = 12


@pytest.fixture(scope="session")
def package_protocol() -> Protocol:
    """The study's own protocol."""
    return read_protocol()


@pytest.fixture
def protocol_values(package_protocol: Protocol) -> dict[str, Any]:
    """The values of a protocol with a budget of a few steps, for tests to modify."""
    values: dict[str, Any] = package_protocol.model_dump(mode="json", by_alias=True)
    values["budgets"] = {"small": {"seeds": 3, "steps": STEPS, "validate": 3}}
    values["training"]["prompts"] = 4
    return values


@pytest.fixture
def write_protocol(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Return a function that writes protocol values to a file."""

    def write(values: dict[str, Any]) -> Path:
        path = tmp_path / "protocol.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return write


@pytest.fixture
def study(protocol_values: dict[str, Any], tmp_path: Path) -> Study:
    """A study without data or results."""
    protocol = Protocol.model_validate(protocol_values)
    return Study(protocol, "small", tmp_path / "work", tmp_path / "out")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` and `blank`, its control."""
    folder = tmp_path_factory.mktemp("evidence")
    maps = ("--train-maps", "2", "--test-maps", "1", "--workers", "1")
    words = ("prepare", "synthetic", "--size", "tiny", *maps)
    done = CliRunner().invoke(app, [*words, "--out", str(folder / "data")])
    assert done.exit_code == 0, done.output
    write_blank(folder / "data", folder / "blank")
    return folder


def made_up(study: Study, trial: Trial, accuracy: float, silent: float = 0.5) -> Result:
    """Make up a result with a given share of right answers after training."""
    rng = random.Random(f"{trial.arm}/{trial.seed}")
    questions = tuple(
        Question(key=f"{kind}{number}", type=kind, place=f"land/{number}", transfers=0)
        for kind in KINDS
        for number in range(MAPS)
    )

    def answers(share: float) -> Answers:
        right = tuple(float(rng.random() < share) for _ in questions)
        return Answers(
            right=right,
            detail=tuple(
                10 * one if asked.type == "planning" else None
                for one, asked in zip(right, questions, strict=True)
            ),
            reward=right,
            readable=tuple(1.0 for _ in questions),
        )

    metrics = {"groups": 4.0, "score": 1.0, "no_signal": silent, "no_signal_binary": 1.0}
    settings = study.settings(trial, "data")
    return Result(
        arm=trial.arm,
        seed=trial.seed,
        budget="small",
        fingerprint=digest(settings),
        settings=settings,
        claims=study.claims_digest,
        questions=questions,
        validations=tuple(
            Validation(step=step, map=answers(share), blank=answers(0.1))
            for step, share in ((0, 0.1), (3, accuracy), (STEPS, accuracy))
        ),
        curve=tuple(
            StepPoint(
                step=step,
                stage="planning" if step > STEPS // 2 else "judgment",
                seconds=60.0 + step,
                kinds={"all": metrics, "planning": metrics},
            )
            for step in range(1, STEPS + 1)
        ),
        rollouts=STEPS * 4 * 8,
        seconds=120.0,
        reward_hacking={
            when: {"planning": {"wrong": 0.5, "overpaid": 0.0, "characters": 40.0}}
            for when in ("before", "after")
        },
        versions={"verl": "0.9.1"},
    )


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """Return the function that makes up a result."""
    return made_up


@pytest.fixture
def filled(study: Study) -> Study:
    """The study with a result for every run: RewardMap 90 % right, the other arms 30 %."""
    for trial in study.trials():
        best = trial.arm == "rewardmap"
        made_up(study, trial, 0.9 if best else 0.3).write(study.result(trial))
    return study
