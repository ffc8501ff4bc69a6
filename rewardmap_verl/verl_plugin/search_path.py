"""Hydra's way to the recipes: a search path plugin, active in every program that uses Hydra."""

from __future__ import annotations

import sys

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from rewardmap_verl.preflight.diagnostics import format_diagnostics
from rewardmap_verl.preflight.overrides import mistakes

__all__ = ["PROVIDER", "RECIPES", "RewardMapSearchPath"]

PROVIDER = "rewardmap-verl"
RECIPES = "pkg://rewardmap_verl.recipes"


class RewardMapSearchPath(SearchPathPlugin):
    """Appends the folder of recipes, which makes the group ``recipe`` known to Hydra."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the recipes after the configuration of the program, so that they never hide it.

        Raises:
            SystemExit: The command line names our recipe in a way that Hydra would take for a
                plain key. Hydra would report any other exception as a fault of its own.
        """
        search_path.append(provider=PROVIDER, path=RECIPES)
        found = list(mistakes(sys.argv[1:]))
        if found:
            raise SystemExit(
                f"rewardmap: the command line cannot be what you mean:\n{format_diagnostics(found)}"
            )
