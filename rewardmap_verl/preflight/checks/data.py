"""Checks of the data files and of the prompts in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from rewardmap_verl.curriculum.config import file_names
from rewardmap_verl.curriculum.curriculum_plan import read_columns
from rewardmap_verl.curriculum.rows import Files
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preflight.checks.values import is_ours, require_int, select
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_cities", "check_columns", "check_files", "check_prompts", "prompt_lengths"]

_FILES = ("data.train_files", "data.val_files")


def check_files(config: DictConfig) -> Iterator[Diagnostic]:
    """Report data files that are missing or whose preparation is incomplete."""
    for key in _FILES:
        found = select(config, key)
        names = [found] if isinstance(found, str) else list(found or ())
        if not names:
            yield Diagnostic(key, "Name at least one parquet file, or set data.folder.", found)
        for name in names:
            yield from _check_file(key, str(name))


def _check_file(key: str, name: str) -> Iterator[Diagnostic]:
    if "://" in name:
        return
    path = Path(name).expanduser()
    if not path.is_file():
        yield Diagnostic(
            key,
            f"There is no such file (relative paths start at {Path.cwd()}). Prepare the data "
            "(make prep-data, or rewardmap prepare --help) and set data.folder to its folder.",
            name,
        )
    elif not (path.parent / "manifest.json").is_file():
        yield Diagnostic(
            key,
            f"{path.parent} has no manifest.json, so its preparation is incomplete. "
            "Prepare the data again.",
            name,
        )


def check_prompts(config: DictConfig) -> Iterator[Diagnostic]:
    """Report prompts over the limit: verl fails their whole group in the middle of a step."""
    if not is_ours(config) or list(check_files(config)):
        return
    limit = require_int(config, "data.max_prompt_length")
    for key in _FILES:
        files = Files.from_names(file_names(select(config, key)))
        lengths = prompt_lengths(files)
        longest = max(lengths, default=0)
        if longest > limit:
            row = files.name_row(lengths.index(longest))
            too_long = sum(length > limit for length in lengths)
            yield Diagnostic(
                "data.max_prompt_length",
                f"{row} has a prompt of {longest} tokens, and {too_long} of {len(lengths)} prompts "
                f"are too long. Raise it to {longest}, or prepare the data with a smaller pixel "
                "budget (rewardmap prepare --help).",
                limit,
            )


def check_columns(config: DictConfig) -> Iterator[Diagnostic]:
    """Report column names that prepared rows do not have."""
    for key, column in (("data.prompt_key", "prompt"), ("data.image_key", "images")):
        found = select(config, key, column)
        if is_ours(config) and found != column:
            yield Diagnostic(
                key,
                f"Rows of `rewardmap prepare` have the column {column!r}. Remove this setting.",
                found,
            )


def check_cities(config: DictConfig) -> Iterator[Diagnostic]:
    """Report validation cities that are also trained.

    A model that remembers the lines of a city answers half of its direct routes without the map.
    """
    key = "data.allow_seen_cities"
    if not is_ours(config) or list(check_files(config)) or select(config, key, False):
        return
    train, validation = (_cities(config, name) for name in _FILES)
    seen = sorted(f"{country}/{city}" for country, city in train & validation)
    if seen:
        shown = ", ".join(seen[:5]) + (f" and {len(seen) - 5} more" if len(seen) > 5 else "")
        yield Diagnostic(
            "data.val_files",
            f"{len(seen)} of {len(validation)} validation cities are also trained ({shown}), so "
            "validation measures memory of them as well as reading. Validate on other cities, or "
            f"set {key}=True.",
        )


def _cities(config: DictConfig, key: str) -> set[tuple[str, str]]:
    """Return (country, city) of the rows of data files; empty for rows that do not have them."""
    files = Files.from_names(file_names(select(config, key)))
    try:
        columns = read_columns(files, ["country", "city"])
    except ConfigError:
        return set()
    names = zip(columns["country"], columns["city"], strict=True)
    return {(_plain(country), _plain(city)) for country, city in names}


def _plain(name: object) -> str:
    return unicodedata.normalize("NFC", str(name)).casefold()


def prompt_lengths(files: Files) -> list[int]:
    """Return the tokens of every prompt as preparation measured them; empty if not recorded."""
    try:
        lengths = read_columns(files, ["prompt_tokens"])["prompt_tokens"]
    except ConfigError:
        return []
    return [length if isinstance(length, int) else 0 for length in lengths]
