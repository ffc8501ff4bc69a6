"""Names in every script: a font with all glyphs, shaped, in the right direction, or an error."""

from __future__ import annotations

import base64
import importlib.util
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, features
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.drawing import draw_map, fonts, layout_from_coordinates, standard_style
from rewardmap_verl.drawing.fonts import font_for, printable, shaping_options, text_extent
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.network import Line, Network, Stop

SOUTH_ASIA = pytest.mark.skipif(
    importlib.util.find_spec("justmytype_intl_south_asia") is None, reason="no Indic fonts"
)
SEA = pytest.mark.skipif(
    importlib.util.find_spec("justmytype_intl_sea") is None, reason="no Southeast Asian fonts"
)
CJK = pytest.mark.skipif(
    importlib.util.find_spec("justmytype_intl_cjk") is None, reason="no Chinese fonts"
)
NAMES = (
    "Œuvre – Łódź “8ème”",
    "Ελληνικό",
    "Площадь Революции",
    "Երևան",
    "თბილისი",
    "תל אביב סבידור",
    "مترو القاهرة",
    "میدان آزادی",
    "Ọ̀yọ́",
    pytest.param("สถานีสยาม", marks=SEA),
    pytest.param("ວຽງຈັນ", marks=SEA),
    pytest.param("ភ្នំពេញ", marks=SEA),
    pytest.param("ရန်ကုန် (Yangon)", marks=SEA),
    pytest.param("राजीव चौक (Rajiv Chowk)", marks=SOUTH_ASIA),
    pytest.param("சென்னை", marks=SOUTH_ASIA),
    pytest.param("ఖైరతాబాద్", marks=SOUTH_ASIA),
    pytest.param("শ্যামবাজার", marks=SOUTH_ASIA),
    pytest.param("四方河（省中医院）站", marks=CJK),
    pytest.param("東京えき", marks=CJK),
    pytest.param("서울역", marks=CJK),
)


def network_of(*names: str, line: str = "M1") -> Network:
    """Return one line through stops with these names."""
    stops = tuple(Stop(i, name, (name,), (line,)) for i, name in enumerate(names))
    path = tuple(range(len(names)))
    return Network("nowhere", "Testing", stops, (Line(line, path, (path,), "#d62828"),))


def draw(*names: str, line: str = "M1", title: str = "", **style: object):
    placed = layout_from_coordinates(
        network_of(*names, line=line), [(0.0, i / 50) for i in range(len(names))], title
    )
    return draw_map(placed, standard_style().model_copy(update=style))


def glyph_image(text: str) -> Image.Image:
    """Return the cropped image of a text as the maps draw it."""
    image = Image.new("L", (900, 200), 255)
    font = font_for(text, 60)
    position, options = (20, 120), shaping_options(text)
    ImageDraw.Draw(image).text(position, text, 0, font, anchor="ls", **options)
    box = image.point(lambda value: 255 - value).getbbox()
    assert box is not None
    return image.crop(box)


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_font_has_every_glyph(name: str, bold: bool) -> None:
    drawn = printable(name)
    glyphs = TTFont(font_for(drawn, 20, bold).path).getBestCmap()
    assert all(ord(char) in glyphs for char in drawn)


def test_the_ranges_that_skip_the_font_file_are_covered() -> None:
    dejavu = fonts._DEJAVU
    for first, last in dejavu.blocks:
        assert set(range(first, last + 1)) <= fonts._coverage(dejavu)


@pytest.mark.parametrize("first", ["א", "ا"])
def test_right_to_left_names_start_at_the_right(first: str) -> None:
    """The first letter of the name is the rightmost one."""
    name, alone = first + "  ב", glyph_image(first)
    whole = glyph_image(name)
    right = whole.crop((whole.width - alone.width, 0, whole.width, whole.height))
    ink = right.point(lambda value: 255 - value).getbbox()
    assert ink is not None and right.crop(ink).size == alone.size


def test_arabic_letters_are_joined() -> None:
    apart = 3 * text_extent("ب", 60, False)[0]
    assert text_extent("ببب", 60, False)[0] < 0.8 * apart


