"""A page to look at: each map, its questions with gold answers, and the gold routes drawn on it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.exports.records import (
    Record,
    read_networks,
    read_records,
    share_images,
)
from rewardmap_verl.preparation.manifest import Manifest, MapRecord
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.transit.network import Network

__all__ = ["export_gallery"]

_SHOWN_WIDTH = 900  # pixels of the page
_LINE_SHARE = 90  # the drawn route is this fraction of the map's width

Point = tuple[float, float]


def export_gallery(folder: Path, manifest: Manifest, target: Path) -> list[Path]:
    """Write ``index.html`` and the images; the page needs no server and no connection.

    Routes are drawn on maps that were drawn here; of other maps nobody knows where the stops are.

    Returns:
        The page.
    """
    share_images(folder, target, manifest.maps)
    networks = read_networks(folder, manifest)
    records: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
    for split in manifest.rows:
        for record in read_records(folder, manifest, split):
            records[record.truth.country, record.truth.city].append(record)
    maps = [
        _map(folder, number, entry, networks[key], records[key])
        for number, entry in enumerate(manifest.maps)
        for key in [(entry.country, entry.city)]
    ]
    page = _template().render(
        title="Transit maps and their questions",
        subtitle=f"Source {manifest.source}, seed {manifest.seed}: "
        f"{sum(manifest.rows.values()):,} questions about {len(maps)} maps.",
        maps=maps,
        width=_SHOWN_WIDTH,
    )
    path = target / "index.html"
    write_bytes(path, page.encode("utf-8", "xmlcharrefreplace"))
    return [path]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("gallery.html").read_text("utf-8"))


def _map(
    folder: Path, number: int, entry: MapRecord, network: Network, records: Sequence[Record]
) -> dict[str, Any]:
    places = _stop_places(folder, entry)
    questions, routes = [], []
    for i, record in enumerate(records):
        route = _route(f"route-{number}-{i}", record, network, places) if places else None
        if route is not None:
            routes.append(route)
        kind = " ".join((record.truth.type.value, record.truth.form)).strip()
        questions.append(
            {
                "type": kind,
                "text": record.text,
                "answer": record.answer,
                "route": route["id"] if route else "",
            }
        )
    return {
        "anchor": f"map-{number}",
        "name": f"{entry.country}/{entry.city}",
        "splits": " and ".join(entry.splits),
        "difficulty": entry.difficulty,
        "lines": entry.lines,
        "stops": entry.stops,
        "width": entry.width,
        "height": entry.height,
        "tokens": entry.image_tokens,
        "image": entry.image,
        "stroke": max(1.0, entry.width / _LINE_SHARE),
        "questions": questions,
        "routes": routes,
    }


def _stop_places(folder: Path, entry: MapRecord) -> list[Point]:
    """Return the pixel position of each stop of a map that was drawn here."""
    if not entry.positions:
        return []
    positions = json.loads(inside(folder, entry.positions).read_text(encoding="utf-8"))
    return [(x, y) for x, y in positions["stops"]]


def _route(
    name: str, record: Record, network: Network, places: Sequence[Point]
) -> dict[str, Any] | None:
    """Return the first reference route as points on the map, if each of its stops is known."""
    if not record.truth.plans:
        return None
    legs = [_leg(leg, network, places) for leg in record.truth.plans[0]]
    if not legs or not all(len(points) > 1 for points in legs):
        return None
    return {
        "id": name,
        "legs": [_svg_points(points) for points in legs],
        "changes": [points[0] for points in legs] + [legs[-1][-1]],
    }


def _leg(leg: dict[str, Any], network: Network, places: Sequence[Point]) -> list[Point]:
    line = network.find_line(str(leg.get("route_name", "")))
    if line is None:
        return []
    names = [leg.get("departure_stop"), *leg.get("via_stops", ()), leg.get("arrival_stop")]
    stops = [network.find_stop_on(str(name), line) for name in names]
    return [places[stop.index] for stop in stops if stop is not None]


def _svg_points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
