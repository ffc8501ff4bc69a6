"""Makes what the README shows: the picture of a map, and one question of each type about it."""

from __future__ import annotations

from pathlib import Path

from rewardmap_verl.drawing import draw_map, standard_style
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network

SETTINGS = SyntheticSettings(lines=(6, 6), stops=(42, 42))
ONE_OF_EACH = Quotas(1, 1, 1, 1, 1, 2, forms=("short",))


def main() -> None:
    """Write the picture beside this file and print the questions as Markdown."""
    placed = generate_network(seed=7, index=1, settings=SETTINGS)
    picture = Path(__file__).parent / "images" / "map.png"
    image = draw_map(placed, standard_style(), width=1600).image.convert("RGB")
    image.quantize(64).save(picture, optimize=True)
    questions = generate_questions(placed.network, "middle", 1, ONE_OF_EACH)
    hardest = {q.type: q for q in sorted(questions, key=lambda q: q.question_transfer_count)}
    for kind, question in hardest.items():
        asked = question.text.replace("\n", "<br>")
        answer = gold_answer(question).replace("\n", "<br>")
        print(f"| {kind.value} | {asked} | {answer} |")


if __name__ == "__main__":
    main()
