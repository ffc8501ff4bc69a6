"""Error handling of the commands: one readable line and exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["fail", "readable_errors"]


def fail(error: Exception) -> NoReturn:
    """Print an error message and exit with code 2."""
    typer.secho(f"Error: {error}", err=True, fg="red")
    raise typer.Exit(2) from None


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn ``DataError`` and ``ConfigError`` raised in the block into ``fail``."""
    try:
        yield
    except (DataError, ConfigError) as error:
        fail(error)
