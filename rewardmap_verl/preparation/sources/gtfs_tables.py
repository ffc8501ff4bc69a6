"""Reading the tables of a GTFS feed: a zip file or a folder of CSV files, as agencies give it."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from rewardmap_verl.errors import DataError

__all__ = ["Feed", "TableRow"]

_LARGEST_TABLE: Final = 8 * 1024**3  # bytes when unpacked; stop_times of a country has some GB
_ENCRYPTED: Final = 0x1  # bit of a zip entry's flags
_ARCHIVES_LISTED: Final = 5
_GREATEST_RATIO: Final = 200  # unpacked to packed; real tables of times reach 30


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table, which knows where it stands."""

    where: str
    values: dict[str, str]

    def get(self, field: str) -> str:
        """The value of a column without the spaces around it; "" when the column is missing."""
        return (self.values.get(field) or "").strip()

    def need(self, field: str) -> str:
        """The value of a column.

        Raises:
            DataError: It is empty.
        """
        value = self.get(field)
        if not value:
            raise DataError(self.where, field, "", "GTFS wants a value here.")
        return value

    def number(self, field: str) -> float:
        """The value of a column as a number.

        Raises:
            DataError: It is none.
        """
        text = self.need(field)
        try:
            return float(text)
        except ValueError:
            raise DataError(self.where, field, text, "Give a number.") from None


@dataclass(frozen=True, slots=True)
class Feed:
    """A GTFS feed on this machine."""

    path: Path

    def rows(self, table: str, needed: tuple[str, ...]) -> Iterator[TableRow]:
        """Yield the rows of a table one by one; nothing is unpacked to the disk.

        Args:
            table: Name of the file without ``.txt``.
            needed: Columns that it must have.

        Raises:
            DataError: The feed or the table is missing or no CSV, or a column is missing.
        """
        name = f"{self.path} {table}.txt"
        try:
            with self._open(f"{table}.txt") as binary:
                # Many feeds begin with a byte order mark; ``utf-8-sig`` takes it off.
                text = io.TextIOWrapper(binary, "utf-8-sig", newline="")
                yield from _rows(text, name, needed)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
            raise DataError(name, found=str(error), hint="It is no readable zip file.") from error
        except UnicodeDecodeError as error:
            raise DataError(name, found=str(error), hint="Save it as UTF-8.") from error
        except csv.Error as error:
            raise DataError(name, found=str(error), hint="It is no readable CSV.") from error
        except OSError as error:
            raise DataError(
                self.path, found=error.strerror, hint="Give a GTFS feed: a zip file or its folder."
            ) from error

    def _open(self, name: str) -> IO[bytes]:
        if self.path.is_dir():
            return _existing(self.path / name, self.path).open("rb")
        if self.path.exists() and not self.path.is_file():
            raise DataError(self.path, hint="A feed is a zip file or a folder.")
        archive = zipfile.ZipFile(self.path)
        # Some agencies zip a folder, so that every name has the folder before it.
        found = [info for info in archive.infolist() if info.filename.rsplit("/", 1)[-1] == name]
        if not found:
            raise DataError(self.path, hint=f"The feed has no {name}. {_nested(archive)}".strip())
        _check_size(found[0], self.path)
        if found[0].flag_bits & _ENCRYPTED:
            raise DataError(self.path, hint="The archive is encrypted. Unpack it first.")
        return archive.open(found[0])


def _nested(archive: zipfile.ZipFile) -> str:
    """Return a hint if an archive contains other archives, as downloads of several feeds do."""
    names = [info.filename for info in archive.infolist() if info.filename.endswith(".zip")]
    listed = ", ".join(names[:_ARCHIVES_LISTED])
    return f"It contains archives ({listed}). Unpack it and use one of them." if names else ""


def _existing(path: Path, feed: Path) -> Path:
    if not path.is_file():
        raise DataError(feed, hint=f"The feed has no {path.name}.")
    return path


def _check_size(info: zipfile.ZipInfo, feed: Path) -> None:
    too_dense = info.file_size > _GREATEST_RATIO * max(info.compress_size, 1024 * 1024)
    if info.file_size > _LARGEST_TABLE or too_dense:
        raise DataError(
            f"{feed} {info.filename}",
            "size",
            f"{info.file_size:,} bytes packed in {info.compress_size:,}",
            "That looks like a decompression bomb. If you trust the feed, unpack it and give the "
            "folder.",
        )


def _rows(text: IO[str], name: str, needed: tuple[str, ...]) -> Iterator[TableRow]:
    reader: Any = csv.reader(text)
    header = [column.strip() for column in next(reader, [])]
    for column in needed:
        if column not in header:
            raise DataError(name, column, header, "GTFS wants this column.")
    for values in reader:
        if values:
            row = dict(zip(header, values, strict=False))
            yield TableRow(f"{name}, line {reader.line_num}", row)
