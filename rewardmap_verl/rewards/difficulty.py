"""The weight of a question: W = W_map + W_question (RewardMap, arXiv 2510.02240, section 4.2)."""

from __future__ import annotations

from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.ground_truth import GroundTruth

__all__ = ["difficulty_weight"]


def difficulty_weight(truth: GroundTruth, config: RewardConfig) -> float:
    """Return the weight W > 0; 1 if difficulty weighting is switched off.

    A planning question with two transfers on a hard map has W = 1.5 + 0.5 = 2.0.
    """
    if not config.use_difficulty:
        return 1.0
    weight: float = getattr(config.map_weights, truth.difficulty_city)
    if truth.is_planning:
        question = config.question_weights
        weight += question.transfers if truth.question_transfer_count else question.direct
    return weight
