"""Time and size of a report about 10,000 answers, and how fast its page opens in Chromium.

    python benchmarks/report_speed.py data/rewardmap        any prepared folder

The run is made up (tests/reports/simulated_run.py): what a model would have answered does not
matter here, how much of it there is does. The browser's part needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from rewardmap_verl.reports.report import write_report

TESTS = Path(__file__).resolve().parents[1] / "tests" / "reports"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def simulated() -> ModuleType:
    """The module that makes runs up."""
    spec = importlib.util.spec_from_file_location("simulated_run", TESTS / "simulated_run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated_run"] = module
    spec.loader.exec_module(module)
    return module


def size_of(folder: Path) -> float:
    """Megabytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def opened(page: Path) -> Iterator[tuple[str, float]]:
    """What a reader waits for, in seconds; of three tries the best."""
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
    found["elements on the page"] = tab.evaluate("document.querySelectorAll('*').length")
    tab.close()
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=78)
    parser.add_argument("--output", type=Path, help="keep the report here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run = simulated().simulate_run(
            arguments.data, Path(name) / "run", steps=arguments.steps, groups=16, answers=8
        )
        begun, cpu = time.perf_counter(), time.process_time()
        done = write_report([run], arguments.output or Path(name) / "report")
        print(f"{done.answers:,} answers in {done.groups:,} groups")
        wall, spent = time.perf_counter() - begun, time.process_time() - cpu
        print(f"written in {wall:.1f} s ({spent:.1f} s processor time)")
        folder = done.page.parent
        print(f"{size_of(folder):.1f} MB, maps {size_of(folder / 'maps'):.1f} MB")
        for what, figure in opened(done.page):
            print(f"{what}: {figure:.2f}" if figure < 100 else f"{what}: {figure:.0f}")


if __name__ == "__main__":
    main()
