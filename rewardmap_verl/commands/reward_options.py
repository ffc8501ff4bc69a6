"""Options shared by the commands about the reward."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.inputs.files import read_text
from rewardmap_verl.inputs.parsing import parse_yaml
from rewardmap_verl.rewards.config import BLOCK, RewardConfig, load_reward_config
from rewardmap_verl.rewards.rows import NetworkFolder

__all__ = [
    "ConfigOption",
    "DataOption",
    "NetworksOption",
    "SetOption",
    "load_settings",
    "networks_of",
]

NetworksOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of networks, COUNTRY/CITY.json; networks/ in a prepared folder. Not needed "
        "for answers of `rewardmap evaluate` and for dumps of a run."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(help="Prepared folder of the questions [default: that of the answers]."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(help="YAML file with the reward settings: the block itself or a full recipe."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Setting as KEY=VALUE, repeatable: alpha=0.7, map_weights.hard=2."),
]


def networks_of(rows: Path, networks: Path | None, data: Path | None) -> NetworkFolder:
    """Return the networks of the questions in a file.

    Args:
        rows: The file; for a dump of a run, the data of the run are found.
        networks: The folder of networks, if it is given.
        data: The prepared folder, if it is given.

    Raises:
        ConfigError: No folder is given, and the file is not in the folder of a run.
        DataError: The folder does not exist.
    """
    from rewardmap_verl.reports.prepared import data_folders
    from rewardmap_verl.reports.runs import read_metadata_near

    folders = [data] if data else data_folders(read_metadata_near(rows))
    if networks is None and folders:
        networks = folders[0] / "networks"
    if networks is None:
        raise ConfigError("--networks", hint="Give the folder of networks, COUNTRY/CITY.json.")
    return NetworkFolder(networks)


def load_settings(file: Path | None, changes: list[str] | None) -> RewardConfig:
    """Build the reward settings from a file and ``--set`` options.

    Raises:
        ConfigError: The file cannot be read, or a key or value is invalid.
    """
    block = _from_file(file) if file is not None else {}
    for change in changes or []:
        keys, _, value = change.partition("=")
        if not keys or not value:
            raise ConfigError("--set", found=change, hint="Use KEY=VALUE, such as alpha=0.7.")
        place = block
        *parents, last = keys.removeprefix(f"{BLOCK}.").split(".")
        for key in parents:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ConfigError("--set", found=change, hint=f"{key} is a value, not a group.")
        place[last] = _parse(value, change)
    return load_reward_config(block)


def _parse(text: str, where: object) -> Any:
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(where, hint=f"This is not valid YAML ({error}).") from None


def _from_file(path: Path) -> dict[str, Any]:
    text = read_text(path)
    found = _parse(text, path)
    for key in BLOCK.split("."):
        if isinstance(found, dict) and key in found:
            found = found[key]
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(path, found=found, hint="Give the settings as keys and values.")
    return found
