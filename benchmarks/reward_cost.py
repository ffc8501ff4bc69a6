"""Measure the cost of scoring: time per row and type, and scaling with hostile text.

    python benchmarks/reward_cost.py [--networks ../shared/data/stations]

Networks and gold answers are loaded beforehand, as in the reward manager, and only CPU time is
counted. "Broken" answers are wrong; "new" ones are wrong and use names that no answer has used
before, so that no lookup is cached. Targets: below 100 µs for a typical row, below 50 ms for 1 MB
of any text, and at most linear growth.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rewardmap_verl.questions.sampling import generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.rewards.score import GroundTruth, RewardConfig, score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network
from rewardmap_verl.transit.synthetic import generate_network, standard_settings

SIZES = (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000)
"""Lengths of hostile text in characters."""

HOSTILE = {
    "brackets": "(",
    "box opens": "\\boxed{",
    "braces": "{",
    "closing braces": "}",
    "backslashes": "\\",
    "dashes": "-",
    "lines of dashes": "--\n",
    "spaces": " x",
    "digits": "7",
    "new lines": "\n",
    "answer is": "the answer is ",
    "think": "<think>",
    "think closed": "<think></think>",
    "answer tag": "<answer>",
    "fences": "```\n",
    "labels": "Route Name:",
    "labels and names": "Route Name: Line 1\nDeparture Stop: x\n",
    "whole legs": "Route Name: Line 1\nDeparture Stop: A\nArrival Stop: B\n--\n",
    "labels with spaces": "Route" + " " * 40,
    "stars": "Route Name" + "*" * 40,
    "full width": "Ｒｏｕｔｅ",
    "surrogates": "\ud800",
    "combining": "e\u0301\u0323",
}


def timed(work: Callable[[], object], least: float = 0.2) -> float:
    """Return CPU seconds per call: the best of three runs that take ``least`` seconds in total."""
    start = time.process_time()
    work()
    once = time.process_time() - start
    repeats = max(1, int(least / 3 / max(once, 1e-7)))
    best = once
    for _ in range(3):
        start = time.process_time()
        for _ in range(repeats):
            work()
        best = min(best, (time.process_time() - start) / repeats)
    return best


def new_names(rows: list[tuple[str, GroundTruth, Network]], number: int) -> list[Any]:
    """Return wrong answers with unseen names; each ``number`` gives different names."""
    labels = re.compile("(Name|Stop): |{")
    return [
        (labels.sub(rf"\g<0>Qu{number}x{index} ", text), *rest)
        for index, (text, *rest) in enumerate(rows)
    ]


def timed_once(batches: list[Callable[[], object]]) -> float:
    """Return the CPU seconds of the fastest of several calls, each made once."""
    seconds = []
    for work in batches:
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def networks(folder: Path | None) -> Iterator[Network]:
    """Yield the networks of a folder, or five generated ones."""
    if folder is None:
        for index in range(5):
            yield generate_network(1, index, standard_settings()).network
        return
    for path in sorted(folder.glob("*/*.json")):
        yield read_network(path)


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=Path, default=None)
    folder = parser.parse_args().networks
    config = RewardConfig()
    rows: dict[QuestionType, list[tuple[str, GroundTruth, Network]]] = {}
    for network in networks(folder):
        for question in generate_questions(network, "middle", 0):
            truth = GroundTruth.from_question(question)
            rows.setdefault(question.type, []).append((gold_answer(question), truth, network))

    print(f"{'type':12} {'rows':>6} {'gold µs':>9} {'rows/s':>9} {'broken µs':>10} {'new µs':>8}")
    for kind, kept in rows.items():
        kept = kept[:: max(1, len(kept) // 300)][:300]  # of all networks
        broken = [(text.replace("Line", "Lime").replace("{", "{x"), *rest) for text, *rest in kept]

        def score(batch: list[tuple[str, GroundTruth, Network]]) -> None:
            for row in batch:
                score_answer(*row, config)

        good = timed(lambda batch=kept: score(batch)) / len(kept) * 1e6
        bad = timed(lambda batch=broken: score(batch)) / len(kept) * 1e6
        work = [partial(score, new_names(kept, number)) for number in range(8)]
        new = timed_once(work) / len(kept) * 1e6
        print(
            f"{kind.value:12} {len(kept):6} {good:9.1f} {1e6 / good:9.0f} {bad:10.1f} {new:8.1f}",
            flush=True,
        )

    print(f"\n{'hostile text, ms':20} {'type':10}" + "".join(f"{size:>11,}" for size in SIZES))
    for name, unit in HOSTILE.items():
        for kind in (QuestionType.COUNTING2, QuestionType.PLANNING):
            _, truth, network = rows[kind][0]
            costs = []
            for size in SIZES:
                text = (unit * (size // len(unit) + 1))[:size]
                work = lambda text=text: score_answer(text, truth, network, config)  # noqa: B023, E731
                costs.append(timed(work, 0.03) * 1e3)
            print(f"{name:20} {kind.value:10}" + "".join(f"{cost:11.3f}" for cost in costs))


if __name__ == "__main__":
    main()
