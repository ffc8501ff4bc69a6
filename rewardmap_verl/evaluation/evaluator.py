"""Evaluate sources of answers: models, saved answers and baselines, one after another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rewardmap_verl.evaluation.baselines import BASELINES
from rewardmap_verl.evaluation.questions import Mask
from rewardmap_verl.evaluation.results import Evaluation, evaluate_answers
from rewardmap_verl.evaluation.saved import LOG_NAME
from rewardmap_verl.evaluation.sources import AnswerSources
from rewardmap_verl.evaluation.weights import Weights
from rewardmap_verl.rewards.config import RewardConfig

__all__ = ["Evaluator"]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Gets the answers of a source and judges them."""

    sources: AnswerSources
    weights: Weights
    config: RewardConfig = field(default_factory=RewardConfig)

    def evaluate(
        self,
        source: str,
        name: str,
        log: Path,
        breakdown: bool = True,
        mask: Mask | None = None,
    ) -> Evaluation:
        """Evaluate one source.

        Args:
            source: A model, saved answers, or the name of a baseline.
            name: Its name in tables.
            log: The file that the answers of a model are appended to.
            breakdown: Also compute metrics by level and by map.
            mask: What a model sees in place of the maps.

        Raises:
            DataError, ConfigError: The source, its answers or the log cannot be used.
        """
        gathered = self.sources.answers(source, log, mask)
        return evaluate_answers(
            name,
            gathered.answers,
            self.sources.questions,
            self.weights,
            self.config,
            self.sources.seed,
            gathered.notes,
            breakdown,
        )

    def evaluate_masked(
        self, source: str, name: str, folder: Path, masks: Sequence[Mask]
    ) -> list[Evaluation]:
        """Ask a model again with its maps masked, once for each mask.

        Args:
            source: The model.
            name: Its name in tables.
            folder: Where answer logs are kept, ``answers-MASK.jsonl``.
            masks: What the model sees in place of the maps.

        Raises:
            DataError, ConfigError: The source is no model, or a log cannot be used.
        """
        return [
            self.evaluate(
                source,
                f"{name}, {mask.value}",
                folder / f"answers-{mask.value.replace(' ', '-')}.jsonl",
                mask=mask,
            )
            for mask in masks
        ]

    def evaluate_pair(
        self, source: str, against: str | None, name: str, folder: Path, log: Path | None
    ) -> list[Evaluation]:
        """Evaluate a source, and the source that it is compared with if there is one.

        Args:
            source: The first source.
            against: The second source.
            name: Name of the first in tables.
            folder: Where answer logs are kept.
            log: Answer log of the first; ``answers.jsonl`` in the folder by default.

        Raises:
            DataError, ConfigError: A source, its answers or a log cannot be used.
        """
        found = [self.evaluate(source, name, log or folder / LOG_NAME)]
        if against is not None:
            second = self.sources.default_name(against)
            second = f"{second} (second)" if second == name else second
            found.append(self.evaluate(against, second, folder / "answers-second.jsonl"))
        return found

    def evaluate_baselines(self, exclude: Collection[str | None]) -> list[Evaluation]:
        """Evaluate the baselines, except those that are sources already."""
        names = [name for name in BASELINES if name not in exclude]
        return [self.evaluate(name, name, Path(), breakdown=False) for name in names]
