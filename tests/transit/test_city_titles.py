"""Names of cities as people read them."""

from __future__ import annotations

import pytest

from rewardmap_verl.transit.city_titles import city_title


@pytest.mark.parametrize(
    ("country", "city", "title"),
    [
        ("synthetic", "arlo_1_1000003", "Arlo, test map 4"),
        ("synthetic", "new_haven_7_0", "New Haven, map 1"),
        ("synthetic", "odd", "Odd, Synthetic"),
        ("china", "hong_kong", "Hong Kong, China"),
        ("singapore", "singapore", "Singapore"),
        ("italy", "L'Aquila", "L'Aquila, Italy"),
        ("italy", "rome_2_1", "Rome 2 1, Italy"),
    ],
)
def test_titles(country: str, city: str, title: str) -> None:
    assert city_title(country, city) == title
