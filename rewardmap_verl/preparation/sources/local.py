"""Local source: a folder in the layout of ReasonMap.

``maps/<country>/<city>.png`` (or .jpg, .webp, .tif, .bmp, .gif) is the map image, and
``stations/<country>/<city>.json`` lists the stops of each line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.preparation.images import IMAGE_SUFFIXES, PixelBudget, pixel_count, read_map
from rewardmap_verl.preparation.manifest import Skipped, hash_file
from rewardmap_verl.preparation.paths import fold_name, inside, safe_name
from rewardmap_verl.preparation.sources.base import City, Contents, Rendered
from rewardmap_verl.preparation.splits import assign_splits
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network

__all__ = ["LocalPicture", "check_root", "read_local"]

_LAYOUT = (
    "The root holds maps/<country>/<city>.png (or .jpg) and stations/<country>/<city>.json, "
    'a station list {"Line 1": ["First Stop", "Second Stop"], …}.'
)


@dataclass(frozen=True, slots=True)
class LocalPicture:
    """A map image in a file."""

    path: Path
    sha256: str

    def identity(self) -> str:
        """Return the hash of the file."""
        return f"file {self.sha256}"

    def effort(self) -> int:
        """Return the number of pixels."""
        return pixel_count(self.path)

    def render(self, budget: PixelBudget) -> Rendered:
        """Read and resize the image."""
        return Rendered(read_map(self.path, budget))

    def file(self) -> AbstractContextManager[Path]:
        """Return the file."""
        return nullcontext(self.path)


def read_local(
    root: Path, seed: int, test_cities: Sequence[str] | None = None, strict: bool = False
) -> Contents:
    """Find the cities of a folder that have a network and an image.

    File names match if they differ only in letter case or Unicode normalization: archives from
    macOS have decomposed names.

    Map difficulty is graded over all networks, including those without an image, so that a missing
    image does not change the difficulty of other cities.

    Args:
        root: The folder.
        seed: Seed of the choice of test cities without any of the papers' cities.
        test_cities: See ``assign_splits``.
        strict: Whether a network without an image is an error; otherwise the city is skipped and
            listed in ``Contents.skipped``.

    Raises:
        DataError: The folder is missing or has no usable city, a network cannot be read, a path
            leads outside the root, a city has two files of a kind, or (``strict``) no image.
        ConfigError: A named test city does not exist.
    """
    stations = _cities(root, "stations", (".json",))
    images = _cities(root, "maps", IMAGE_SUFFIXES)
    _check_usable(root, stations, images, strict)
    networks = {key: _network(file) for key, file in stations.items()}
    grades = grade_maps(list(networks.values()))
    usable = [key for key in networks if key in images]
    names = {key: stations[key].name for key in networks}
    splits, notes = _splits(list(names.values()), [names[key] for key in usable], test_cities, seed)
    files = (*stations.values(), *images.values())
    hashes = {file.path: hash_file(file.path).sha256 for file in files}
    cities = tuple(
        City(
            networks[key],
            grades[networks[key].country, networks[key].city],
            splits[names[key]],
            LocalPicture(images[key].path, hashes[images[key].path]),
        )
        for key in usable
    )
    resolved = root.resolve()
    inputs = {path.relative_to(resolved).as_posix(): hashes[path] for path in sorted(hashes)}
    return Contents(cities, tuple(_skipped(stations, images)), inputs, notes)


@dataclass(frozen=True, slots=True)
class _CityFile:
    """A file of one city."""

    country: str
    city: str
    path: Path

    @property
    def name(self) -> str:
        return f"{self.country}/{self.city}"


def _network(file: _CityFile) -> Network:
    """Read a network under the name of its file, which may be a link to another name."""
    return replace(read_network(file.path), country=file.country, city=file.city)


def _splits(
    names: list[str], usable: list[str], test_cities: Sequence[str] | None, seed: int
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Assign splits to the usable cities; a named test city may be one without an image."""
    if test_cities is None:
        return assign_splits(usable, None, seed)
    known, _ = assign_splits(names, test_cities, seed)
    return assign_splits(usable, [name for name in usable if "test" in known[name]], seed)


def _skipped(stations: dict[str, _CityFile], images: dict[str, _CityFile]) -> list[Skipped]:
    """Return the cities that lack an image or a station list."""
    pairs = ((stations, images, "no map image"), (images, stations, "no station list"))
    return [
        Skipped(country=file.country, city=file.city, reason=reason)
        for there, other, reason in pairs
        for key, file in there.items()
        if key not in other
    ]


def _check_usable(
    root: Path, stations: dict[str, _CityFile], images: dict[str, _CityFile], strict: bool
) -> None:
    skipped = _skipped(stations, images)
    without_list = [file for key, file in images.items() if key not in stations]
    if strict and without_list:
        file = without_list[0]
        raise DataError(file.path, hint=f"It has no stations/{file.name}.json.")
    if strict and skipped:
        missing = ", ".join(sorted(f"{city.country}/{city.city}" for city in skipped))
        hint = "These cities have a station list and no map image."
        raise DataError(root / "maps", found=missing, hint=hint)
    if not stations.keys() & images.keys():
        found = [f"{city.country}/{city.city}: {city.reason}" for city in skipped]
        hint = f"No city has both an image and a station list. {_LAYOUT}"
        raise DataError(root, found="; ".join(found[:10]) or None, hint=hint)


def _cities(root: Path, kind: str, suffixes: tuple[str, ...]) -> dict[str, _CityFile]:
    """Return the files of one kind by folded "country/city", in the order of their names."""
    folder = root / kind
    if not folder.is_dir():
        raise DataError(folder, hint=f"There is no such folder. {_LAYOUT}")
    found: dict[str, _CityFile] = {}
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        file = _city_file(root, path)
        key = fold_name(file.name)
        if key in found:
            hint = f"{found[key].path.name} is another {kind} file of {file.name}; keep one."
            raise DataError(path, hint=hint)
        found[key] = file
    return dict(sorted(found.items(), key=lambda item: item[1].name))


def _city_file(root: Path, path: Path) -> _CityFile:
    country, city = (unicodedata.normalize("NFC", name) for name in (path.parent.name, path.stem))
    resolved = inside(root, path.relative_to(root).as_posix(), where=path)
    check_file(resolved, path)
    return _CityFile(safe_name(country, path, "country"), safe_name(city, path, "city"), resolved)


def check_root(root: Path | None) -> Path:
    """Return the root if it is an existing folder.

    Raises:
        ConfigError: No root was given.
        DataError: It is not a folder.
    """
    if root is None:
        raise ConfigError("root", hint=f"The source `local` needs a folder. {_LAYOUT}")
    if root.is_file():
        check_file(root)
        raise DataError(root, hint=f"It is a file. {_LAYOUT}")
    if not root.is_dir():
        raise DataError(root, hint=f"There is no such folder. {_LAYOUT}")
    return _unwrapped(root)


def _unwrapped(root: Path) -> Path:
    """Reject a root whose content is one folder deeper, as archives often are."""
    if not (root / "maps").is_dir() and not (root / "stations").is_dir():
        deeper = [path.parent for path in sorted(root.glob("*/stations")) if path.is_dir()]
        if len(deeper) == 1:
            raise DataError(root, hint=f"Its content is one folder deeper: use --root {deeper[0]}.")
    return root
