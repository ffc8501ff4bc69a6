"""Print the tables of the zoom study: ``python -m benchmarks.zoom_study.table``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.zoom_study.run import ARMS, TYPES
from rewardmap_verl.evaluation.statistics import (
    Sample,
    SeedInterval,
    seed_difference,
    seed_interval,
)

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[2] / "docs" / "zoom.md"
MARKS = ("<!-- zoom-study:begin -->\n", "<!-- zoom-study:end -->")
Results = Mapping[tuple[str, int], Mapping[str, Any]]
"""By arm and seed."""
ALL = "all"
NAMES = {"zoom": "with the tool", "overview": "without"}


def main() -> None:
    """Print the tables, and write them into the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS)
    parser.add_argument("--write", action="store_true", help=f"also into {PAGE.name}")
    options = parser.parse_args()
    text = tables(options.results)
    print(text)
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        PAGE.write_text(before + MARKS[0] + text + MARKS[1] + after, encoding="utf-8")


def tables(folder: Path) -> str:
    """Return the three tables of the results in a folder."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    results = {(one["arm"], one["seed"]): one for one in found}
    parts = (accuracy(results), differences(results), runs(results))
    return "\n".join("\n".join(lines) + "\n" for lines in parts)


def samples(results: Results, arm: str, time: str, kind: str) -> dict[int, Sample]:
    """Return right (1) and wrong (0) held-out answers by seed."""
    return {
        seed: sample(one["questions"], one[time]["acc"], kind)
        for (name, seed), one in results.items()
        if name == arm
    }


def sample(questions: list[list[str]], values: list[float], kind: str) -> Sample:
    """Return the answers to the questions of a type."""
    pairs = zip(questions, values, strict=True)
    chosen = [(value, place) for (name, place), value in pairs if kind in (name, ALL)]
    rights, places = zip(*chosen, strict=True)
    return Sample(rights, (1.0,) * len(rights), places)


def accuracy(results: Results) -> Iterator[str]:
    """Yield the accuracy of each arm by type, before and after, in percent."""
    columns = [(arm, time) for arm in ARMS for time in ("before", "after")]
    yield "| type | " + " | ".join(f"{NAMES[arm]}, {time}" for arm, time in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for kind in (*TYPES, ALL):
        cells = [seed_interval(samples(results, *one, kind), f"{one}/{kind}") for one in columns]
        yield f"| {kind} | " + " | ".join(map(share, cells)) + " |"


def differences(results: Results) -> Iterator[str]:
    """Yield the differences of interest by type, in points."""
    rows = {
        "with the tool − without, at the start": (("zoom", "before"), ("overview", "before")),
        "with the tool − without, after RL": (("zoom", "after"), ("overview", "after")),
        "RL with the tool: after − before": (("zoom", "after"), ("zoom", "before")),
        "RL without: after − before": (("overview", "after"), ("overview", "before")),
    }
    kinds = (*TYPES, ALL)
    yield "| difference | " + " | ".join(kinds) + " | Counting2, by seed |"
    yield "|---|" + "---:|" * (len(kinds) + 1)
    for name, (first, second) in rows.items():
        cells = [
            seed_difference(
                samples(results, *first, kind), samples(results, *second, kind), f"{name}/{kind}"
            )
            for kind in kinds
        ]
        by_seed = ", ".join(f"{100 * one:+.0f}" for one in cells[0].by_seed) if cells[0] else ""
        yield f"| {name} | " + " | ".join(map(points, cells)) + f" | {by_seed} |"


def runs(results: Results) -> Iterator[str]:
    """Yield what the answers look like and how the training went, run by run."""
    yield "| run | readable | saw a crop | calls | no signal | lowest correlation | minutes |"
    yield "|---|" + "---:|" * 6
    for (arm, seed), one in sorted(results.items()):
        before, after, steps = one["before"], one["after"], one["steps"]
        ends = {
            name: f"{100 * fmean(before[name]):.0f} → {100 * fmean(after[name]):.0f}%"
            for name in ("readable", "zoom_used")
        }
        calls = [fmean(held["zoom_calls"]) for held in (before, after)]
        yield (
            f"| {NAMES[arm]}, seed {seed} | {ends['readable']} | {ends['zoom_used']} "
            f"| {calls[0]:.2f} → {calls[1]:.2f} "
            f"| {100 * fmean(step['no_signal'] for step in steps):.0f}% "
            f"| {min(step['correlation'] for step in steps):.6f} | {one['seconds'] / 60:.1f} |"
        )


def share(found: SeedInterval | None) -> str:
    """Format a share in percent."""
    if found is None:
        return ""
    return f"{100 * found.mean:.0f}% ({100 * found.low:.0f} to {100 * found.high:.0f})"


def points(found: SeedInterval | None) -> str:
    """Format a difference in points."""
    if found is None:
        return ""
    return f"{100 * found.mean:+.0f} ({100 * found.low:+.0f} to {100 * found.high:+.0f})"


if __name__ == "__main__":
    main()
