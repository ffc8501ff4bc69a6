"""Generate what the README shows: the image of a map and one question of each type about it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from rewardmap_verl.drawing import draw_map, standard_style
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network

SETTINGS = SyntheticSettings(lines=(6, 6), stops=(42, 42))
ONE_OF_EACH = Quotas(1, 1, 1, 1, 1, 2, forms=("short",))


def sample_network() -> PlacedNetwork:
    """Generate the network of the README."""
    return generate_network(seed=7, index=1, settings=SETTINGS)


def sample_image(placed: PlacedNetwork) -> Image.Image:
    """Draw the map with few colors, which keeps the file small."""
    return draw_map(placed, standard_style(), width=1600).image.convert("RGB").quantize(64)


def sample_rows(placed: PlacedNetwork) -> Iterator[str]:
    """Yield a Markdown table row for each question type: type, question, gold answer."""
    questions = generate_questions(placed.network, "middle", 1, ONE_OF_EACH)
    hardest = {q.type: q for q in sorted(questions, key=lambda q: q.question_transfer_count)}
    for kind, question in hardest.items():
        asked = question.text.replace("\n", "<br>")
        answer = gold_answer(question).replace("\n", "<br>")
        yield f"| {kind.value} | {asked} | {answer} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the image and print the questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path, help="PNG file to write: docs/images/map.png")
    out = parser.parse_args(arguments).image
    placed = sample_network()
    sample_image(placed).save(out, optimize=True)
    print("\n".join(sample_rows(placed)))


if __name__ == "__main__":
    main()
