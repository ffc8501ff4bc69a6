"""Published figures, as data with their source (``published.yaml``)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict

__all__ = ["Published", "PublishedModel", "published_figures"]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RouteFigures(_Block):
    """Figures of ReasonMap's short or long questions."""

    accuracy: float
    """Weighted, in percent."""
    tokens: float
    """Mean tokens of an answer."""
    map_score: float
    """Weighted, of 20 (short) or 40 (long)."""


class PublishedModel(_Block):
    """One model's row of a published table."""

    name: str
    short: RouteFigures | None = None
    long: RouteFigures | None = None


class Published(_Block):
    """A published table."""

    source: str
    models: tuple[PublishedModel, ...]


@cache
def published_figures() -> Published:
    """Return the published figures of ReasonMap."""
    file = files("rewardmap_verl.evaluation").joinpath("published.yaml")
    return Published.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
