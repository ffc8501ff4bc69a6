"""Published source: the data sets ReasonMap-Train, ReasonMap-Plus and ReasonMap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.manifest import Skipped
from rewardmap_verl.preparation.sources.base import City, Contents, Picture
from rewardmap_verl.preparation.sources.dropped_rows import DroppedRows
from rewardmap_verl.preparation.sources.published_pictures import (
    figure_of,
    find_picture,
    is_web_address,
)
from rewardmap_verl.preparation.sources.published_rows import (
    PublishedRow,
    city_of,
    find_network,
    questions_of,
)
from rewardmap_verl.preparation.sources.published_sets import DatasetSplit, open_dataset
from rewardmap_verl.questions.types import Question
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.transit.network import Network

__all__ = ["MAPS_FROM", "PUBLISHED", "read_reasonmap"]

PUBLISHED: Final = (
    "FSCCS/ReasonMap-Train:train",
    "FSCCS/ReasonMap-Plus:test",
    "FSCCS/ReasonMap:validation",
)
"""The training set of RewardMap (arXiv 2510.02240), and its two test sets."""

MAPS_FROM: Final = ("FSCCS/ReasonMap",)
"""Rows of ReasonMap contain map and network; rows of the other sets contain paths."""

_SPLITS: Final = {"train": "train", "test": "test", "validation": "test"}
_OTHER_SET: Final = {"train": "FSCCS/ReasonMap-Train:train", "test": "FSCCS/ReasonMap-Plus:test"}

_CityKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question with its split and its row."""

    split: str
    question: Question
    where: str


@dataclass(slots=True)
class _CityRows:
    """What the rows so far contain about one city."""

    network: Network | None = None
    picture: Picture | None = None
    levels: Counter[str] = field(default_factory=Counter)
    questions: dict[tuple[str, ...], _Asked] = field(default_factory=dict)
    columns: str = ""
    web_address: str = ""

    @property
    def complete(self) -> bool:
        return self.network is not None and self.picture is not None

    @property
    def missing(self) -> str:
        """Return what is missing, as the reason for skipping the city."""
        if self.network is None:
            return "no station list"
        if self.web_address:
            return f"no map image (images are not downloaded from {self.web_address})"
        return f"no map image (the rows have the columns {self.columns})"


def read_reasonmap(
    data: Sequence[str],
    maps_from: Sequence[str],
    root: Path | None,
    forms: Sequence[str],
    strict: bool = False,
) -> Contents:
    """Read published data sets.

    The map and the network of a city come from the first row that contains them, in any set. A
    repeated question is used once. Training questions about a test city, and questions that name
    something that the network lacks, are dropped. All dropped rows are counted in the notes.

    Args:
        data: Sets with the questions (see ``open_dataset``).
        maps_from: Sets in which missing maps and networks are looked up.
        root: Folder with the ``maps/`` and ``stations/`` that rows refer to; None uses the folder
            of each set.
        forms: Forms of planning questions to include.
        strict: Whether a city or question that would be dropped is an error.

    Raises:
        DataError: A set or a row cannot be read, or a split has no set.
    """
    cities: dict[_CityKey, _CityRows] = {}
    dropped = DroppedRows(strict)
    splits = set()
    for part in _open_all(data):
        split = _split_of(part)
        splits.add(split)
        for where, row in part:
            rows = cities.setdefault(city_of(row, where), _CityRows())
            _complete(rows, row, _roots(root, part), where)
            for question in questions_of(row, forms, where):
                _add(rows, _Asked(split, question, where), dropped)
    _check_splits(splits, data)
    _look_up(maps_from, root, cities)
    return _contents(cities, dropped)


def _open_all(names: Sequence[str]) -> Iterator[DatasetSplit]:
    for name in names:
        yield from open_dataset(name)


def _split_of(part: DatasetSplit) -> str:
    if part.split not in _SPLITS:
        raise DataError(part.name, "split", part.split, f"Use one of {', '.join(_SPLITS)}.")
    return _SPLITS[part.split]


