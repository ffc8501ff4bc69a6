"""Check a prepared folder: files against the manifest, rows against their gold answers.

No model is needed. The perfect answer of each row must earn the highest reward that its question
allows; otherwise the row would teach something wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.parquet import open_parquet, parquet_rows
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import Manifest, differences, read_manifest
from rewardmap_verl.preparation.paths import PICTURE_FORMATS, inside
from rewardmap_verl.preparation.records import PreparedNetworks, prepared_image
from rewardmap_verl.preparation.rows import IMAGE_MARKER, SCHEMA
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.perfect import perfect_answer
from rewardmap_verl.rewards.score import bounds, check_against_network, score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Planner

__all__ = ["faults"]

_PATCH = PixelBudget().patch


def faults(folder: Path, answers: bool = True) -> Iterator[str]:
    """Yield one message for each fault of a prepared folder.

    Args:
        folder: A folder that ``rewardmap prepare`` wrote.
        answers: Whether to score the perfect answer of every row.

    Raises:
        DataError: The folder has no readable manifest.
    """
    manifest = read_manifest(folder)
    yield from differences(manifest, folder)
    files = _FolderFiles(folder, PreparedNetworks(folder), answers)
    for split, count in manifest.rows.items():
        yield from _split_faults(files, manifest, split, count)


@dataclass
class _FolderFiles:
    """Networks and image sizes of a folder; each file is opened once."""

    folder: Path
    networks: PreparedNetworks
    answers: bool
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def image_size(self, path: str) -> tuple[int, int]:
        if path not in self._sizes:
            try:
                picture = prepared_image(self.folder, path)
                with Image.open(picture, formats=PICTURE_FORMATS) as image:
                    self._sizes[path] = image.size
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                hint = "It is not a readable image."
                raise DataError(path, found=str(error), hint=hint) from error
        return self._sizes[path]


def _split_faults(files: _FolderFiles, manifest: Manifest, split: str, count: int) -> Iterator[str]:
    name = f"{split}.parquet"
    try:
        path = inside(files.folder, name)
        file = open_parquet(path)
        if not file.schema_arrow.equals(SCHEMA):
            yield f"{name}: it does not have the columns of this version"
            return
        if file.metadata.num_rows != count:
            yield f"{name}: it has {file.metadata.num_rows} rows; the manifest has {count}"
        yield from _rows_faults(files, manifest, split, parquet_rows(path))
    except DataError as error:
        yield str(error)


def _rows_faults(
    files: _FolderFiles, manifest: Manifest, split: str, rows: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    name = f"{split}.parquet"
    seen: Counter[str] = Counter()
    for number, row in enumerate(rows):
        try:
            seen[row["extra_info"]["type"]] += 1
            yield from (f"{name}, row {number}: {fault}" for fault in _row_faults(files, row))
        except DataError as error:
            yield f"{name}, row {number}: {error}"
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            yield f"{name}, row {number}: a value is missing ({error})"
    if dict(seen) != manifest.rows_by_type.get(split):
        yield f"{name}: the number of rows of each type differs from the manifest"


def _row_faults(files: _FolderFiles, row: Mapping[str, Any]) -> Iterator[str]:
    info = row["extra_info"]
    text = row["prompt"][-1]["content"]
    if len(row["images"]) != text.count(IMAGE_MARKER):
        yield f"{len(row['images'])} images for {text.count(IMAGE_MARKER)} markers"
    for image in row["images"]:
        width, height = files.image_size(image["image"])
        if width % _PATCH or height % _PATCH or width * height > image["max_pixels"]:
            yield f"{image['image']} has {width}x{height} pixels and is resized during training"
    truth = GroundTruth.from_json(row["reward_model"]["ground_truth"])
    for name in ("type", "country", "city", "station_1", "station_2", "difficulty_city", "form"):
        if str(getattr(truth, name)) != info[name]:
            yield f"{name} is {info[name]!r}, but {getattr(truth, name)!r} in the ground truth"
    network, planner = files.networks.get(info["network"])
    check_against_network(truth, network)
    if files.answers:
        yield from _answer_faults(truth, network, planner)


def _answer_faults(truth: GroundTruth, network: Network, planner: Planner) -> Iterator[str]:
    config = RewardConfig()
    answer = perfect_answer(truth, network, planner)
    score, highest = score_answer(answer, truth, network, config).score, bounds(truth, config)[1]
    if score != highest:
        yield f"its perfect answer earns {score:g} of {highest:g}: {answer!r}"
