"""The protocol: arms, settings, metrics and claims, read from YAML and validated."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.questions.types import QuestionType

__all__ = [
    "Arm",
    "Budget",
    "Cell",
    "Claim",
    "Condition",
    "Protocol",
    "StageShare",
    "read_protocol",
]

SEED, STEPS = "{seed}", "{steps}"
"""Placeholders for the seed of a run and its supervised steps in the arguments of a command."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Transfers = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _words(line: str) -> str:
    try:
        shlex.split(line)
    except ValueError as error:
        raise ValueError(f"not a command line: {error}") from None
    return line


class World(_Strict):
    """The maps and questions."""

    seed: int = 1
    """Seed of the networks and questions."""
    train_maps: int = Field(default=400, ge=1)
    test_maps: int = Field(default=40, ge=1)
    """Held-out maps."""
    questions: dict[str, Annotated[int, Field(ge=0)]] = Field(min_length=1)
    """Questions per map, by type; other types are not asked."""

    @field_validator("questions")
    @classmethod
    def _are_types(cls, questions: dict[str, int]) -> dict[str, int]:
        known = [str(kind) for kind in QuestionType]
        for name in questions:
            if name not in known:
                raise ValueError(f"unknown question type {name!r}; known: {', '.join(known)}")
        return questions


class Model(_Strict):
    """The model before reinforcement learning."""

    cold_start: tuple[str, ...] = ()
    """Arguments of each ``rewardmap cold-start`` that continues from the pretrained embedded model;
    none takes that model as it is."""

    @field_validator("cold_start")
    @classmethod
    def _are_command_lines(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_words, lines))


class Training(_Strict):
    """Training settings shared by all arms."""

    prompts: int = Field(ge=1)
    rollouts: int = Field(ge=2)
    learning_rate: Positive
    kl: float = Field(ge=0, allow_inf_nan=False)
    prompt_tokens: int = Field(ge=1)
    answer_tokens: int = Field(ge=1)
    replay: float = Field(default=0, ge=0, lt=1)
    """Share of each stage that is replayed from all other stages, as in ``data.curriculum``."""
    temperature: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Sampling temperature for held-out questions; 0 decodes greedily."""
    transfers: Transfers | None = None
    """Planning questions to train, by the transfers of their shortest routes; ``None`` trains all.
    Held-out questions are not filtered."""
    settings: tuple[str, ...] = ()
    """Further verl overrides, ``key=value``."""

    @field_validator("settings")
    @classmethod
    def _are_settings(cls, settings: tuple[str, ...]) -> tuple[str, ...]:
        for one in settings:
            if "=" not in one:
                raise ValueError(f"{one!r} is not of the form key=value")
        return settings


class TrainingChange(_Strict):
    """Training settings of a condition; ``None`` keeps the protocol's."""

    learning_rate: Positive | None = None
    kl: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    replay: float | None = Field(default=None, ge=0, lt=1)
    transfers: Transfers | None = None


class Condition(_Strict):
    """Settings in place of the protocol's, to see when a method helps."""

    model: Model | None = None
    """The model before reinforcement learning; ``None`` keeps the protocol's."""
    training: TrainingChange = TrainingChange()


class StageShare(_Strict):
    """One stage of the curriculum."""

    name: Name
    types: tuple[str, ...] = Field(min_length=1)
    share: Positive
    """Share of the steps, relative to the other stages."""


class Arm(_Strict):
    """One training method."""

    title: str
    recipe: tuple[str, ...] = ()
    """Options of ``+recipe=rewardmap``."""
    order: Literal["staged", "flat", "last"]
    prompts: int | None = Field(default=None, ge=1)
    """Prompts per step, if not those of ``training``; the number of answers stays the same."""
    sft: str | None = None
    """Arguments of ``rewardmap cold-start`` for supervised steps before RL."""
    sft_share: float = Field(default=0, ge=0, lt=1)
    """Share of the steps that are supervised, so that all arms see equally many labels."""

    @field_validator("sft")
    @classmethod
    def _is_a_command_line(cls, line: str | None) -> str | None:
        return None if line is None else _words(line)


class Budget(_Strict):
    """Number of runs and their length."""

    seeds: int = Field(ge=1)
    steps: int = Field(ge=1)
    validate_every: int = Field(ge=1, alias="validate")
    arms: tuple[str, ...] = ()
    """Arms to run; empty means all."""


class Cell(_Strict):
    """One side of a claim: an arm or baseline, the time, and the image shown."""

    arm: str = ""
    baseline: Literal["", "random", "majority", "gold"] = ""
    """Answers that need no model, in place of an arm."""
    when: Literal["before", "after"] = "after"
    image: Literal["map", "blank"] = "map"

    @property
    def title(self) -> str:
        """Name in tables."""
        if self.baseline:
            return f"{self.baseline} answers"
        parts = [self.arm, "before" if self.when == "before" else "", self.image.replace("map", "")]
        return ", ".join(part for part in parts if part)

    @model_validator(mode="after")
    def _arm_or_baseline(self) -> Cell:
        if bool(self.arm) == bool(self.baseline):
            raise ValueError("set either arm or baseline")
        return self


