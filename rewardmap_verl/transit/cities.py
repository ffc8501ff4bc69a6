"""Facts that the station lists of known cities omit: homonyms, loops, branches, aliases.

The facts are data (``cities.yaml``), keyed by ``country/city``. A note applies only if the list has
the lines and stops that it refers to. A list that is already corrected, or a small list under a
known name, is therefore read unchanged.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from types import MappingProxyType

import yaml
from pydantic import BaseModel, ConfigDict

__all__ = ["Branch", "CityNotes", "city_notes"]


class _Note(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Branch(_Note):
    """A branch that a list appends after its trunk."""

    at: str
    """The junction, a stop of the trunk."""
    first: str
    """The first stop of the branch, which ends at the next branch or at the end of the list."""


class CityNotes(_Note):
    """What is known about one city's list. Stops may be in any spelling that compares equal."""

    separate: dict[str, tuple[tuple[str, ...], ...]] = {}
    """Homonyms: one name, several stops. Each group of lines is one stop. A line that lists the
    name twice is written "B:1" and "B:2". Lines in no group share one additional stop."""
    same: tuple[tuple[str, ...], ...] = ()
    """Groups of names that mean one stop; the first one is displayed."""
    loops: dict[str, tuple[str, str]] = {}
    """Loop lines whose list ends before its first stop: first and last stop of the list."""
    branches: dict[str, tuple[Branch, ...]] = {}
    """Branches by line. An empty tuple means no branch, whatever the list marks."""
    stop_aliases: dict[str, tuple[str, ...]] = {}
    """Additional spellings of a stop that an answer may use: corrected misprints, short names."""
    line_aliases: dict[str, tuple[str, ...]] = {}
    """Additional names of a line that an answer may use."""


@cache
def _all_notes() -> MappingProxyType[str, CityNotes]:
    text = files("rewardmap_verl.transit").joinpath("cities.yaml").read_text(encoding="utf-8")
    notes = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return MappingProxyType({key: CityNotes.model_validate(note) for key, note in notes.items()})


def city_notes(country: str, city: str) -> CityNotes:
    """Return what is known about a city; empty notes for an unlisted city."""
    return _all_notes().get(f"{country}/{city}", CityNotes())
