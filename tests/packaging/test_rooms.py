"""Imports between the rooms of the package point one way, as docs/architecture.md says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "rewardmap_verl"

MAY_IMPORT = {
    "errors": set(),
    "transit": {"errors"},
    "drawing": {"errors", "transit"},
    "questions": {"errors", "transit"},
    "rewards": {"errors", "transit", "questions"},
    "preparation": {"errors", "transit", "drawing", "questions", "rewards"},
    "training": {"errors", "transit", "questions", "rewards", "preparation"},
    "evaluation": {"errors", "transit", "questions", "rewards", "preparation", "training"},
    "reports": {
        *("errors", "transit", "drawing", "questions", "rewards", "preparation"),
        *("training", "evaluation"),
    },
    "evidence": {
        *("errors", "transit", "drawing", "questions", "rewards", "preparation"),
        *("training", "evaluation", "reports"),
    },
}


def imported_rooms(module: Path) -> Iterator[str]:
    """Rooms of this package that a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = node.module == PACKAGE.name
            names = [f"{node.module}.{x.name}" for x in node.names] if whole else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE.name and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_rooms_before_it(room: str) -> None:
    modules = sorted((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
    wrong = {
        (module.relative_to(PACKAGE).as_posix(), found)
        for module in modules
        for found in imported_rooms(module)
        if found not in MAY_IMPORT[room] | {room}
    }
    assert not wrong


def test_every_room_is_known() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms - {"commands"} <= MAY_IMPORT.keys()
