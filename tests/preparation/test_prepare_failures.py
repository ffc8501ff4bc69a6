"""Whatever goes wrong: one clear message, and nothing half-written is ever taken for whole."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation import atomic, map_jobs
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.map_jobs import MapProgress
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.questions.sampling import Quotas

Make = Callable[..., PrepareSettings]


def full_disk_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Simulate a full disk after some files."""
    real = atomic.write_bytes
    left = iter(range(writes))

    def write(path: Path, content: bytes) -> None:
        if next(left, None) is None:
            real(path, content[: len(content) // 2])
            path.rename(path.with_name(f".{path.name}.0.unfinished"))
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, content)

    for name in ("prepare", "map_jobs", "images", "rows", "map_cache", "manifest"):
        monkeypatch.setattr(f"rewardmap_verl.preparation.{name}.write_bytes", write)


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
def test_full_disk_at_any_point(local: Make, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    with monkeypatch.context() as patched:
        full_disk_after(patched, writes)
        with pytest.raises(DataError, match=r"disk is full.*was not changed"):
            prepare(local())
    assert not local().out.exists()
    steps: list[MapProgress] = []
    manifest = prepare(local(), steps.append)
    assert len(steps) == 3
    assert {path.name for path in local().out.parent.iterdir()} == {"root", "out"}
    assert not [name for name in manifest.files if "unfinished" in name]


def test_the_last_write_is_the_manifest(local: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    full_disk_after(monkeypatch, 1000)
    written: list[str] = []
    real = atomic.write_bytes
    for name in ("prepare", "map_jobs", "images", "rows", "map_cache", "manifest"):
        monkeypatch.setattr(
            f"rewardmap_verl.preparation.{name}.write_bytes",
            lambda path, content: (written.append(path.name), real(path, content))[1],
        )
    prepare(local())
    assert written[-1] == "manifest.json"
    assert len(written) > 11  # so that the test above has covered each of them


def test_full_disk_leaves_the_earlier_folder(local: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepare(local())
    with monkeypatch.context() as patched:
        full_disk_after(patched, 2)
        with pytest.raises(DataError, match="disk is full"):
            prepare(local(seed=5))
    assert prepare(local()) == before


def test_finished_maps_survive_a_full_disk(local: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        full_disk_after(patched, 4)  # two maps with their notes
        with pytest.raises(DataError):
            prepare(local())
    made = []
    real = map_jobs._Task._make_map
    monkeypatch.setattr(
        map_jobs._Task,
        "_make_map",
        lambda task, city, identity: (made.append(city.key), real(task, city, identity))[1],
    )
    prepare(local())
    assert made == ["south/gamma"]


def limited(settings: PrepareSettings, answer: str) -> None:
    """Prepare with a system limit of 2 kB per file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        prepare(settings)
        text = "nothing was raised"
    except DataError as error:
        text = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    Path(answer).write_text(text, encoding="utf-8")


def test_a_limit_of_the_system_is_reported(local: Make, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    process = multiprocessing.get_context("fork").Process(
        target=limited, args=(local(), str(answer))
    )
    process.start()
    process.join(60)
    assert "limits the size of files" in answer.read_text(encoding="utf-8")
    assert not local().out.exists()


def killed_after_two_maps(settings: PrepareSettings) -> None:
    def report(step: MapProgress) -> None:
        if step.done == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    prepare(settings, report)


def test_killed_in_the_middle(local: Make) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=killed_after_two_maps, args=(local(),)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not local().out.exists()
    prepare(local())
    assert {path.name for path in local().out.parent.iterdir()} == {"root", "out"}


def test_killed_between_the_two_renames(local: Make) -> None:
    """The old folder has been moved away and the new one has not been moved in yet."""
    manifest = prepare(local())
    out = local().out
    out.rename(out.with_name(".out.previous"))
    assert prepare(local()) == manifest
    assert {path.name for path in out.parent.iterdir()} == {"root", "out"}


def test_a_second_process_is_refused(local: Make) -> None:
    building = local().out.with_name(".out.building")
    building.mkdir()
    handle = os.open(building, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="Another process"):
            prepare(local())
    finally:
        os.close(handle)
    prepare(local())


def test_a_folder_with_other_things_is_never_replaced(local: Make) -> None:
    out = local().out
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        prepare(local())
    assert (out / "thesis.txt").read_text() == "precious"


def test_out_is_a_file(local: Make) -> None:
    local().out.write_text("a file")
    with pytest.raises(DataError, match="another output folder"):
        prepare(local())


def test_out_is_the_root(local: Make, root: Path) -> None:
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        prepare(local(out=root))


def test_missing_root(local: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder.*stations/<country>/<city>\.json"):
        prepare(local(root=tmp_path / "nothing"))


@pytest.mark.parametrize("kind", ["maps", "stations"])
def test_a_root_without_maps_or_stations(local: Make, root: Path, kind: str) -> None:
    (root / kind).rename(root / "other")
    with pytest.raises(DataError, match=f"{kind}. There is no such folder"):
        prepare(local())


def test_broken_json_is_named_with_its_position(local: Make, root: Path) -> None:
    (root / "stations/north/beta.json").write_text('{"Line 1": ["A", "B"],\n "Line 2": [}')
    with pytest.raises(DataError, match=r"beta\.json: line 2, column 13"):
        prepare(local())


def test_a_map_without_an_image_is_skipped_and_listed(local: Make, root: Path) -> None:
    (root / "maps/north/beta.png").unlink()
    manifest = prepare(local())
    assert [(city.city, city.reason) for city in manifest.skipped] == [("beta", "no map image")]
    assert {entry.city for entry in manifest.maps} == {"alpha", "gamma"}


def test_a_map_without_an_image_is_an_error_when_strict(local: Make, root: Path) -> None:
    (root / "maps/north/beta.png").unlink()
    with pytest.raises(DataError, match=r"'north/beta'.*no map image"):
        prepare(local(strict=True))


def test_an_image_without_a_network(local: Make, root: Path) -> None:
    (root / "stations/north/beta.json").unlink()
    assert [city.reason for city in prepare(local()).skipped] == ["no station list"]
    with pytest.raises(DataError, match=r"beta\.png.*no stations/north/beta\.json"):
        prepare(local(strict=True))


def test_a_missing_image_does_not_change_the_difficulty_of_others(local: Make, root: Path) -> None:
    before = {entry.city: entry.difficulty for entry in prepare(local()).maps}
    (root / "maps/north/beta.png").unlink()
    after = {entry.city: entry.difficulty for entry in prepare(local()).maps}
    assert after.items() < before.items()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_that_cannot_be_read(local: Make, root: Path, workers: int) -> None:
    path = root / "maps/north/beta.png"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"beta\.png.*cannot be read"):
        prepare(local(workers=workers))
    assert not local().out.exists()


def test_an_image_above_the_safety_limit(local: Make) -> None:
    budget = PixelBudget(max_pixels=36 * 784, pixel_limit=1000)
    with pytest.raises(DataError, match="safety limit is 1,000"):
        prepare(local(budget=budget))


def test_two_images_of_one_city(local: Make, root: Path) -> None:
    Image.new("RGB", (50, 50)).save(root / "maps/north/beta.jpg")
    with pytest.raises(DataError, match="another maps file of north/beta"):
        prepare(local())


@pytest.mark.parametrize("name", ["maps/north/beta.png", "stations/north/beta.json"])
def test_a_link_out_of_the_root(local: Make, root: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (root / name).rename(outside)
    (root / name).symlink_to(outside)
    with pytest.raises(DataError, match="through a link, outside"):
        prepare(local())


def test_a_linked_folder_out_of_the_root(local: Make, root: Path, tmp_path: Path) -> None:
    (root / "stations/north").rename(tmp_path / "outside")
    (root / "stations/north").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="through a link, outside"):
        prepare(local())


def test_a_root_that_is_a_link_itself_is_fine(local: Make, root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert prepare(local(root=tmp_path / "link")).rows["train"]


def test_a_link_inside_the_root_is_fine(local: Make, root: Path) -> None:
    (root / "stations/south/delta.json").symlink_to(root / "stations/north/alpha.json")
    (root / "maps/south/delta.png").symlink_to(root / "maps/north/alpha.png")
    delta = [entry for entry in prepare(local()).maps if entry.city == "delta"]
    assert delta[0].country == "south"


def test_a_prompt_that_is_too_long_names_the_row_and_the_fix(local: Make) -> None:
    with pytest.raises(
        DataError, match=r"north/alpha, train row \d+ \(planning\).*Lower max_pixels to \d+"
    ):
        prepare(local(max_prompt_length=180))
    with pytest.raises(DataError, match="the text alone is too long"):
        prepare(local(max_prompt_length=20))


def test_a_stop_called_like_an_image_marker(local: Make, root: Path) -> None:
    path = root / "stations/north/alpha.json"
    path.write_text(path.read_text().replace("Cedar", "<image> Cedar"))
    with pytest.raises(DataError, match=r"alpha\.json.*<image>"):
        prepare(local())


def test_no_questions_at_all(local: Make) -> None:
    with pytest.raises(DataError, match="Raise the quotas"):
        prepare(local(quotas=Quotas(0, 0, 0, 0, 0, 0)))


def test_unknown_test_city(local: Make) -> None:
    with pytest.raises(ConfigError, match=r"'omega'.*north/alpha, north/beta, south/gamma"):
        prepare(local(test_cities=("omega",)))


def test_nothing_left_to_train_on(local: Make) -> None:
    with pytest.raises(ConfigError, match="at least one city for training"):
        prepare(local(test_cities=("alpha", "beta", "gamma")))


def test_local_without_a_root(local: Make) -> None:
    with pytest.raises(ValueError, match="needs --root"):
        local(root=None)


def test_a_folder_without_a_tokenizer(local: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tokenizer"):
        prepare(local(tokenizer=tmp_path))
