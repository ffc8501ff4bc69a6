"""The published data sets, as they are: ReasonMap-Train, ReasonMap-Plus and ReasonMap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.manifest import Skipped
from rewardmap_verl.preparation.sources.base import City, Contents, Picture
from rewardmap_verl.preparation.sources.figures import find_picture
from rewardmap_verl.preparation.sources.published_rows import (
    Row,
    city_of,
    find_network,
    questions_of,
)
from rewardmap_verl.preparation.sources.published_sets import Part, open_parts
from rewardmap_verl.questions.types import Question
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.transit.network import Network

__all__ = ["MAPS_FROM", "PUBLISHED", "read_reasonmap"]

PUBLISHED: Final = (
    "FSCCS/ReasonMap-Train:train",
    "FSCCS/ReasonMap-Plus:test",
    "FSCCS/ReasonMap:validation",
)
"""What RewardMap (arXiv 2510.02240) trains on, and the two test sets."""

MAPS_FROM: Final = ("FSCCS/ReasonMap",)
"""Rows of ReasonMap hold the map and the network themselves; those of the others their paths."""

_SPLITS: Final = {"train": "train", "test": "test", "validation": "test"}
_SHOWN: Final = 3

_CityKey = tuple[str, str]


@dataclass(slots=True)
class _Found:
    """What the rows have told about one city so far."""

    network: Network | None = None
    picture: Picture | None = None
    levels: Counter[str] = field(default_factory=Counter)
    questions: dict[tuple[str, ...], tuple[str, Question]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.network is not None and self.picture is not None


def read_reasonmap(
    data: Sequence[str],
    maps_from: Sequence[str],
    root: Path | None,
    forms: Sequence[str],
    strict: bool = False,
) -> Contents:
    """Read published data sets.

    The map and the network of a city come from the first row that has them, whichever set it is
    in. A question that occurs twice is taken once. Left out, and noted, are training questions
    about cities that are also tested, and questions about a stop that the network lacks.

    Args:
        data: Sets whose questions are taken (see :func:`~.published_sets.open_parts`).
        maps_from: Sets in which maps and networks are looked up when some are still missing.
        root: Folder with the ``maps/`` and ``stations/`` that rows refer to; None tries the folder
            of each set.
        forms: Forms of planning questions to take.
        strict: Whether what would be left out is an error.

    Raises:
        DataError: A set cannot be read, or a row holds what it may not.
    """
    cities: dict[_CityKey, _Found] = {}
    for part in _parts(data):
        split = _split_of(part)
        for where, row in part:
            found = cities.setdefault(city_of(row, where), _Found())
            _look(found, row, _roots(root, part), where)
            for question in questions_of(row, forms, where):
                found.levels[question.difficulty_city] += 1
                found.questions.setdefault(_identity(question), (split, question))
    _look_up(maps_from, root, cities)
    return _contents(cities, strict)


def _parts(names: Sequence[str]) -> Iterator[Part]:
    for name in names:
        yield from open_parts(name)


def _split_of(part: Part) -> str:
    if part.split not in _SPLITS:
        raise DataError(part.name, "split", part.split, f"Known are: {', '.join(_SPLITS)}.")
    return _SPLITS[part.split]


def _roots(root: Path | None, part: Part) -> tuple[Path, ...]:
    if root is not None:
        return (root,)
    return () if part.folder is None else (part.folder,)


def _identity(question: Question) -> tuple[str, ...]:
    return (question.type.value, question.station_1, question.station_2, question.text)


def _look(found: _Found, row: Row, roots: Sequence[Path], where: str) -> None:
    """Take network and picture from a row if they are still missing."""
    if found.network is None:
        found.network = find_network(row, roots, where)
    if found.picture is None and row.get("figure") is not None:
        found.picture = find_picture(row["figure"], roots, where)


def _look_up(names: Sequence[str], root: Path | None, cities: dict[_CityKey, _Found]) -> None:
    """Look for maps and networks that are still missing in further sets."""
    for name in names:
        if all(found.whole for found in cities.values()):
            return
        for part in open_parts(name):
            for where, row in part:
                found = cities.get(city_of(row, where))
                if found is not None and not found.whole:
                    _look(found, row, _roots(root, part), where)


def _contents(cities: dict[_CityKey, _Found], strict: bool) -> Contents:
    kept, skipped, faults = [], [], _Faults(strict)
    for country, city in sorted(cities):
        found = cities[country, city]
        if found.network is None or found.picture is None:
            reason = "no map image" if found.network else "no station list"
            faults.add("cities without a map or network", f"{country}/{city}: {reason}")
            skipped.append(Skipped(country=country, city=city, reason=reason))
            continue
        questions = tuple(_usable(found, found.network, faults))
        if questions:
            splits = tuple(sorted({split for split, _ in questions}, reverse=True))
            level = found.levels.most_common(1)[0][0]
            kept.append(City(found.network, level, splits, found.picture, questions))
    if not kept:
        raise DataError(
            "published data",
            found=[f"{city.city}: {city.reason}" for city in skipped],
            hint="No city has questions, a map and a network. Give --root, a folder with the maps/ "
            "and stations/ that the rows name, or add FSCCS/ReasonMap, whose rows hold them.",
        )
    return Contents(tuple(kept), tuple(skipped), notes=faults.notes())


def _usable(found: _Found, network: Network, faults: _Faults) -> Iterator[tuple[str, Question]]:
    """Yield the questions of a city that may be asked, each with its split."""
    tested = any(split == "test" for split, _ in found.questions.values())
    for split, question in found.questions.values():
        place = f"{network.country}/{network.city}"
        if tested and split == "train":
            faults.add("training questions about test cities", place)
            continue
        try:
            truth = GroundTruth.from_question(question)
            check_against_network(truth, network)
        except DataError as error:
            faults.add("questions that name what the network lacks", str(error))
            continue
        yield split, question


class _Faults:
    """Counts what is left out; in a strict reading the first is an error."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._found: dict[str, list[str]] = {}

    def add(self, kind: str, example: str) -> None:
        if self._strict:
            raise DataError("published data", kind, example, "Leave out --strict to go without.")
        self._found.setdefault(kind, []).append(example)

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"Left out {len(found)} {kind}, such as {'; '.join(dict.fromkeys(found[:_SHOWN]))}"
            for kind, found in self._found.items()
        )
