"""Compose the configuration of a run as verl does, without importing verl."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
        reason = str(error).splitlines()[0]
        hint = f"{reason}{_guess(reason, folder, words)}"
        rejected = next((word for word in words if f"'{_key(word)}'" in reason), None)
        raise ConfigError(rejected or " ".join(words), hint=hint) from None
    return config


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def _guess(reason: str, folder: Path, words: Sequence[str]) -> str:
    """Return a sentence with the key that is most similar to a rejected one; empty if none is."""
    rejected = re.fullmatch(r"Could not override '(.+)'\.", reason)
    if rejected is None:
        return ""
    with initialize_config_dir(str(folder), version_base=None):
        config = compose("ppo_trainer", [word for word in words if word.startswith("+recipe")])
    plain = OmegaConf.to_container(config, resolve=False)
    known = list(_keys(plain)) if isinstance(plain, Mapping) else []
    close = difflib.get_close_matches(rejected[1], known, n=1, cutoff=0.8)
    return f" Did you mean {close[0]!r}?" if close else ""


def _keys(block: Mapping[Any, Any], above: str = "") -> Iterator[str]:
    """Yield the dotted keys of a block and of all blocks in it."""
    for key, value in block.items():
        name = f"{above}.{key}" if above else str(key)
        yield name
        if isinstance(value, Mapping):
            yield from _keys(value, name)
