"""Compare the number of questions about a folder of networks with the papers.

    python benchmarks/count_questions.py FOLDER

FOLDER has stations/COUNTRY/CITY.json. Map images are not needed, and nothing is written.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rewardmap_verl.preparation.totals import PAPER_TOTALS, deviation, shortfalls
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.reader import read_network


def count(folder: Path, seed: int) -> dict[str, Counter[str]]:
    """Return the number of questions by city and type, for the default quotas."""
    networks = [read_network(path) for path in sorted(folder.glob("stations/*/*.json"))]
    grades = grade_maps(networks)
    return {
        f"{network.country}/{network.city}": Counter(
            question.type.value
            for question in generate_questions(network, grades[network.country, network.city], seed)
        )
        for network in networks
    }


def main() -> None:
    """Print the comparison and the maps with fewer questions than their quota."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts = count(arguments.folder, arguments.seed)
    table = Table("questions", "here", "papers", "difference", title=f"{len(counts)} networks")
    for kind in PAPER_TOTALS:
        number, expected, share = deviation(list(counts.values()), kind)
        table.add_row(kind.value, f"{number:,}", f"{expected:,.0f}", f"{share:+.1%}")
    console = Console()
    console.print(table)
    for note in shortfalls(counts, Quotas()):
        console.print(note)


if __name__ == "__main__":
    main()
