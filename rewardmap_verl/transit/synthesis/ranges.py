"""A range of integers in the settings of generated networks."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

__all__ = ["Range"]


def _ordered(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"the minimum must come first; got {value}")
    return value


Range = Annotated[tuple[int, int], AfterValidator(_ordered)]
"""Minimum and maximum, both inclusive."""
