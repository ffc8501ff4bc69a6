"""The protocol: what is compared, how, and what counts as support; read from YAML and checked."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.errors import ConfigError

__all__ = ["Arm", "Budget", "Cell", "Claim", "Protocol", "StageShare", "read_protocol"]

SEED = "{seed}"
"""Stands for the seed of a run in the arguments of a command."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _words(line: str) -> str:
    try:
        shlex.split(line)
    except ValueError as error:
        raise ValueError(f"this is no command line: {error}") from None
    return line


class World(_Strict):
    """The maps and questions."""

    prepare: str
    """Arguments of ``rewardmap prepare``, without the folder."""

    _check: ClassVar = field_validator("prepare")(_words)


class Model(_Strict):
    """The model before reinforcement learning."""

    tiny_model: str = ""
    """Arguments of ``rewardmap tiny-model``."""
    cold_start: tuple[str, ...] = Field(min_length=1)
    """Arguments of ``rewardmap cold-start``, of one after the other."""
    per_seed: bool = True
    """One model for each seed, or one for all of them."""

    _check: ClassVar = field_validator("tiny_model")(_words)

    @field_validator("cold_start")
    @classmethod
    def _are_command_lines(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_words, lines))


class Training(_Strict):
    """What all arms have in common."""

    prompts: int = Field(ge=1)
    rollouts: int = Field(ge=2)
    learning_rate: Positive
    kl: float = Field(ge=0, allow_inf_nan=False)
    prompt_tokens: int = Field(ge=1)
    answer_tokens: int = Field(ge=1)
    temperature: float = Field(default=0, ge=0, allow_inf_nan=False)
    """At which held-out questions are answered; 0: the most likely answer."""
    settings: tuple[str, ...] = ()
    """``key=value`` for verl."""

    @field_validator("settings")
    @classmethod
    def _are_settings(cls, settings: tuple[str, ...]) -> tuple[str, ...]:
        for one in settings:
            if "=" not in one:
                raise ValueError(f"{one!r} is no setting; write key=value")
        return settings


class StageShare(_Strict):
    """One stage of the curriculum."""

    name: Name
    types: tuple[str, ...] = Field(min_length=1)
    where: dict[Name, tuple[int | str, ...]] = {}
    """Only rows whose ``extra_info`` has one of these values, as in ``data.curriculum``."""
    share: Positive
    """Of the steps, relative to the other stages."""


class Arm(_Strict):
    """One way of training."""

    title: str
    recipe: tuple[str, ...] = ()
    """Options of ``+recipe=rewardmap``."""
    order: Literal["staged", "flat", "last"]
    sft: str | None = None
    """Arguments of ``rewardmap cold-start`` for supervised steps before."""

    @field_validator("sft")
    @classmethod
    def _is_a_command_line(cls, line: str | None) -> str | None:
        return None if line is None else _words(line)


class Budget(_Strict):
    """How much is run."""

    seeds: int = Field(ge=1)
    steps: int = Field(ge=1)
    validate_every: int = Field(ge=1, alias="validate")
    arms: tuple[str, ...] = ()
    """Only these; empty: all."""


class Cell(_Strict):
    """What one side of a claim is measured on."""

    arm: str = ""
    baseline: Literal["", "random", "majority", "gold"] = ""
    """Instead of an arm: answers without a model."""
    when: Literal["before", "after"] = "after"
    sees: Literal["map", "blank"] = "map"

    @property
    def title(self) -> str:
        """As it stands in a table."""
        if self.baseline:
            return f"{self.baseline} answers"
        parts = [self.arm, "before" if self.when == "before" else "", self.sees.replace("map", "")]
        return ", ".join(part for part in parts if part)

    @model_validator(mode="after")
    def _arm_or_baseline(self) -> Cell:
        if bool(self.arm) == bool(self.baseline):
            raise ValueError("give either arm or baseline")
        return self


class Claim(_Strict):
    """What is claimed, before it is known."""

    id: Name
    text: str
    figure: str
    first: Cell
    second: Cell | None = None
    least: float | None = None
    most: float | None = None

    @model_validator(mode="after")
    def _one_comparison(self) -> Claim:
        if self.least is not None and self.most is not None:
            raise ValueError("give least or most, not both")
        if self.second is None and self.least is None and self.most is None:
            raise ValueError("give second, or a bound: least or most")
        if self.first.baseline:
            raise ValueError("a baseline stands second")
        return self


class Limits(_Strict):
    """Minutes after which something has gone wrong."""

    world: Positive = 30
    run: Positive = 60


GROUP_FIGURES = ("no_signal", "no_signal_binary")
"""Figures of training groups, not of held-out questions."""


class Protocol(_Strict):
    """The whole protocol."""

    title: str
    world: World
    model: Model
    training: Training
    stages: tuple[StageShare, ...] = Field(min_length=1)
    arms: dict[Name, Arm] = Field(min_length=1)
    budgets: dict[Name, Budget] = Field(min_length=1)
    claims: tuple[Claim, ...] = ()
    limits: Limits = Limits()

    @property
    def types(self) -> tuple[str, ...]:
        """Every question type that an arm may train."""
        return tuple(dict.fromkeys(kind for stage in self.stages for kind in stage.types))

    @property
    def figures(self) -> tuple[str, ...]:
        """What a claim may be about."""
        return (*self.types, "detail", "all", *GROUP_FIGURES)

    @model_validator(mode="after")
    def _names_agree(self) -> Protocol:
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise ValueError("stages: two have one name")
        for name, budget in self.budgets.items():
            self._known(budget.arms, self.arms, f"budgets.{name}.arms")
            if budget.steps < len(self.stages):
                raise ValueError(f"budgets.{name}.steps: fewer than the {len(self.stages)} stages")
        for claim in self.claims:
            cells = [cell for cell in (claim.first, claim.second) if cell]
            self._known([cell.arm for cell in cells if cell.arm], self.arms, f"claims.{claim.id}")
            self._known([claim.figure], self.figures, f"claims.{claim.id}.figure")
        return self

    @staticmethod
    def _known(names: Any, known: Any, where: str) -> None:
        for name in names:
            if name not in known:
                raise ValueError(f"{where}: {name!r} is not known; known are {', '.join(known)}")

    def budget(self, name: str) -> Budget:
        """The budget of a name.

        Raises:
            ConfigError: There is none.
        """
        if name not in self.budgets:
            known = ", ".join(self.budgets)
            raise ConfigError("--budget", found=name, hint=f"The protocol has {known}.")
        return self.budgets[name]


def stage_steps(stages: tuple[StageShare, ...], steps: int) -> tuple[int, ...]:
    """Share out steps to stages, at least one each, by largest remainder; the sum is ``steps``."""
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
    """Read a protocol; the one of this package where no path is given.

    Raises:
        ConfigError: Names the file, the key, what was found and how to fix it.
    """
    name = str(path or "protocol.yaml")
    source = path or files("benchmarks.evidence") / "protocol.yaml"
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(name, found=error.strerror, hint="Give a file that is there.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        hint = "It must be YAML; `rewardmap evidence protocol` prints one that is."
        raise ConfigError(name, found=" ".join(str(error).split()), hint=hint) from None
    if not isinstance(content, dict):
        raise ConfigError(name, found=content, hint="A protocol is a mapping.")
    return read_block(Protocol, content, name)
