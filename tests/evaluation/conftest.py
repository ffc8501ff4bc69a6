"""A small prepared folder, and questions made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.evaluation.questions import EvalSet, make_questions, read_questions
from rewardmap_verl.rewards.rows import NetworkFolder

STATIONS = {
    "Line 1": ["Alpha", "Beta", "Gamma", "Delta"],
    "Line 2": ["Gamma", "Epsilon", "Zeta"],
    "Line 3": ["Alpha", "Eta", "Zeta"],
}


def leg(line: str, departure: str, arrival: str, *via: str) -> dict[str, Any]:
    return {
        "route_name": line,
        "departure_stop": departure,
        "arrival_stop": arrival,
        "via_stops": list(via),
        "num_via_stops": len(via),
    }


DIRECT = [leg("Line 1", "Alpha", "Delta", "Beta", "Gamma")]


def row(kind: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    """A row in verl's form; ``number`` makes its text different from others."""
    truth = {
        "type": kind,
        "country": "testland",
        "city": "one",
        "station_1": "Alpha",
        "station_2": "Delta",
        "line": "Line 1" if kind == "TorF2" else "",
        "answer": -1 if kind == "planning" else 1,
        "question_transfer_count": 0,
        "difficulty_city": "easy",
        "form": "short" if kind == "planning" else "",
        "plans": [DIRECT] if kind == "planning" else [],
        **fields,
    }
    return {
        "data_source": f"rewardmap/{kind}",
        "prompt": [{"role": "user", "content": f"<image>\nQuestion {number} of type {kind}?"}],
        "images": [],
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
    }


@pytest.fixture
def make_row() -> Callable[..., dict[str, Any]]:
    """A function that makes a row in verl's form."""
    return row


@pytest.fixture
def networks(tmp_path: Path) -> NetworkFolder:
    """The networks of four small cities that look alike."""
    folder = tmp_path / "networks"
    (folder / "testland").mkdir(parents=True)
    for city in ("one", "two", "three", "four"):
        text = json.dumps(STATIONS)
        (folder / "testland" / f"{city}.json").write_text(text, encoding="utf-8")
    return NetworkFolder(folder)


@pytest.fixture
def ask(networks: NetworkFolder) -> Callable[[Sequence[dict[str, Any]]], EvalSet]:
    """A function that makes questions of rows."""
    return lambda rows: make_questions("questions of a test", rows, networks)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `rewardmap prepare` wrote; read it only."""
    folder = tmp_path_factory.mktemp("prepared") / "data"
    sizes = ("--size", "tiny", "--train-maps", "2", "--test-maps", "2", "--seed", "5")
    arguments = ["prepare", "synthetic", *sizes, "--out", str(folder)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="session")
def questions(prepared: Path) -> EvalSet:
    """Its test questions."""
    return read_questions(prepared)
