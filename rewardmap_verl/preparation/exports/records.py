"""The rows of a prepared folder as every export needs them: question, gold answer, picture."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.manifest import Manifest, MapRecord
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.perfect import perfect_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Planner
from rewardmap_verl.transit.reader import read_network

__all__ = ["Record", "read_networks", "read_records", "share_images"]


@dataclass(frozen=True, slots=True)
class Record:
    """One question of a prepared folder."""

    index: int
    """Number of the row in its split."""
    text: str
    """The prompt without the image marker."""
    answer: str
    """The perfect response."""
    truth: GroundTruth
    image: str
    """Path of the map, relative to the folder."""


def read_networks(folder: Path, manifest: Manifest) -> dict[tuple[str, str], Network]:
    """Return the network of every map by (country, city)."""
    return {
        (entry.country, entry.city): read_network(inside(folder, entry.network))
        for entry in manifest.maps
    }


def read_records(folder: Path, manifest: Manifest, split: str) -> Iterator[Record]:
    """Yield the questions of one split, in the order of its rows.

    Raises:
        DataError: The split is missing, or a row has no perfect answer.
    """
    path = inside(folder, f"{split}.parquet")
    if not path.is_file():
        raise DataError(path, hint="Prepare the folder again with `rewardmap prepare`.")
    networks = read_networks(folder, manifest)
    planners = {key: Planner(network) for key, network in networks.items()}
    table = pq.read_table(path, columns=["prompt", "images", "reward_model"])
    for number, row in enumerate(table.to_pylist()):
        truth = GroundTruth.from_json(row["reward_model"]["ground_truth"], f"{split} row {number}")
        key = (truth.country, truth.city)
        yield Record(
            index=number,
            text=row["prompt"][-1]["content"].removeprefix("<image>\n"),
            answer=perfect_answer(truth, networks[key], planners[key]),
            truth=truth,
            image=row["images"][0]["image"],
        )


def share_images(folder: Path, target: Path, maps: tuple[MapRecord, ...]) -> None:
    """Put the map images into an export under the same relative paths, as links where possible."""
    for entry in maps:
        source, copy = inside(folder, entry.image), target / entry.image
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        try:
            os.link(source, copy)
        except OSError:
            shutil.copyfile(source, copy)
