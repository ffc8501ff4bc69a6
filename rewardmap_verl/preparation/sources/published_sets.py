"""Opening a published data set through ``datasets``, wherever it lies, row by row."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import DataError

__all__ = ["Part", "open_parts"]

_SPLIT_IN_NAME: Final = re.compile(r"(?<![a-z])(train|test|validation)(?![a-z])")
_ROWS_AT_ONCE: Final = 4  # a row of ReasonMap has up to 20 MB of base64


@dataclass(frozen=True, slots=True)
class Part:
    """One split of one data set."""

    name: str
    split: str
    folder: Path | None
    """Folder of a set that lies on this machine."""
    rows: Any
    """A data set of ``datasets``; iterating it yields one mapping for each row."""

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each row with a name for it in errors."""
        for number, row in enumerate(self.rows):
            yield f"{self.name}:{self.split}, row {number}", row


def open_parts(name: str) -> list[Part]:
    """Open a data set; nothing is decoded, and rows are read when they are asked for.

    Args:
        name: A folder that ``save_to_disk`` wrote, a folder of parquet files, a parquet file, or a
            name on the Hugging Face hub; ``:split`` behind it takes that split only.

    Raises:
        DataError: There is no such set or split, or it cannot be read; says how to fetch it.
    """
    path, _, wanted = name.rpartition(":") if ":" in name else (name, "", "")
    try:
        parts = _open(Path(path).expanduser(), path)
    except Exception as error:  # the libraries below raise anything from OSError to their own kinds
        raise DataError(name, found=_first_line(error), hint=_advice(path)) from error
    splits = sorted({part.split for part in parts})
    if wanted and wanted not in splits:
        raise DataError(name, "split", wanted, f"The set has: {', '.join(splits)}.")
    return [part for part in parts if wanted in ("", part.split)]


def _open(path: Path, name: str) -> list[Part]:
    import datasets  # slow to import, and needed for this source only

    if not name.strip():
        raise FileNotFoundError("the name is empty")
    if path.is_file():
        return _open_parquet([path])
    if path.is_dir():
        if (path / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(str(path))
            return [Part(name, split, path, _undecoded(rows)) for split, rows in found.items()]
        if (path / "state.json").is_file():
            rows = datasets.load_from_disk(str(path))
            return [Part(name, _split_in(str(rows.split)), path, _undecoded(rows))]
        return _open_parquet(sorted((*path.glob("*.parquet"), *path.glob("*/*.parquet"))))
    with _quiet():
        found = datasets.load_dataset(name, streaming=True)
    return [Part(name, split, None, _undecoded(rows)) for split, rows in found.items()]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the hub's library from telling of every retry; what went wrong is said once, by us."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _open_parquet(files: Sequence[Path]) -> list[Part]:
    """Open each file by itself: the networks in their rows give each file a schema of its own."""
    import datasets

    if not files:
        raise FileNotFoundError("the folder holds no data set")
    parts = []
    for file in files:
        rows = datasets.load_dataset(
            "parquet",
            data_files=str(file),
            split="train",  # what ``datasets`` calls a single file
            streaming=True,
            batch_size=_ROWS_AT_ONCE,
        )
        folder = file.parent.parent if file.parent.name == "data" else file.parent
        parts.append(Part(str(file), _split_in(file.stem.lower()), folder, _undecoded(rows)))
    return parts


def _split_in(name: str) -> str:
    found = _SPLIT_IN_NAME.search(name)
    return found[1] if found else "train"


def _undecoded(rows: Any) -> Any:
    """Keep images as the bytes of their files; decoding is done once for each map, elsewhere."""
    import datasets

    for column, feature in (rows.features or {}).items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(column, datasets.Image(decode=False))
    return rows


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _advice(name: str) -> str:
    if name.count("/") == 1 and not name.startswith((".", "~", "/")):
        folder = name.split("/")[1]
        return (
            "The set is not on this machine and could not be fetched. On a machine with a "
            f"connection run `hf download --repo-type dataset {name} --local-dir {folder}`, copy "
            f"the folder here, and give it with --data {folder}."
        )
    return "Give a folder of save_to_disk, a folder of parquet files, or a name on the hub."
