"""The questions of a prepared folder with perfect answers, for exports and supervised training."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.inputs.parquet import parquet_rows
from rewardmap_verl.preparation.atomic import link_or_copy
from rewardmap_verl.preparation.manifest import Manifest, MapRecord
from rewardmap_verl.preparation.paths import image_inside, inside
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.perfect import perfect_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Planner
from rewardmap_verl.transit.reader import read_network

__all__ = [
    "PreparedNetworks",
    "PreparedQuestion",
    "link_images",
    "prepared_image",
    "prepared_network",
    "read_networks",
    "read_prepared_questions",
]

_IMAGE_MARKER = "<image>\n"
_PICTURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP", re.DOTALL)
_HEAD_BYTES = 16
_PREPARE = "Prepare the folder again with `rewardmap prepare` or `make prep-data`."


@dataclass(frozen=True, slots=True)
class PreparedQuestion:
    """One row of a prepared folder."""

    index: int
    """Number of the row in its split."""
    prompt: str
    """The user's turn, with the image marker."""
    answer: str
    """The perfect response."""
    truth: GroundTruth
    image: str
    """Path of the map, relative to the folder."""
    image_path: Path
    """Path of the map, absolute; it is inside the folder."""
    max_pixels: int
    """Pixel budget of the map."""

    @property
    def text(self) -> str:
        """The prompt without the image marker."""
        return self.prompt.removeprefix(_IMAGE_MARKER)


def read_prepared_questions(folder: Path, split: str) -> Iterator[PreparedQuestion]:
    """Yield the questions of one split in the order of its rows.

    The perfect answer is derived from the ground truth and the network, so that it does not depend
    on reference routes, which some rows lack and others spell as a map service does.

    Args:
        folder: A prepared folder.
        split: "train" or "test".

    Raises:
        DataError: The split is missing, a row has another format, a path leads outside the folder,
            or a row has no perfect answer.
    """
    path = inside(folder, f"{split}.parquet")
    if not path.is_file():
        raise DataError(path, hint=_PREPARE)
    networks = PreparedNetworks(folder)
    for number, row in enumerate(parquet_rows(path)):
        where = f"{path}, row {number}"
        try:
            yield _question(row, number, where, networks)
        except DataError:
            raise
        except (
            AttributeError,
            IndexError,
            KeyError,
            TypeError,
            ValueError,
            OverflowError,
        ) as error:
            hint = f"It does not have the format of this version. {_PREPARE}"
            raise DataError(where, hint=hint) from error


def _question(
    row: dict[str, Any], number: int, where: str, networks: PreparedNetworks
) -> PreparedQuestion:
    truth = GroundTruth.from_json(row["reward_model"]["ground_truth"], where)
    image = row["images"][0]
    path = prepared_image(networks.folder, image["image"], where)
    network, planner = None, None
    if truth.is_planning:
        network, planner = networks.get(row["extra_info"]["network"], where)
    return PreparedQuestion(
        index=number,
        prompt=row["prompt"][-1]["content"],
        answer=perfect_answer(truth, network, planner),
        truth=truth,
        image=image["image"],
        image_path=path,
        max_pixels=int(image["max_pixels"]),
    )


@dataclass(slots=True)
class PreparedNetworks:
    """The networks of a prepared folder with their planners; each is read once."""

    folder: Path
    _read: dict[str, tuple[Network, Planner]] = field(default_factory=dict)

    def get(self, relative: str, where: object = "network") -> tuple[Network, Planner]:
        """Return a network by its path in the folder; see ``prepared_network``."""
        if relative not in self._read:
            network = prepared_network(self.folder, relative, where)
            self._read[relative] = network, Planner(network)
        return self._read[relative]


def prepared_image(folder: Path, relative: str, where: object = "image") -> Path:
    """Return the path of a map image in a prepared folder.

    Raises:
        DataError: The path leads outside the folder, has an unusual name, or is not a raster image.
    """
    path = image_inside(folder, relative, where, "image")
    check_file(path, where, "image")
    with path.open("rb") as stream:
        if not _PICTURE.match(stream.read(_HEAD_BYTES)):
            raise DataError(where, "image", relative, "Its content is not PNG, JPEG or WebP.")
    return path


def prepared_network(folder: Path, relative: str, where: object = "network") -> Network:
    """Read a network of a prepared folder.

    Raises:
        DataError: The path leads outside the folder, is not a regular file, or is not a network.
    """
    path = inside(folder, relative, where, "network")
    check_file(path, where, "network")
    return read_network(path)


def read_networks(folder: Path, manifest: Manifest) -> dict[tuple[str, str], Network]:
    """Return the network of every map by country and city."""
    return {
        (entry.country, entry.city): prepared_network(folder, entry.network)
        for entry in manifest.maps
    }


def link_images(folder: Path, target: Path, maps: tuple[MapRecord, ...]) -> None:
    """Add the map images to an export under the same relative paths, as hard links if possible."""
    for entry in maps:
        link_or_copy(prepared_image(folder, entry.image), target / entry.image)
