"""The interface between the sources and the preparation: cities with networks and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image

from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import Skipped
from rewardmap_verl.questions.types import Question
from rewardmap_verl.transit.network import Network

__all__ = ["City", "Contents", "FilePicture", "Picture", "Rendered"]


@dataclass(frozen=True)
class Rendered:
    """A map image within the pixel budget."""

    image: Image.Image
    """8-bit RGB on the patch grid."""
    positions: Mapping[str, object] | None = None
    """Pixel positions of stops and labels, JSON-compatible; None if they are unknown."""
    original: Image.Image | None = None
    """The map before it was resized, if it is not a file; None: the same as ``image``."""


class Picture(Protocol):
    """A map image that is read or drawn later, in a worker process; it must be picklable."""

    def identity(self) -> str:
        """Return a text that is equal for equal images and different for others."""
        ...

    def effort(self) -> int:
        """Return the approximate work in any unit; the largest images of a source come first."""
        ...

    def render(self, budget: PixelBudget) -> Rendered:
        """Return the image within the pixel budget.

        Raises:
            DataError: The image cannot be read or drawn.
        """
        ...


@runtime_checkable
class FilePicture(Protocol):
    """A picture that is a file, so that its original need not be decoded at once."""

    def file(self) -> AbstractContextManager[Path]:
        """Return the path of the file, valid inside a ``with`` block."""
        ...


@dataclass(frozen=True, slots=True)
class City:
    """One map: the network, its picture and the splits of its questions."""

    network: Network
    difficulty: str
    """easy, middle or hard."""
    splits: tuple[str, ...]
    """("train",), ("test",), or both if the source has a single city."""
    picture: Picture
    questions: tuple[tuple[str, Question], ...] | None = None
    """Questions from the source, each with its split; None to generate questions."""

    @property
    def key(self) -> str:
        """Country and city as "country/city", unique in a source."""
        return f"{self.network.country}/{self.network.city}"


@dataclass(frozen=True, slots=True)
class Contents:
    """The data of a source."""

    cities: tuple[City, ...]
    """Cities, sorted by key."""
    skipped: tuple[Skipped, ...] = ()
    """Cities of the source that cannot be used."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every file that was read, by path below the root."""
    notes: tuple[str, ...] = ()
    """Remarks for the user."""
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Number of rows of the source that are not used, by split and reason."""
