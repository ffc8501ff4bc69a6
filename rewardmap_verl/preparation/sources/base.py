"""What every source of maps hands to the preparation: networks, each with a way to its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from PIL import Image

from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import Skipped
from rewardmap_verl.questions.types import Question
from rewardmap_verl.transit.network import Network

__all__ = ["City", "Contents", "Picture", "Rendered"]


@dataclass(frozen=True)
class Rendered:
    """A map image on the pixel budget."""

    image: Image.Image
    """8-bit RGB on the patch grid."""
    positions: Mapping[str, object] | None = None
    """Pixel positions of stops and labels, JSON-able; None for a map that was not drawn here."""


class Picture(Protocol):
    """A way to a map image. It crosses to a worker process, so it is small and picklable."""

    def identity(self) -> str:
        """A text that changes whenever the image would; equal texts mean the same image."""
        ...

    def effort(self) -> int:
        """About how much work the image is, in any unit; the largest of a source go first."""
        ...

    def render(self, budget: PixelBudget) -> Rendered:
        """Make the image.

        Raises:
            DataError: The image cannot be read or drawn.
        """
        ...


@dataclass(frozen=True, slots=True)
class City:
    """One map: the network, its picture, and where its questions go."""

    network: Network
    difficulty: str
    """easy, middle or hard."""
    splits: tuple[str, ...]
    """("train",), ("test",), or both where one city is all there is."""
    picture: Picture
    questions: tuple[tuple[str, Question], ...] | None = None
    """Questions that the source brings along, each with its split; None has them generated."""

    @property
    def key(self) -> str:
        """ "country/city", unique in a source."""
        return f"{self.network.country}/{self.network.city}"


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a source has to offer."""

    cities: tuple[City, ...]
    """Sorted by key."""
    skipped: tuple[Skipped, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every file that was read, by its path below the root."""
    notes: tuple[str, ...] = ()
