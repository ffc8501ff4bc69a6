"""The packages of ``rewardmap_verl`` import each other in one direction only.

The order is the table in ``docs/architecture.md``, which this test reads: a package may import
those above it and itself. ``commands`` comes last, so nothing imports it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "rewardmap_verl"
PAGE = REPOSITORY / "docs" / "architecture.md"

ORDER = [
    *("errors", "inputs", "config_blocks", "patching"),
    *("reaper", "usage_statistics"),
    *("transit", "drawing", "questions", "rewards"),
    *("preparation", "zoom", "curriculum", "checkpoints", "preflight", "cpu", "tiny_model"),
    *("verl_plugin", "evaluation", "reports", "launch", "commands"),
]
"""Rooms from first to last: packages, and the modules beside them."""

MAY_IMPORT_VERL = ("cpu/", "verl_plugin/", "tiny_model/sft_dataset.py")
"""Where ``import verl`` is allowed; preflight looks verl up by name, to report its absence."""


def modules_of(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imported_names(module: Path) -> Iterator[str]:
    """Dotted names that a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            assert not node.level, f"{module}: imports are absolute"
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imported_rooms(module: Path) -> set[str]:
    parts = [name.split(".") for name in imported_names(module)]
    return {one[1] for one in parts if one[0] == PACKAGE.name and len(one) > 1}


def table_of_rooms() -> list[str]:
    """Rooms in the order of the rows of the table in docs/architecture.md."""
    rows = re.findall(r"^\| (.*?) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    cells = [re.findall(r"`rewardmap_verl/(\w+)(?:/|\.py)`", row) for row in rows]
    return [room for rooms in cells for room in rooms]


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_rooms_before_it(room: str) -> None:
    allowed = set(ORDER[: ORDER.index(room) + 1])
    wrong = {
        f"{module.relative_to(PACKAGE)} imports {found}"
        for module in modules_of(room)
        for found in imported_rooms(module) - allowed
    }
    assert not wrong


def test_every_room_has_a_place_in_the_order() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert packages | modules == set(ORDER)


def test_only_the_adapters_import_verl() -> None:
    found = {
        module.relative_to(PACKAGE).as_posix()
        for module in PACKAGE.rglob("*.py")
        if any(name.split(".")[0] == "verl" for name in imported_names(module))
    }
    assert found, "the adapters import verl"
    assert not {path for path in found if not path.startswith(MAY_IMPORT_VERL)}


def test_modules_inside_a_room_have_no_cycle() -> None:
    """Imports at the top of a module; an import inside a function runs later."""
    graph = {name_of(path): set(top_level_imports(path)) for path in PACKAGE.rglob("*.py")}
    assert not cycle_in(graph)


def name_of(module: Path) -> str:
    parts = module.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_level_imports(module: Path) -> Iterator[str]:
    known = {name_of(path) for path in PACKAGE.rglob("*.py")}
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & known
            yield from inner or ({node.module} & known)


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """Modules that remain when those without imports left are removed, again and again."""
    left = {name: set(found) - {name} for name, found in graph.items()}
    while done := {name for name, found in left.items() if not found}:
        left = {name: found - done for name, found in left.items() if name not in done}
    return sorted(left)


def test_cycle_detection_works() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert cycle_in({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == ["a", "b", "c"]


def test_architecture_page_lists_the_rooms_in_import_order() -> None:
    assert table_of_rooms() == ORDER
    assert "from first to last" in PAGE.read_text(encoding="utf-8")
