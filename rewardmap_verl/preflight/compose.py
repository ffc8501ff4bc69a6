"""Compose the configuration of a run as verl does, without importing verl."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rewardmap_verl.errors import ConfigError

__all__ = ["compose_run"]

RECIPE = "+recipe=rewardmap"


def compose_run(overrides: Sequence[str]) -> DictConfig:
    """Compose verl's PPO configuration with our recipe.

    Args:
        overrides: Overrides as on verl's command line. ``+recipe=rewardmap`` is added if they name
            no recipe.

    Raises:
        ConfigError: Hydra rejects an override, or verl is not installed.
    """
    spec = find_spec("verl")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("verl", hint="It is not installed here; see `rewardmap doctor`.")
    folder = Path(next(iter(spec.submodule_search_locations))) / "trainer" / "config"
    named = any(word.startswith("+recipe=") for word in overrides)
    words = list(overrides) if named else [RECIPE, *overrides]
    try:
        with initialize_config_dir(str(folder), version_base=None):
            config = compose("ppo_trainer", words)
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(" ".join(words), hint=str(error).splitlines()[0]) from None
    return config