@SOUTH_ASIA
def test_vowel_signs_are_reordered() -> None:
    """The vowel sign I is written after its consonant and drawn before it."""
    alone, with_sign = glyph_image("क"), glyph_image("कि")
    assert with_sign.width > alone.width
    right = with_sign.crop((with_sign.width - alone.width // 3, 0, with_sign.width, 60))
    assert right.point(lambda value: 255 - value).getbbox() is not None


def test_combining_accents_are_drawn_like_composed_letters() -> None:
    assert printable("Café") == "Café"
    assert text_extent("Café", 30, False) == text_extent("Café", 30, False)


def test_latin_names_do_not_depend_on_the_shaping_library() -> None:
    assert shaping_options("Château Ελλ Площадь") == {}
    assert shaping_options("שלום") == {"direction": "rtl", "language": "und"}
    assert shaping_options("Metro שלום") == {"direction": "ltr", "language": "und"}


@pytest.mark.parametrize(
    ("name", "character"), [("🚇 Metro", "U+1F687 METRO"), ("ග", "U+0D9C"), ("\ue000", "U+E000")]
)
def test_a_character_without_a_glyph_is_an_error(name: str, character: str) -> None:
    with pytest.raises(ConfigError, match="No font has this character") as error:
        draw("A", name)
    assert character in str(error.value)


@pytest.mark.parametrize("where", ["stop", "line", "title"])
def test_every_text_of_a_map_is_checked(where: str) -> None:
    bad = "Ga\ue000"
    names, line, title = ["A", "B"], "M1", "Town"
    if where == "stop":
        names[1] = bad
    line, title = (bad if where == "line" else line), (bad if where == "title" else title)
    with pytest.raises(ConfigError, match="U\\+E000"):
        draw(*names, line=line, title=title)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("สถานี", "justmytype-intl-sea"),
        ("राजीव", "justmytype-intl-south-asia"),
        ("ስታዲየም", "justmytype-intl-africa"),
        ("四方", "justmytype-intl-cjk"),
    ],
)
def test_a_missing_font_package_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        fonts, "find_spec", lambda found: None if "justmytype" in found else real(found)
    )
    fonts._family.cache_clear()
    with pytest.raises(ConfigError, match=f"pip install {package}"):
        font_for(name, 20)
    fonts._family.cache_clear()


def test_without_raqm_complex_scripts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "raqm")
    fonts._needs_shaping.cache_clear()
    assert shaping_options("Central") == {}
    with pytest.raises(ConfigError, match="raqm"):
        font_for("שלום", 20)
    fonts._needs_shaping.cache_clear()


def test_svg_texts_have_a_direction() -> None:
    drawn = draw("Central", "תל אביב")
    texts = [node for node in ET.fromstring(drawn.svg()) if node.tag.endswith("text")]
    hebrew = [node for node in texts if "אביב" in (node.text or "")]
    assert hebrew and all(node.get("direction") == "rtl" for node in hebrew)
    assert all(node.get("text-anchor") == "end" for node in hebrew)
    assert all(node.get("direction") is None for node in texts if node not in hebrew)


@SEA
def test_svg_files_embed_the_fonts_of_rare_scripts() -> None:
    name = "สถานีสยาม"
    drawn = draw("Central", name)
    style = next(node for node in ET.fromstring(drawn.svg()) if node.tag.endswith("style"))
    assert style.text is not None and style.text.count("@font-face") == 1
    data = style.text.split("base64,")[1].split(")")[0]
    with TTFont(io.BytesIO(base64.b64decode(data))) as font:
        assert set(map(ord, name)) <= set(font.getBestCmap())
        assert {"wght", "wdth"} == {axis.axisTag for axis in font["fvar"].axes}
    assert len(drawn.svg()) < 100_000
    assert draw("Central", name).svg() == drawn.svg()
    assert "<style>" not in draw("Central", "North").svg()


@pytest.mark.parametrize("case", ["01-rtl-names-mirrored", "02-names-drawn-as-empty-boxes"])
def test_reported_feeds_are_drawn(shared_data: Path, tmp_path: Path, case: str) -> None:
    feed = shared_data.parent / "cases" / "reports" / case / "feed.zip"
    out = tmp_path / "map.png"
    result = CliRunner().invoke(app, ["draw", "-o", str(out), "--feed", str(feed)])
    if result.exit_code:
        assert "pip install justmytype-intl-" in result.output
    else:
        assert Image.open(out).width > 500
