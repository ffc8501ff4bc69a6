"""File names that differ in letter case or Unicode normalization belong together."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.manifest import Manifest, read_manifest
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.validate import faults
from tests.preparation.conftest import NETWORKS, write_city

Make = Callable[..., PrepareSettings]

NFC = "zürich"
NFD = unicodedata.normalize("NFD", NFC)


def cities(manifest: Manifest) -> set[str]:
    return {f"{entry.country}/{entry.city}" for entry in manifest.maps}


def rename(root: Path, kind: str, old: str, new: str) -> None:
    path = root / kind / old
    (root / kind / new).parent.mkdir(exist_ok=True)
    path.rename(root / kind / new)


@pytest.mark.parametrize(
    ("image", "stations", "name"),
    [
        (f"south/{NFD}.png", f"south/{NFC}.json", f"south/{NFC}"),
        (f"south/{NFC}.png", f"south/{NFD}.json", f"south/{NFC}"),
        ("south/Town.png", "south/town.json", "south/town"),
        ("south/TOWN.PNG", "south/Town.json", "south/Town"),
        ("South/gamma.png", "south/gamma.json", "south/gamma"),
        ("south/STRASSE.png", "south/straße.json", "south/straße"),
    ],
)
@pytest.mark.parametrize("test_city", ["as it is", "decomposed", "upper"])
def test_names_in_another_form(
    local: Make, root: Path, image: str, stations: str, name: str, test_city: str
) -> None:
    rename(root, "maps", "south/gamma.png", image)
    rename(root, "stations", "south/gamma.json", stations)
    city = {
        "as it is": name,
        "decomposed": unicodedata.normalize("NFD", name),
        "upper": name.rpartition("/")[2].upper(),
    }[test_city]
    manifest = prepare(local(test_cities=(city,)))
    assert cities(manifest) == {"north/alpha", "north/beta", name}
    assert manifest.skipped == ()
    assert f"networks/{name}.json" in manifest.files
    assert [entry.city for entry in manifest.maps if "test" in entry.splits] == [
        name.rpartition("/")[2]
    ]
    assert not list(faults(local().out))


def test_two_files_of_one_name_are_refused(local: Make, root: Path) -> None:
    write_city(root, "north/Alpha", NETWORKS["north/alpha"], None)
    with pytest.raises(DataError, match=r"(A|a)lpha\.json is another stations file"):
        prepare(local())


def test_a_test_city_without_an_image_is_named(local: Make, root: Path) -> None:
    """The message is about the missing image, not about quotas."""
    (root / "maps/south/gamma.png").unlink()
    with pytest.raises(DataError) as caught:
        prepare(local())
    assert "south/gamma: no map image" in str(caught.value)
    assert "quotas" not in str(caught.value)


def test_the_reported_case(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data.parent / "cases/reports/19-file-name-decomposed/root"
    if not source.is_dir():
        pytest.skip("the reported case is not there")
    shutil.copytree(source, tmp_path / "root")
    words = ("prepare", "local", "--root", "root", "--size", "tiny", "--out", "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = CliRunner().invoke(app, [*words, "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert cities(read_manifest(tmp_path / "out")) == {f"x/{NFC}", "x/zeta"}
