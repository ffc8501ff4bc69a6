"""The share of groups without signal that a model would have at the start of training.

A group whose answers all have the same reward has no advantage and teaches nothing. Its share, by
question type, says whether a type can be learned from a model at all, and with which reward.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.table import Table

from rewardmap_verl.curriculum.groups import Group, group_metrics, result_names
from rewardmap_verl.evaluation.answer_log import LoggedAnswer
from rewardmap_verl.evaluation.inference import Engine, Generation, VllmEngine
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.sources import prepare_environment
from rewardmap_verl.evaluation.statistics import Interval, Sample, interval
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.score import score_answer

__all__ = ["SamplingEngine", "Signal", "measure_signal", "sample_questions", "signal_table"]

_AT_ONCE = 256
"""Answers that are requested together."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What a model's sampled answers to one question type would teach."""

    kind: str
    """Question type, planning by transfers, or all types."""
    groups: int
    accuracy: float
    unreadable: float
    reward: float
    no_signal: Interval
    """Share of groups whose answers all have the same reward, with its 95% interval."""
    no_signal_binary: Interval
    """The same share if only correctness were rewarded."""


class SamplingEngine(VllmEngine):
    """vLLM that samples at a temperature, as the rollouts of training."""

    def __init__(
        self, model: str, generation: Generation, questions: EvalSet, temperature: float
    ) -> None:
        prepare_environment()
        super().__init__(model, generation, questions)
        import vllm

        self._sampling = vllm.SamplingParams(
            temperature=temperature, max_tokens=generation.max_tokens
        )


def sample_questions(questions: EvalSet, per_type: int, seed: int = 0) -> EvalSet:
    """Return up to ``per_type`` questions of each type, drawn by the seed and their keys."""
    ordered = sorted(questions.items, key=lambda one: random.Random(f"{seed}/{one.key}").random())
    taken: dict[str, int] = {}
    chosen = []
    for question in ordered:
        kind = str(question.truth.type)
        taken[kind] = taken.get(kind, 0) + 1
        if taken[kind] <= per_type:
            chosen.append(question)
    return replace(questions, items=tuple(sorted(chosen, key=lambda one: one.index)))


def measure_signal(
    questions: EvalSet,
    engine: Engine,
    answers: int,
    config: RewardConfig,
    progress: Callable[[int], object] = lambda count: None,
) -> list[Signal]:
    """Sample a group of answers to each question and measure the groups.

    Args:
        questions: The questions, such as ``sample_questions`` returns.
        engine: Samples one answer per question that it is given.
        answers: Answers per group, at least 2.
        config: The reward.
        progress: Called with the number of questions that were answered.
    """
    groups: list[Group] = []
    size = max(1, _AT_ONCE // answers)
    for start in range(0, len(questions.items), size):
        batch = questions.items[start : start + size]
        found = engine.answer([question for question in batch for _ in range(answers)])
        for number, question in enumerate(batch):
            group = found[number * answers : (number + 1) * answers]
            groups.append(_group(question, group, config))
        progress(len(batch))
    return [_signal(name, members) for name, members in _by_name(groups)]


def signal_table(signals: Sequence[Signal], answers: int) -> Table:
    """Return the results as a table for the terminal."""
    table = Table(
        title=f"Signal before training: groups of {answers} sampled answers",
        caption="no signal: share of groups whose answers all have the same reward, and with\n"
        "correctness as the only reward. In parentheses: 95% bootstrap intervals.",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("type")
    for name in ("groups", "acc.", "unread", "reward", "no signal", "…if binary"):
        table.add_column(name, justify="right")
    for one in signals:
        table.add_row(
            one.kind,
            str(one.groups),
            f"{one.accuracy:.0%}",
            f"{one.unreadable:.0%}",
            f"{one.reward:.2f}",
            *(
                f"{share.mean:.0%} ({100 * share.low:.0f}-{100 * share.high:.0f})"
                for share in (one.no_signal, one.no_signal_binary)
            ),
        )
    return table


def _group(question: EvalQuestion, answers: Sequence[LoggedAnswer], config: RewardConfig) -> Group:
    truth = question.truth
    scores = [
        score_answer(one.response, truth, question.network, config).as_dict() for one in answers
    ]
    return Group(
        stage="sample",
        kind=str(truth.type),
        row=question.index,
        slot=question.index,
        epoch=0,
        repeat=False,
        scores={name: tuple(one[name] for one in scores) for name in scores[0]},
        place=f"{truth.country}/{truth.city}",
        transfers=truth.question_transfer_count if truth.is_planning else None,
    )


def _by_name(groups: Sequence[Group]) -> Iterator[tuple[str, list[Group]]]:
    for name in result_names(groups):
        yield name, [group for group in groups if name in group.counted_as]


def _signal(name: str, groups: Sequence[Group]) -> Signal:
    metrics = group_metrics(groups)
    return Signal(
        kind=name,
        groups=len(groups),
        accuracy=metrics["acc"],
        unreadable=metrics["unreadable"],
        reward=metrics["score"],
        no_signal=_share(groups, "no_signal", name),
        no_signal_binary=_share(groups, "no_signal_binary", name),
    )


def _share(groups: Iterable[Group], metric: str, name: str) -> Interval:
    found = [(group_metrics([group])[metric], group.place) for group in groups]
    values, places = (tuple(column) for column in zip(*found, strict=True))
    return interval(Sample(values, (1.0,) * len(values), places), name=f"{metric}/{name}")
