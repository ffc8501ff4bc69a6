"""The prepared data of a run: the text and the map of each question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rewardmap_verl.inputs.files import is_regular
from rewardmap_verl.preparation.manifest import MapRecord, read_manifest
from rewardmap_verl.preparation.paths import image_inside, inside

__all__ = [
    "PreparedData",
    "PreparedMap",
    "data_folders",
    "prompt_of_a_test_question",
    "read_prepared",
]

Key = tuple[str, str]
"""Country and city."""


@dataclass(frozen=True, slots=True)
class PreparedMap:
    """One map of a prepared folder."""

    folder: Path
    record: MapRecord

    @property
    def image(self) -> Path:
        """The picture that the model saw."""
        return image_inside(self.folder, self.record.image)

    @property
    def network(self) -> Path:
        """Its network."""
        return inside(self.folder, self.record.network)

    @property
    def positions(self) -> Path | None:
        """Positions on the picture; ``None`` for a map that this package did not draw."""
        return inside(self.folder, self.record.positions) if self.record.positions else None


@dataclass(frozen=True)
class PreparedData:
    """The questions and maps of one or several prepared folders."""

    folders: tuple[Path, ...]
    maps: Mapping[Key, PreparedMap] = field(default_factory=dict)

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """Text of each question, without the image marker, by its ground truth as JSON."""
        return {truth: text for folder in self.folders for truth, text in _texts(folder)}


def data_folders(config: Mapping[str, Any]) -> list[Path]:
    """Return the existing prepared folders of a configuration."""
    data = config.get("data") or {}
    named = _texts_of(data.get("folder"))
    for key in ("train_files", "val_files"):
        named += [str(Path(file).parent) for file in _texts_of(data.get(key))]
    folders = dict.fromkeys(Path(name).absolute() for name in named)
    return [folder for folder in folders if is_regular(folder / "manifest.json")]


def _texts_of(value: object) -> list[str]:
    """Return the texts of a setting that is a text or a list of texts."""
    several = value if isinstance(value, list | tuple) else [value]
    return [one for one in several if isinstance(one, str) and one]


def read_prepared(folders: Sequence[Path]) -> PreparedData:
    """Read the maps of prepared folders; for a city in two folders, the first counts.

    Raises:
        DataError: A folder was not prepared, or by another version.
    """
    maps: dict[Key, PreparedMap] = {}
    for folder in folders:
        for record in read_manifest(folder).maps:
            maps.setdefault((record.country, record.city), PreparedMap(folder, record))
    return PreparedData(tuple(folders), maps)


def prompt_of_a_test_question(folders: Sequence[Path]) -> str:
    """Return the prompt of the first held-out route question, without the image marker.

    It begins with the line break that separates image and text in training. Without a route
    question it is any question, and without data an example.
    """
    from rewardmap_verl.inputs.parquet import parquet_rows  # slow to import

    first = ""
    for path in [folder / "test.parquet" for folder in folders]:
        for row in parquet_rows(path, ["prompt", "data_source"]) if path.is_file() else ():
            first = first or _text(row["prompt"])
            if str(row["data_source"]).endswith("/planning"):
                return f"\n{_text(row['prompt'])}"
    return f"\n{first or 'Look at the transit map. How many lines does it show in total?'}"


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    from rewardmap_verl.inputs.parquet import parquet_rows  # slow to import

    for path in sorted(folder.glob("*.parquet")):
        for row in parquet_rows(path, ["prompt", "reward_model"]):
            yield row["reward_model"]["ground_truth"], _text(row["prompt"])


def _text(messages: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(str(message["content"]).removeprefix("<image>\n") for message in messages)
