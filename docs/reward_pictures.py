"""Generate the figures and the table of docs/reward-pictures.md: five answers to one question."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from rewardmap_verl.drawing import DrawnMap, draw_map, standard_style
from rewardmap_verl.drawing.line_geometry import LineGeometry
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import Question
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.explain import Explanation, explain_answer
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.routes import read_route
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Leg, Planner
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network

SETTINGS = SyntheticSettings(lines=(6, 6), stops=(42, 42))
COLORS = {"format": "#7b8794", "correctness": "#2a6fdb", "detail": "#e08e0b"}
WIDTH = 1400


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to the question, with its explained reward."""

    name: str
    text: str
    explained: Explanation


def sample_question(network: Network) -> Question:
    """Return a planning question with one transfer and at least two via stops on both legs."""
    quotas = Quotas(0, 0, 0, 0, 0, 40, forms=("short",))
    planner = Planner(network)
    for question in generate_questions(network, "middle", 1, quotas):
        legs = legs_of(question, planner)
        if len(legs) == 2 and all(len(leg.via) >= 2 for leg in legs):
            return question
    raise LookupError("no such question")


def legs_of(question: Question, planner: Planner) -> Sequence[Leg]:
    """Return the legs of an optimal plan."""
    find = planner.network.find_stops
    ends = (find(name)[0].index for name in (question.station_1, question.station_2))
    plans = planner.best_plans(*ends)
    return plans[0].legs if plans else ()


def five_answers() -> tuple[DrawnMap, Network, Question, list[Answer]]:
    """Return the map, its network, the question and five answers, from perfect to unreadable."""
    placed = generate_network(seed=7, index=1, settings=SETTINGS)
    network = placed.network
    question = sample_question(network)
    first, second = legs_of(question, Planner(network))
    middle, missed, early = first.via[-1], first.via[0], second.via[-1]
    a, b, c = first.departure, first.arrival, second.arrival
    routes = {
        "gold": [(first.line, a, b), (second.line, b, c)],
        "correct, with a surplus leg": [
            (first.line, a, middle), (first.line, middle, b), (second.line, b, c)
        ],
        "arrives one stop early": [(first.line, a, b), (second.line, b, early)],
        "transfers where the lines do not meet": [
            (first.line, a, missed), (second.line, missed, c)
        ],
    }  # fmt: skip
    texts = {name: written(network, route) for name, route in routes.items()}
    texts["unreadable"] = "Take the train and change once."
    truth, config = GroundTruth.from_question(question), RewardConfig()
    answers = [
        Answer(name, text, explain_answer(text, truth, network, config))
        for name, text in texts.items()
    ]
    return draw_map(placed, standard_style(), width=WIDTH), network, question, answers


def written(network: Network, route: Sequence[tuple[str, int, int]]) -> str:
    """Write a route in the form that the question asks for."""
    stop = [stop.name for stop in network.stops]
    return "\n--\n".join(
        f"Route Name: {line}\nDeparture Stop: {stop[a]}\nArrival Stop: {stop[b]}"
        for line, a, b in route
    )


def table(answers: Sequence[Answer]) -> str:
    """Return the table of the page."""
    rows = ["| answer | format | correctness | detail | W | reward |", "|---|---|---|---|---|---|"]
    for answer in answers:
        score = answer.explained.score
        values = (score.format, score.correctness, score.detail or 0.0, score.weight, score.score)
        rows.append(f"| {answer.name} | " + " | ".join(f"{value:.4g}" for value in values) + " |")
    return "\n".join(rows)


def draw_bars(answers: Sequence[Answer], path: Path) -> None:
    """Draw the weighted terms of each answer's reward as stacked bars."""
    figure, axes = plt.subplots(figsize=(9, 3.2), dpi=130)
    names = [answer.name for answer in answers][::-1]
    left = [0.0] * len(answers)
    for place, part in enumerate(COLORS):
        values = [
            answer.explained.parts[place].value
            * answer.explained.parts[place].times
            * answer.explained.score.weight
            for answer in answers
        ][::-1]
        axes.barh(names, values, left=left, color=COLORS[part], label=part, height=0.62)
        left = [a + b for a, b in zip(left, values, strict=True)]
    for place, total in enumerate(left):
        axes.text(total + 0.3, place, f"{total:.4g}", va="center")
    axes.set_xlabel("reward (weighted by W)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    save(figure, path)


def draw_routes(drawn: DrawnMap, network: Network, answers: Sequence[Answer], path: Path) -> None:
    """Draw the gold route next to a wrong one, with the credit of each item."""
    tracks = LineGeometry(network, drawn.stops, drawn.calls, drawn.curves)
    gold, wrong = answers[0], answers[3]
    figure, panes = plt.subplots(1, 2, figsize=(13, 5.6), dpi=110)
    for pane, answer in zip(panes, (gold, wrong), strict=True):
        pane.imshow(drawn.image, alpha=0.45)
        for real, points in rides(answer, network, tracks):
            x, y = zip(*points, strict=True)
            color, style = ("#1d4fa8", "-") if real else ("#c0344a", (0, (1.6, 1.2)))
            pane.plot(x, y, color=color, linestyle=style, linewidth=4.5, solid_capstyle="round")
            pane.plot(x[0], y[0], "o", ms=9, mfc="white", mec=color, mew=3)
            pane.plot(x[-1], y[-1], "o", ms=9, mfc="white", mec=color, mew=3)
        pane.set_title(f"{answer.name}: {answer.explained.score.score:.4g}", fontsize=12)
        pane.set_xlabel("\n".join(sentences(answer.explained)), fontsize=8.5, loc="left")
        pane.set_xticks([])
        pane.set_yticks([])
    save(figure, path)


def rides(
    answer: Answer, network: Network, tracks: LineGeometry
) -> Iterator[tuple[bool, Sequence[tuple[float, float]]]]:
    """Yield for each leg whether its line serves both stops, and its path on the map."""
    config = RewardConfig()
    for leg in read_route(answer.text, "short", config.max_characters, config.max_legs).legs:
        line = network.find_line(leg.line)
        a, b = (network.find_stops(name)[0].index for name in (leg.departure, leg.arrival))
        real = line is not None and network.serves(line, a) and network.serves(line, b)
        yield real, tracks.ride(line, a, b) if real and line else tracks.straight(a, b)


def sentences(explained: Explanation) -> Iterator[str]:
    """Yield a sentence per item: its credit and the reason."""
    for item in explained.items:
        if item.worth or item.credit:
            yield f"{item.name}: {item.credit:.4g} of {item.worth:.4g}, {item.reason}"


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure with few colors, which keeps the file small and its bytes reproducible."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    figure.savefig(buffer, bbox_inches="tight", format="png")
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(96).save(path, optimize=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the figures and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder for the two PNG files: docs/images")
    out = parser.parse_args(arguments).folder
    drawn, network, _, answers = five_answers()
    draw_bars(answers, out / "reward-parts.png")
    draw_routes(drawn, network, answers, out / "reward-routes.png")
    print(table(answers))


if __name__ == "__main__":
    main()
