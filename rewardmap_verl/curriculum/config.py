"""Settings of the curriculum (``data.curriculum``), and the other settings that it requires.

The paper orders the question types by the reading and reasoning that they need: judgment →
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
"""Stage names are part of metric names, so they contain no spaces or slashes."""


Value = str | int | bool


class Strict(BaseModel):
    """Base class of immutable settings that reject unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PartConfig(Strict):
    """One part of a stage: rows of some question types."""

    types: tuple[str, ...]
    """Question types (``extra_info.type`` of the rows), shuffled together."""
    where: dict[str, Value | tuple[Value, ...]] = Field(default_factory=dict)
    """Filter: for each key of ``extra_info``, the allowed value or values, such as
    ``{difficulty_city: [easy, middle], question_transfer_count: 1}``."""
    weight: float | None = Field(default=None, allow_inf_nan=False)
    """Share of the stage relative to its other parts; ``None``: the part's number of rows."""
    replay: bool = False
    """Whether the rows are replayed from earlier stages; epochs of the stage ignore them."""

    @field_validator("weight")
    @classmethod
    def _some_share(cls, weight: float | None) -> float | None:
        if weight is not None and weight <= 0:
            raise ValueError(
                "a weight is a share of the stage's rows and must be above 0; remove a part that "
                "should not be trained"
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
    """Condition that ends a stage before its planned length."""

    metric: Literal["acc", "score"] = "acc"
    """Metric to observe: accuracy (``acc``) or reward (``score``)."""
    reach: float | None = None
    """Promote if the metric, averaged over the window, is at least this value."""
    plateau: float | None = None
    """Promote if the average has risen by less than this since the previous window."""
    window: int = Field(default=5, ge=1)
    """Steps to average over."""
    patience: int = Field(default=2, ge=1)
    """Consecutive steps for which the condition must hold."""
    min_steps: int = Field(default=1, ge=1)
    """Minimum steps of the stage."""

    @model_validator(mode="after")
    def _some_condition(self) -> PromoteConfig:
        if self.reach is None and self.plateau is None:
            raise ValueError("give reach, plateau or both")
        return self


class DemoteConfig(Strict):
    """Condition for a fallback to an earlier stage whose question types are forgotten."""

    below: float
    """Fall back if the accuracy on the replayed types of an earlier stage, averaged over the
    window, is below this value."""
    window: int = Field(default=5, ge=1)
    """Steps with replayed rows to average over."""
    patience: int = Field(default=2, ge=1)
    """Consecutive steps of that kind for which the accuracy must be too low."""


class StageConfig(Strict):
    """One stage of the curriculum."""

    name: StageName
    types: tuple[str, ...] = ()
    """Short form of a mixture with one part of these types."""
    where: dict[str, Value | tuple[Value, ...]] = Field(default_factory=dict)
    """Filter for ``types``; see ``PartConfig``."""
    mixture: tuple[PartConfig, ...] = ()
    """Instead of ``types``: parts that are trained together."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the rows of the stage; 1 if no length is given."""
    rows: int | None = Field(default=None, ge=1)
    """Instead of ``epochs``: number of rows to train, in the same order."""
    steps: int | None = Field(default=None, ge=1)
    """Instead of ``epochs``: number of steps to train, in the same order."""
    rollouts: int | None = Field(default=None, ge=2)
    """Rollouts per prompt in this stage; ``None``: ``actor_rollout_ref.rollout.n``."""

    zoom: bool = True
    """Whether answers of this stage may use the zoom tool, if ``data.zoom`` offers it."""

    promote: PromoteConfig | None = None
    """Condition that ends the stage early; its length is then the maximum."""
    demote: DemoteConfig | None = None
    """Condition for a fallback to an earlier stage, observed on replayed rows."""

    @model_validator(mode="after")
    def _one_source_of_rows(self) -> StageConfig:
        if bool(self.types) == bool(self.mixture):
            raise ValueError("give either types or mixture")
        if self.where and self.mixture:
            raise ValueError("with a mixture, give where in its parts")
        if all(part.replay for part in self.parts):
            raise ValueError("a stage needs a part without replay")
        if len({part.weight is None for part in self.parts}) > 1:
            raise ValueError("give a weight to all parts of the mixture or to none")
        return self

    @model_validator(mode="after")
    def _one_length(self) -> StageConfig:
        given = [name for name in ("epochs", "rows", "steps") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give only one length, not {' and '.join(given)}")
        return self

    @property
    def parts(self) -> tuple[PartConfig, ...]:
        """The mixture, with the short form ``types`` expanded."""
        return self.mixture or (PartConfig(types=self.types, where=self.where),)

    @property
    def lists_replay(self) -> bool:
        """Whether a part of the mixture is replayed."""
        return any(part.replay for part in self.parts)

    @property
    def all_types(self) -> frozenset[str]:
        """All question types of the stage."""
        return frozenset(name for part in self.parts for name in part.types)


JUDGMENT = ("TorF1", "TorF2")
COUNTING = ("Counting2", "Counting3")
CHOICE = ("Counting1",)
PLANNING = ("planning",)
PERCEPTION = (*JUDGMENT, *COUNTING, *CHOICE)


def named_stages(name: str) -> tuple[StageConfig, ...]:
    """Return a curriculum of the paper by name (RewardMap, section 5.3 and table 5).

    Raises:
        ValueError: No curriculum has this name.
    """
    curricula: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
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
    if name not in curricula:
        raise ValueError(f"no curriculum has this name; known: {', '.join(curricula)}")
    return tuple(StageConfig(name=stage, types=types) for stage, types in curricula[name])


class TargetConfig(Strict):
    """Settings of the order by target difficulty (AdaRFT, arXiv 2504.05520, section 3)."""

    success: float = Field(default=0.5, gt=0, lt=1)
    """Accuracy at which the difficulty stays (β of the paper)."""
    step: float = Field(default=0.5, gt=0, le=1)
    """Largest change of the difficulty, from 0 to 1, after a step (η; 50 of 100 in the paper)."""
    sensitivity: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    """How fast the change grows with the distance of the accuracy from ``success`` (α)."""
    start: float = Field(default=0.0, ge=0, le=1)
    """Difficulty of the first step."""


class CurriculumConfig(Strict):
    """Settings of the block ``data.curriculum``."""

    seed: int = 1
    """Seed for shuffling the rows inside each stage."""
    stages: tuple[StageConfig, ...] = Field(default_factory=lambda: named_stages("staged"))
    """Stages in training order, or the name of a curriculum: staged, coarse, fine, flat,
    planning_only."""
    leave_out: tuple[str, ...] = ()
    """Question types of the data that no stage trains. They must be listed, so that no type is
    dropped by accident."""

    replay: float = Field(default=0.0, ge=0, lt=1)
    """Share of the rows of each stage that are replayed from other stages, so that their question
    types are not forgotten. All replayed types have equal shares. Stages that list a part with
    ``replay`` keep it instead. A stage of epochs becomes longer by the replayed rows."""
    replay_from: Literal["earlier", "all"] = "earlier"
    """Stages whose rows are replayed: ``earlier`` ones, or ``all`` other stages, also later
    ones."""

    target: TargetConfig | None = None
    """Draw each batch from the rows nearest to a target difficulty, which follows the accuracy.
    The stages then give the order of the question types and the number of steps, and nothing is
    replayed."""

    skip_solved: int | None = Field(default=None, ge=1)
    """Skip a row after this many consecutive groups with only correct rollouts, since they carry no
    signal. The next row of the order takes its place, so stages keep their number of steps. Nothing
    is skipped while less than a batch of the stage is unsolved."""

    @property
    def is_adaptive(self) -> bool:
        """Whether the training order depends on the model's answers."""
        return self.has_rules or self.target is not None

    @property
    def has_rules(self) -> bool:
        """Whether a stage or a row ends by its metrics."""
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
            raise ValueError(f"two stages are called {name!r}; stage names must be unique")
        return self

    @model_validator(mode="after")
    def _demotion_has_evidence(self) -> CurriculumConfig:
        for stage in self.stages:
            if stage.demote and not stage.lists_replay and not self.replay:
                raise ValueError(
                    f"demote of stage {stage.name!r} observes replayed rows: set replay, or add a "
                    "part with replay: true to its mixture"
                )
        return self

    @model_validator(mode="after")
    def _target_alone(self) -> CurriculumConfig:
        if self.target and self.has_rules:
            raise ValueError(
                "target chooses the rows of every step: remove promote, demote and skip_solved"
            )
        return self

    @model_validator(mode="after")
    def _nothing_both_in_and_out(self) -> CurriculumConfig:
        trained = frozenset[str]().union(*(stage.all_types for stage in self.stages))
        for name in sorted(trained.intersection(self.leave_out)):
            raise ValueError(f"the type {name!r} is in leave_out and is also trained by a stage")
        return self


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def read_curriculum(data: DictConfig) -> CurriculumConfig:
    """Read and check the block ``curriculum`` of verl's ``data`` block."""
    return read_block(CurriculumConfig, data.get("curriculum"), BLOCK)


_NEEDED: tuple[tuple[str, Any, str], ...] = (
    ("data.shuffle", False, "The curriculum shuffles the rows inside its stages."),
    (
        "data.filter_overlong_prompts",
        False,
        "It would silently drop rows; preparation measures the prompts instead.",
    ),
    (
        "trainer.total_epochs",
        1,
        "A second epoch would restart at the first stage; set the epochs of a stage instead.",
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
    """Reject settings elsewhere in the configuration that break the curriculum.

    Args:
        config: The complete configuration of the run or a part of it; missing keys are not checked.

    Raises:
        ConfigError: A setting breaks the curriculum; names the required value.
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
    """Check that the class of our replay buffer fits the trainer mode."""
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
    """Check that an adaptive order gets the scores of a step before the next one is read."""
    if not config.get("data") or not read_curriculum(config.data).is_adaptive:
        return
    for key, value, reason in (
        (
            "trainer.v1.sampler.custom_sampler.path",
            REPLAY_BUFFER,
            "It reports the scores to the curriculum.",
        ),
        (
            "trainer.v1.trainer_mode",
            "sync",
            "Other modes read rows before the scores of the last step are known.",
        ),
    ):
        found = OmegaConf.select(config, key, default=value)
        if found != value:
            raise ConfigError(
                key,
                found=found,
                hint=f"promote, demote, skip_solved and target in {BLOCK} need {key}={value}. "
                f"{reason}",
            )


def _check_rollouts(config: DictConfig) -> None:
    """Check the rollouts of stages: verl pads partial updates with sequences without an image."""
    update, rollouts, batch = (
        OmegaConf.select(config, key)
        for key in (
            "actor_rollout_ref.actor.ppo_mini_batch_size",
            "actor_rollout_ref.rollout.n",
            "data.train_batch_size",
        )
    )
    if update is None or rollouts is None or not config.get("data"):
        return
    for index, stage in enumerate(read_curriculum(config.data).stages):
        if stage.rollouts and batch * stage.rollouts % (update * rollouts):
            raise ConfigError(
                f"{BLOCK}.stages[{index}].rollouts",
                found=stage.rollouts,
                hint=f"{batch} prompts × {stage.rollouts} rollouts are not a multiple of an update "
                f"of {update} × {rollouts} sequences (ppo_mini_batch_size × rollout.n). Choose a "
                f"multiple of {update * rollouts // math.gcd(update * rollouts, batch)}, or lower "
                "actor_rollout_ref.actor.ppo_mini_batch_size.",
            )


def _check_files(config: DictConfig) -> None:
    train = file_names(OmegaConf.select(config, "data.train_files"))
    if train and train == file_names(OmegaConf.select(config, "data.val_files")):
        raise ConfigError(
            "data.val_files",
            found=list(train),
            hint="These are also data.train_files, and the dataset tells training and validation "
            "apart by file name. Validate on other files, or on a copy with another name.",
        )


def file_names(files: Any) -> tuple[str, ...]:
    """Return data files, which verl accepts as one name or a list, as a tuple."""
    if files is None:
        return ()
    return (str(files),) if isinstance(files, str) else tuple(str(file) for file in files)
