"""Read dumped rollouts as groups: one question, and every answer to it at one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.logged_rows import is_answer_log, logged_rows
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.response_text import last_turn
from rewardmap_verl.rewards.rows import dumped_part, read_json_lines

__all__ = ["Rollout", "RolloutGroup", "count_lines", "read_groups"]

_LARGEST = 10**12
"""Limit of steps and rewards."""

_CHAT = ("user\n", "\nassistant")
"""The chat template around a question in verl's dumps, which lack the special tokens."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One answer."""

    response: object
    """The dumped value; usually text."""
    score: float | None
    """The recorded reward."""

    @property
    def answer(self) -> object:
        """The part of the response that is scored: the last turn, if there are several."""
        return last_turn(self.response)


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """A group: the answers to one question at one step."""

    part: str
    """train or val."""
    step: int
    truth: GroundTruth
    truth_text: str
    """The ground truth as stored in the row."""
    prompt: str
    """The prompt of the model, including the chat template."""
    rollouts: tuple[Rollout, ...]

    @property
    def question(self) -> str:
        """The prompt without the chat template, as far as it is recognized."""
        start, end = _CHAT
        _, found, inner = self.prompt.partition(start)
        text = inner if found else self.prompt
        return text.rpartition(end)[0].strip() or text.strip()


def count_lines(path: Path) -> int:
    """Return the number of lines of a dump, for a progress bar."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def read_groups(path: Path) -> Iterator[RolloutGroup | DataError]:
    """Yield the groups of a dump in the order of their first line, and the faults of its lines.

    Lines form a group by the question in their ``uid``, ``{question}_{rollout}_{output}``. If a
    rollout has several outputs, the last one counts. Of the answers of ``rewardmap evaluate``, each
    is a group.
    """
    if is_answer_log(path):
        yield from _logged_groups(path)
        return
    groups: dict[str, dict[str, Mapping[str, Any]]] = {}
    for line in read_json_lines(path):
        if line.fault is not None or not isinstance(line.values, Mapping):
            yield line.fault or DataError(f"line {line.number}", hint="A line is a JSON object.")
            continue
        uid = str(line.values.get("uid", line.number))
        question, _, rest = uid.partition("_")
        groups.setdefault(question, {})[rest.partition("_")[0]] = line.values
    for rows in groups.values():
        yield _group(list(rows.values()), path)


def _logged_groups(path: Path) -> Iterator[RolloutGroup | DataError]:
    """Yield the answers of ``rewardmap evaluate``, each as a group."""
    try:
        for _, row in logged_rows(path):
            text = row.truth.to_json()
            rollouts = (Rollout(row.response, None),)
            yield RolloutGroup("val", 0, row.truth, text, row.prompt, rollouts)
    except DataError as error:
        yield error


def _group(rows: list[Mapping[str, Any]], path: Path) -> RolloutGroup | DataError:
    first = rows[0]
    if "gts" not in first:
        hint = "Only answers with their ground truth can be shown; score the file first."
        return DataError(path, "gts", "nothing", hint)
    try:
        truth = GroundTruth.from_json(first.get("gts", ""), path.name)
        step = _step(first.get("step", path.stem))
    except DataError as error:
        return error
    except (TypeError, ValueError, OverflowError):
        return DataError(path, "step", first.get("step"), "It must be a number.")
    return RolloutGroup(
        part=dumped_part(first),
        step=step,
        truth=truth,
        truth_text=str(first.get("gts", "")),
        prompt=str(first.get("input", "")),
        rollouts=tuple(Rollout(row.get("output"), _number(row.get("score"))) for row in rows),
    )


def _step(value: Any) -> int:
    step = int(value)
    if not 0 <= step <= _LARGEST:
        raise ValueError(step)
    return step


def _number(value: object) -> float | None:
    """Return a finite number of ordinary size, else ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _LARGEST else None
