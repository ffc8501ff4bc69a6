"""The program ``rewardmap``; every command is a function in the module of its name."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import DataError

__all__ = ["COMMANDS", "app"]

COMMANDS = (
    "doctor",
    "prepare",
    "validate",
    "export",
    "draw",
    "pocket-model",
    "tiny-model",
    "cold-start",
    "pretrain",
    "sft-rows",
    "curriculum",
    "train",
    "merge",
    "summary",
    "evaluate",
    "benchmarks",
    "report",
    "track",
    "check-merge",
    "card",
    "score",
    "explain",
    "audit",
)
"""Commands in the order of a typical workflow; ``tiny-model`` is in ``tiny_model.py``."""


class Commands(TyperGroup):
    """Group that imports a command only when it is called, which keeps start-up fast."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Typer suggests one of these names; the commands themselves are imported later.
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what the system says about a path that it was given is one line."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of standard output has gone
            raise
        except OSError as error:
            hint = f"The system reports: {error.strerror or error}."
            fail(DataError(error.filename or "a file", hint=hint))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a name; ``None`` if it is unknown."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        function = getattr(importlib.import_module(f"rewardmap_verl.commands.{name}"), name)
        if isinstance(function, typer.Typer):  # a command with subcommands
            group = typer.main.get_group(function)
            group.name = cmd_name  # shown in the list of commands
            return group
        alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        alone.command(cmd_name)(function)
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    epilog=(
        "Exit codes: 0 done; 1 the run failed, or something that was checked is wrong; 2 wrong "
        "arguments or unusable input; 130 Ctrl-C. "
        "Complete commands with the Tab key: `rewardmap --install-completion`"
    ),
)


def show_version(wanted: bool) -> None:
    """Print the installed version and exit."""
    if wanted:
        typer.echo(f"rewardmap-verl {version('rewardmap-verl')}")
        raise typer.Exit()


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Train vision-language models to read transit maps, with verl.

    Start with `rewardmap doctor`, which checks this machine, `rewardmap prepare`, which prepares
    the data, and `rewardmap train`. Every command has its own help: `rewardmap train --help`.
    """
