"""Every number of the reward, and the checks that keep its properties true.

``R = W · (format + correctness + α · detail)``, ``W = map weight + question weight``
(RewardMap, arXiv 2510.02240, section 4.2). The keys are those of the recipe's ``reward.rewardmap``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rewardmap_verl.errors import ConfigError

__all__ = ["DetailItems", "MapWeights", "QuestionWeights", "RewardConfig", "load_reward_config"]

BLOCK: Final = "reward.rewardmap"
_LARGEST: Final = 1e6

_Positive = Annotated[float, Field(gt=0, le=_LARGEST, allow_inf_nan=False)]
_AtLeastZero = Annotated[float, Field(ge=0, le=_LARGEST, allow_inf_nan=False)]
_Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class _Settings(BaseModel):
    """Strict: a typing error is an error, and a word or a truth value is not a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MapWeights(_Settings):
    """γ, the weight of a map by its difficulty (paper table 7, main setting)."""

    easy: _Positive = 1.0
    middle: Annotated[_Positive, Field(validation_alias=AliasChoices("middle", "medium"))] = 1.2
    """The papers say medium, the published data middle; both keys are read."""
    hard: _Positive = 1.5


class QuestionWeights(_Settings):
    """β, added for a planning question by its number of transfers (paper 4.2 and table 7)."""

    direct: _AtLeastZero = 0.0
    transfers: _AtLeastZero = 0.5


class DetailItems(_Settings):
    """What the items of a route are worth before they are scaled to the cap.

    The values of algorithm 1 (+2 for both ends, here one each, for the paper's text rewards them
    apart; +4 for the line of a direct trip; +1 for a transfer; −5 for a surplus leg) and of the
    released code (+3 for each line of a trip with transfers).
    """

    origin: _Positive = 1.0
    destination: _Positive = 1.0
    direct_line: _AtLeastZero = 4.0
    line: _AtLeastZero = 3.0
    transfer: _AtLeastZero = 1.0
    surplus_leg: _Positive = 5.0

    def total(self, legs: int) -> float:
        """Return what a perfect route of so many legs is worth, at least one leg."""
        lines = self.direct_line if legs == 1 else self.line * legs
        return self.origin + self.destination + lines + self.transfer * (legs - 1)


class RewardConfig(_Settings):
    """Settings of the reward. Build it with :func:`load_reward_config` from a recipe.

    Raises:
        pydantic.ValidationError: A key is unknown, a value out of range, or the values together
            would let a wrong answer outscore a right one.
    """

    alpha: _AtLeastZero = 0.5
    """α, the weight of detail (paper 0.5; table 6 also tries 0.3 and 0.7)."""
    correctness: _Positive = 10.0
    """Reward of a right answer (released code)."""
    format: _AtLeastZero = 1.0
    """Reward of the exact form. The paper names it without a number; ours is small."""
    format_floor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.5
    """Share of the format reward for an answer that is readable but far from the asked form."""
    detail_cap: _Positive = 10.0
    """Detail of a perfect route (paper: 10)."""
    detail_floor: _AtLeastZero = 0.0
    """Least detail of a readable route. Not below 0: it must never pay to be unreadable."""
    wrong_share: _Share = 0.8
    """Most of the cap that the detail of a wrong route can reach."""
    items: DetailItems = DetailItems()
    map_weights: MapWeights = MapWeights()
    question_weights: QuestionWeights = QuestionWeights()
    use_format: bool = True
    """False leaves the format reward out (ablation)."""
    use_detail: bool = True
    """False leaves the detail reward out (ablation)."""
    use_difficulty: bool = True
    """False weighs every question 1 (ablation)."""
    max_characters: Annotated[int, Field(ge=1024, le=1_048_576)] = 65_536
    """Most characters of a response that are read: three quarters from its end, the rest from its
    beginning. Ten times the longest answer that 2,048 tokens can hold."""
    max_legs: Annotated[int, Field(ge=8, le=1024)] = 128
    """Most legs of a route that are read; more cannot be a route of any network."""

    @property
    def format_value(self) -> float:
        """The format reward as switched."""
        return self.format if self.use_format else 0.0

    @property
    def detail_weight(self) -> float:
        """α as switched."""
        return self.alpha if self.use_detail else 0.0

    @property
    def wrong_cap(self) -> float:
        """Most detail of a wrong route."""
        return self.wrong_share * self.detail_cap

    @model_validator(mode="after")
    def _right_beats_wrong(self) -> RewardConfig:
        if self.detail_floor >= self.wrong_cap:
            raise ValueError(
                f"detail_floor: found {self.detail_floor}; it must be below wrong_share · "
                f"detail_cap = {self.wrong_cap:g}, or no partial credit is left"
            )
        best_wrong = self.format_value + self.detail_weight * self.wrong_cap
        least_right = self.correctness + self.detail_weight * self.detail_floor
        if best_wrong >= least_right:
            raise ValueError(
                f"alpha: found {self.alpha}; a wrong answer could earn {best_wrong:g} and a right "
                f"one as little as {least_right:g}. Lower alpha, format, detail_cap or "
                "wrong_share, or raise correctness"
            )
        return self


def load_reward_config(settings: Mapping[str, Any] | None, where: str = BLOCK) -> RewardConfig:
    """Build the settings from the recipe's block, already turned into plain Python values.

    Raises:
        ConfigError: Naming the key, such as ``reward.rewardmap.alpha``.
    """
    try:
        return RewardConfig.model_validate(dict(settings or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        keys = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "value_error":  # one of ours: "key: found value; what is wrong"
            key, _, reason = str(fault["ctx"]["error"]).partition(": ")
            raise ConfigError(f"{where}.{key}", hint=f"{reason[:1].upper()}{reason[1:]}.") from None
        hint = {
            "extra_forbidden": "No such key; the keys are those of RewardConfig (docs/reward.md).",
        }.get(fault["type"], f"{fault['msg']}.")
        raise ConfigError(f"{where}.{keys}", found=fault["input"], hint=hint) from None
