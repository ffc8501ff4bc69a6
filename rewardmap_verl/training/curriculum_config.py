"""The settings of the curriculum (``data.curriculum``) and what a run needs so that they hold.

The paper orders the question types by how much reading and reasoning they ask for: judgment →
counting → multiple choice → planning (RewardMap, arXiv 2510.02240, section 4.3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.training.settings import read_block

__all__ = ["CurriculumConfig", "StageConfig", "check_run", "staged"]

BLOCK = "data.curriculum"

StageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""Stage names become parts of metric names, where spaces and slashes have a meaning."""


class Strict(BaseModel):
    """Settings that know all their keys and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StageConfig(Strict):
    """One stage of the curriculum."""

    name: StageName
    types: tuple[str, ...] = Field(min_length=1)
    """Question types (``extra_info.type`` of the rows) that the stage trains, shuffled together."""
    epochs: int = Field(default=1, ge=1)
    """How often every row of the stage is trained."""
    rows: int | None = Field(default=None, ge=1)
    """Train only this many rows of the stage, drawn by the seed; all of them when empty."""
    max_steps: int | None = Field(default=None, ge=1)
    """End the stage after this many training steps, whatever is left of its rows."""

    @field_validator("types")
    @classmethod
    def _no_type_twice(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for name in repeated(types):
            raise ValueError(f"the type {name!r} is listed twice")
        return types


def staged() -> tuple[StageConfig, ...]:
    """The order of the paper: judgment → counting → multiple choice → planning."""
    return (
        StageConfig(name="judgment", types=("TorF1", "TorF2")),
        StageConfig(name="counting", types=("Counting2", "Counting3")),
        StageConfig(name="choice", types=("Counting1",)),
        StageConfig(name="planning", types=("planning",)),
    )


class CurriculumConfig(Strict):
    """The block ``data.curriculum``."""

    seed: int = 1
    """Shuffles the rows inside each stage."""
    stages: tuple[StageConfig, ...] = Field(default_factory=staged, min_length=1)
    """In the order of training."""
    leave_out: tuple[str, ...] = ()
    """Question types of the data that no stage trains. They must be named: nothing is dropped
    because somebody forgot it."""

    @model_validator(mode="after")
    def _stages_have_their_own_names(self) -> CurriculumConfig:
        for name in repeated(stage.name for stage in self.stages):
            raise ValueError(f"two stages are called {name!r}; give each its own name")
        return self

    @model_validator(mode="after")
    def _nothing_both_in_and_out(self) -> CurriculumConfig:
        trained = {name for stage in self.stages for name in stage.types}
        for name in sorted(trained.intersection(self.leave_out)):
            raise ValueError(f"the type {name!r} is left out and also trained by a stage")
        return self


def repeated(names: Iterable[str]) -> list[str]:
    """Names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def read_curriculum(data: DictConfig) -> CurriculumConfig:
    """The checked block ``curriculum`` of verl's ``data`` block."""
    return read_block(CurriculumConfig, data.get("curriculum"), BLOCK)


_NEEDED: tuple[tuple[str, Any, str], ...] = (
    ("data.shuffle", False, "The curriculum shuffles inside its stages itself."),
    (
        "data.filter_overlong_prompts",
        False,
        "It would drop rows without a word; prompts are measured when the data are prepared.",
    ),
    (
        "trainer.total_epochs",
        1,
        "A second one would begin again at the first stage; stages have epochs of their own.",
    ),
    (
        "algorithm.filter_groups.enable",
        False,
        "Refilled batches would take rows of later steps and stages.",
    ),
    (
        "trainer.v1.sampler.sync_refill_failed_groups",
        False,
        "Refilled batches would take rows of later steps and stages.",
    ),
)


def check_run(config: DictConfig) -> None:
    """Refuse settings elsewhere in the configuration under which the curriculum would not hold.

    Args:
        config: The whole configuration of the run, or the part of it that is at hand; what is not
            there is not checked.

    Raises:
        ConfigError: Names the key, its value and the value that it must have.
    """
    for key, value, reason in _NEEDED:
        found = OmegaConf.select(config, key, default=value)
        if found != value:
            raise ConfigError(key, found=found, mend=f"Set {key}={str(value).lower()}. {reason}")
    _check_files(config)


def _check_files(config: DictConfig) -> None:
    train = file_names(OmegaConf.select(config, "data.train_files"))
    if train and train == file_names(OmegaConf.select(config, "data.val_files")):
        raise ConfigError(
            "data.val_files",
            found=list(train),
            mend="These are also data.train_files; verl gives a data set no other sign of its "
            "role. Validate on other files, or on a copy under another name.",
        )


def file_names(files: Any) -> tuple[str, ...]:
    """Data files as verl accepts them, one or several, as a tuple."""
    if files is None:
        return ()
    return (str(files),) if isinstance(files, str) else tuple(str(file) for file in files)
