"""Format share of an answer: 1 if exact, less if readable, 0 if unreadable."""

from __future__ import annotations

from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.parts import form_share
from rewardmap_verl.rewards.routes import FormFault, RouteAnswer
from rewardmap_verl.rewards.short_answer import AnswerSource, ShortAnswer

__all__ = ["route_form", "short_form"]


def short_form(answer: ShortAnswer, config: RewardConfig) -> float:
    """Return the share of the format reward of a short answer, 0 to 1.

    The question asks for a box, so an answer without one earns nothing here.
    """
    if answer.value is None or answer.source is not AnswerSource.BOX:
        return 0.0
    return form_share(0 if answer.exact else 1, 1, config)


def route_form(answer: RouteAnswer, config: RewardConfig) -> float:
    """Return the share of the format reward of a route, 0 to 1.

    Each of the four kinds of ``FormFault`` costs an equal
    share.
    """
    if not answer.legs:
        return 0.0
    return form_share(len(answer.form_faults), len(FormFault), config)
