"""Names: all spellings of a name share a key, different names have different keys."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rewardmap_verl.transit.names import (
    bracket_keys,
    line_key,
    loose_key,
    loose_line_key,
    normalize,
    strip_markers,
)


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "Termini Station",
            "termini",
            "TERMINI",
            "Termini  station.",
            "**Termini**",
            "Ｔｅｒｍｉｎｉ",
        ),
        ("Union Station Station", "Union Station", "Union"),
        ("135 St Stations", "135 St Station", "135th St", "135 Street"),
        ("长沙火车南站站", "长沙火车南站", "长沙火车南", " 长沙火车南站 "),
        ("黔春路站", "黔春路站 Station", "黔春路"),
        ("Hősök tere Station", "Hosok tere", "HŐSÖK TERE", "Ho\u030bso\u0308k tere"),
        ("Ørje Æsir Łódź Station", "orje aesir lodz"),
        ("Bois-du-Lan Station", "Bois du Lan", "Bois–du—Lan"),
        ("L'Enfant Plaza Station", "L’Enfant Plaza", "LEnfant Plaza"),
        ("一大会址·黄陂南路站", "一大会址・黄陂南路", "一大会址 黄陂南路站"),
        ("Grand Av Arts/Bunker Hill Station", "Grand Avenue Arts / Bunker Hill"),
        ("Little Tokyo/Arts Dist Station", "Little Tokyo/Arts District Station"),
        ("Shaw-Howard Univ", "Shaw-Howard University", "Shaw - Howard univ."),
        ("7th St/Metro Ctr Station", "7 St / Metro Center"),
        (
            "Cathedral Pkwy(110 St) Station",
            "Cathedral Pkwy Station (110 St)",
            "Cathedral Pkwy 110 St",
        ),
        ("四方河（省中医院）站", "四方河(省中医院)站", "四方河站（省中医院）"),
        ("3号航站楼站", "3 号航站楼", "３号航站楼站"),
        ("Termini Station (Transfer Station)", "Termini"),
        ("东管头南站 （换乘站）", "东管头南站"),
        ("Queen & King Station", "Queen and King"),
        ("Castle\u00a0Hill\u200b Station", "Castle Hill"),
    ],
)
def test_spellings_of_one_name_share_a_key(spellings: tuple[str, ...]) -> None:
    assert len({normalize(spelling) for spelling in spellings}) == 1
    assert normalize(spellings[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Broadway Station", "Bluway Station"),
        ("Broadway", "Broad Way St"),
        ("Universal City", "Univ City"),
        ("Branch Ave Station", "Ave Station"),
        ("Farragut North", "Farragut West"),
        ("大连站", "大连北站"),
        ("济南站", "济南站北站"),
        ("1 11 St", "11 1 St"),
        ("21 St", "21"),
        ("86 St", "6 St"),
        ("Airport Terminal 1 Station", "Airport Terminal 3 Station"),
        ("Sheppard-Yonge", "Sheppard West"),
        ("四方河（省中医院）站", "四方河（省人民医院）站"),
        ("Stationers Hall", "Hall"),
        ("कि", "की"),
        ("が", "か"),
    ],
)
def test_different_names_keep_different_keys(one: str, other: str) -> None:
    assert normalize(one) != normalize(other)


def test_a_name_that_is_only_a_suffix_is_kept() -> None:
    assert normalize("Station") == "station"
    assert normalize("站") == "站"
    assert normalize("") == normalize(" -- ") == ""


@given(st.text(max_size=60))
@example("5 sta tion")
@example("5 uni v")
@example("(站)X")
@example("ǅ站站 station")
@example("ﷺ ½ ⅷ")
def test_normalization_is_idempotent_for_any_text(text: str) -> None:
    key = normalize(text)
    assert normalize(key) == key
    assert line_key(line_key(text)) == line_key(text)


_WORDS = st.text("abkS1 7站(St)（）·/-'.’öØ", max_size=30)


@given(_WORDS)
def test_normalization_is_idempotent_for_names(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)
    assert normalize(f" {text} ") == normalize(text)


@given(st.text("abcdefgh", min_size=1, max_size=12).filter(lambda w: w not in ("bl", "ave")))
def test_case_spaces_and_suffix_do_not_matter(word: str) -> None:
    for spelling in (word.upper(), f"  {word} ", f"{word} Station", f"{word}站", f"{word}."):
        assert normalize(spelling) == normalize(word)


@pytest.mark.parametrize(
    "unit", ["(", ")", "站", "station ", "1 a ", "（换乘站）", "é", "ﷺ", "((a)"]
)
def test_normalization_time_is_linear(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        best = float("inf")
        for _ in range(2):
            start = time.perf_counter()
            normalize(text)
            line_key(text)
            loose_key(text)
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(4_000) < 30 * seconds(500) + 0.05


@pytest.mark.parametrize(
    ("listed", "name", "markers"),
    [
        ("Termini Station (Transfer Station)", "Termini Station", {"transfer"}),
        ("Court St Station(Transfer Station)", "Court St Station", {"transfer"}),
        (
            "Promenade Station (Transfer Station) (Branch-starting Station)",
            "Promenade Station",
            {"transfer", "branch"},
        ),
        ("文化宫站（换乘站）", "文化宫站", {"transfer"}),
        ("东川路站（支线起始站）", "东川路站", {"branch"}),
        ("东管头南站 （换乘站） ", "东管头南站", {"transfer"}),
        ("Branch Ave Station", "Branch Ave Station", set()),
        ("Waitematā (Britomart) Station", "Waitematā (Britomart) Station", set()),
        ("坝堰（机场）站", "坝堰（机场）站", set()),
        ("Cathedral Pkwy Station (110 St)", "Cathedral Pkwy Station (110 St)", set()),
    ],
)
def test_markers_are_stripped_and_names_are_kept(listed: str, name: str, markers: set[str]) -> None:
    assert strip_markers(listed) == (name, markers)


def test_bracket_keys_are_the_two_names() -> None:
    assert bracket_keys("Waitematā (Britomart) Station") == ("waitemata", "britomart")
    assert bracket_keys("Termini Station (Transfer Station)") == ()


def test_loose_key_drops_what_an_answer_adds() -> None:
    assert loose_key("Senawang Metro Station") == normalize("Senawang Station")
    assert loose_key("岔街地铁站") == normalize("岔街站")
    assert loose_key("Borgen Station (transfer here)") == normalize("Borgen")
    assert loose_key("Metro Station") == "metro"


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "Line 1",
            "line 1.",
            "1号线",
            "LINE 1",
            "Line1",
            "Line #1",
            "1",
            "Line 01",
            "Ｌｉｎｅ　１",
        ),
        ("Azul", "Linha Azul", "azul line", "**Azul**"),
        ("昌平线", "昌平", "昌平线."),
        ("Line A", "A", "A Line", "a line"),
        ("Line M1", "M1 Line", "M1", "M 1"),
    ],
)
def test_spellings_of_one_line_share_a_key(spellings: tuple[str, ...]) -> None:
    assert len({line_key(spelling) for spelling in spellings}) == 1


def test_different_lines_keep_different_keys() -> None:
    names = ["Line 1", "Line 10", "Line 11", "Line A", "Line 0", "Line", "M1", "North South Line"]
    assert len({line_key(name) for name in names}) == len(names)


def test_loose_line_key_reads_the_names_of_map_services() -> None:
    assert loose_line_key("地铁5号线(南湖东--姑娘桥)") == line_key("Line 5")
    assert loose_line_key("Metro A Line") == line_key("Line A")
    assert loose_line_key("Line 2 (Red)") == line_key("2")
