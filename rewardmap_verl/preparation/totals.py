"""Numbers of questions, compared with the quotas and with the papers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.questions.types import QuestionType

__all__ = ["PAPER_MAPS", "PAPER_TOTALS", "deviation", "shortfalls"]

PAPER_MAPS: Final = 30

PAPER_TOTALS: Final[Mapping[QuestionType, int]] = MappingProxyType(
    {
        QuestionType.TORF1: 1039,
        QuestionType.TORF2: 929,
        QuestionType.COUNTING1: 1050,
        QuestionType.COUNTING2: 970,
        QuestionType.COUNTING3: 30,
        QuestionType.PLANNING: 1008,
    }
)
"""ReasonMap-Plus (RewardMap, arXiv 2510.02240, A.1), and ReasonMap's planning questions (arXiv
2505.18675, 3.2), over 30 maps."""


_MAPS_LISTED = 30
"""Maximum number of maps that a note lists in full: all maps of the papers."""
_EXAMPLES = 3
"""Number of maps that a note lists if there are more."""


def shortfalls(counts: Mapping[str, Mapping[str, int]], quotas: Quotas) -> Iterator[str]:
    """Yield, for each type, one note that lists the maps with fewer questions than the quota.

    Args:
        counts: Number of questions by "country/city" and type.
        quotas: Number of questions for each map.
    """
    for kind in QuestionType:
        wanted = quotas.of(kind)
        short = [
            f"{city} {found.get(kind.value, 0)}"
            for city, found in counts.items()
            if found.get(kind.value, 0) < wanted
        ]
        if short:
            shown = short if len(short) <= _MAPS_LISTED else short[:_EXAMPLES]
            more = f" and {len(short) - len(shown):,} more maps" if len(short) > len(shown) else ""
            yield f"Fewer than {wanted} {kind.value} questions: {', '.join(shown)}{more}."


def deviation(counts: Sequence[Mapping[str, int]], kind: QuestionType) -> tuple[int, float, float]:
    """Compare the number of questions of a type with the papers.

    Args:
        counts: Number of questions by type, one mapping for each map.
        kind: A type of the papers.

    Returns:
        The number, the papers' number for as many maps, and the relative difference.
    """
    total = Counter[str]()
    for found in counts:
        total.update(found)
    expected = PAPER_TOTALS[kind] * len(counts) / PAPER_MAPS
    number = total[kind.value]
    return number, expected, number / expected - 1 if expected else 0.0
