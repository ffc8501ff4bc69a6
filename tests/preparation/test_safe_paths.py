"""Paths from data stay inside the root; nothing but whole files appears under a name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.paths import inside, safe_name
from rewardmap_verl.preparation.records import prepared_image


@pytest.mark.parametrize("path", ["maps/italy/rome.png", "./maps/italy/rome.png", "a..b/c.png"])
def test_plain_paths_are_resolved(tmp_path: Path, path: str) -> None:
    assert inside(tmp_path, path) == (tmp_path / path).resolve()


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "maps/../../secret",
        "/etc/passwd",
        "..\\secret",
        "maps\\..\\..\\secret",
        "",
        " ",
        "a\0b",
        "x" * 5000,
        "a\ud800b",
    ],
)
def test_paths_that_leave_or_cannot_be(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="row 7"):
        inside(tmp_path, path, where="row 7", field="figure")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "a", "link", "~", "…", ""]), max_size=6))
def test_no_path_ever_leaves(tmp_path: Path, parts: list[str]) -> None:
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    outside.mkdir(exist_ok=True)
    root.mkdir(exist_ok=True)
    if not (root / "link").is_symlink():
        (root / "link").symlink_to(outside)
    try:
        found = inside(root, "/".join(parts))
    except DataError:
        return
    assert found.is_relative_to(root.resolve())


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DataError):
        inside(tmp_path, "a/x")


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>", b"GIF89a", b"RIFF"])
def test_an_image_is_what_its_content_says(tmp_path: Path, content: bytes) -> None:
    """Pillow would choose a decoder by the content; that of PostScript runs a program."""
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(DataError, match="PNG, JPEG or WebP"):
        prepared_image(tmp_path, "1.png")


@pytest.mark.parametrize("name", ["rome", "St. Gallen", "长沙", "são_paulo", "o'hare"])
def test_names_that_are_fine(name: str) -> None:
    assert safe_name(name, "row 1", "city") == name


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", ".git", "a/b", "a\\b", "a\0", "c:", "a\n", "a\x1b[2J"]
)
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(DataError, match="row 1: city"):
        safe_name(name, "row 1", "city")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "file"
    write_bytes(path, b"old")

    def failing(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
