"""Write the rollouts of runs for the page: an index to filter, and details to load on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rewardmap_verl.drawing.line_geometry import svg_points
from rewardmap_verl.errors import DataError
from rewardmap_verl.reports.pictures import write_picture
from rewardmap_verl.reports.prepared import PreparedData, PreparedMap
from rewardmap_verl.reports.rollouts import RolloutGroup, read_groups
from rewardmap_verl.reports.runs import Run
from rewardmap_verl.reports.scripts import write_script
from rewardmap_verl.reports.traces import GroupTrace, NetworkCache, trace_group
from rewardmap_verl.reports.turns import CropWriter
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.transit.city_titles import city_title

__all__ = ["AnswerChange", "Browser", "RunSource", "write_browser"]

_GROUPS_IN_A_PIECE = 40
_BYTES_OF_TITLE = 120
_FRAME = 0.008
"""Distance of a frame from its name, as a share of the longer side of the map."""


@dataclass(frozen=True, slots=True)
class RunSource:
    """A run, with the data and settings that explain its answers."""

    run: Run
    questions: PreparedData
    config: RewardConfig


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """A held-out question, and its reward at the first and the last validation."""

    group: int
    """Number of the last validation's group."""
    title: str
    before: float
    """Share of the maximum reward."""
    after: float


@dataclass(slots=True)
class _Validations:
    """Rewards of held-out questions at their first and their last validation."""

    first: dict[str, float] = field(default_factory=dict)
    """Share of the maximum reward, by ground truth."""
    last: dict[str, AnswerChange] = field(default_factory=dict)

    def add(self, group: RolloutGroup, traced: GroupTrace, number: int) -> None:
        """Add a group of any part; training groups are ignored."""
        known = [reward for reward in traced.rewards if reward is not None]
        if group.part != "val" or not known or not traced.highest:
            return
        share = sum(known) / len(known) / traced.highest
        before = self.first.setdefault(group.truth_text, share)
        self.last[group.truth_text] = AnswerChange(number, _title(group), before, share)

    def largest(self) -> AnswerChange | None:
        """Return the largest change; ``None`` if nothing changed."""
        changed = [one for one in self.last.values() if one.after != one.before]
        return max(changed, key=lambda one: (abs(one.after - one.before), -one.group), default=None)


@dataclass(slots=True)
class Browser:
    """Counts and problems of the written rollouts."""

    groups: int = 0
    answers: int = 0
    differ: dict[str, int] = field(default_factory=dict)
    """By run, answers whose recorded reward differs from the recomputed one."""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """By run, lines and groups that could not be read."""
    changes: dict[str, AnswerChange] = field(default_factory=dict)
    """By run, the held-out question whose reward changed most."""


@dataclass(slots=True)
class _Pieces:
    """Collects groups and writes them piece by piece."""

    folder: Path
    crops: CropWriter
    rows: list[list[Any]] = field(default_factory=list)
    maps: dict[tuple[str, str], int] = field(default_factory=dict)
    pictures: list[Mapping[str, Any]] = field(default_factory=list)
    _open: list[Mapping[str, Any]] = field(default_factory=list)
    _written: int = 0

    def add(self, row: list[Any], detail: Mapping[str, Any]) -> None:
        self.rows.append(row)
        self._open.append(detail)
        if len(self._open) == _GROUPS_IN_A_PIECE:
            self.flush()

    def flush(self) -> None:
        if self._open:
            name = f"rollouts-{self._written}"
            write_script(self.folder / "data" / f"{name}.js", name, self._open)
            self._open = []
            self._written += 1


def write_browser(
    sources: Sequence[RunSource], folder: Path, advance: Callable[[int], None] = lambda lines: None
) -> Browser:
    """Write the index and the pieces of all rollouts, and their maps.

    Args:
        sources: The runs.
        folder: The report's folder; ``data/`` and ``maps/`` are written.
        advance: Called with the number of answers of each finished group.
    """
    browser, pieces = Browser(), _Pieces(folder, CropWriter(folder))
    for number, source in enumerate(sources):
        _write_run(number, source, pieces, browser, advance)
    pieces.flush()
    index = {
        "runs": [source.run.name for source in sources],
        "columns": _COLUMNS,
        "groups": pieces.rows,
        "maps": pieces.pictures,
        "piece": _GROUPS_IN_A_PIECE,
    }
    write_script(folder / "data" / "index.js", "index", index)
    return browser


_COLUMNS = (
    "run", "part", "step", "stage", "type", "city", "difficulty", "map", "title", "rewards",
    "right", "unreadable", "highest", "question",
)  # fmt: skip


