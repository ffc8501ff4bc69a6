"""The command of a training run, from data, options and overrides."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from omegaconf import DictConfig

from rewardmap_verl.cpu.environment import SWITCH
from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preflight.checks.values import require_int, select
from rewardmap_verl.preflight.compose import RECIPE, compose_run
from rewardmap_verl.preflight.overrides import OPTIONS, parse_all

__all__ = ["CHECKPOINTS", "LOG_NAME", "MERGED", "RunPlan", "plan_run", "recipe_options"]

CHECKPOINTS = "checkpoints"
MERGED = "merged"
TENSORBOARD = "tensorboard"
LOG_NAME = "train.log"
"""Names in the folder of a run."""

PROGRAM = (sys.executable, "-m", "verl.trainer.main_ppo")
_FOLDER = "trainer.default_local_dir"
_PLAIN = re.compile(r"[\w./~+:-]+")


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A training run before it starts."""

    run: Path
    """Folder of the run."""
    words: tuple[str, ...]
    """Overrides of verl's program."""
    variables: Mapping[str, str]
    """Environment variables to add to those of this process."""
    record: Path | None
    """Record that the run writes; ``None`` if it writes none."""
    steps: int
    """Training steps of the whole run, those of earlier attempts included."""
    stages: tuple[str, ...]
    """Names of its stages."""
    program: tuple[str, ...] = PROGRAM
    """The program with its own arguments."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command, as for ``subprocess``."""
        return (*self.program, *self.words)

    @property
    def log(self) -> Path:
        """File with the complete output of the run, all attempts one after another."""
        return self.run / LOG_NAME


def plan_run(
    run: Path,
    data: Path | None = None,
    model: str | None = None,
    options: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> RunPlan:
    """Compose the configuration of a run and return how it is started.

    Args:
        run: Folder of the run; checkpoints, logs and the merged model go below it.
        data: Prepared folder; by default that of the recipe.
        model: Model to start from; by default that of the recipe.
        options: Names of recipe options, in order.
        overrides: ``key=value`` overrides of the recipe.

    Raises:
        ConfigError: An option or a key is unknown, or the settings do not fit the data.
        DataError: The data are not prepared.
    """
    words = tuple(_words(run, data, model, options, overrides))
    config = compose_run(words)
    record = select(config, "trainer.v1.sampler.sampler_kwargs.record")
    require_int(config, "data.train_batch_size")
    require_int(config, "data.train_max_samples", -1, minimum=-1)
    plan = plan_curriculum(config.data)
    once = plan.schedule.steps * require_int(config, "trainer.total_epochs")
    return RunPlan(
        run=run,
        words=words,
        variables=dict(_variables(run, config)),
        record=Path(record) if record else None,
        steps=require_int(config, "trainer.total_training_steps", once),
        stages=tuple(dict.fromkeys(span.stage for span in plan.schedule.spans)),
    )


def recipe_options() -> list[str]:
    """Return the names of the options of the recipe."""
    folder = files("rewardmap_verl.recipes") / "recipe" / "rewardmap"
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir())


def _words(
    run: Path,
    data: Path | None,
    model: str | None,
    options: Sequence[str],
    overrides: Sequence[str],
) -> Iterator[str]:
    """Yield the overrides of verl's program; those of the user come last."""
    _check(options, overrides)
    if not any(word.startswith("+recipe=") for word in overrides):
        yield RECIPE
    if options:
        yield f"+recipe/rewardmap=[{','.join(options)}]"
    if data is not None:
        yield f"data.folder={_quoted(data)}"
    if model is not None:
        yield f"actor_rollout_ref.model.path={_quoted(model)}"
    yield f"{_FOLDER}={_quoted(run / CHECKPOINTS)}"
    yield from overrides


def _check(options: Sequence[str], overrides: Sequence[str]) -> None:
    known = recipe_options()
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            guess = f"Did you mean {close[0]!r}? " if close else ""
            raise ConfigError("--option", found=name, hint=f"{guess}Options: {', '.join(known)}.")
    parsed = parse_all(overrides)
    if len(parsed) < len(overrides):
        wrong = next(word for word in overrides if not parse_all([word]))
        raise ConfigError("arguments", found=wrong, hint="Overrides have the form key=value.")
    for one in parsed:
        if one.key in OPTIONS:
            raise ConfigError("arguments", found=one.text, hint="Use --option NAME, once for each.")
        if one.key == _FOLDER:
            raise ConfigError("arguments", found=one.text, hint="Use --out FOLDER.")


def _quoted(value: object) -> str:
    """Return a value for Hydra's grammar, in quotes if it has special characters."""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return f"'{escaped}'"


def _variables(run: Path, config: DictConfig) -> Iterator[tuple[str, str]]:
    """Yield the variables that the run needs and that the user has not set."""
    if select(config, "trainer.device") == "cpu":
        yield SWITCH, "cpu"
    if not os.environ.get("TENSORBOARD_DIR"):
        yield "TENSORBOARD_DIR", str(run / TENSORBOARD)
    yield "PYTHONUNBUFFERED", "1"  # the log is read while it is written
