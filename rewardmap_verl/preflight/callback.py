"""Stops a run before Ray starts when its configuration cannot be what its user means.

The recipes name :class:`PreflightCallback` as a Hydra callback, so it sees the composed configuration between
Hydra and the program. Hydra turns an ``Exception`` of a callback into a warning and goes on (seen
in 1.3.8); only ``SystemExit`` ends the run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rewardmap_verl.checkpoints.resume import fall_back
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preflight.checks import CHECKS, Check, is_ours
from rewardmap_verl.preflight.diagnostics import Diagnostic, report
from rewardmap_verl.preflight.overrides import added_keys
from rewardmap_verl.preflight.plugin_state import plugin_problem
from rewardmap_verl.preflight.unknown_keys import reference_keys, unknown_keys

__all__ = ["PreflightCallback", "examine"]

PROGRAMS = {
    "ppo": "python -m verl.trainer.main_ppo",
    "sft": "torchrun -m verl.trainer.sft_trainer",
}


class PreflightCallback(Callback):
    """Checks the configuration of one of verl's programs when it is about to start.

    Args:
        program: The program that the recipe is for: ``ppo`` for verl.trainer.main_ppo, ``sft`` for
            verl.trainer.sft_trainer.
    """

    def __init__(self, program: str = "ppo") -> None:
        self.program = program

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra for a single run, before anything is written."""
        refuse_or_warn(config, self.program)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra for every run; those of a sweep have not been checked yet."""
        if "MULTIRUN" in str(OmegaConf.select(config, "hydra.mode", default="")):
            refuse_or_warn(config, self.program)


def refuse_or_warn(config: DictConfig, program: str) -> None:
    """Write warnings to standard error, and end the program where a diagnostic stops the run.

    A run whose last checkpoint is damaged is led to the one before.

    Raises:
        SystemExit: With what to fix as its message; the program then ends with code 1.
    """
    try:
        diagnostics = list(examine(config, program))
    except Exception as error:  # Hydra would swallow it and train unchecked
        raise SystemExit(
            f"rewardmap: the check of the configuration failed ({type(error).__name__}: {error}), "
            "so the run was not started. `rewardmap doctor` checks the installation. To run "
            "unchecked: '~hydra.callbacks.rewardmap_preflight'."
        ) from error
    stops = any(one.stops for one in diagnostics)
    if os.environ.get("RANK", "0") != "0":  # torchrun starts many; the first one speaks
        if stops:
            raise SystemExit(1)
    elif stops:
        raise SystemExit(
            f"rewardmap: the run was stopped before it started:\n{report(diagnostics)}\n"
            "`rewardmap doctor` checks the installation."
        )
    elif diagnostics:
        sys.stderr.write(f"rewardmap:\n{report(diagnostics)}\n")
    if program == "ppo" and is_ours(config):
        fall_back(config)


def examine(config: DictConfig, program: str = "ppo") -> Iterator[Diagnostic]:
    """Everything about a composed configuration that its user should fix or know.

    Args:
        config: The configuration, Hydra's own part included.
        program: As for :class:`PreflightCallback`.
    """
    if problem := plugin_problem():
        yield Diagnostic("verl's plugin rewardmap", problem[0].upper() + problem[1:])
    name = str(OmegaConf.select(config, "hydra.job.config_name", default="ppo_trainer"))
    if program not in name:
        yield Diagnostic(name, f"This recipe is for {PROGRAMS[program]}.")
        return
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    broken = list(_unresolved(own))
    yield from broken
    typed = OmegaConf.select(config, "hydra.overrides.task", default=[])
    yield from _unknown(own, name, added_keys(typed))
    if not broken:
        found = chain.from_iterable(_run(check, config) for check in CHECKS[program])
        yield from {str(one): one for one in found}.values()  # two checks may read one block


def _unresolved(own: DictConfig) -> Iterator[Diagnostic]:
    """References between keys that lead nowhere; the first of them."""
    try:
        OmegaConf.to_container(own, resolve=True)
    except OmegaConfBaseException as error:
        yield Diagnostic(error.full_key or "configuration", f"{str(error).splitlines()[0]}.")


def _unknown(own: DictConfig, program: str, typed: Collection[str]) -> Iterator[Diagnostic]:
    """Keys that nobody reads, among those that are not Hydra's."""
    known = reference_keys(program)
    plain = OmegaConf.to_container(own, resolve=False)
    if known is not None and isinstance(plain, dict):
        yield from unknown_keys({str(key): value for key, value in plain.items()}, known, typed)


def _run(check: Check, config: DictConfig) -> Iterator[Diagnostic]:
    try:
        yield from check(config)
    except (ConfigError, DataError) as error:
        yield Diagnostic.of(error)