class Claim(_Strict):
    """A claim, fixed before the runs."""

    id: Name
    text: str
    metric: str
    first: Cell
    second: Cell | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_comparison(self) -> Claim:
        if self.at_least is not None and self.at_most is not None:
            raise ValueError("set at_least or at_most, not both")
        if self.second is None and self.at_least is None and self.at_most is None:
            raise ValueError("set second, or a bound: at_least or at_most")
        if self.first.baseline:
            raise ValueError("a baseline can only be second")
        return self


class Limits(_Strict):
    """Time limits in minutes."""

    model: Positive = 30
    """Building one model."""
    run: Positive = 60
    """One training run."""


GROUP_METRICS = ("no_signal", "no_signal_binary")
"""Metrics of training groups; all others are of held-out questions."""


class Protocol(_Strict):
    """A complete protocol."""

    title: str
    world: World
    model: Model
    training: Training
    stages: tuple[StageShare, ...] = Field(min_length=1)
    arms: dict[Name, Arm] = Field(min_length=1)
    budgets: dict[Name, Budget] = Field(min_length=1)
    conditions: dict[Name, Condition] = {}
    claims: tuple[Claim, ...] = ()
    limits: Limits = Limits()

    @property
    def types(self) -> tuple[str, ...]:
        """All question types of the curriculum."""
        return tuple(dict.fromkeys(kind for stage in self.stages for kind in stage.types))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that a claim may use."""
        return (*self.types, "detail", "all", *GROUP_METRICS)

    @model_validator(mode="after")
    def _names_agree(self) -> Protocol:
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise ValueError("stages: two stages have the same name")
        for name, budget in self.budgets.items():
            self._known(budget.arms, self.arms, f"budgets.{name}.arms")
            if budget.steps < len(self.stages):
                raise ValueError(f"budgets.{name}.steps: fewer than the {len(self.stages)} stages")
        for claim in self.claims:
            cells = [cell for cell in (claim.first, claim.second) if cell]
            self._known([cell.arm for cell in cells if cell.arm], self.arms, f"claims.{claim.id}")
            self._known([claim.metric], self.metrics, f"claims.{claim.id}.metric")
        return self

    @staticmethod
    def _known(names: Any, known: Any, where: str) -> None:
        for name in names:
            if name not in known:
                raise ValueError(f"{where}: unknown name {name!r}; known: {', '.join(known)}")

    def budget(self, name: str) -> Budget:
        """Return a budget by name.

        Raises:
            ConfigError: The protocol has no such budget.
        """
        if name not in self.budgets:
            known = ", ".join(self.budgets)
            raise ConfigError(
                "--budget", found=name, hint=f"The protocol has these budgets: {known}."
            )
        return self.budgets[name]

    def under(self, name: str) -> Protocol:
        """Return the protocol of a condition.

        Raises:
            ConfigError: The protocol has no such condition.
        """
        if name not in self.conditions:
            hint = f"The protocol has these conditions: {', '.join(self.conditions) or 'none'}."
            raise ConfigError("--condition", found=name, hint=hint)
        condition = self.conditions[name]
        changes = condition.training.model_dump(exclude_none=True)
        return self.model_copy(
            update={
                "model": condition.model or self.model,
                "training": self.training.model_copy(update=changes),
            }
        )


def stage_steps(stages: tuple[StageShare, ...], steps: int) -> tuple[int, ...]:
    """Divide ``steps`` among stages by largest remainder, at least one step each."""
    total = sum(stage.share for stage in stages)
    exact = [steps * stage.share / total for stage in stages]
    given = [max(1, int(share)) for share in exact]
    while (left := steps - sum(given)) != 0:
        sign = 1 if left > 0 else -1
        open_ = [i for i in range(len(given)) if sign > 0 or given[i] > 1]
        place = max(open_, key=lambda i: (sign * (exact[i] - given[i]), -i))
        given[place] += sign
    return tuple(given)


def read_protocol(path: Path | None = None) -> Protocol:
    """Read a protocol; without a path, the study's own.

    Raises:
        ConfigError: The file cannot be read or a key is invalid.
    """
    name = str(path or "protocol.yaml")
    source = path or Path(__file__).with_name("protocol.yaml")
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(name, found=error.strerror, hint="Pass an existing file.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        hint = "A protocol is YAML; `python -m benchmarks.evidence protocol` prints an example."
        raise ConfigError(name, found=" ".join(str(error).split()), hint=hint) from None
    if not isinstance(content, dict):
        raise ConfigError(name, found=content, hint="A protocol is a mapping.")
    return read_block(Protocol, content, name)
