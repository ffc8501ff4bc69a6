"""Hydra's way to the recipes: a search path plugin, active in every program that uses Hydra."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

PROVIDER = "rewardmap-verl"
RECIPES = "pkg://rewardmap_verl.recipes"


class RewardMapSearchPath(SearchPathPlugin):
    """Appends the folder of recipes, which makes the group ``recipe`` known to Hydra."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the recipes after the configuration of the program, so that they never hide it."""
        search_path.append(provider=PROVIDER, path=RECIPES)
