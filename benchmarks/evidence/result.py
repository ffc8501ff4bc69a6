"""The result of one run as JSON: everything that tables and figures need."""

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
_START_OVER = "Pass another --out, or delete this folder to run again."


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Record):
    """One held-out question."""

    key: str
    type: str
    place: str
    """The map, as country/city."""
    transfers: int


class Answers(_Record):
    """Answers to all held-out questions as columns, in the order of the questions."""

    right: tuple[float, ...]
    detail: tuple[float | None, ...]
    """0 to 10; planning only."""
    reward: tuple[float, ...]
    """The full RewardMap reward, whichever reward the run was trained with."""
    readable: tuple[float, ...]
    text: tuple[str, ...] = ()
    """Answer texts, of the last validation only."""


class Validation(_Record):
    """Answers of the model after ``step`` training steps."""

    step: int
    map: Answers
    blank: Answers
    """Answers to blank images in place of the maps."""


class StepPoint(_Record):
    """One training step."""

    step: int
    stage: str
    seconds: float
    """Seconds from the start of the run to the end of the step's rollouts."""
    kinds: dict[str, dict[str, float]]
    """Metrics by question type and for ``all``: groups, score, acc, no_signal, …"""


class Result(_Record):
    """The result of one run."""

    format: Literal[1] = FORMAT
    arm: str
    seed: int
    budget: str
    fingerprint: str
    """Hash of ``settings``."""
    settings: dict[str, Any]
    claims: str
    """Hash of the claims at the time of the run."""
    questions: tuple[Question, ...]
    validations: tuple[Validation, ...]
    curve: tuple[StepPoint, ...]
    rollouts: int
    """Answers trained on."""
    seconds: float
    """Duration of the run, validations included."""
    reward_hacking: dict[str, dict[str, dict[str, float]]]
    """Indicators before and after training, by question type."""
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
            raise ValueError("validations: empty")
        return self

    def write(self, path: Path) -> None:
        """Write the result atomically.

        Raises:
            DataError: The folder cannot be written.
        """
        with disk_errors(path):
            write_bytes(path, (self.model_dump_json(indent=None) + "\n").encode())


def read_result(path: Path) -> Result:
    """Read a result.

    Raises:
        DataError: The file is truncated or of another format.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(path, found=error.strerror, hint="Pass a folder of results.") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        hint = (
            "The file is truncated or of another version. Delete it and run "
            "`python -m benchmarks.evidence run`."
        )
        raise DataError(path, field, first["msg"], hint) from None


def load_result(study: Study, trial: Trial, data: str | None) -> Result | None:
    """Read the result of a run; ``None`` if there is none.

    Args:
        study: The study; its settings must match those of the result.
        trial: The run.
        data: Fingerprint of the prepared folder; ``None`` accepts any.

    Raises:
        ConfigError: The result was made with other settings.
        DataError: The result cannot be read.
    """
    path = study.result(trial)
    if not path.is_file():
        return None
    found = read_result(path)
    wanted = study.settings(trial, found.settings.get("data", "") if data is None else data)
    check_settings(path, found, wanted)
    return found


def check_settings(path: Path, found: Result, wanted: Mapping[str, Any]) -> None:
    """Check that a result was made with the given settings.

    Raises:
        ConfigError: It was not; lists the differences.
    """
    if found.fingerprint == digest(wanted) and digest(found.settings) == found.fingerprint:
        return
    changes = [f"  - {one}" for one in differences(found.settings, dict(wanted))]
    listed = "\n".join(changes or ["  - the settings do not match their fingerprint"])
    raise ConfigError(
        f"{path} was made with another protocol (then → now):\n{listed}\nResults of different "
        "protocols cannot be compared",
        hint=_START_OVER,
    )
