"""Reports of a run in progress."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import RECORD_NAME, RecordWriter
from rewardmap_verl.reports import watch
from rewardmap_verl.reports.report import write_report

pytestmark = pytest.mark.timeout(180)

PROGRAM = (sys.executable, "-c", "from rewardmap_verl.commands.main import app; app()")
STEP = [Group("counting", "TorF1", 0, 0, 0, False, {"acc": (1.0,), "score": (11.0,)})]


def test_every_change_of_a_record_is_noticed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL", 0.01)
    states = watch.new_states([tmp_path])
    assert next(states) == ()
    writer = RecordWriter(tmp_path / "run" / RECORD_NAME)
    sizes = []
    for step in (1, 2):
        writer.write("train", step, STEP)
        ((path, size),) = next(states)
        assert path.endswith(RECORD_NAME)
        sizes.append(size)
    assert sizes[0] < sizes[1]


def wait_for(path: Path, text: str, seconds: float = 90.0) -> None:
    """Wait until a file contains a text."""
    end = time.monotonic() + seconds
    while text not in (path.read_text("utf-8") if path.is_file() else ""):
        assert time.monotonic() < end, f"{path} never had {text!r}"
        time.sleep(0.2)


def test_the_command_follows_a_run_until_it_is_interrupted(tmp_path: Path) -> None:
    run, page = tmp_path / "run", tmp_path / "out" / "index.html"
    words = ("report", str(run), "--out", str(page.parent), "--watch")
    with (tmp_path / "shown").open("w") as shown:
        running = subprocess.Popen([*PROGRAM, *words], stdout=shown, stderr=subprocess.STDOUT)
    try:
        wait_for(tmp_path / "shown", "waiting for the first step")
        writer = RecordWriter(run / RECORD_NAME)
        for step in (1, 2):
            writer.write("train", step, STEP)
            wait_for(page, f"<dd>{step}</dd>")
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    finally:
        running.kill()
    assert "Traceback" not in (tmp_path / "shown").read_text()


def test_an_open_page_shows_the_new_steps(run_folder: Path, tmp_path: Path, browser: Any) -> None:
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    expect = pytest.importorskip("playwright.sync_api").expect
    done = write_report([run], tmp_path / "out", watched=True)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.add_init_script("const every = setInterval; setInterval = (f) => every(f, 100);")
    reading, waiting = context.new_page(), context.new_page()
    for page in (reading, waiting):
        page.goto(f"file://{done.page.resolve()}", timeout=60_000)
        page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    reading.locator(".row").first.click()
    before = waiting.inner_text(".card dl")
    steps = int(before.split()[1])
    RecordWriter(run / RECORD_NAME).write("train", steps + 1, STEP)
    write_report([run], tmp_path / "out", watched=True)
    expect(waiting.locator("dd").first).to_have_text(str(steps + 1), timeout=20_000)
    reading.wait_for_selector("#newer")
    assert reading.inner_text("dd") == str(steps), "a reader is not disturbed"
    reading.click("#newer")
    expect(reading.locator("dd").first).to_have_text(str(steps + 1), timeout=20_000)
    context.close()
