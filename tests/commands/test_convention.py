"""One convention for all commands: names of options, help, suggestions, exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from rewardmap_verl.commands.main import COMMANDS, app

SHORT = {"--out": "-o", "--limit": "-n"}
NOT_USED = ("--output", "--output-dir", "--max", "--most", "--count", "--json")


def options_of(command: Any) -> Iterator[list[str]]:
    """Yield the names of each option of a command and its subcommands."""
    for parameter in command.params:
        if any(name.startswith("-") for name in parameter.opts):
            yield parameter.opts
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from options_of(command.get_command(context, name))


@pytest.mark.parametrize("name", COMMANDS)
def test_options_have_the_names_of_the_convention(name: str) -> None:
    program: Any = typer.main.get_command(app)
    for names in options_of(program.get_command(typer.Context(program), name)):
        assert not set(names) & set(NOT_USED)
        for long, short in SHORT.items():
            assert (long in names) == (short in names), names


def arguments_of(command: Any) -> Iterator[str]:
    """Yield the names of the arguments of a command and its subcommands."""
    yield from (one.name for one in command.params if one.param_type_name == "argument")
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from arguments_of(command.get_command(context, name))


def test_arguments_are_inputs() -> None:
    program: Any = typer.main.get_command(app)
    assert not {"out", "output", "target"} & set(arguments_of(program))


def test_a_misspelled_command_is_suggested() -> None:
    done = CliRunner().invoke(app, ["sumary"])
    assert done.exit_code == 2 and "Did you mean 'summary'?" in done.output


def test_the_help_has_the_exit_codes_and_the_completion() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert "Exit codes: 0 done" in shown and "--install-completion" in shown


@pytest.mark.parametrize("name", ["doctor", "validate", "summary", "explain", "audit"])
def test_results_for_scripts_are_json(name: str) -> None:
    program: Any = typer.main.get_command(app)
    assert ["--format"] in list(options_of(program.get_command(typer.Context(program), name)))


def test_what_the_system_says_about_a_path_is_one_line() -> None:
    done = CliRunner().invoke(app, ["summary", "a" * 300])
    assert done.exit_code == 2, done.output
    assert "File name too long" in done.output and "Traceback" not in done.output
