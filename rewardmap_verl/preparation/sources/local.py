"""A folder on this machine, in the layout of ReasonMap.

``maps/<country>/<city>.png`` (or .jpg, .webp, .tif, .bmp, .gif) is the picture of the map, and
``stations/<country>/<city>.json`` lists the stops of each line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.images import IMAGE_SUFFIXES, PixelBudget, pixel_count, read_map
from rewardmap_verl.preparation.manifest import Skipped, hash_file
from rewardmap_verl.preparation.paths import inside, safe_name
from rewardmap_verl.preparation.sources.base import City, Contents, Rendered
from rewardmap_verl.preparation.splits import assign_splits
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network

__all__ = ["LocalPicture", "read_local"]

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
        """The hash of the file."""
        return f"file {self.sha256}"

    def effort(self) -> int:
        """Pixels to read."""
        return pixel_count(self.path)

    def render(self, budget: PixelBudget) -> Rendered:
        """Read and resize it."""
        return Rendered(read_map(self.path, budget))


def read_local(
    root: Path, seed: int, test_cities: Sequence[str] | None = None, strict: bool = False
) -> Contents:
    """Find every city of a folder that has a network and an image.

    Map difficulties are graded over all networks, also those without an image, so that a missing
    file does not change the labels of the others.

    Args:
        root: The folder.
        seed: For the choice of test cities where the papers' are not there.
        test_cities: See :func:`~rewardmap_verl.preparation.splits.assign_splits`.
        strict: Whether a network without an image is an error; otherwise the city is left out and
            listed in ``Contents.skipped``.

    Raises:
        DataError: The folder is missing or holds no city, a network cannot be read, a path leads
            out of the root, a city has two images, or (``strict``) none.
        ConfigError: A named test city is not there.
    """
    stations = _cities(root, "stations", (".json",))
    images = _cities(root, "maps", IMAGE_SUFFIXES)
    lonely = sorted(images.keys() - stations.keys())
    if strict and lonely:
        raise DataError(images[lonely[0]], hint=f"It has no stations/{lonely[0]}.json.")
    networks = {key: _network(key, path) for key, path in stations.items()}
    grades = grade_maps(list(networks.values()))
    usable = [key for key in networks if key in images]
    _check_usable(root, networks.keys() - images.keys(), usable, strict)
    splits, notes = _splits(networks, usable, test_cities, seed)
    inputs = {path: hash_file(path).sha256 for path in (*stations.values(), *images.values())}
    cities = tuple(
        City(
            networks[key],
            grades[networks[key].country, networks[key].city],
            splits[key],
            LocalPicture(images[key], inputs[images[key]]),
        )
        for key in usable
    )
    imageless = [key for key in networks if key not in images]
    skipped = [_skipped(key, "no map image") for key in imageless]
    skipped += [_skipped(key, "no station list") for key in lonely]
    resolved = root.resolve()
    relative = {path.relative_to(resolved).as_posix(): inputs[path] for path in sorted(inputs)}
    return Contents(cities, tuple(skipped), relative, notes)


def _network(key: str, path: Path) -> Network:
    """Read a network under the name that the data gives it, also where a link leads elsewhere."""
    country, city = key.split("/")
    return replace(read_network(path), country=country, city=city)


def _splits(
    networks: dict, usable: list[str], test_cities: Sequence[str] | None, seed: int
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Assign splits among the usable cities; a named test city may be one without an image."""
    if test_cities is None:
        return assign_splits(usable, None, seed)
    known, _ = assign_splits(list(networks), test_cities, seed)
    return assign_splits(usable, [key for key in usable if "test" in known[key]], seed)


def _skipped(key: str, reason: str) -> Skipped:
    country, city = key.split("/")
    return Skipped(country=country, city=city, reason=reason)


def _check_usable(root: Path, without_image: set[str], usable: list[str], strict: bool) -> None:
    missing = ", ".join(sorted(without_image))
    if strict and without_image:
        raise DataError(
            root / "maps", found=missing, hint="These cities have a station list and no map image."
        )
    if not usable:
        raise DataError(root, hint=f"No city has both an image and a station list. {_LAYOUT}")


def _cities(root: Path, kind: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the files of one kind by "country/city", sorted, each checked to lie in the root."""
    folder = root / kind
    if not folder.is_dir():
        raise DataError(folder, hint=f"There is no such folder. {_LAYOUT}")
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        country = safe_name(path.parent.name, path, "country")
        key = f"{country}/{safe_name(path.stem, path, 'city')}"
        if key in found:
            raise DataError(path, hint=f"{found[key].name} is another image of {key}; keep one.")
        found[key] = inside(root, path.relative_to(root).as_posix(), where=path)
    return found


def check_root(root: Path | None) -> Path:
    """Return the root when it was given and exists.

    Raises:
        ConfigError: No root was given.
        DataError: It is not a folder.
    """
    if root is None:
        raise ConfigError("root", hint=f"The source `local` needs a folder. {_LAYOUT}")
    if not root.is_dir():
        raise DataError(root, hint=f"There is no such folder. {_LAYOUT}")
    return root
