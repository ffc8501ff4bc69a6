"""Opening published data sets, on the Hugging Face Hub or on this machine, row by row.

Every parquet file is read separately: the networks in the column ``json`` give each file a
different schema, and reading a set of files as one table fails.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.parquet import parquet_rows

__all__ = ["DatasetSplit", "open_dataset"]

_SPLIT_IN_NAME: Final = re.compile(r"(?<![a-z])(train|test|validation)(?![a-z])")
_CONVERTED: Final = "refs/convert/parquet"
"""Revision in which the Hub keeps a parquet copy of sets in other formats."""


@dataclass(frozen=True, slots=True)
class DatasetSplit:
    """One split of one data set, or one file of it."""

    name: str
    split: str
    folder: Path | None
    """Root for the paths in rows; None for a set from the Hub."""
    rows: Iterable[Mapping[str, Any]]

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each row with its name for error messages.

        Raises:
            DataError: A row cannot be read.
        """
        rows = iter(self.rows)
        for number in count():
            where = f"{self.name}:{self.split}, row {number}"
            try:
                row = next(rows)
            except StopIteration:
                return
            except DataError:
                raise
            except Exception as error:  # ``datasets`` raises many kinds of errors
                hint = "The row cannot be read. Download or write the data set again."
                raise DataError(where, found=_first_line(error), hint=hint) from error
            yield where, row


def open_dataset(name: str) -> list[DatasetSplit]:
    """Open a data set. Rows are read when they are iterated, and images are not decoded.

    Args:
        name: A folder that ``save_to_disk`` wrote, a folder of parquet files, a parquet file, or a
            name on the Hugging Face Hub; with ``:split`` at the end, only this split.

    Raises:
        DataError: The set or the split does not exist, or cannot be read.
    """
    path, _, wanted = name.rpartition(":") if ":" in name else (name, "", "")
    try:
        splits = _open(Path(path).expanduser(), path, wanted)
    except DataError:
        raise
    except Exception as error:  # the libraries raise many kinds of errors
        raise DataError(name, found=_first_line(error), hint=_hint(path)) from error
    names = sorted({split.split for split in splits})
    if wanted and wanted not in names:
        raise DataError(name, "split", wanted, f"The set has the splits {', '.join(names)}.")
    return [split for split in splits if wanted in ("", split.split)]


def _open(path: Path, name: str, wanted: str) -> list[DatasetSplit]:
    if not name.strip():
        raise FileNotFoundError("the name is empty")
    if path.is_dir():
        return _open_folder(path, name)
    if path.exists():
        return [_open_file(path, path.parent)]
    return _open_hub(name, wanted)


def _open_folder(path: Path, name: str) -> list[DatasetSplit]:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _open_saved(path, name)
    files = sorted((*path.glob("*.parquet"), *path.glob("*/*.parquet")))
    if not files:
        archives = ", ".join(file.name for file in sorted(path.glob("*.zip")))
        hint = f" It has archives ({archives}): unpack them first." if archives else ""
        raise FileNotFoundError(f"the folder has no parquet files and no saved data set.{hint}")
    return [
        _open_file(file, file.parent.parent if file.parent.name == "data" else file.parent)
        for file in files
    ]


def _open_file(file: Path, folder: Path | None) -> DatasetSplit:
    return DatasetSplit(str(file), _split_in(file.stem), folder, _LazyRows(file))


@dataclass(frozen=True, slots=True)
class _LazyRows:
    """The rows of a parquet file."""

    file: Path

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return parquet_rows(self.file)


def _open_saved(path: Path, name: str) -> list[DatasetSplit]:
    """Open a folder that ``save_to_disk`` wrote."""
    import datasets  # slow to import, and needed for this form only

    found = datasets.load_from_disk(str(path))
    if not isinstance(found, Mapping):
        found = {_split_in(str(found.split)): found}
    return [DatasetSplit(name, split, path, _undecoded(rows)) for split, rows in found.items()]


def _undecoded(rows: Any) -> Any:
    """Keep images as the bytes of their files; each map is decoded once, elsewhere."""
    import datasets

    for column, feature in (rows.features or {}).items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(column, datasets.Image(decode=False))
    return rows


def _open_hub(name: str, wanted: str) -> list[DatasetSplit]:
    """Download the parquet files of a set to the Hub's cache.

    A lost connection is resumed. A run that failed keeps the files that were complete.
    """
    import huggingface_hub

    with _quiet():
        files, revision = _hub_files(name)
        splits = {file: _split_in(file.removesuffix(".parquet")) for file in files}
        paths = {
            file: huggingface_hub.hf_hub_download(
                name, file, repo_type="dataset", revision=revision
            )
            for file in files
            if wanted in ("", splits[file]) or wanted not in splits.values()
        }
    return [
        DatasetSplit(f"{name}/{file}", splits[file], None, _LazyRows(Path(path)))
        for file, path in paths.items()
    ]


def _hub_files(name: str) -> tuple[list[str], str | None]:
    """Return the parquet files of a set on the Hub, and the revision that has them."""
    import huggingface_hub

    for revision in (None, _CONVERTED):
        listed = huggingface_hub.list_repo_files(name, repo_type="dataset", revision=revision)
        files = sorted(file for file in listed if file.endswith(".parquet"))
        if files:
            return files, revision
    raise FileNotFoundError("the repository has no parquet files")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the retry messages of the Hub's library; the final error is reported once."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _split_in(name: str) -> str:
    found: Sequence[str] = _SPLIT_IN_NAME.findall(name.lower())
    return found[-1] if found else "train"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _hint(name: str) -> str:
    if name.count("/") == 1 and not name.startswith((".", "~", "/")):
        folder = name.split("/")[1]
        return (
            "The set is not on this machine and could not be downloaded. On a machine with a "
            f"connection, run `hf download --repo-type dataset {name} --local-dir {folder}`. Copy "
            f"the folder here and pass --data {folder}."
        )
    return "Give a folder written by save_to_disk, a folder of parquet files, or a name on the Hub."
