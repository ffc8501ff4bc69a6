"""The page in a real browser, opened from the disk: on a desk, on a phone and by keyboard."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.reports.prepared import PreparedMap
from rewardmap_verl.reports.report import Report, write_report

pytestmark = pytest.mark.timeout(180)

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


class Opened:
    """A page with everything that went wrong on it."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.faults, self.requests = page, [], []
        page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: (self.faults.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address, timeout=60_000)
        page.wait_for_selector("html[data-ready=yes]", timeout=60_000)


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    contexts = []

    def start(report: Report, size: dict[str, int] = DESK, anchor: str = "", **more: Any) -> Opened:
        context = browser.new_context(viewport=size, **more)
        contexts.append(context)
        context.set_default_timeout(20_000)
        return Opened(context.new_page(), f"file://{report.page.resolve()}{anchor}")

    yield start
    for context in contexts:
        context.close()


def open_group(page: Any, kind: str = "planning", place: int = 0) -> None:
    page.evaluate("document.getElementById('more').open = true")
    page.select_option("#f-type", kind)
    page.locator(".row").nth(place).click()
    wait_for_detail(page)


def wait_until(page: Any, condition: str) -> None:
    """Wait for a condition; Playwright polls within the page, whose CSP forbids that."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def wait_for_detail(page: Any) -> None:
    """Wait until the group that the address names is shown."""
    shown = "document.getElementById('detail').dataset.group"
    wait_until(page, f"location.hash.startsWith(`#group=${{{shown}}}&`)")


def drawn(page: Any) -> bool:
    """Whether the gold route is displayed; a straight one has no height that could be asked."""
    show = "getComputedStyle(document.querySelector('polyline.gold')).display"
    return page.evaluate(show) != "none"


def test_it_opens_without_a_server_or_a_network(report: Report, open_page: Any) -> None:
    opened = open_page(report, offline=True)
    opened.page.wait_for_selector(".plot[data-drawn=yes] svg")
    assert opened.faults == []
    assert all(address.startswith(("file:", "data:", "blob:")) for address in opened.requests)
    assert "accuracy" in opened.page.inner_text("#results")


def test_every_curve_is_drawn_when_it_comes_into_view(report: Report, open_page: Any) -> None:
    opened = open_page(report)
    plots = opened.page.locator(".plot")
    for number in range(plots.count()):
        plots.nth(number).scroll_into_view_if_needed()
        opened.page.wait_for_selector(f".plot[data-chart='{number}'][data-drawn=yes] .scatterlayer")
    assert plots.count() >= 4
    assert opened.faults == []


def test_filters_show_matching_groups(report: Report, open_page: Any) -> None:
    page = open_page(report).page
    everything = page.inner_text("#found")
    page.select_option("#f-type", "planning")
    assert {row.inner_text().split()[0] for row in page.locator(".row").all()} == {"planning"}
    page.select_option("#f-part", "train")
    page.fill("#f-step-from", "5")
    shown = [row.inner_text() for row in page.locator(".row").all()]
    assert shown and all("step 5" in text or "step 6" in text for text in shown)
    page.fill("#search", "no such stop")
    assert "No group matches" in page.inner_text("#list") and page.inner_text("#found").startswith(
        "0"
    )
    page.click("button[type=reset]")
    wait_until(page, f"document.getElementById('found').textContent === {everything!r}")


def test_a_group_shows_question_answers_trace_and_routes(report: Report, open_page: Any) -> None:
    opened = open_page(report)
    page = opened.page
    open_group(page)
    detail = page.inner_text("#detail")
    for part in ("Question", "Gold answer", "Parsing", "The reward", "Gold route"):
        assert part in detail
    assert page.locator(".chip").count() >= 1
    gold = page.locator("polyline.gold")
    assert gold.count() >= 1
    box, frame = gold.first.bounding_box(), page.locator("#map").bounding_box()
    assert (
        frame["x"] <= box["x"] + 20 and box["x"] + box["width"] <= frame["x"] + frame["width"] + 20
    )
    assert page.evaluate("document.querySelector('#map img').naturalWidth") > 0
    assert drawn(page)
    page.uncheck(".legend label:first-child input")
    assert not drawn(page)
    assert opened.faults == []


def test_a_ride_to_the_same_stop_says_so(run_folder: Path, tmp_path: Path, open_page: Any) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    for path in run.rglob("validation/*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            truth = json.loads(row["gts"])
            if truth["plans"]:
                leg = truth["plans"][0][0]
                row["output"] = (
                    f"Route Name: {leg['route_name']}\nDeparture Stop: {leg['departure_stop']}\n"
                    f"Arrival Stop: {leg['departure_stop']}"
                )
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    page = open_page(write_report([run], tmp_path / "out")).page
    page.select_option("#f-part", "validation")
    open_group(page)
    assert page.inner_text("#detail").count(" stays at the stop\n") == 2


def test_choosing_an_answer_changes_text_and_address(report: Report, open_page: Any) -> None:
    page = open_page(report).page
    page.select_option("#f-part", "train")
    open_group(page)
    page.locator(".chip").nth(2).click()
    assert page.url.endswith("&answer=3")
    assert page.locator(".chip[aria-pressed=true]").inner_text().split()[0] == "3"
    again = open_page(report, anchor=page.url[page.url.index("#") :]).page
    again.wait_for_selector(".chip[aria-pressed=true]")
    assert again.inner_text("#answer") == page.inner_text("#answer")


def test_everything_can_be_done_by_keyboard(report: Report, open_page: Any) -> None:
    page = open_page(report).page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.focus("#list")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer pre")
    title = page.inner_text("#detail h3")
    assert page.get_attribute("#list", "aria-activedescendant") == "row-1"
    page.keyboard.press("j")
    wait_until(page, "document.querySelector('.row.open').id === 'row-2'")
    page.keyboard.press("k")
    wait_until(page, "document.querySelector('.row.open').id === 'row-1'")
    assert page.inner_text("#detail h3") == title
    page.keyboard.press("End")
    last = int(page.get_attribute("#list", "aria-activedescendant").removeprefix("row-"))
    assert last + 1 == int(page.get_attribute(f"#row-{last}", "aria-setsize"))
    page.keyboard.press("Escape")
    assert page.locator(".row.open").count() == 0


def test_it_fits_a_phone(report: Report, open_page: Any) -> None:
    opened = open_page(report, size=PHONE, has_touch=True, is_mobile=True)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not page.locator("#detail").is_visible()
    open_group(page)
    assert page.locator("#detail").is_visible()
    assert page.evaluate("document.getElementById('detail').scrollWidth") <= PHONE["width"]
    assert drawn(page)
    page.click(".back")
    assert not page.locator("#detail").is_visible()
    open_group(page)
    page.go_back()
    page.wait_for_selector("#detail", state="hidden")
    assert opened.faults == []


def test_a_phone_shows_the_accuracy_before_and_after(report: Report, open_page: Any) -> None:
    page = open_page(report, size=PHONE, has_touch=True, is_mobile=True).page
    head = page.locator(".held-out thead th")
    names = head.all_inner_texts()
    assert names[:4] == ["type", "before", "after", "change"]
    for place in range(4):
        box = head.nth(place).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]


def test_names_over_stops_are_framed(tmp_path: Path, simulated: ModuleType, open_page: Any) -> None:
    done = CliRunner().invoke(
        app,
        ["prepare", "synthetic", "--out", str(tmp_path / "data"), *["--train-maps", "2"],
         *["--test-maps", "1", "--size", "pocket", "--workers", "1"]],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    run = simulated.simulate_run(tmp_path / "data", tmp_path / "run", steps=2, groups=6)
    opened = open_page(write_report([run], tmp_path / "out"))
    page = opened.page
    assert "Pocket, test map 1" in page.locator("#f-city").inner_text()
    open_group(page)
    page.wait_for_selector("#overlay rect.gold.end")
    assert page.locator("#overlay circle").count() == 0
    assert page.locator("#overlay g[mask] polyline").count() == page.locator("polyline").count()
    frame = page.locator("#overlay rect.gold.end").first.bounding_box()
    stop = page.locator("#map").bounding_box()
    assert frame["width"] < stop["width"] / 4 and frame["height"] < stop["height"] / 8
    open_group(page, "TorF1")
    page.wait_for_selector("#overlay rect.spot")
    assert page.locator("#overlay circle").count() == 0
    assert opened.faults == []


@pytest.fixture(scope="module")
def full_report(tmp_path_factory: pytest.TempPathFactory, simulated: ModuleType) -> Report:
    """The report of a run on maps of full size, whose names are beside their stops."""
    folder = tmp_path_factory.mktemp("full")
    command = ["prepare", "synthetic", "--out", str(folder / "data"), "--size", "full"]
    few = ["--train-maps", "1", "--test-maps", "1", "--workers", "1", "--max-pixels", "1000000"]
    done = CliRunner().invoke(app, [*command, *few])
    assert done.exit_code == 0, done.output
    run = simulated.simulate_run(folder / "data", folder / "run", steps=8, groups=12)
    return write_report([run], folder / "out")


@pytest.mark.parametrize("kind", ["planning", "TorF1"])
@pytest.mark.parametrize("size", [DESK, {"width": 1920, "height": 1080}, PHONE])
def test_routes_and_rings_leave_names_out(
    full_report: Report, open_page: Any, size: dict[str, int], kind: str
) -> None:
    """The pixels of every name are those of the map without routes and rings."""
    page = open_page(full_report, size, device_scale_factor=2).page
    open_group(page, kind)
    page.wait_for_selector("#overlay g[mask] > *", state="attached")
    page.locator("#map img").evaluate("(image) => image.decode()")
    names = page.evaluate(
        "[...document.querySelectorAll('#names polygon')].map((name) => {"
        "  const overlay = document.getElementById('overlay');"
        "  const map = document.getElementById('map').getBoundingClientRect();"
        "  const place = overlay.getScreenCTM();"
        "  return [...name.points].map((point) => point.matrixTransform(place))"
        "    .map(({ x, y }) => [2 * (x - map.left), 2 * (y - map.top)]); })"
    )
    marked = picture_of(page)
    page.add_style_tag(content="#overlay { visibility: hidden; }")
    change = ImageChops.difference(marked, picture_of(page)).convert("L")
    named = Image.new("L", change.size)
    for corners in names:
        ImageDraw.Draw(named).polygon([tuple(corner) for corner in corners], fill=255)
    assert len(names) > 20 and named.getbbox() is not None and change.getbbox() is not None
    inside = named.filter(ImageFilter.MinFilter(5))  # pixels of an edge belong to both sides
    assert inside.getbbox() is not None
    assert ImageChops.multiply(change, inside).getbbox() is None


def picture_of(page: Any) -> Image.Image:
    """The map as it is shown."""
    return Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB")


def test_what_a_model_wrote_never_becomes_a_part_of_the_page(
    simulated: ModuleType, prepared: Path, tmp_path: Path, open_page: Any
) -> None:
    run = simulated.simulate_run(prepared, tmp_path / "run", steps=2, groups=2, answers=4)
    dump = run / "rollouts" / "1.jsonl"
    lines = dump.read_text("utf-8").splitlines()
    hostile = [text.encode("utf-16", "surrogatepass") for text in simulated.HOSTILE]
    changed = [
        _with_output(line, text.decode("utf-16", "surrogatepass"))
        for line, text in zip(lines, hostile * len(lines), strict=False)
    ]
    dump.write_text("\n".join(changed), "utf-8")
    opened = open_page(write_report([run], tmp_path / "out"))
    page = opened.page
    title, elements = page.title(), "script, #detail img, #detail svg, #detail b, #detail [onclick]"
    page.select_option("#f-part", "train")
    for row in range(2):
        page.locator(".row").nth(row).click()
        page.wait_for_selector("#answer pre")
        for number in range(page.locator(".chip").count()):
            page.locator(".chip").nth(number).click()
            shown = page.text_content("#answer pre")
            assert any(shown[:20] == text[:20] for text in simulated.HOSTILE) or row
            assert page.locator("#answer pre *").count() == 0
    sources = page.evaluate(f"[...document.querySelectorAll({elements!r})].map(e => e.src || '')")
    assert all(not source or source.startswith("file:") for source in sources)
    assert page.title() == title and opened.faults == []


def _with_output(line: str, text: str) -> str:
    import json

    return json.dumps({**json.loads(line), "output": text})


def test_of_many_groups_only_those_in_sight_are_elements(
    simulated: ModuleType, prepared: Path, tmp_path: Path, open_page: Any
) -> None:
    run = simulated.simulate_run(prepared, tmp_path / "run", steps=20, groups=30, answers=1)
    done = write_report([run], tmp_path / "out")
    opened = open_page(done)
    page, last = opened.page, f"#row-{done.groups - 1}"
    assert done.groups > 600 and f"{done.groups} groups" in page.inner_text("#found")
    assert page.locator(".row").count() < 40
    page.evaluate("document.getElementById('list').scrollTop = 1e9")
    page.wait_for_selector(last)
    assert page.locator(".row").count() < 40
    asked = pieces(opened.requests)
    assert len(asked) <= 2, "those of the answers that are shown first"
    page.locator(last).click()
    page.wait_for_selector(f"{last}.open")
    wait_for_detail(page)
    assert len(pieces(opened.requests)) <= len(asked) + 2


def pieces(addresses: list[str]) -> set[str]:
    """The pieces of the rollouts that were loaded."""
    return {address for address in addresses if "rollouts-" in address}


def test_maps_without_positions_have_a_schematic_with_the_routes(
    run_folder: Path, tmp_path: Path, open_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PreparedMap, "positions", property(lambda self: None))
    opened = open_page(write_report([run_folder], tmp_path / "out"))
    page = opened.page
    loaded = {address for address in opened.requests if "schematic-" in address}
    assert len(loaded) <= 1, "a schematic is loaded when its map is shown"
    open_group(page)
    page.wait_for_selector("#schematic #overlay polyline.gold", state="attached")
    assert page.locator("#map svg").count() == 0, "nothing is drawn where nothing is known"
    assert page.locator("#net polyline.net").count() >= 2
    gold = page.locator(".routes", has_text="Gold route").locator(".itinerary").first
    route = gold.locator(".stop").all_inner_texts()
    labels = page.locator("#net text.label").all_text_contents()
    assert route[0] in labels and route[-1] in labels
    frame = page.locator("#net").bounding_box()
    for shown in page.locator("polyline.gold").all():
        box = shown.bounding_box()
        assert frame["x"] - 20 <= box["x"] <= frame["x"] + frame["width"] + 20
        assert frame["y"] - 20 <= box["y"] <= frame["y"] + frame["height"] + 20
    page.uncheck(".schematic .legend label:first-child input")
    assert not drawn(page)
    open_group(page, "TorF1")
    page.wait_for_selector("#net circle.spot", state="attached")
    assert opened.faults == []


def test_a_reduced_map_has_full_size_when_zoomed(
    run_folder: Path, tmp_path: Path, open_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rewardmap_verl.reports.pictures.LARGEST_SIDE", 100)
    opened = open_page(write_report([run_folder], tmp_path / "out"))
    page = opened.page
    open_group(page)
    source = "document.querySelector('#map img').getAttribute('src')"
    assert "-small" in page.evaluate(source)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert "-small" not in page.evaluate(source)
    size = "document.querySelector('#map').{0} / document.querySelector('#map').{1}"
    assert page.evaluate(size.format("scrollWidth", "clientWidth")) == pytest.approx(4, rel=0.05)
    frame, gold = (page.locator(s).first.bounding_box() for s in ("#map", "polyline.gold"))
    assert gold["x"] < frame["x"] + frame["width"] and gold["x"] + gold["width"] > frame["x"]
    page.click("#map + .legend .zoom >> nth=0")
    page.click("#map + .legend .zoom >> nth=0")
    assert "-small" in page.evaluate(source)
    assert page.evaluate(size.format("scrollWidth", "clientWidth")) == pytest.approx(1, rel=0.02)
    assert opened.faults == []


def test_runs_are_shown_side_by_side(
    run_folder: Path, simulated: ModuleType, prepared: Path, tmp_path: Path, open_page: Any
) -> None:
    other = simulated.simulate_run(prepared, tmp_path / "other", seed=2)
    page = open_page(write_report([run_folder, other], tmp_path / "out")).page
    assert page.locator(".card").count() == 2
    page.select_option("#f-run", label="other")
    assert all("other" in row.inner_text() for row in page.locator(".row").all())
    page.wait_for_selector(".plot[data-drawn=yes] .legend")
    assert "other" in page.locator(".plot").first.inner_text()


def test_a_partial_copy_of_a_report_is_reported(
    run_folder: Path, tmp_path: Path, open_page: Any
) -> None:
    done = write_report([run_folder], tmp_path / "out")
    for piece in (tmp_path / "out" / "data").glob("rollouts-*.js"):
        piece.unlink()
    page = open_page(done).page
    page.locator(".row").first.click()
    page.wait_for_selector("#detail .note")
    assert "rollouts-0.js is missing" in page.inner_text("#detail")
