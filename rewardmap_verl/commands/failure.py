"""How commands end on a fault that a user can mend."""

from __future__ import annotations

from typing import NoReturn

import typer

__all__ = ["fail"]


def fail(error: Exception) -> NoReturn:
    """End the program with one readable message and code 2."""
    typer.secho(f"Error: {error}", err=True, fg="red")
    raise typer.Exit(2) from None
