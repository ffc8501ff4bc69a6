"""Compare the answers of a merged model with those of the last validation.

Both decode greedily. Answers may still differ through rounding: in bfloat16 results depend on the
batch, and ``verl.model_merger`` rounds float32 weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rewardmap_verl.errors import DataError
from rewardmap_verl.reports.rollouts import read_groups
from rewardmap_verl.reports.runs import Run, read_run

if TYPE_CHECKING:
    from rewardmap_verl.evaluation.inference import Engine
    from rewardmap_verl.evaluation.questions import EvalQuestion

__all__ = ["AnswerPair", "ask_again", "last_validation", "spread"]


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Two answers to one question."""

    question: str
    trained: str
    merged: str

    @property
    def same(self) -> bool:
        """Whether the two are equal."""
        return self.trained == self.merged


def last_validation(run: Run) -> dict[str, str]:
    """Return the answers of a run's last dumped validation, by ground truth.

    Raises:
        DataError: The run dumped no validation.
    """
    for dump in reversed(run.dumps):
        found = {
            group.truth_text: str(group.rollouts[-1].response)
            for group in read_groups(dump.path)
            if not isinstance(group, DataError) and group.part == "val"
        }
        if found:
            return found
    hint = "Train with trainer.validation_data_dir=FOLDER, or compare the weights only."
    raise DataError(run.folder, found="no dumped validation", hint=hint)


def spread(items: Sequence[EvalQuestion], count: int) -> list[EvalQuestion]:
    """Return ``count`` questions at equal distances, so that every type is included."""
    if count >= len(items):
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def compare(
    engine: Engine, items: Sequence[EvalQuestion], given: dict[str, str]
) -> list[AnswerPair]:
    """Ask the questions and pair both answers."""
    answers = engine.answer(items)
    return [
        AnswerPair(question.text, given[question.gold], answer.response or "")
        for question, answer in zip(items, answers, strict=True)
    ]


def ask_again(folder: Path, model: Path, data: Path, count: int) -> list[AnswerPair]:
    """Ask a merged model questions of its run's last validation.

    Args:
        folder: The run.
        model: The merged folder.
        data: The prepared folder of the run's validation.
        count: Number of questions, of all types.

    Raises:
        DataError: The run dumped no validation, or one of other questions.
        ConfigError: vLLM fails to load the model.
    """
    from rewardmap_verl.evaluation.inference import Generation, VllmEngine
    from rewardmap_verl.evaluation.questions import read_questions
    from rewardmap_verl.evaluation.sources import prepare_environment

    run = read_run(folder)
    given = last_validation(run)
    questions = read_questions(data)
    known = [question for question in questions.items if question.gold in given]
    if not known:
        hint = "Give the prepared folder of the run's validation."
        raise DataError(data, found="none of the questions of the run's validation", hint=hint)
    chosen = spread(known, count)
    question = replace(questions, items=tuple(chosen))
    longest = run.setting("data.max_response_length")
    generation = Generation(max_tokens=int(longest)) if longest else Generation()
    prepare_environment()
    return compare(VllmEngine(str(model), generation, question), chosen, given)
