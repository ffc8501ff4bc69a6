"""The tables of a GTFS feed: CSV files in a zip file or a folder, read row by row."""

from __future__ import annotations

import csv
import io
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Final

from rewardmap_verl.errors import DataError

__all__ = ["Feed", "TableRow"]

_TABLES: Final = frozenset({"routes.txt", "trips.txt", "stops.txt", "stop_times.txt"})
"""Tables that a feed must have; the folder that holds them is the feed."""

_MAX_TABLE_BYTES: Final = 8 * 1024**3  # unpacked; the stop_times of a country has several GB
_MAX_RATIO: Final = 100  # unpacked to packed; real tables of times reach 30
_RATIO_FREE_BYTES: Final = 256 * 1024  # packed size below which small tables may be dense
_MAX_MEMBERS: Final = 10_000  # files in a zip; real feeds have about 20
_MAX_LINE: Final = 1_000_000  # characters
_LFS_POINTER: Final = b"version https://git-lfs"
_GIVE: Final = "Pass a GTFS feed: a zip file or a folder with its tables."
_ENCRYPTED: Final = 0x1  # bit of the flags of a zip member


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table, with its location for messages."""

    where: str
    values: Mapping[str, str]
    surplus: tuple[str, ...] = ()
    """Values beyond the last column of the header, empty ones left out."""

    def get(self, column: str) -> str:
        """Return the value of a column without surrounding spaces; "" if there is none."""
        return (self.values.get(column) or "").strip()

    def need(self, column: str) -> str:
        """Return the value of a required column.

        Raises:
            DataError: The value is empty, or the row has more values than the table has columns.
        """
        if self.surplus:
            hint = "The row has more values than columns. Quote values that contain a comma."
            raise DataError(self.where, column, list(self.surplus), hint)
        value = self.get(column)
        if not value:
            raise DataError(self.where, column, "", "GTFS requires a value here.")
        return value

    def number(self, column: str) -> float:
        """Return the value of a required column as a finite number.

        Raises:
            DataError: The value is not a finite number.
        """
        text = self.need(column)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(self.where, column, text, "A number is expected.")
        return value


@dataclass(frozen=True)
class Feed:
    """A GTFS feed on this machine: a zip file or a folder."""

    path: Path

    def rows(self, table: str, columns: tuple[str, ...]) -> Iterator[TableRow]:
        """Yield the rows of a table one by one; nothing is unpacked to disk.

        Args:
            table: Name of the file without ``.txt``.
            columns: Columns that the table must have.

        Raises:
            DataError: The feed, the table or a column is missing, or cannot be read.
        """
        name = f"{self.path} {table}.txt"
        try:
            with self._open(f"{table}.txt") as binary:
                # Many feeds begin with a byte order mark, which ``utf-8-sig`` skips.
                text = io.TextIOWrapper(binary, "utf-8-sig", newline="")
                yield from _rows(text, name, columns)
        except (
            zipfile.BadZipFile,
            EOFError,
            NotImplementedError,
            RuntimeError,
            zlib.error,
        ) as error:
            raise DataError(name, found=str(error), hint="The zip file is damaged.") from error
        except UnicodeDecodeError as error:
            raise DataError(name, found=str(error), hint="Save it as UTF-8.") from error
        except csv.Error as error:
            raise DataError(name, found=str(error), hint="It is not valid CSV.") from error
        except OSError as error:
            raise DataError(self.path, found=error.strerror, hint=_GIVE) from error

    def has(self, table: str) -> bool:
        """Return whether the feed has an optional table, named without ``.txt``.

        Raises:
            DataError: The feed cannot be read.
        """
        return f"{table}.txt" in self._files

    def _open(self, name: str) -> IO[bytes]:
        if name not in self._files:
            raise DataError(self.path, hint=f"The feed has no {name}, which GTFS requires.")
        member = self._files[name]
        if self.path.is_dir():
            return (self.path / member).open("rb")
        archive = zipfile.ZipFile(self.path)
        info = archive.getinfo(member)
        _check_member(info, self.path)
        return archive.open(info)

    @cached_property
    def _files(self) -> Mapping[str, str]:
        """Member of each table: its path within the zip file or the folder.

        Raises:
            DataError: The path holds no feed, or several.
        """
        if self.path.is_dir():
            members = _files_below(self.path)
        elif self.path.is_file():
            members = _members(self.path)
        else:
            found = "neither a file nor a folder" if self.path.exists() else "no such file"
            raise DataError(self.path, found=found, hint=_GIVE)
        return _tables_of(members, self.path)


def _files_below(folder: Path) -> list[str]:
    """Return the regular files in a folder and in its subfolders, one level deep."""
    try:
        paths = [*folder.glob("*"), *folder.glob("*/*")]
    except OSError as error:
        raise DataError(folder, found=error.strerror, hint=_GIVE) from error
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def _members(path: Path) -> list[str]:
    """Return the names of the files in a zip file.

    Raises:
        DataError: It is not a zip file, or has too many files.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
                hint = "Run `git lfs pull` to download the feed."
                raise DataError(path, found="a Git LFS pointer", hint=hint)
        with zipfile.ZipFile(path) as archive:
            # Not ZipInfo.is_dir, which fails for a damaged entry without a name.
            names = [name for name in archive.namelist() if name and not name.endswith("/")]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise DataError(path, found=str(error), hint="It is not a readable zip file.") from error
    except OSError as error:
        raise DataError(path, found=error.strerror, hint=_GIVE) from error
    if len(names) > _MAX_MEMBERS:
        hint = f"A feed has at most {_MAX_MEMBERS:,} files."
        raise DataError(path, "files", f"{len(names):,}", hint)
    return names


