"""The turns of a trajectory for the page, with the crops that the zoom tool showed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.originals import original_of
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.reports.prepared import PreparedMap
from rewardmap_verl.zoom.boxes import Box, BoxError
from rewardmap_verl.zoom.crops import original_size, plan_crop, read_crop
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.turns import read_turns

__all__ = ["CropWriter", "turns_for_page"]

_SHOWN_CHARACTERS: Final = 3000
_MOST_CROPS: Final = 1000
"""Crops that a report stores. Further ones are cut from its own picture of the map."""
_SIZE: Final = ZoomSettings(max_pixels=256 * 28**2, min_pixels=64 * 28**2)
"""Size of a stored crop: 256 visual tokens, about 20 kB."""
_UNIT: Final = 28


def turns_for_page(response: object) -> list[list[Any]]:
    """Return rows of speaker, text, and box or ``None``; empty for a response of one turn."""
    turns = read_turns(response)
    if len(turns) < 2:
        return []
    return [
        [one.speaker, one.text[:_SHOWN_CHARACTERS], one.box.as_list() if one.box else None]
        for one in turns
    ]


@dataclass(slots=True)
class CropWriter:
    """Writes the crops of a report, each once."""

    folder: Path
    """The report's folder."""
    _written: dict[str, str] = field(default_factory=dict)

    def add(self, detail: Mapping[str, Any], found: PreparedMap | None, number: int) -> None:
        """Append to each turn with a box the path of its crop, or "" where none is stored.

        Args:
            detail: A group's details, whose turns are changed.
            found: The map of the group.
            number: Number of the map in the report; -1 if it is not shown.
        """
        for answer in detail["answers"]:
            for turn in answer.get("turns", ()):
                if turn[2]:
                    shown = found is not None and number >= 0
                    turn.append(self._path(found, number, Box(*turn[2])) if shown else "")

    def _path(self, found: PreparedMap | None, number: int, box: Box) -> str:
        assert found is not None
        name = f"maps/{number}-{'-'.join(map(str, box.as_list()))}.webp"
        if name not in self._written and len(self._written) < _MOST_CROPS:
            self._written[name] = name if self._write(found, box, self.folder / name) else ""
        return self._written.get(name, "")

    def _write(self, found: PreparedMap, box: Box, target: Path) -> bool:
        """Write a crop; return whether there is an original to cut it from."""
        if not found.record.original:
            return False
        try:
            original = str(inside(found.folder, original_of(found.record.image)))
            crop = plan_crop(box, original_size(original), _SIZE, _UNIT)
            read_crop(original, crop).save(target, "WEBP", quality=82, method=2)
        except (DataError, BoxError):
            return False
        return True
