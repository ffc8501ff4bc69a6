"""The result of one run as JSON: enough for every table and figure, without the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from benchmarks.evidence.study import Study, Trial, digest
from rewardmap_verl.curriculum.fingerprint import differences
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import disk_errors, write_bytes

__all__ = ["Answers", "Result", "StepPoint", "Validation", "load_result", "read_result"]

FORMAT: Final = 1
_ANEW = "Begin anew with another --out, or remove this folder to run again."


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Record):
    """One held-out question."""

    key: str
    type: str
    place: str
    """country/city: the questions about one map belong together."""
    transfers: int


class Answers(_Record):
    """The answers to all held-out questions, column by column in the order of the questions."""

    right: tuple[float, ...]
    detail: tuple[float | None, ...]
    """0 to 10, of planning only."""
    reward: tuple[float, ...]
    """The whole reward (RewardMap), whatever the run was trained with."""
    readable: tuple[float, ...]
    text: tuple[str, ...] = ()
    """The answers themselves; of the last validation only."""


class Validation(_Record):
    """What the model answered after so many steps."""

    step: int
    map: Answers
    blank: Answers
    """With a blank picture in place of the map."""


class StepPoint(_Record):
    """One training step."""

    step: int
    stage: str
    seconds: float
    """Since the run was started, until its answers were there."""
    kinds: dict[str, dict[str, float]]
    """By question type, and for ``all`` together: groups, score, acc, no_signal, …"""


class Result(_Record):
    """One run."""

    format: Literal[1] = FORMAT
    arm: str
    seed: int
    budget: str
    fingerprint: str
    """Hash of ``settings``."""
    settings: dict[str, Any]
    claims: str
    """Hash of the claims that stood when it was run."""
    questions: tuple[Question, ...]
    validations: tuple[Validation, ...]
    curve: tuple[StepPoint, ...]
    rollouts: int
    """Answers that it was trained on."""
    seconds: float
    """From its start to its end, validations among them."""
    hacks: dict[str, dict[str, dict[str, float]]]
    """before and after training: by question type, signs of a reward that was gamed."""
    versions: dict[str, str]

    @model_validator(mode="after")
    def _columns_fit(self) -> Result:
        for one in self.validations:
            for name, answers in (("map", one.map), ("blank", one.blank)):
                for column in ("right", "detail", "reward", "readable"):
                    count = len(getattr(answers, column))
                    if count != len(self.questions):
                        raise ValueError(
                            f"validations, step {one.step}, {name}.{column} has {count} values "
                            f"for {len(self.questions)} questions"
                        )
        if not self.validations:
            raise ValueError("validations: there is none")
        return self

    def write(self, path: Path) -> None:
        """Write it whole or not at all.

        Raises:
            DataError: The folder cannot be written.
        """
        with disk_errors(path):
            write_bytes(path, (self.model_dump_json(indent=None) + "\n").encode())


def read_result(path: Path) -> Result:
    """Read a result.

    Raises:
        DataError: The file is cut off, or is no result of this version.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(path, found=error.strerror, hint="Give a folder of results.") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        hint = "It is cut off or of another version. Remove it and run `rewardmap evidence run`."
        raise DataError(path, field, first["msg"], hint) from None


def load_result(study: Study, trial: Trial, data: str | None) -> Result | None:
    """The result of a run, if there is one.

    Args:
        study: What it must belong to.
        trial: The run.
        data: Fingerprint of the prepared folder; ``None`` takes what the result says.

    Raises:
        ConfigError: It was made with other settings; says which.
        DataError: It cannot be read.
    """
    path = study.result(trial)
    if not path.is_file():
        return None
    found = read_result(path)
    wanted = study.settings(trial, found.settings.get("data", "") if data is None else data)
    check_settings(path, found, wanted)
    return found


def check_settings(path: Path, found: Result, wanted: Mapping[str, Any]) -> None:
    """Refuse a result of other settings.

    Raises:
        ConfigError: Lists what differs.
    """
    if found.fingerprint == digest(wanted) and digest(found.settings) == found.fingerprint:
        return
    changes = [f"  - {one}" for one in differences(found.settings, dict(wanted))]
    listed = "\n".join(changes or ["  - its settings do not fit their own fingerprint"])
    raise ConfigError(
        f"{path} is of another protocol. Then and now:\n{listed}\nResults do not mix", hint=_ANEW
    )