def _tables_of(members: Sequence[str], path: Path) -> dict[str, str]:
    """Find the one folder with the required tables, and map its files by lower-case name.

    Raises:
        DataError: No folder has them, several folders have some of them, or two files of the folder
            have the same name.
    """
    by_folder: dict[str, list[str]] = {}
    for member in members:
        if not member.startswith("__MACOSX/"):
            by_folder.setdefault(PurePosixPath(member).parent.as_posix(), []).append(member)
    feeds = sorted(
        folder
        for folder, files in by_folder.items()
        if any(PurePosixPath(one).name.lower() in _TABLES for one in files)
    )
    if not feeds:
        raise _no_tables(members, path)
    if len(feeds) > 1:
        shown = ", ".join("the top folder" if one == "." else one for one in feeds)
        hint = "Pass one feed at a time: a zip file or folder with one set of tables."
        raise DataError(path, "folders", f"tables in {len(feeds)} folders: {shown}", hint)
    found: dict[str, str] = {}
    for member in by_folder[feeds[0]]:
        name = PurePosixPath(member).name.lower()
        if name in found:
            hint = "Two files of the feed have the same name."
            raise DataError(path, "files", f"{found[name]}, {member}", hint)
        found[name] = member
    return found


def _no_tables(members: Sequence[str], path: Path) -> DataError:
    inner = [member for member in members if member.lower().endswith(".zip")]
    if inner:
        shown = ", ".join(inner[:3]) + (", …" if len(inner) > 3 else "")
        hint = "Unpack it and pass one of these files."
        return DataError(path, found=f"archives ({shown})", hint=hint)
    return DataError(path, hint="The feed has no routes.txt, which GTFS requires.")


def _check_member(info: zipfile.ZipInfo, feed: Path) -> None:
    where = f"{feed} {info.filename}"
    if info.flag_bits & _ENCRYPTED:
        raise DataError(where, found="an encrypted file", hint="Pass a zip file without password.")
    too_dense = info.file_size > _MAX_RATIO * max(info.compress_size, _RATIO_FREE_BYTES)
    if info.file_size > _MAX_TABLE_BYTES or too_dense:
        raise DataError(
            where,
            "size",
            f"{info.file_size:,} bytes packed in {info.compress_size:,}",
            "This may be a decompression bomb. If you trust the feed, unpack it and pass the "
            "folder.",
        )


def _rows(text: IO[str], name: str, columns: tuple[str, ...]) -> Iterator[TableRow]:
    reader = csv.reader(_lines(text, name))
    header = [column.strip() for column in next(reader, [])]
    for column in columns:
        if column not in header:
            raise DataError(name, column, header, "GTFS requires this column.")
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raise DataError(name, twice[0], header, "Two columns have this name.")
    for values in reader:
        if any(values):
            row = dict(zip(header, values, strict=False))
            surplus = tuple(value for value in values[len(header) :] if value.strip())
            yield TableRow(f"{name}, line {reader.line_num}", row, surplus)


def _lines(text: IO[str], name: str) -> Iterator[str]:
    """Yield lines of bounded length.

    Raises:
        DataError: A line is longer than any real one.
    """
    number = 0
    while line := text.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE and not line.endswith("\n"):
            where = f"{name}, line {number}"
            raise DataError(where, found=f"over {_MAX_LINE:,} characters", hint="It is not CSV.")
        yield line
