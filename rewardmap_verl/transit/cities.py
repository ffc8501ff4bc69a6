"""What the station lists of known cities leave out: homonyms, loops, branches, further names.

The facts are data (``cities.yaml``), keyed by ``country/city``. A note applies where the list has
the lines and stops that it speaks of, and is passed over elsewhere, so that a list which was
already repaired, or a small list under a known name, is read as it stands.
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
    """The first stop of the branch; the branch runs to the next branch or the end of the list."""


class CityNotes(_Note):
    """What is known about one city's list. Stops are named in any spelling that compares equal."""

    separate: dict[str, tuple[tuple[str, ...], ...]] = {}
    """Homonyms. One name, several stops: each group of lines is one stop. A line that lists the
    name twice is written "B:1" and "B:2". Lines that no group names share one further stop."""
    same: tuple[tuple[str, ...], ...] = ()
    """Groups of names that mean one stop; the first one listed is displayed."""
    loops: dict[str, tuple[str, str]] = {}
    """Lines that are loops although the list ends before its first stop: first and last stop."""
    branches: dict[str, tuple[Branch, ...]] = {}
    """Branches by line. An empty tuple says that nothing is appended, whatever is marked."""
    stop_aliases: dict[str, tuple[str, ...]] = {}
    """Further spellings of a stop that an answer may use: misprints put right, short names."""
    line_aliases: dict[str, tuple[str, ...]] = {}
    """Further names of a line that an answer may use."""


@cache
def _all_notes() -> MappingProxyType[str, CityNotes]:
    text = files("rewardmap_verl.transit").joinpath("cities.yaml").read_text(encoding="utf-8")
    notes = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return MappingProxyType({key: CityNotes.model_validate(note) for key, note in notes.items()})


def city_notes(country: str, city: str) -> CityNotes:
    """Return what is known about a city; empty notes for one that is not listed."""
    return _all_notes().get(f"{country}/{city}", CityNotes())
