"""Crash safety: a kill at any rename or removal leaves the old or the new folder in its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import (
    exclusive_lock,
    staging_file,
    staging_folder,
    write_bytes,
)
from rewardmap_verl.preparation.exports.write import ExportFormat, Writer, write_export
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.zoom.settings import zoom_settings
from rewardmap_verl.zoom.trace_export import export_traces
from rewardmap_verl.zoom.traces import Reasoning
from tests.kill_points import kill_points

Make = Callable[..., PrepareSettings]

OLD, NEW = {"marker": b"old", "a/b": b"1"}, {"marker": b"new", "a/c": b"2"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_all(target: Path, files: dict[str, bytes], resume: bool = False) -> None:
    with staging_folder(target, "marker", resume=resume) as staging:
        for name, content in files.items():
            write_bytes(staging / name, content)


@pytest.mark.parametrize("resume", [False, True])
def test_the_exchange_leaves_a_complete_folder_at_kill_points(tmp_path: Path, resume: bool) -> None:
    target = tmp_path / "out"
    write_all(target, OLD)
    for _ in kill_points(lambda: write_all(target, NEW, resume)):
        assert contents(target) in (OLD, NEW)
        write_all(target, OLD, resume)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert contents(target) == NEW


def test_planted_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    """A stranger's folder may have them where the next run of a command sweeps its leftovers."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "work").write_bytes(b"mine")
    for name in (".out.building", ".out.previous", ".page.unfinished"):
        (tmp_path / name).symlink_to(home / "work" if "page" in name else home)
    write_all(tmp_path / "out", NEW)
    write_one(tmp_path / "page", b"new")
    assert contents(home) == {"work": b"mine"}
    assert contents(tmp_path / "out") == NEW and (tmp_path / "page").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out", "page"]


def write_one(target: Path, content: bytes) -> None:
    with staging_file(target) as staging:
        staging.write_bytes(content)


def test_a_file_is_the_old_or_the_new_one_at_kill_points(tmp_path: Path) -> None:
    target = tmp_path / "page"
    write_one(target, b"old")
    for _ in kill_points(lambda: write_one(target, b"new")):
        assert target.read_bytes() == b"old"
        write_one(target, b"old")
        assert [path.name for path in tmp_path.iterdir()] == ["page"]
    assert target.read_bytes() == b"new"


def test_a_second_writer_of_a_file_is_refused(tmp_path: Path) -> None:
    with staging_file(tmp_path / "page") as staging:
        staging.write_bytes(b"first")
        with pytest.raises(DataError, match="Another process is writing"):
            write_one(tmp_path / "page", b"second")
    assert (tmp_path / "page").read_bytes() == b"first"
    with pytest.raises(RuntimeError), staging_file(tmp_path / "page"):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_without_an_exchange_the_next_run_restores_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "out"
    write_all(target, OLD)
    for _ in kill_points(lambda: write_all(target, NEW), exchange=False):
        if not target.exists():
            with pytest.raises(RuntimeError), staging_folder(target, "marker"):
                raise RuntimeError
            assert contents(target) == OLD
        assert contents(target) in (OLD, NEW)
        write_all(target, OLD)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_prepared_folder_survives_a_kill_at_kill_points(local: Make) -> None:
    out = local().out
    old = prepare(local())
    before = contents(out)
    new = local(seed=5)
    for _ in kill_points(lambda: prepare(new)):
        found = contents(out)
        if found != before:  # the new folder, complete
            assert prepare(new).fingerprint != old.fingerprint
            assert contents(out) == found
            prepare(local())
            assert contents(out) == before
    prepare(local())
    assert {path.name for path in out.parent.iterdir()} == {"root", "out"}


def writer_of(form: ExportFormat, target: Path) -> Writer | None:
    """Return the writer of the one format that this room does not write."""
    if form is not ExportFormat.VERL:
        return None
    return partial(
        export_traces,
        format=form,
        target=target,
        reasoning=Reasoning.NONE,
        settings=zoom_settings(()),
    )


@pytest.mark.parametrize("form", list(ExportFormat))
def test_an_export_survives_a_kill_at_kill_points(
    local: Make, tmp_path: Path, form: ExportFormat
) -> None:
    prepare(local())
    target = tmp_path / "export"

    def write() -> None:
        write_export(local().out, form, target, writer=writer_of(form, target))

    write()
    before = contents(target)
    for _ in kill_points(write):
        assert contents(target) == before
    write()
    assert {path.name for path in tmp_path.iterdir()} == {"root", "out", "export"}


def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    write_all(tmp_path / "out", OLD)
    with pytest.raises(RuntimeError), staging_folder(tmp_path / "out", "marker") as staging:
        write_bytes(staging / "x", b"half")
        raise RuntimeError
    assert contents(tmp_path / "out") == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with staging_folder(target, "marker") as staging:
        write_bytes(staging / "marker", b"first")
        with pytest.raises(DataError, match=r"out\. Another process is writing"):
            write_all(target, NEW)
    assert contents(target) == {"marker": b"first"}


def test_a_lock_of_a_replaced_file_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    other = tmp_path / "other"
    path.touch()
    other.touch()
    real = os.open

    def open_and_replace(*arguments: Any) -> int:
        handle = real(*arguments)
        other.replace(path)
        return handle

    monkeypatch.setattr(os, "open", open_and_replace)
    with pytest.raises(DataError, match="Another process"), exclusive_lock(path):
        pass


def test_a_link_to_the_output_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "out")
    write_all(tmp_path / "link", OLD)
    write_all(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "disk" / "out") == NEW


@pytest.mark.parametrize("form", list(ExportFormat))
def test_an_export_never_replaces_another_folder(
    local: Make, tmp_path: Path, form: ExportFormat
) -> None:
    prepare(local())
    write_bytes(tmp_path / "mine" / "thesis.txt", b"precious")
    with pytest.raises(DataError, match="this command did not write it"):
        target = tmp_path / "mine"
        write_export(local().out, form, target, writer=writer_of(form, target))
    assert contents(tmp_path / "mine") == {"thesis.txt": b"precious"}
