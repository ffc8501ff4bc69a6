"""Search path plugin that lets every Hydra program find the recipes."""

from __future__ import annotations

import sys

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from rewardmap_verl.preflight.diagnostics import format_diagnostics
from rewardmap_verl.preflight.overrides import mistakes
from rewardmap_verl.verl_plugin.router_path import register_router_path

__all__ = ["PROVIDER", "RECIPES", "RewardMapSearchPath"]

PROVIDER = "rewardmap-verl"
RECIPES = "pkg://rewardmap_verl.recipes"


class RewardMapSearchPath(SearchPathPlugin):
    """Adds the folder of recipes to Hydra's search path, which provides the group ``recipe``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the recipes after the program's own configuration, which takes precedence.

        The interpolation that they use is registered too.

        Raises:
            SystemExit: The command line selects the recipe in a way that Hydra would read as a
                plain key. Hydra would report any other exception as an error in the plugin.
        """
        register_router_path()
        search_path.append(provider=PROVIDER, path=RECIPES)
        found = list(mistakes(sys.argv[1:]))
        if found:
            raise SystemExit(f"rewardmap: wrong command line:\n{format_diagnostics(found)}")
