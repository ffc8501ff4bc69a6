"""How commands end on a fault that a user can fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["fail", "readable_errors"]


def fail(error: Exception) -> NoReturn:
    """End the program with one readable message and code 2."""
    typer.secho(f"Error: {error}", err=True, fg="red")
    raise typer.Exit(2) from None


@contextmanager
def readable_errors() -> Iterator[None]:
    """Let what is done inside :func:`fail` on broken data and on settings that cannot be meant."""
    try:
        yield
    except (DataError, ConfigError) as error:
        fail(error)
