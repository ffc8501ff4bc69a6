"""What the results say about each claim, by the rule that was written down before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.evidence.protocol import Claim
from benchmarks.evidence.samples import Results, cell_samples
from rewardmap_verl.evaluation.statistics import SeedInterval, seed_difference, seed_interval

__all__ = ["FEWEST_SEEDS", "Finding", "by_seed", "judge_claim", "judge_claims", "measured"]

Outcome = Literal["supported", "against", "undecided", "not run"]

FEWEST_SEEDS: Final = 3
"""With fewer seeds nothing is decided: one lucky run looks like a method."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim and what came of it."""

    claim: Claim
    outcome: Outcome
    spread: SeedInterval | None
    """The difference, or the value held against a bound; ``None`` where runs are missing."""


def judge_claim(claim: Claim, results: Results) -> Finding:
    """Hold one claim against the results.

    Supported when the whole 95 % interval, of the difference or of the one cell, lies on the
    claimed side of the bound (above 0 where none is given), against when it lies on the other,
    undecided otherwise and with fewer than :data:`FEWEST_SEEDS` seeds.
    """
    first = cell_samples(results, claim.first, claim.figure)
    if claim.second is not None:
        second = cell_samples(results, claim.second, claim.figure)
        spread = seed_difference(first, second, claim.id)
    else:
        spread = seed_interval(first, claim.id)
    if spread is None:
        return Finding(claim, "not run", None)
    return Finding(claim, _outcome(claim, spread), spread)


def _outcome(claim: Claim, spread: SeedInterval) -> Outcome:
    if spread.seeds < FEWEST_SEEDS:
        return "undecided"
    if claim.most is not None:
        above, below = claim.most - spread.low, claim.most - spread.high
    else:
        bound = claim.least or 0.0
        above, below = spread.high - bound, spread.low - bound
    if claim.least is not None or claim.most is not None:
        return "supported" if below >= 0 else "against" if above < 0 else "undecided"
    return "supported" if below > 0 else "against" if above < 0 else "undecided"


def judge_claims(claims: Sequence[Claim], results: Results) -> list[Finding]:
    """Every claim, in order."""
    return [judge_claim(claim, results) for claim in claims]


def _scaled(figure: str) -> tuple[float, int]:
    return (1.0, 2) if figure == "detail" else (100.0, 1)


def measured(finding: Finding) -> str:
    """The value with its interval, for a table: per cent, percentage points, or detail."""
    spread = finding.spread
    if spread is None:
        return "–"
    factor, digits = _scaled(finding.claim.figure)
    sign = "+" if finding.claim.second is not None else ""
    mean, low, high = (
        f"{factor * value:{sign}.{digits}f}" for value in (spread.mean, spread.low, spread.high)
    )
    return f"{finding.claim.figure} {mean} [{low}, {high}]"


def by_seed(finding: Finding) -> str:
    """The value of each seed, for a table."""
    if finding.spread is None:
        return "–"
    factor, digits = _scaled(finding.claim.figure)
    sign = "+" if finding.claim.second is not None else ""
    return ", ".join(f"{factor * value:{sign}.{digits}f}" for value in finding.spread.by_seed)
