"""The settings of the curriculum (``data.curriculum``) and what a run needs so that they hold.

The paper orders the question types by how much reading and reasoning they ask for: judgment →
counting → multiple choice → planning (RewardMap, arXiv 2510.02240, section 4.3).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.errors import ConfigError

__all__ = ["CurriculumConfig", "PartConfig", "StageConfig", "check_run", "named_stages"]

BLOCK = "data.curriculum"

StageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""Stage names become parts of metric names, where spaces and slashes have a meaning."""


Value = str | int | bool


class Strict(BaseModel):
    """Settings that know all their keys and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PartConfig(Strict):
    """Rows of some types, as a part of what a stage trains."""

    types: tuple[str, ...]
    """Question types (``extra_info.type`` of the rows), shuffled together."""
    where: dict[str, Value | tuple[Value, ...]] = Field(default_factory=dict)
    """Only rows whose ``extra_info`` has this value, or one of these, under each key, such as
    ``{difficulty_city: [easy, middle], question_transfer_count: 1}``."""
    weight: float | None = Field(default=None, allow_inf_nan=False)
    """Share of the stage's rows relative to its other parts; empty: as many as the part has."""
    replay: bool = False
    """Rows of earlier stages that accompany this one: its epochs do not wait for them."""

    @field_validator("weight")
    @classmethod
    def _some_share(cls, weight: float | None) -> float | None:
        if weight is not None and weight <= 0:
            raise ValueError(
                "a weight is a share of the stage's rows and above 0; leave out a part that is not "
                "to be trained"
            )
        return weight

    @field_validator("types")
    @classmethod
    def _no_type_twice(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        if not types:
            raise ValueError("name at least one question type, such as planning")
        for name in repeated(types):
            raise ValueError(f"the type {name!r} is listed twice")
        return types


class PromoteConfig(Strict):
    """End a stage by evidence, before its planned length."""

    figure: Literal["acc", "score"] = "acc"
    """What is looked at: accuracy, or the reward."""
    reach: float | None = None
    """Promote when the figure, averaged over the window, is at least this."""
    plateau: float | None = None
    """Or when it has risen by less than this since the window before."""
    window: int = Field(default=5, ge=1)
    """Steps to average over."""
    patience: int = Field(default=2, ge=1)
    """Steps in a row for which the condition must hold."""
    min_steps: int = Field(default=1, ge=1)
    """Least steps of the stage."""

    @model_validator(mode="after")
    def _some_condition(self) -> PromoteConfig:
        if self.reach is None and self.plateau is None:
            raise ValueError("give reach, plateau or both")
        return self


class DemoteConfig(Strict):
    """Fall back to an earlier stage whose question types have been lost."""

    below: float
    """Fall back when the accuracy on an earlier stage's replayed types, averaged over the window,
    is below this."""
    window: int = Field(default=5, ge=1)
    """Steps with such rows to average over."""
    patience: int = Field(default=2, ge=1)
    """Such steps in a row for which it must be too low."""


class StageConfig(Strict):
    """One stage of the curriculum."""

    name: StageName
    types: tuple[str, ...] = ()
    """Short for a mixture of one part with these types."""
    where: dict[str, Value | tuple[Value, ...]] = Field(default_factory=dict)
    """Belongs to ``types``; see :class:`PartConfig`."""
    mixture: tuple[PartConfig, ...] = ()
    """Instead of ``types``: parts that are trained side by side."""
    epochs: int | None = Field(default=None, ge=1)
    """How often every row of the stage is trained; 1 when no length is given."""
    rows: int | None = Field(default=None, ge=1)
    """Instead of ``epochs``: train so many rows, in the same order."""
    steps: int | None = Field(default=None, ge=1)
    """Instead of ``epochs``: train so many steps, in the same order."""
    rollouts: int | None = Field(default=None, ge=2)
    """Answers per prompt in this stage; empty: ``actor_rollout_ref.rollout.n``."""

    promote: PromoteConfig | None = None
    """End by evidence; the stage's length is then the most that it takes."""
    demote: DemoteConfig | None = None
    """Fall back to an earlier stage by evidence from replayed rows."""

    @model_validator(mode="after")
    def _demotion_has_evidence(self) -> StageConfig:
        if self.demote and not any(part.replay for part in self.mixture):
            raise ValueError("demote needs a part of the mixture with replay: true as evidence")
        return self

    @model_validator(mode="after")
    def _one_source_of_rows(self) -> StageConfig:
        if bool(self.types) == bool(self.mixture):
            raise ValueError("give either types or mixture")
        if self.where and self.mixture:
            raise ValueError("where belongs to the parts of the mixture here")
        if all(part.replay for part in self.parts):
            raise ValueError("a stage needs a part that is not a replay")
        if len({part.weight is None for part in self.parts}) > 1:
            raise ValueError("give all parts of the mixture a weight, or none")
        return self

    @model_validator(mode="after")
    def _one_length(self) -> StageConfig:
        given = [name for name in ("epochs", "rows", "steps") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one length, not {' and '.join(given)}")
        return self

    @property
    def parts(self) -> tuple[PartConfig, ...]:
        """The mixture, also where ``types`` stands for it."""
        return self.mixture or (PartConfig(types=self.types, where=self.where),)

    @property
    def all_types(self) -> frozenset[str]:
        """Every type that the stage names."""
        return frozenset(name for part in self.parts for name in part.types)


JUDGMENT = ("TorF1", "TorF2")
COUNTING = ("Counting2", "Counting3")
CHOICE = ("Counting1",)
PLANNING = ("planning",)
PERCEPTION = (*JUDGMENT, *COUNTING, *CHOICE)


def named_stages(name: str) -> tuple[StageConfig, ...]:
    """The curricula that the paper compares, by name (RewardMap, section 5.3 and table 5).

    Raises:
        ValueError: No curriculum has this name.
    """
    layouts: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
        "staged": (
            ("judgment", JUDGMENT),
            ("counting", COUNTING),
            ("choice", CHOICE),
            ("planning", PLANNING),
        ),
        "coarse": (("perception", PERCEPTION), ("planning", PLANNING)),
        "fine": tuple((kind, (kind,)) for kind in (*PERCEPTION, *PLANNING)),
        "flat": (("all", (*PERCEPTION, *PLANNING)),),
        "planning_only": (("planning", PLANNING),),
    }
    if name not in layouts:
        raise ValueError(f"no curriculum has this name; known: {', '.join(layouts)}")
    return tuple(StageConfig(name=stage, types=types) for stage, types in layouts[name])


class CurriculumConfig(Strict):
    """The block ``data.curriculum``."""

    seed: int = 1
    """Shuffles the rows inside each stage."""
    stages: tuple[StageConfig, ...] = Field(default_factory=lambda: named_stages("staged"))
    """In the order of training; or the name of a curriculum: staged, coarse, fine, flat,
    planning_only."""
    leave_out: tuple[str, ...] = ()
    """Question types of the data that no stage trains. They must be named: nothing is dropped
    because somebody forgot it."""

    skip_solved: int | None = Field(default=None, ge=1)
    """Pass over a row whose last so many groups were answered right throughout: they carry no
    signal. The next row of the order takes its place, so stages keep their steps. While less than a
    batch of a stage is unsolved, nothing is passed over."""

    @property
    def is_adaptive(self) -> bool:
        """Whether the order depends on what the model answers."""
        by_evidence = any(stage.promote or stage.demote for stage in self.stages)
        return by_evidence or self.skip_solved is not None

    @model_validator(mode="before")
    @classmethod
    def _stages_by_name(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("stages"), str):
            return data
        left_out = data.get("leave_out") or (
            PERCEPTION if data["stages"] == "planning_only" else ()
        )
        return {**data, "leave_out": left_out}

    @field_validator("stages", mode="before")
    @classmethod
    def _stages_of_a_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return named_stages(value)
        if not isinstance(value, list | tuple):
            raise ValueError("give a list of stages, or the name of a curriculum, such as staged")
        return value

    @field_validator("stages")
    @classmethod
    def _some_stage(cls, stages: tuple[StageConfig, ...]) -> tuple[StageConfig, ...]:
        if not stages:
            raise ValueError("give at least one stage, or the name of a curriculum, such as staged")
        return stages

    @model_validator(mode="after")
    def _stages_have_their_own_names(self) -> CurriculumConfig:
        for name in repeated(stage.name for stage in self.stages):
            raise ValueError(f"two stages are called {name!r}; give each its own name")
        return self

    @model_validator(mode="after")
    def _nothing_both_in_and_out(self) -> CurriculumConfig:
        trained = frozenset[str]().union(*(stage.all_types for stage in self.stages))
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
            raise ConfigError(key, found=found, hint=f"Set {key}={str(value).lower()}. {reason}")
    _check_files(config)
    _check_rollouts(config)
    _check_replay_buffer(config)
    _check_evidence(config)


REPLAY_BUFFER = "pkg://rewardmap_verl.verl_plugin.replay_buffer"


def _check_replay_buffer(config: DictConfig) -> None:
    """Verl chooses between its own two replay buffers by mode; ours must be named."""
    sampler = OmegaConf.select(config, "trainer.v1.sampler.custom_sampler")
    if sampler is None or sampler.get("path") != REPLAY_BUFFER:
        return
    mode = OmegaConf.select(config, "trainer.v1.trainer_mode", default="sync")
    wanted = "RewardMapReplayBuffer" if mode == "sync" else "RewardMapReplayBufferAsync"
    if sampler.get("name") != wanted:
        raise ConfigError(
            "trainer.v1.sampler.custom_sampler.name",
            found=sampler.get("name"),
            hint=f"trainer.v1.trainer_mode={mode} needs {wanted}.",
        )


def _check_evidence(config: DictConfig) -> None:
    """An order that depends on answers needs to hear of them before the next step is read."""
    if not config.get("data") or not read_curriculum(config.data).is_adaptive:
        return
    for key, value, reason in (
        (
            "trainer.v1.sampler.custom_sampler.path",
            REPLAY_BUFFER,
            "It tells the curriculum what was answered.",
        ),
        (
            "trainer.v1.trainer_mode",
            "sync",
            "Other modes read rows before the answers of the last step are known.",
        ),
    ):
        found = OmegaConf.select(config, key, default=value)
        if found != value:
            raise ConfigError(
                key,
                found=found,
                hint=f"promote, demote and skip_solved in {BLOCK} need {key}={value}. {reason}",
            )


def _check_rollouts(config: DictConfig) -> None:
    """Verl fills a batch up to whole updates, with sequences that have no image."""
    update, answers, batch = (
        OmegaConf.select(config, key)
        for key in (
            "actor_rollout_ref.actor.ppo_mini_batch_size",
            "actor_rollout_ref.rollout.n",
            "data.train_batch_size",
        )
    )
    if update is None or answers is None or not config.get("data"):
        return
    for index, stage in enumerate(read_curriculum(config.data).stages):
        if stage.rollouts and batch * stage.rollouts % (update * answers):
            raise ConfigError(
                f"{BLOCK}.stages[{index}].rollouts",
                found=stage.rollouts,
                hint=f"{batch} prompts × {stage.rollouts} answers are not whole updates of "
                f"{update} × {answers} sequences (ppo_mini_batch_size × rollout.n). Choose a "
                f"multiple of {update * answers // math.gcd(update * answers, batch)}, or lower "
                "actor_rollout_ref.actor.ppo_mini_batch_size.",
            )


def _check_files(config: DictConfig) -> None:
    train = file_names(OmegaConf.select(config, "data.train_files"))
    if train and train == file_names(OmegaConf.select(config, "data.val_files")):
        raise ConfigError(
            "data.val_files",
            found=list(train),
            hint="These are also data.train_files; verl gives a data set no other sign of its "
            "role. Validate on other files, or on a copy under another name.",
        )


def file_names(files: Any) -> tuple[str, ...]:
    """Data files as verl accepts them, one or several, as a tuple."""
    if files is None:
        return ()
    return (str(files),) if isinstance(files, str) else tuple(str(file) for file in files)
