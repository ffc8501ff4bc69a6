"""Rows of the published data sets (ReasonMap, ReasonMap-Plus, ReasonMap-Train) as questions.

Questions, answers and labels are used unchanged. A column that a set lacks is not an error; a
column with a wrong value is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.preparation.paths import inside, safe_name
from rewardmap_verl.questions.types import Question
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import parse_network, read_network

__all__ = ["PublishedRow", "city_of", "find_network", "questions_of"]

PublishedRow = Mapping[str, Any]

_MAX_JSON_CHARACTERS = 8 * 1024 * 1024
_PLANNING = "planning"


def city_of(row: PublishedRow, where: str) -> tuple[str, str]:
    """Return country and city of a row, both valid as path components.

    Raises:
        DataError: One of them is missing or not a plain name.
    """
    found = []
    for field in ("country", "city"):
        value = row.get(field)
        if not isinstance(value, str):
            raise DataError(where, field, value, f"Give the name of the {field}.")
        found.append(safe_name(value, where, field))
    return found[0], found[1]


def find_network(row: PublishedRow, roots: Sequence[Path], where: str) -> Network | None:
    """Return the network in a row's ``json``: a path, JSON text, or the object itself.

    Args:
        row: A row of a published set.
        roots: Folders in which a path is looked up, in this order.
        where: The row, for error messages.

    Returns:
        The network; None if the row has no ``json``, or a path that none of the roots has.

    Raises:
        DataError: The value has none of these forms, is not a network, or its path leads outside
            the roots.
    """
    source = row.get("json")
    country, city = city_of(row, where)
    if source is None:
        return None
    if isinstance(source, Mapping):
        return parse_network(_without_empty(source), country, city, f"{where}: json")
    if not isinstance(source, str) or not source.strip():
        raise DataError(where, "json", source, "Give a path, JSON text or an object.")
    if source.lstrip().startswith("{"):
        return parse_network(_loaded(source, where, "json"), country, city, f"{where}: json")
    for root in roots:
        path = inside(root, source.strip(), where, "json")
        if path.exists():
            check_file(path, where, "json")
            network = read_network(path)
            return Network(country, city, network.stops, network.lines)
    inside(Path(), source.strip(), where, "json")
    return None


def questions_of(row: PublishedRow, forms: Sequence[str], where: str) -> Iterator[Question]:
    """Yield the questions of a row: one, or a short and a long one for a row of ReasonMap.

    Args:
        row: One row of a published data set.
        forms: Forms of planning questions to include.
        where: The row, for error messages.

    Raises:
        DataError: A required column is missing or has a wrong value.
    """
    kind = row.get("type") or (_PLANNING if _texts(row) else None)
    plans = _plans(row.get("routes"), where)
    for text in _texts(row) or [_text(row.get("question"), where, "question")]:
        form = _form(text) if kind == _PLANNING else ""
        if form and form not in forms:
            continue
        truth = GroundTruth.from_row(
            {
                **row,
                "type": kind,
                "form": form,
                "plans": plans,
                "annotation": {},
                "line": "",
                "question_transfer_count": _transfers(row, plans),
            },
            where,
        )
        fields = {name: getattr(truth, name) for name in truth.__slots__}
        yield Question(**fields, text=text.removeprefix("<image>").lstrip("\n"))


def _texts(row: PublishedRow) -> list[str]:
    """Return the short and the long wording of a row of ReasonMap, if present."""
    texts = (row.get("question_short"), row.get("question_long"))
    return [text for text in texts if isinstance(text, str) and text.strip()]


def _text(value: object, where: str, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(where, field, value, "Give the text of the question.")
    return value


def _form(text: str) -> str:
    """Return the form of a planning question, from the labels that it asks for."""
    if "number of via stops" in text.lower():
        return "long_count"
    return "long_via" if "via stops" in text.lower() else "short"


def _transfers(row: PublishedRow, plans: Sequence[Sequence[object]]) -> object:
    """Return the number of transfers from its column, or else from the reference routes."""
    given = row.get("question_transfer_count")
    if given is None and plans:
        return min(len(plan) for plan in plans) - 1
    return given


def _plans(routes: object, where: str) -> list[list[dict[str, Any]]]:
    """Return the reference routes from ``{"0": [leg, …], …}``, an object or JSON text."""
    if isinstance(routes, str):
        routes = _loaded(routes, where, "routes") if routes.strip() else None
    if routes is None:
        return []
    if isinstance(routes, Mapping):
        routes = list(_without_empty(routes).values())
    if not isinstance(routes, Sequence):
        raise DataError(where, "routes", routes, 'Give {"0": [leg, …], …}.')
    plans = [plan for plan in routes if plan]
    if not all(
        isinstance(plan, Sequence) and all(isinstance(leg, Mapping) for leg in plan)
        for plan in plans
    ):
        raise DataError(where, "routes", routes, "Each route is a list of legs.")
    return [[dict(_without_empty(leg)) for leg in plan] for plan in plans]


def _without_empty(source: Mapping[str, Any]) -> dict[str, Any]:
    """Remove keys without a value: ``datasets`` and parquet give all rows the same keys."""
    return {key: value for key, value in source.items() if value is not None}


def _loaded(text: str, where: str, field: str) -> object:
    if len(text) > _MAX_JSON_CHARACTERS:
        raise DataError(
            where,
            field,
            f"{len(text)} characters",
            f"JSON text has at most {_MAX_JSON_CHARACTERS:,} characters.",
        )
    try:
        return parse_json(text)
    except ValueError as error:
        raise DataError(where, field, text, f"It is not JSON ({error}).") from error
