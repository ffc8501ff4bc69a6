"""How well an answer keeps to the asked form: 1 exactly, less when readable, 0 when not."""

from __future__ import annotations

from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.parts import form_share
from rewardmap_verl.rewards.routes import FormFault, RouteAnswer
from rewardmap_verl.rewards.short_answer import AnswerSource, ShortAnswer

__all__ = ["route_form", "short_form"]


def short_form(answer: ShortAnswer, config: RewardConfig) -> float:
    """Return the share of the format reward of a short answer, 0 to 1.

    The box is what is asked for: without one there is none, however clear the answer.
    """
    if answer.value is None or answer.source is not AnswerSource.BOX:
        return 0.0
    return form_share(0 if answer.exact else 1, 1, config)


def route_form(answer: RouteAnswer, config: RewardConfig) -> float:
    """Return the share of the format reward of a route, 0 to 1.

    Each of the four kinds of :class:`~rewardmap_verl.rewards.routes.FormFault` costs the same.
    """
    if not answer.legs:
        return 0.0
    return form_share(len(answer.form_faults), len(FormFault), config)