def _check_splits(splits: set[str], data: Sequence[str]) -> None:
    """Check that there are sets for training and for testing."""
    for split, other in _OTHER_SET.items():
        if split not in splits:
            hint = f"None of these sets has a {split} split. Add one, such as --data {other}."
            raise DataError("published data", found=", ".join(data), hint=hint)


def _roots(root: Path | None, part: DatasetSplit) -> tuple[Path, ...]:
    if root is not None:
        return (root,)
    return () if part.folder is None else (part.folder,)


def _add(rows: _CityRows, asked: _Asked, dropped: DroppedRows) -> None:
    """Add a question; of a repeated one, keep the first, or the one of the test split."""
    question = asked.question
    rows.levels[question.difficulty_city] += 1
    key = (question.type.value, question.station_1, question.station_2, question.text)
    first = rows.questions.setdefault(key, asked)
    if first is asked:
        return
    if (first.split, asked.split) == ("train", "test"):
        rows.questions[key] = asked
        first, asked = asked, first
    same = first.question.answer == asked.question.answer
    dropped.add_repeated(asked.split, asked.where, "" if same else " with another answer")


def _complete(rows: _CityRows, row: PublishedRow, roots: Sequence[Path], where: str) -> None:
    """Take network and picture from a row if they are still missing."""
    if rows.network is None:
        rows.network = find_network(row, roots, where)
    if rows.picture is not None:
        return
    figure = figure_of(row, where)
    if figure is None:
        rows.columns = ", ".join(row)
        return
    rows.picture = find_picture(figure, roots, where)
    if rows.picture is None:
        rows.columns = ", ".join(row)
        rows.web_address = str(figure).strip() if is_web_address(figure) else ""


def _look_up(names: Sequence[str], root: Path | None, cities: dict[_CityKey, _CityRows]) -> None:
    """Look up maps and networks that are still missing in further sets."""
    for name in names:
        if all(rows.complete for rows in cities.values()):
            return
        for part in open_dataset(name):
            for where, row in part:
                rows = cities.get(city_of(row, where))
                if rows is not None and not rows.complete:
                    _complete(rows, row, _roots(root, part), where)


def _contents(cities: dict[_CityKey, _CityRows], dropped: DroppedRows) -> Contents:
    kept, skipped = [], []
    for country, city in sorted(cities):
        rows = cities[country, city]
        if rows.network is None or rows.picture is None:
            dropped.add_city(f"{country}/{city}", rows.missing)
            for asked in rows.questions.values():
                dropped.add(asked.split, "about a city without a map or network", asked.where)
            skipped.append(Skipped(country=country, city=city, reason=rows.missing))
            continue
        questions = tuple(_usable(rows, rows.network, dropped))
        if questions:
            splits = tuple(sorted({split for split, _ in questions}, reverse=True))
            level = rows.levels.most_common(1)[0][0]
            kept.append(City(rows.network, level, splits, rows.picture, questions))
    if not kept:
        raise DataError(
            "published data",
            found="; ".join(f"{city.country}/{city.city}: {city.reason}" for city in skipped),
            hint="No city has questions, a map and a network. Give --root, a folder with the maps/ "
            "and stations/ that the rows refer to, or add FSCCS/ReasonMap, whose rows have both.",
        )
    return Contents(tuple(kept), tuple(skipped), notes=dropped.notes(), dropped=dropped.counts())


def _usable(
    rows: _CityRows, network: Network, dropped: DroppedRows
) -> Iterator[tuple[str, Question]]:
    """Yield the usable questions of a city, each with its split."""
    tested = any(asked.split == "test" for asked in rows.questions.values())
    for asked in rows.questions.values():
        if tested and asked.split == "train":
            place = f"{network.country}/{network.city}"
            dropped.add("train", "about test cities", place)
            continue
        try:
            check_against_network(GroundTruth.from_question(asked.question), network)
        except DataError as error:
            reason = "that name something the network lacks"
            dropped.add(asked.split, reason, f"{asked.where} ({error})")
            continue
        yield asked.split, asked.question
