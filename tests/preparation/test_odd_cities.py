"""Odd cities that are still right: of one name, in pieces, of one line, with strange pictures."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.images import PixelBudget, read_map
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.validate import faults
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.transit.reader import parse_network

Make = Callable[..., PrepareSettings]


def rewrite(root: Path, key: str, lines: dict[str, list[str]]) -> None:
    path = root / "stations" / f"{key}.json"
    path.write_text(json.dumps(lines, ensure_ascii=False), encoding="utf-8")


def test_two_cities_of_one_name_are_two(local: Make, root: Path) -> None:
    for folder in ("maps", "stations"):
        suffix = ".png" if folder == "maps" else ".json"
        (root / folder / f"north/beta{suffix}").rename(root / folder / f"south/alpha{suffix}")
    settings = local()
    manifest = prepare(settings)
    assert manifest.rows_by_city["train"].keys() == {"north/alpha", "south/alpha"}
    assert {entry.network for entry in manifest.maps} >= {
        "networks/north/alpha.json",
        "networks/south/alpha.json",
    }
    assert not list(faults(settings.out))
    # The bare name means both, the full name one of them.
    both = prepare(local(test_cities=("alpha",)))
    assert both.rows_by_city["train"].keys() == {"south/gamma"}
    one = prepare(local(test_cities=("south/alpha",)))
    assert one.rows_by_city["test"].keys() == {"south/alpha"}


def test_an_isolated_line_has_no_route_to_the_others() -> None:
    pieces = {
        "Line 1": ["Ash", "Birch", "Cedar", "Dogwood", "Elm"],
        "Line 2": ["Fir", "Cedar", "Gorse", "Hazel"],
        "Ferry": ["Isle", "Jetty", "Kay", "Lagoon"],
        "Line 4": ["Hazel", "Mast", "Nut"],
    }
    network = parse_network(pieces, "no", "where")
    quotas = Quotas(20, 20, 20, 20, 1, 80).with_beyond_papers(60)
    questions = generate_questions(network, "easy", 1, quotas)
    ferry = set(pieces["Ferry"])
    trips = (QuestionType.PLANNING, QuestionType.TRANSFERS, QuestionType.VALID_ROUTE)
    crossing = [q for q in questions if len({q.station_1, q.station_2} & ferry) == 1]
    assert {q.type for q in crossing if q.station_2} == {QuestionType.TORF1}
    assert all(q.answer == 0 for q in crossing if q.station_2)
    assert {q.type for q in questions if q.type in trips} == set(trips)


def test_a_network_of_one_line_can_be_prepared(local: Make, root: Path) -> None:
    rewrite(root, "south/gamma", {"Only": ["Ash", "Birch", "Cedar", "Dogwood", "Elm", "Fir"]})
    settings = local(quotas=Quotas(2, 2, 2, 2, 1, 2, ("short",)).with_beyond_papers(2))
    manifest = prepare(settings)
    asked = set(manifest.rows_by_type["test"])
    assert asked == {"Counting1", "Counting2", "Counting3", "planning", "Transfers", "NextStop"}
    assert any("ValidRoute" in note and "south/gamma 0" in note for note in manifest.notes)
    assert not list(faults(settings.out))


def test_every_printable_character_in_a_name(local: Make, root: Path) -> None:
    allowed = [c for c in string.punctuation + "\u00a0\u200d\u2028\ufeff«»„“🚇é西" if c not in "<>"]
    names, refused = [], []
    for char in allowed:
        try:
            parse_network({"Line 1": [f"A{char}b", "End"]}, "no", "where")
            names.append(f"Stop{char}x{len(names)}")
        except DataError as error:
            refused.append(char)
            assert "no/where" in str(error) and "Line 1" in str(error)
    assert not set(refused) & set(string.punctuation)  # only invisible ones
    rewrite(root, "south/gamma", {"A|B": names, "C": [names[0], "Z"]})
    settings = local(quotas=Quotas(30, 30, 30, 30, 1, 10, ("long_via",)))
    prepare(settings)
    assert not list(faults(settings.out))
    texts = [
        p[0]["content"] for p in pq.read_table(settings.out / "test.parquet")["prompt"].to_pylist()
    ]
    assert sum(name in " ".join(texts) for name in names) > len(names) / 2


@pytest.mark.parametrize(
    "bad", ["<image>", "a\nb", "a\tb", "\x00", "\x1b[31m", "x" * 300, "", "  "]
)
def test_names_that_no_map_prints_are_refused(local: Make, root: Path, bad: str) -> None:
    rewrite(root, "south/gamma", {"Line 1": ["Ash", bad, "Elm"], "Line 2": ["Elm", "Oak"]})
    try:
        settings = local()
        prepare(settings)
    except DataError as error:
        assert "gamma" in str(error)
        assert "\x1b" not in str(error) and "\x00" not in str(error)
    else:
        text = (settings.out / "networks/south/gamma.json").read_text(encoding="utf-8")
        assert bad not in text or not bad.strip()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_sixteen_bits_of_every_color(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "map.png"
    write_sixteen_bit(path, {"LA": 2, "RGB": 3, "RGBA": 4}[mode])
    image = read_map(path, PixelBudget(max_pixels=28 * 28 * 36))
    assert image.mode == "RGB"
    assert np.asarray(image).std() > 20


def write_sixteen_bit(path: Path, channels: int) -> None:
    """Write a PNG of 16 bits a channel, which Pillow reads and cannot write."""
    import struct
    import zlib

    ramp = np.linspace(0, 65535, 120).astype(">u2")
    rows = np.repeat(np.tile(ramp[None, :, None], (90, 1, channels)), 1, axis=0).copy()
    if channels in (2, 4):
        rows[..., -1] = 65535
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    color = {2: 4, 3: 2, 4: 6}[channels]

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", 120, 90, 16, color, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def test_cmyk_tiff(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    Image.new("CMYK", (120, 90), (255, 0, 0, 0)).save(path)
    image = read_map(path, PixelBudget(max_pixels=28 * 28 * 36))
    assert image.mode == "RGB"
    red, green, blue = image.getpixel((10, 10))
    assert red < 60 and green > 100 and blue > 100
