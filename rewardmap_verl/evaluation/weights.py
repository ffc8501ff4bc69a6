"""Difficulty weights of the benchmarks' weighted metrics.

Planning questions have nine weights by (question, map) level, all others three by map level. The
weights are data (``weights.yaml``), with their source.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, ValidationError

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.inputs.files import read_text
from rewardmap_verl.inputs.parsing import parse_yaml
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.transit.difficulty import LEVELS, MapDifficulty

__all__ = ["Weights", "load_weights", "question_level"]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ByMap(_Block):
    """One weight per level of the map."""

    easy: PositiveFloat
    middle: PositiveFloat
    hard: PositiveFloat


class ByQuestionAndMap(_Block):
    """One weight per level of the question and of the map."""

    easy: ByMap
    middle: ByMap
    hard: ByMap


class Weights(_Block):
    """The weights of both benchmarks; all above 0."""

    reasonmap: ByQuestionAndMap
    reasonmap_plus: ByMap

    def of(self, truth: GroundTruth) -> float:
        """Return the weight of a question in its benchmark's weighted metrics."""
        by_map: ByMap = self.reasonmap_plus
        if truth.is_planning:
            by_map = getattr(self.reasonmap, question_level(truth))
        weight: float = getattr(by_map, truth.difficulty_city)
        return weight


def question_level(truth: GroundTruth) -> MapDifficulty:
    """Return the level of a planning question: 0 transfers easy, 1 middle, 2 or more hard.

    Source: ReasonMap, arXiv 2505.18675, section 3.2. Questions of other types are easy.
    """
    return LEVELS[min(truth.question_transfer_count, 2)]


@cache
def _shipped() -> Weights:
    text = files("rewardmap_verl.evaluation").joinpath("weights.yaml").read_text(encoding="utf-8")
    return Weights.model_validate(parse_yaml(text))


def load_weights(path: Path | None = None) -> Weights:
    """Return the weights of a file, or the papers' weights.

    Raises:
        ConfigError: The file cannot be read, or a weight is missing or not above 0.
    """
    if path is None:
        return _shipped()
    try:
        return Weights.model_validate(parse_yaml(read_text(path)))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        hint = f"{first['msg']}. The file needs the keys of evaluation/weights.yaml."
        raise ConfigError(path, key, first.get("input"), hint) from None
    except DataError:
        raise
    except ValueError as error:
        raise ConfigError(path, found=str(error), hint="Give a valid YAML file.") from None
