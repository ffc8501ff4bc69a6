"""The results of a run in words: what was learned, what was not, what to do next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from rewardmap_verl.curriculum.groups import DIRECT, EVERY_TYPE, WITH_TRANSFERS
from rewardmap_verl.evaluation.statistics import Interval
from rewardmap_verl.reports.held_out import HeldOut

__all__ = ["conclusions"]

_PARTS = (DIRECT, WITH_TRANSFERS)
"""Parts of planning, which is counted as one type."""
_SPARSE = 0.7
"""Share of groups without signal above which a type is called sparse."""
_MOSTLY_WRONG = 0.5
"""Accuracy below which groups lack signal because all answers are wrong, not all right."""
_WIDE = 0.4
"""Width of the interval of a change above which the change is called undecided."""


def conclusions(lines: Sequence[HeldOut], no_signal: Mapping[str, float]) -> list[str]:
    """Return the results of a run in sentences.

    Args:
        lines: Held-out accuracy by type.
        no_signal: Share of training groups without signal, by question type.

    Returns:
        A sentence about what was learned and what was not, and one about the next step; nothing for
        a run with a single validation.
    """
    types = [line for line in lines if line.change is not None and line.kind not in _PARTS]
    if len(types) > 1:
        types = [line for line in types if line.kind != EVERY_TYPE]
    if not types:
        return []
    learned = [line for line in types if _is_above(line.change) and _is_above(line.lead, True)]
    fell = [line for line in types if line.change is not None and line.change.high < 0]
    rest = [line for line in types if line not in learned and line not in fell]
    result = "; ".join(_results(learned, fell, rest))
    return [f"{result}.", _next_step(types, fell, rest, no_signal)]


def _results(
    learned: Sequence[HeldOut], fell: Sequence[HeldOut], rest: Sequence[HeldOut]
) -> Iterator[str]:
    yield f"Learned: {_with_change(learned)}" if learned else "No question type was learned"
    if fell:
        yield f"unlearned: {_with_change(fell)}"
    still = [line.kind for line in rest if line.change is not None and _is_above(line.change)]
    kept = [line.kind for line in rest if line.kind not in still and _is_above(line.lead)]
    other = [line for line in rest if line.kind not in (*still, *kept)]
    open_ = [f"{line.kind} ({line.questions})" for line in other if _is_wide(line)]
    flat = [line.kind for line in other if not _is_wide(line)]
    if still:
        yield f"better, but not above the majority answer: {', '.join(still)}"
    if kept:
        yield f"unchanged, above the majority answer: {', '.join(kept)}"
    if flat:
        # Without the majority answer, an unchanged type may have been known before.
        known = any(line.lead is not None for line in other)
        yield f"{'not learned' if known else 'unchanged'}: {', '.join(flat)}"
    if open_:
        yield f"too few questions to tell: {', '.join(open_)}"


def _next_step(
    types: Sequence[HeldOut],
    fell: Sequence[HeldOut],
    rest: Sequence[HeldOut],
    no_signal: Mapping[str, float],
) -> str:
    """Return the advice that fits best; the first that applies."""
    sparse = [
        line.kind
        for line in rest
        if no_signal.get(line.kind, 0.0) > _SPARSE and line.after.mean < _MOSTLY_WRONG
    ]
    wide = [line for line in rest if _is_wide(line)]
    if fell:
        return (
            f"Next: later stages unlearn {_names(fell)}. Replay its rows in them "
            "(data.curriculum.replay), or lower the learning rate."
        )
    if sparse:
        return (
            f"Next: most training groups of {', '.join(sparse)} had no signal. Start from a model "
            "that answers some of these questions, or train an easier stage before them."
        )
    if wide:
        return (
            f"Next: the intervals of {_names(wide)} are wide. Prepare more test maps, or train "
            "longer (epochs or steps in data.curriculum.stages)."
        )
    if rest:
        return "Next: train longer (epochs or steps in data.curriculum.stages), or on more maps."
    return "Next: `rewardmap report` shows the answers that are still wrong, on their maps."


def _is_wide(line: HeldOut) -> bool:
    return line.change is not None and line.change.high - line.change.low > _WIDE


def _is_above(found: Interval | None, unknown: bool = False) -> bool:
    """Return whether a whole interval is above 0; ``unknown`` if there is none."""
    return unknown if found is None else found.low > 0


def _with_change(lines: Iterable[HeldOut]) -> str:
    return ", ".join(
        f"{line.kind} ({line.before.mean:.0%} to {line.after.mean:.0%})"
        for line in lines
        if line.before is not None
    )


def _names(lines: Collection[HeldOut]) -> str:
    return ", ".join(line.kind for line in lines)
