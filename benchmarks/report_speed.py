"""Measure time and size of a report about 10,000 answers, and how fast its page opens in Chromium.

    python benchmarks/report_speed.py data/rewardmap        any prepared folder

The run is simulated (tests/reports/simulated_run.py): the amount of answers matters here, not their
content. The browser part needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from PIL import Image

from rewardmap_verl.reports.report import write_report

Image.MAX_IMAGE_PIXELS = None

TESTS = Path(__file__).resolve().parents[1] / "tests" / "reports"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def simulated() -> ModuleType:
    """Return the module that simulates runs."""
    spec = importlib.util.spec_from_file_location("simulated_run", TESTS / "simulated_run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated_run"] = module
    spec.loader.exec_module(module)
    return module


def size_of(folder: Path) -> float:
    """Return the size of all files below a folder in megabytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def opened(page: Path) -> Iterator[tuple[str, float]]:
    """Yield the waiting times of a reader in seconds, each the best of three visits."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=program, args=OPTIONS)
        tries = [one_visit(browser, page) for _ in range(3)]
        browser.close()
    for name in tries[0]:
        yield name, min(visit[name] for visit in tries)


def one_visit(browser: object, page: Path) -> dict[str, float]:
    """Open the page, draw the first curves, filter, scroll to the end, open a group."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})  # type: ignore[attr-defined]
    found, begun = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal begun
        found[name] = time.perf_counter() - begun
        begun = time.perf_counter()

    tab.goto(f"file://{page.resolve()}")
    tab.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    lap("the list can be used")
    tab.wait_for_selector(".plot[data-drawn=yes]", timeout=60_000)
    lap("the first curve is drawn")
    tab.select_option("#f-type", "planning")
    lap("a filter is applied")
    tab.evaluate("document.getElementById('list').scrollTop = 1e9")
    tab.wait_for_timeout(100)
    begun += 0.1
    tab.locator(".row").last.click()
    tab.wait_for_selector("#answer pre")
    lap("a group at the end is opened")
    tab.locator(".legend .zoom").nth(1).click()
    picture = "document.querySelector('#map img')"
    tab.wait_for_function(f"{picture}.complete && !{picture}.currentSrc.includes('-small')")
    tab.evaluate(f"{picture}.decode()")
    lap("its map is zoomed, at full size")
    found["elements on the page"] = tab.evaluate("document.querySelectorAll('*').length")
    tab.close()
    return found


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=78)
    parser.add_argument("--output", type=Path, help="keep the report here")
    parser.add_argument("--record", type=Path, help="write the measurements to this file (JSON)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run = simulated().simulate_run(
            arguments.data, Path(name) / "run", steps=arguments.steps, groups=16, answers=8
        )
        begun, cpu = time.perf_counter(), time.process_time()
        done = write_report([run], arguments.output or Path(name) / "report")
        wall, spent = time.perf_counter() - begun, time.process_time() - cpu
        folder = done.page.parent
        found: dict[str, float] = {
            "answers": done.answers,
            "groups": done.groups,
            **measures(folder),
            "written in, seconds": wall,
            "written in, CPU seconds": spent,
            "load average": os.getloadavg()[0],
            **dict(opened(done.page)),
        }
    for what, value in found.items():
        print(f"{what}: {value:.2f}" if value < 100 else f"{what}: {value:,.0f}")
    if arguments.record:
        rounded = {what: round(value, 2) for what, value in found.items()}
        arguments.record.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def measures(folder: Path) -> dict[str, float]:
    """Return the sizes of a report and its maps."""
    pictures = [path for path in (folder / "maps").iterdir() if "-small" not in path.name]
    sides = []
    for path in pictures:
        with Image.open(path) as image:
            sides.append(max(image.size))
    return {
        "maps": len(pictures),
        "longer side of a map, median": statistics.median(sides),
        "longer side of the largest map": max(sides),
        "MB": size_of(folder),
        "MB of maps": size_of(folder / "maps"),
    }


if __name__ == "__main__":
    main()
