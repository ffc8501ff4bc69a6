"""Export as an HTML page: each map with its questions, gold answers and gold routes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from rewardmap_verl.drawing.line_geometry import LineGeometry, Point, read_line_geometry, svg_points
from rewardmap_verl.drawing.schematic import draw_schematic
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.manifest import Manifest, MapRecord
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.preparation.records import (
    PreparedQuestion,
    link_images,
    read_networks,
    read_prepared_questions,
)
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.transit.city_titles import city_title
from rewardmap_verl.transit.network import Network, Stop

__all__ = ["export_gallery"]

_STROKE_DIVISOR = 110  # the map's longer side divided by the width of a drawn route
_DEFAULT_COLOR = "#333333"


def export_gallery(folder: Path, manifest: Manifest, target: Path) -> list[Path]:
    """Write ``index.html`` and the images. The page needs neither a server nor a connection.

    On maps that this package drew, stops of questions are marked and gold routes are drawn. The
    positions of stops on other maps are unknown, so the marks are on a schematic beside the map.

    Returns:
        The page.
    """
    link_images(folder, target, manifest.maps)
    networks = read_networks(folder, manifest)
    records: defaultdict[tuple[str, str], list[PreparedQuestion]] = defaultdict(list)
    for split in manifest.rows:
        for record in read_prepared_questions(folder, split):
            records[record.truth.country, record.truth.city].append(record)
    maps = [
        _map(folder, number, entry, networks[key], records[key])
        for number, entry in enumerate(sorted(manifest.maps, key=_place))
        for key in [(entry.country, entry.city)]
    ]
    script = _resource("gallery.js")
    page = _template().render(
        script=Markup(script),
        script_hash=_csp_hash(script),
        title="Transit maps and their questions",
        subtitle=f"Source {manifest.source}, seed {manifest.seed}: "
        f"{sum(manifest.rows.values()):,} questions about "
        f"{len(maps)} {'map' if len(maps) == 1 else 'maps'}.",
        maps=maps,
    )
    path = target / "index.html"
    write_bytes(path, page.encode("utf-8", "xmlcharrefreplace"))
    return [path]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_resource("gallery.html"))


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _csp_hash(script: str) -> str:
    """Return the hash by which the content security policy allows this script and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _map(
    folder: Path,
    number: int,
    entry: MapRecord,
    network: Network,
    records: Sequence[PreparedQuestion],
) -> dict[str, Any]:
    tracks = _tracks(folder, entry, network)
    drawn = None if tracks else draw_schematic(network)
    if drawn is not None:
        tracks = drawn.geometry
    side = max((drawn.width, drawn.height) if drawn else (entry.width, entry.height))
    stroke = max(1.0, round(side / _STROKE_DIVISOR, 1))
    kinds = Counter(record.truth.type.value for record in records)
    return {
        "anchor": f"map-{number}",
        "name": city_title(entry.country, entry.city),
        "splits": " and ".join(entry.splits),
        "difficulty": entry.difficulty,
        "lines": entry.lines,
        "stops": entry.stops,
        "width": entry.width,
        "height": entry.height,
        "tokens": entry.image_tokens,
        "image": entry.image,
        "stroke": stroke,
        "schematic": drawn.for_page() if drawn else None,
        "names": [svg_points(one) for one in tracks.labels if one] if tracks else [],
        "kinds": list(kinds.items()),
        "questions": [
            _question(f"marks-{number}-{i}", record, tracks, stroke)
            for i, record in enumerate(records)
        ],
    }


def _tracks(folder: Path, entry: MapRecord, network: Network) -> LineGeometry | None:
    """Return the drawn lines of a map; None if their positions are unknown."""
    if not entry.positions:
        return None
    path = inside(folder, entry.positions)
    check_file(path)
    return read_line_geometry(path, network)


def _place(entry: MapRecord) -> tuple[bool, list[tuple[int, str]]]:
    """Return the place of a map: training maps first, numbers in names by their value."""
    parts = re.split(r"(\d+)", f"{entry.country}/{entry.city}")
    name = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return "train" not in entry.splits, name


def _question(
    name: str, record: PreparedQuestion, tracks: LineGeometry | None, stroke: float
) -> dict[str, Any]:
    """Return a question with the marks that the map shows when it is selected."""
    truth = record.truth
    legs = _legs(truth, tracks) if tracks else []
    spots = [_spot(stop, tracks, stroke) for stop in _stops(truth, tracks)] if tracks else []
    return {
        "kind": truth.type.value,
        "label": " ".join((truth.type.value, truth.form)).strip(),
        "text": record.text,
        "answer": record.answer,
        "marks": name if spots else "",
        "legs": [{"points": svg_points(points), "color": color} for points, color in legs],
        "spots": spots,
    }


_Leg = tuple[tuple[Point, ...], str]
"""Points of a leg on the map, in pixels, and the color of its line."""


def _legs(truth: GroundTruth, tracks: LineGeometry) -> list[_Leg]:
    """Return the first reference route if all its stops are known; [] for other types."""
    plan = truth.plans[0] if truth.plans else ()
    legs = [_leg(leg, tracks) for leg in plan]
    known = [leg for leg in legs if leg is not None]
    return known if len(known) == len(legs) else []


def _leg(leg: dict[str, Any], tracks: LineGeometry) -> _Leg | None:
    network = tracks.network
    line = network.find_line(str(leg.get("route_name", "")))
    if line is None:
        return None
    names = (leg.get("departure_stop"), leg.get("arrival_stop"))
    ends = [network.find_stop_on(str(name), line) for name in names]
    if ends[0] is None or ends[1] is None:
        return None
    return tracks.ride(line, ends[0].index, ends[1].index), tracks.color_of(line) or _DEFAULT_COLOR


def _stops(truth: GroundTruth, tracks: LineGeometry) -> list[Stop]:
    """Return the ends and interchanges of a route, or the stops that the question names."""
    network = tracks.network
    plan = truth.plans[0] if truth.plans else ()
    named = [str(leg.get("departure_stop")) for leg in plan]
    named += [str(leg.get("arrival_stop")) for leg in plan[-1:]]
    named = named or [getattr(truth, field) for field in truth.type.spec.stops]
    return [stop for name in dict.fromkeys(named) for stop in network.find_stops(name)]


def _spot(stop: Stop, tracks: LineGeometry, stroke: float) -> dict[str, Any]:
    """Return the mark of a stop: a ring, or a frame around a name that a ring would cover."""
    x, y = tracks.stops[stop.index]
    frame = tracks.frame(stop.index, stroke)
    return {"x": x, "y": y, "name": stop.name, "frame": svg_points(frame) if frame else ""}
