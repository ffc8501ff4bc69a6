"""Options of the commands that upload to the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["PrivateOption", "PushOption"]

PushOption = Annotated[
    str | None,
    typer.Option(
        metavar="OWNER/NAME",
        help="Upload to this repository of the Hugging Face Hub; the token is HF_TOKEN's or that "
        "of `hf auth login`.",
    ),
]
PrivateOption = Annotated[
    bool, typer.Option("--private", help="--push: create the repository as private.")
]