def _write_run(
    number: int,
    source: RunSource,
    pieces: _Pieces,
    browser: Browser,
    advance: Callable[[int], None],
) -> None:
    run, networks = source.run, NetworkCache(source.questions)
    stages: dict[tuple[str, int, str], str] = {
        (entry.part, entry.step, group.kind): group.stage
        for entry in run.entries
        for group in entry.groups
    }
    faults = browser.faults.setdefault(run.name, [])
    validations = _Validations()
    questions: dict[str, int] = {}
    for dump in run.dumps:
        for group in read_groups(dump.path):
            if isinstance(group, DataError):
                faults.append(f"{dump.path.name}: {group}")
                continue
            traced = trace_group(group, networks, source.config)
            stage = stages.get((group.part, group.step, str(group.truth.type)), "")
            place = _map_number(group, networks, pieces, faults)
            pieces.crops.add(traced.detail, networks.map_of(group), place)
            validations.add(group, traced, len(pieces.rows))
            held_out = group.part == "val"
            question = questions.setdefault(group.truth_text, len(questions)) if held_out else -1
            pieces.add(_row(number, stage, place, question, group, traced), traced.detail)
            browser.groups += 1
            browser.answers += len(group.rollouts)
            browser.differ[run.name] = browser.differ.get(run.name, 0) + traced.differ
            advance(len(group.rollouts))
    if change := validations.largest():
        browser.changes[run.name] = change


def _map_number(
    group: RolloutGroup, networks: NetworkCache, pieces: _Pieces, faults: list[str]
) -> int:
    """Return the map's number in the report, and write it the first time; -1 without a map."""
    found = networks.map_of(group)
    if found is None:
        return -1
    key = (str(found.folder), found.record.image)
    if key not in pieces.maps:
        number = len(pieces.pictures)
        try:
            picture = write_picture(found, pieces.folder, number)
            drawn = _write_schematic(found, networks, pieces.folder, number)
            places = {"frames": _frames(found, networks), "names": _names(found, networks)}
        except DataError as error:
            faults.append(str(error))
            pieces.maps[key] = -1
        else:
            pieces.maps[key] = number
            pieces.pictures.append({**picture, "schematic": drawn, **places})
    return pieces.maps[key]


def _frames(found: PreparedMap, networks: NetworkCache) -> list[list[float]]:
    """Return the frames of names that are drawn over their stops: left, top, width, height."""
    _, geometry = networks.get(found)
    if geometry is None or found.positions is None:
        return []
    frames = geometry.frames(_FRAME * max(found.record.width, found.record.height))
    boxes = ((*one[0], one[2][0] - one[0][0], one[2][1] - one[0][1]) for one in frames)
    return [[round(value, 2) for value in box] for box in boxes]


def _names(found: PreparedMap, networks: NetworkCache) -> list[str]:
    """Return the corners of each name on a map that this package drew, as points of an SVG."""
    _, geometry = networks.get(found)
    if geometry is None:
        return []
    return [svg_points(one) for one in geometry.labels if one]


def _write_schematic(found: PreparedMap, networks: NetworkCache, folder: Path, number: int) -> bool:
    """Write the schematic of a map without positions; return whether it has one."""
    drawn = networks.schematic(found)
    if drawn is not None:
        name = f"schematic-{number}"
        write_script(folder / "data" / f"{name}.js", name, drawn.for_page())
    return drawn is not None


def _row(
    number: int,
    stage: str,
    place: int,
    question: int,
    group: RolloutGroup,
    traced: GroupTrace,
) -> list[Any]:
    """Return a row of the index; see ``_COLUMNS``.

    Args:
        number: Number of the run.
        stage: Stage of a training step.
        place: Number of the map.
        question: Number of a held-out question, the same in all validations; -1 in training.
        group: The group.
        traced: Its explanation.
    """
    truth = group.truth
    return [
        number,
        group.part,
        group.step,
        stage,
        str(truth.type),
        city_title(truth.country, truth.city),
        truth.difficulty_city,
        place,
        _title(group),
        [None if reward is None else round(reward, 3) for reward in traced.rewards],
        [None if right is None else int(right) for right in traced.right],
        traced.unreadable,
        traced.highest,
        question,
    ]


def _title(group: RolloutGroup) -> str:
    truth = group.truth
    stops = [stop for stop in (truth.station_1, truth.station_2) if stop]
    joint = " → " if truth.is_planning else " · "
    text = joint.join([*stops, *([truth.line] if truth.line else [])])
    return (text or group.question)[:_BYTES_OF_TITLE]
