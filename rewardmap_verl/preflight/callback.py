"""Hydra callback that checks the configuration and stops a bad run before Ray starts.

The recipes register ``PreflightCallback``, so it sees the composed configuration before the
program does. Hydra 1.3.8 turns an ``Exception`` in a callback into a warning and continues; only
``SystemExit`` ends the run.
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
from rewardmap_verl.preflight.checks import CHECKS
from rewardmap_verl.preflight.checks.values import Check, is_ours
from rewardmap_verl.preflight.diagnostics import Diagnostic, format_diagnostics
from rewardmap_verl.preflight.overrides import added_keys
from rewardmap_verl.preflight.plugin_state import plugin_problem
from rewardmap_verl.preflight.unknown_keys import reference_keys, unknown_keys

__all__ = ["PreflightCallback", "examine"]

PROGRAMS = {
    "ppo": "python -m verl.trainer.main_ppo",
    "sft": "torchrun -m verl.trainer.sft_trainer",
}


class PreflightCallback(Callback):
    """Callback that checks the configuration of a verl program before it starts.

    Args:
        program: Program that the recipe is for: ``ppo`` (verl.trainer.main_ppo) or ``sft``
            (verl.trainer.sft_trainer).
    """

    def __init__(self, program: str = "ppo") -> None:
        self.program = program

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check a single run before anything is written."""
        stop_or_warn(config, self.program)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check each run of a sweep; a single run has been checked already."""
        if "MULTIRUN" in str(OmegaConf.select(config, "hydra.mode", default="")):
            stop_or_warn(config, self.program)


def stop_or_warn(config: DictConfig, program: str) -> None:
    """Write warnings to standard error, or end the program if a diagnostic stops the run.

    If the last checkpoint is damaged, the run is set to resume from the one before.

    Raises:
        SystemExit: The run must not start. The message lists the problems; the exit code is 1.
    """
    try:
        diagnostics = list(examine(config, program))
    except Exception as error:  # Hydra would swallow it and train without the checks
        raise SystemExit(
            f"rewardmap: checking the configuration failed ({type(error).__name__}: {error}), "
            "so the run was not started. `rewardmap doctor` checks the installation. To run "
            "without the checks: '~hydra.callbacks.rewardmap_preflight'."
        ) from error
    stops = any(one.stops for one in diagnostics)
    if os.environ.get("RANK", "0") != "0":  # under torchrun only rank 0 prints
        if stops:
            raise SystemExit(1)
    elif stops:
        raise SystemExit(
            "rewardmap: the run was stopped before it started:\n"
            f"{format_diagnostics(diagnostics)}\n"
            "`rewardmap doctor` checks the installation."
        )
    elif diagnostics:
        sys.stderr.write(f"rewardmap:\n{format_diagnostics(diagnostics)}\n")
    if program == "ppo" and is_ours(config):
        fall_back(config)


def examine(config: DictConfig, program: str = "ppo") -> Iterator[Diagnostic]:
    """Run every check on a composed configuration.

    Args:
        config: The configuration, including Hydra's own part.
        program: As for ``PreflightCallback``.
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
    overrides = OmegaConf.select(config, "hydra.overrides.task", default=[])
    yield from _unknown(own, name, added_keys(overrides))
    if not broken:
        found = chain.from_iterable(_run(check, config) for check in CHECKS[program])
        # Two checks may read the same block and report the same error.
        yield from {str(one): one for one in found}.values()


def _unresolved(own: DictConfig) -> Iterator[Diagnostic]:
    """Report the first interpolation that cannot be resolved."""
    try:
        OmegaConf.to_container(own, resolve=True)
    except OmegaConfBaseException as error:
        yield Diagnostic(error.full_key or "configuration", f"{str(error).splitlines()[0]}.")


def _unknown(own: DictConfig, program: str, added: Collection[str]) -> Iterator[Diagnostic]:
    known = reference_keys(program)
    plain = OmegaConf.to_container(own, resolve=False)
    if known is not None and isinstance(plain, dict):
        yield from unknown_keys({str(key): value for key, value in plain.items()}, known, added)


def _run(check: Check, config: DictConfig) -> Iterator[Diagnostic]:
    try:
        yield from check(config)
    except (ConfigError, DataError) as error:
        yield Diagnostic.of(error)
