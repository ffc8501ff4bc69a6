"""Verdicts on the claims, by the rule of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.evidence.protocol import Claim
from benchmarks.evidence.samples import Results, cell_samples
from rewardmap_verl.evaluation.statistics import SeedInterval, seed_difference, seed_interval

__all__ = [
    "MIN_SEEDS",
    "Verdict",
    "format_by_seed",
    "format_value",
    "judge_claim",
    "judge_claims",
]

Outcome = Literal["supported", "against", "undecided", "not run"]

MIN_SEEDS: Final = 3
"""With fewer seeds a claim stays undecided: one lucky run could pass for a method."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a claim."""

    claim: Claim
    outcome: Outcome
    spread: SeedInterval | None
    """The difference, or the value compared with a bound; ``None`` if runs are missing."""


def judge_claim(claim: Claim, results: Results) -> Verdict:
    """Judge one claim.

    A claim is supported if the 95 % interval of the difference (or of the single cell) is entirely
    on the claimed side of the bound, which is 0 by default, and against if it is entirely on the
    other side. Otherwise, and with fewer than ``MIN_SEEDS`` seeds, it is undecided.
    """
    first = cell_samples(results, claim.first, claim.metric)
    if claim.second is not None:
        second = cell_samples(results, claim.second, claim.metric)
        spread = seed_difference(first, second, claim.id)
    else:
        spread = seed_interval(first, claim.id)
    if spread is None:
        return Verdict(claim, "not run", None)
    return Verdict(claim, _outcome(claim, spread), spread)


def _outcome(claim: Claim, spread: SeedInterval) -> Outcome:
    if spread.seeds < MIN_SEEDS:
        return "undecided"
    if claim.at_most is not None:
        above, below = claim.at_most - spread.low, claim.at_most - spread.high
    else:
        bound = claim.at_least or 0.0
        above, below = spread.high - bound, spread.low - bound
    if claim.at_least is not None or claim.at_most is not None:
        return "supported" if below >= 0 else "against" if above < 0 else "undecided"
    return "supported" if below > 0 else "against" if above < 0 else "undecided"


def judge_claims(claims: Sequence[Claim], results: Results) -> list[Verdict]:
    """Judge all claims, in order."""
    return [judge_claim(claim, results) for claim in claims]


def _scaled(metric: str) -> tuple[float, int]:
    return (1.0, 2) if metric == "detail" else (100.0, 1)


def format_value(verdict: Verdict) -> str:
    """Format the value with its interval: percent, percentage points, or detail."""
    spread = verdict.spread
    if spread is None:
        return "–"
    factor, digits = _scaled(verdict.claim.metric)
    sign = "+" if verdict.claim.second is not None else ""
    mean, low, high = (
        f"{factor * value:{sign}.{digits}f}" for value in (spread.mean, spread.low, spread.high)
    )
    return f"{verdict.claim.metric} {mean} [{low}, {high}]"


def format_by_seed(verdict: Verdict) -> str:
    """Format the value of each seed."""
    if verdict.spread is None:
        return "–"
    factor, digits = _scaled(verdict.claim.metric)
    sign = "+" if verdict.claim.second is not None else ""
    return ", ".join(f"{factor * value:{sign}.{digits}f}" for value in verdict.spread.by_seed)
