"""Print the tables of docs/reward.md: reward of the released code and of this package.

    python benchmarks/reward_table.py

The released code's detail values were measured by running it (``cases_public.jsonl`` of the
reference data, see the tag of each row; a test compares them). Its reward is computed by its
formula ``(W_map + W_question) · (10 · correct + 0.5 · detail)``. Ours is computed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rewardmap_verl.rewards.perfect import write_route
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.rewards.score import GroundTruth, RewardConfig, score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import parse_network

LEVELS = ("easy", "middle", "hard")
MAP_WEIGHTS = {"easy": 1.0, "middle": 1.2, "hard": 1.5}

# Four lines in a chain; a trip with t transfers begins at Stop 1 and ends on line t + 1.
CHAIN = {f"Line {i + 1}": [f"Stop {3 * i + k} Station" for k in range(4)] for i in range(4)}


@dataclass(frozen=True)
class AnswerCase:
    """One kind of answer, with the released code's detail for 0, 1, 2 and 3 transfers."""

    name: str
    tag: str
    """Tag of the golden cases; "" if the values follow from the formula alone."""
    correct: bool
    released: tuple[float | None, ...]
    """Detail; ``None`` if there is no such answer."""


CASES = (
    AnswerCase("gold", "plan:perfect", True, (1.0, 4.0, 8.0, 10.0)),
    AnswerCase("valid, one leg longer", "plan:split_segment", True, (0.0, 2.0, 6.0, 10.0)),
    AnswerCase("padded with a self-loop", "plan:self_loop_front", True, (0.0, 2.0, 6.0, 10.0)),
    AnswerCase("padded, there and back twice", "plan:pingpong", True, (-3.0, -4.0, 0.0, 4.0)),
    AnswerCase("broken transfer", "plan:broken_transfer", False, (None, 3.0, 6.0, 10.0)),
    AnswerCase("first line wrong", "plan:wrong_line_fake", False, (-3.0, 0.0, 4.0, 8.0)),
    AnswerCase(
        "right ends, one wrong line", "plan:single_random_line", False, (-3.0, 5.0, 5.0, 5.0)
    ),
    AnswerCase("self-loops and a false ride", "plan:hack_loops_qtc", False, (None, 5.0, 9.0, 10.0)),
    AnswerCase("unreadable", "", False, (0.0, 0.0, 0.0, 0.0)),
    AnswerCase("empty", "", False, (0.0, 0.0, 0.0, 0.0)),
)


def question(transfers: int, level: str) -> GroundTruth:
    """Return the question from Stop 1 to a stop of the last line needed."""
    return GroundTruth.from_row(
        {
            "type": "planning",
            "country": "land",
            "city": "chain",
            "station_1": "Stop 1 Station",
            "station_2": f"Stop {3 * transfers + 2} Station",
            "question_transfer_count": transfers,
            "difficulty_city": level,
        }
    )


def gold(transfers: int) -> list[LegText]:
    """Return the perfect route."""
    stops = [1, *(3 * i for i in range(1, transfers + 1)), 3 * transfers + 2]
    return [leg(f"Line {i + 1}", stops[i], stops[i + 1]) for i in range(transfers + 1)]


def leg(line: str, departure: int, arrival: int) -> LegText:
    """Return a leg between two stops by number."""
    return LegText(line, f"Stop {departure} Station", f"Stop {arrival} Station")


def answer(kind: AnswerCase, transfers: int) -> str:
    """Write an answer of a kind."""
    route, goal = gold(transfers), 3 * transfers + 2
    halves = [leg("Line 1", 1, 0), leg("Line 1", 0, 3 if transfers else goal)]
    out, back = leg("Line 1", 1, 0), leg("Line 1", 0, 1)
    routes = {
        "gold": route,
        "valid, one leg longer": [*halves, *route[1:]],
        "padded with a self-loop": [leg("Line 1", 1, 1), *route],
        "padded, there and back twice": [out, back, out, back, *route],
        "first line wrong": [LegText("Line 9", *_ends(route[0])), *route[1:]],
        "right ends, one wrong line": [leg("Line 4" if transfers < 3 else "Line 2", 1, goal)],
        "self-loops and a false ride": [
            *[leg("Line 1", 1, 1)] * (transfers - 1),
            leg("Line 1", 1, goal),
        ],
    }
    if transfers:
        broken = LegText("Line 2", "Stop 0 Station", route[1].arrival)
        routes["broken transfer"] = [route[0], broken, *route[2:]]
    if kind.name in routes:
        return write_route(routes[kind.name])
    return "I cannot tell from the picture." if kind.name == "unreadable" else ""


def _ends(one: LegText) -> tuple[str, str]:
    return one.departure, one.arrival


def tables() -> Iterator[str]:
    """Yield the table of each number of transfers as Markdown."""
    network = parse_network(CHAIN, "land", "chain")
    for transfers in range(4):
        yield "\n".join(_table(transfers, network))


def _table(transfers: int, network: Network) -> Iterator[str]:
    yield f"**{transfers} transfers**" if transfers != 1 else "**1 transfer**"
    yield ""
    yield "| answer | detail | " + " | ".join(f"reward, {level}" for level in LEVELS) + " |"
    yield "|---|---|" + "---|" * len(LEVELS)
    for kind in CASES:
        released = kind.released[transfers]
        if released is not None:
            yield _row(kind, released, transfers, network)


def _row(kind: AnswerCase, released: float, transfers: int, network: Network) -> str:
    cells = []
    for level in LEVELS:
        ours = score_answer(
            answer(kind, transfers), question(transfers, level), network, RewardConfig()
        )
        weight = MAP_WEIGHTS[level] + (0.5 if transfers else 0.0)
        theirs = weight * (10.0 * kind.correct + 0.5 * released)
        assert ours.acc == kind.correct, kind
        if not cells:
            cells.append(_pair(released, ours.detail or 0.0))
        cells.append(_pair(theirs, ours.score))
    return f"| {kind.name} | " + " | ".join(cells) + " |"


def _pair(theirs: float, ours: float) -> str:
    return f"{_number(theirs)} → {_number(ours)}"


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:g}".replace("-", "−")


if __name__ == "__main__":
    print("\n\n".join(tables()))
