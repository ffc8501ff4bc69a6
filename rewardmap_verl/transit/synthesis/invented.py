"""Invented names for stops and cities: believable, and the name of no real place by intent.

Names are put together from parts, so that a few dozen parts give thousands of names, and kept far
enough apart that no two of one network could be taken for each other.
"""

# ruff: noqa: SIM905
from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from rewardmap_verl.transit.names import normalise

_SHORT = (
    "Abel Alba Anno Arlo Axel Bari Bela Bolt Brio Cato Cleo Dale Dora Dune Echo Elba Ezra "
    "Faro Fern Gale Gora Haze Hugo Iris Ivor Jade Juno Kite Koda Lark Lina Luma Mace Mira "
    "Moss Nell Nova Olin Opal Otto Pike Pola Quin Rhea Rook Sage Sola Tavi Tern Ulla Umber "
    "Vale Vera Wick Wren Xeno Yale Yuna Zeal Zola "
).split()

_STEMS = (
    "Alder Amber Apple Arch Ash Barley Beacon Birch Black Bramble Brier Brook Cairn Candle "
    "Cedar Clay Clover Copper Coral Corn Crane Crow Dove Drift Dun Elder Ember Falcon Fern "
    "Finch Flint Fox Frost Gold Goose Granite Hare Harrow Hart Haw Hazel Heather Heron Holly "
    "Honey Iron Ivy Juniper Kestrel King Lamb Larch Lark Laurel Lime Linden Loom Maple Marl "
    "Mead Merle Mill Mint Moor Moss Myrtle North Oak Oat Orchard Otter Owl Pearl Pepper Pine "
    "Plover Plum Quill Rain Raven Reed River Robin Rose Rowan Rush Rye Saffron Sage Salt "
    "Sedge Shell Silver Slate Sorrel South Spring Starling Stone Swallow Swan Tawny Teal "
    "Thistle Thorn Thrush Velvet Vine Walnut Wander Weaver West Wheat Whistle Willow Winter "
    "Wren Yarrow Yew "
).split()
_ENDS = (
    "bank borough bridge brook burn bury by cliffe combe cote cross dale den field fold ford "
    "gate grove ham haven hill holt hurst leigh ley low mere mouth port ridge shaw side stead "
    "stoke ton wall water way well wick wood worth "
).split()
_KINDS = (
    "Park;Square;Market;Gate;Road;Hill;Lane;Green;Docks;Quay;Bridge;Gardens;Cross;Museum;College;"
    "Hospital;Stadium;Airport;Court;Heath;Common;Mills;Harbour;Terrace;Fields;Library;Zoo;Arena"
).split(";")

NameStream = Callable[[random.Random], Iterator[str]]


def short_names(rng: random.Random) -> Iterator[str]:
    """Names of four or five letters, for maps that are seen through very few pixels."""
    return iter(rng.sample(_SHORT, len(_SHORT)))


def latin_names(rng: random.Random) -> Iterator[str]:
    """English-sounding names such as "Alderwick" or "Copper Lane"."""
    while True:
        stem = rng.choice(_STEMS)
        draw = rng.random()
        if draw < 0.6:
            name = stem + rng.choice(_ENDS)
        elif draw < 0.9:
            name = f"{stem} {rng.choice(_KINDS)}"
        else:
            name = f"{stem}{rng.choice(_ENDS)} {rng.choice(_KINDS)}"
        if len(name) <= 18:
            yield name


NAMES: dict[str, NameStream] = {"short": short_names, "latin": latin_names}


def stop_names(rng: random.Random, count: int, script: str) -> list[str]:
    """``count`` names of one script, no two of them equal or one letter apart when normalised.

    Raises:
        ValueError: The script's stock of names is too small for ``count`` stops.
    """
    chosen: list[str] = []
    taken: set[str] = set()
    tries = chain(NAMES[script](rng), repeat(""))
    for name in (next(tries) for _ in range(200 * count + 200)):
        if not name or len(chosen) == count:
            break
        near = _neighbourhood(normalise(name))
        if taken.isdisjoint(near):
            taken |= near
            chosen.append(name)
    if len(chosen) < count:
        raise ValueError(f"only {len(chosen)} names of the kind {script!r} for {count} stops")
    return chosen


def _neighbourhood(key: str) -> set[str]:
    """The key and every string one letter shorter: two keys share one when they are that close."""
    return {key} | {key[:i] + key[i + 1 :] for i in range(len(key))}
