"""Make the samples in the README: the picture of a map, and one question of each type."""

from __future__ import annotations

import argparse
from pathlib import Path

from rewardmap_verl.drawing import draw_map, standard_style
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network

SETTINGS = SyntheticSettings(lines=(6, 6), stops=(42, 42))
ONE_OF_EACH = Quotas(1, 1, 1, 1, 1, 2, forms=("short",))


def main() -> None:
    """Draw the sample map and print one question of each type as rows of a Markdown table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("picture", type=Path, help="PNG file to write: docs/images/map.png")
    picture = parser.parse_args().picture
    placed = generate_network(seed=7, index=1, settings=SETTINGS)
    image = draw_map(placed, standard_style(), width=1600).image.convert("RGB")
    image.quantize(64).save(picture, optimize=True)
    questions = generate_questions(placed.network, "middle", 1, ONE_OF_EACH)
    hardest = {q.type: q for q in sorted(questions, key=lambda q: q.question_transfer_count)}
    for kind, question in hardest.items():
        text = question.text.replace("\n", "<br>")
        answer = gold_answer(question).replace("\n", "<br>")
        print(f"| {kind.value} | {text} | {answer} |")


if __name__ == "__main__":
    main()
