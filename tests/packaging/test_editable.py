"""The installation that the tests run in, usually an editable one."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from importlib.resources import files

import hydra_plugins
import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from typer.testing import CliRunner


def test_hydra_walks_over_our_plugin() -> None:
    """Hydra does just this; a namespace without a real folder would not be walked."""
    found = [one.name for one in pkgutil.iter_modules(hydra_plugins.__path__)]
    assert found.count("rewardmap_recipes") >= 1


def test_hydra_discovers_one_search_path_plugin_of_ours() -> None:
    found = Plugins.instance().discover(SearchPathPlugin)
    assert [one.__name__ for one in found].count("RewardMapSearchPath") == 1


def test_recipes_are_found_through_the_package() -> None:
    assert (files("rewardmap_verl.recipes") / "recipe" / "rewardmap.yaml").is_file()


@pytest.mark.parametrize("group", ["verl.plugins", "vllm.general_plugins"])
def test_entry_points_can_be_loaded(group: str) -> None:
    ours = [one for one in entry_points(group=group) if one.name.startswith("rewardmap")]
    assert ours
    for one in ours:
        one.load()


def test_commands_are_listed_and_importable() -> None:
    from rewardmap_verl.commands.main import COMMANDS, app

    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0, shown.output
    for name in COMMANDS:
        assert name in shown.output


def test_every_function_named_as_its_file_is_a_command() -> None:
    from rewardmap_verl import commands
    from rewardmap_verl.commands.main import COMMANDS

    helpers = {"option_groups"}  # a decorator named after its module
    names = [one.name for one in pkgutil.iter_modules(commands.__path__) if one.name != "main"]
    modules = {name: importlib.import_module(f"{commands.__name__}.{name}") for name in names}
    found = {
        name.replace("_", "-")
        for name, module in modules.items()
        if hasattr(module, name) and name not in helpers
    }
    assert found == set(COMMANDS)


def test_version_is_that_of_the_distribution() -> None:
    from rewardmap_verl.commands.main import app

    shown = CliRunner().invoke(app, ["--version"])
    assert shown.exit_code == 0
    assert shown.output.startswith("rewardmap-verl ")
