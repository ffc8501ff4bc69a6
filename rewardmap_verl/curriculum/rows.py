"""Rows of the prepared parquet files: resolve their paths and check them.

Every row is checked before the first step. A row that fails during training would fail its whole
group, and verl would pad the batch with sequences without an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.originals import original_of
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network

__all__ = ["Files", "check_originals", "check_rows", "each_row"]

_MAKE = "Make a folder of data with `rewardmap prepare`, or with `make prep-data`."
_PREPARE = "Prepare the data again with `make prep-data` or `rewardmap prepare`."
_IMAGE_MARK = "<image>"

_AT_ONCE = 1000
"""Rows converted to Python objects at a time; three times faster than one by one."""

Networks = Callable[[str], Network]


@dataclass(frozen=True)
class Files:
    """Parquet files, and the folders to which the paths in their rows are relative."""

    paths: tuple[Path, ...]
    row_counts: tuple[int, ...]
    _resolved: dict[tuple[int, str], str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Files:
        """Find the files.

        Raises:
            DataError: A file is missing or is not a local parquet file.
        """
        paths = tuple(_existing(name) for name in names)
        return cls(paths, tuple(_row_count(path) for path in paths))

    def folder_of_each_row(self) -> list[int]:
        """Return the index of the file of every row, over all files in order."""
        return [index for index, count in enumerate(self.row_counts) for _ in range(count)]

    def name_row(self, row: int) -> str:
        """Return the file and the number in that file of a row, counted over all files."""
        for path, count in zip(self.paths, self.row_counts, strict=True):
            if row < count:
                return f"{path}, row {row}"
            row -= count
        return f"row {row}"

    def resolve(self, folder: int, path: str) -> str:
        """Return the absolute path of a file that a row refers to.

        Args:
            folder: Index of the parquet file that contains the row.
            path: Path in the row, relative to the folder of the parquet file.

        Raises:
            DataError: The path leaves the folder (links included), or the file is missing.
        """
        key = (folder, path)
        if key not in self._resolved:
            self._resolved[key] = str(_inside(self.paths[folder].parent, path))
        return self._resolved[key]


def each_row(dataset: Any) -> Iterator[dict[str, Any]]:
    """Iterate over the rows of a ``datasets.Dataset`` in order, faster than its own iterator."""
    for batch in dataset.iter(batch_size=_AT_ONCE):
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))


def check_rows(rows: Iterable[Mapping[str, Any]], files: Files, longest: int) -> None:
    """Check every row of a dataset.

    Args:
        rows: Rows in the order of the files, each with ``data_folder``, the index of its file.
        files: Files of the rows.
        longest: Maximum number of prompt tokens, ``data.max_prompt_length``.

    Raises:
        DataError: Names file, row and field of the first unusable row.
    """
    networks = cache(read_network)
    for number, row in enumerate(rows):
        try:
            _check_row(row, files, networks, longest)
        except DataError as error:
            raise DataError(
                files.name_row(number),
                f"{error.where}: {error.field}" if error.field else error.where,
                error.found,
                error.hint,
            ) from error


def check_originals(rows: Iterable[Mapping[str, Any]], files: Files) -> None:
    """Check that the original of every map exists, as the zoom tool needs it.

    Raises:
        DataError: Names the first row whose map has none.
    """
    for number, row in enumerate(rows):
        for image in row.get("images") or []:
            try:
                files.resolve(row["data_folder"], original_of(image["image"]))
            except DataError as error:
                raise DataError(
                    files.name_row(number),
                    "images",
                    image["image"],
                    "data.zoom crops the original map, and this one has none. Prepare the data "
                    "with --keep-originals.",
                ) from error


def _check_row(row: Mapping[str, Any], files: Files, networks: Networks, longest: int) -> None:
    info = _part(row, "extra_info")
    _check_images(row, files)
    network = networks(files.resolve(row["data_folder"], _text(info, "extra_info.network")))
    truth = GroundTruth.from_json(_text(_part(row, "reward_model"), "reward_model.ground_truth"))
    check_against_network(truth, network)
    kind = _text(info, "extra_info.type")
    if kind != truth.type:
        raise DataError(
            "extra_info.type",
            found=kind,
            hint=f"Its gold answer is of type {truth.type}. {_PREPARE}",
        )
    tokens = info.get("prompt_tokens")
    if isinstance(tokens, int) and tokens > longest:
        hint = (
            f"data.max_prompt_length is {longest}, and a longer prompt fails its group. Raise it, "
            "or prepare the data with a smaller pixel budget."
        )
        raise DataError("extra_info.prompt_tokens", found=tokens, hint=hint)


def _check_images(row: Mapping[str, Any], files: Files) -> None:
    images = row.get("images") or []
    marks = sum(str(message["content"]).count(_IMAGE_MARK) for message in row["prompt"])
    if marks != len(images):
        raise DataError(
            "prompt", found=f"{marks} × {_IMAGE_MARK} for {len(images)} images", hint=_PREPARE
        )
    for index, image in enumerate(images):
        where = f"images[{index}]"
        if not isinstance(image, Mapping):
            raise DataError(where, found=image, hint=f"Expected a struct. {_PREPARE}")
        if image.get("bytes") is not None:
            raise DataError(
                where,
                "bytes",
                hint="Images inside rows are copied with every rollout and fill the host memory. "
                "Store them as files and put their paths here. " + _PREPARE,
            )
        files.resolve(row["data_folder"], _text(image, f"{where}.image"))


def _part(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = row.get(name)
    if not isinstance(part, Mapping):
        raise DataError(name, found=part, hint=f"Expected a struct. {_PREPARE}")
    return part


def _text(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name.rsplit(".", 1)[-1])
    if not isinstance(value, str) or not value:
        raise DataError(name, found=value, hint=f"Expected a text. {_PREPARE}")
    return value


def _existing(name: str) -> Path:
    path = Path(name).expanduser()
    if path.suffix != ".parquet":
        raise DataError(name, hint="Expected a parquet file. " + _PREPARE)
    if not path.is_file():
        raise DataError(name, hint=f"There is no such local file. {_MAKE}")
    return path.absolute()


def _row_count(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            path, found=str(error), hint=f"Not a complete parquet file. {_PREPARE}"
        ) from None


def _inside(folder: Path, path: str) -> Path:
    target = inside(folder, path, path)
    if not target.is_file():
        raise DataError(path, found=str(target), hint=f"There is no such file. {_PREPARE}")
    return target
