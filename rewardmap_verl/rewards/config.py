"""All numbers of the reward, with the validation that preserves its guarantees.

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
    """Base of the settings: unknown keys are rejected and types are not coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MapWeights(_Settings):
    """Map weight γ by map difficulty (paper, table 7, main setting)."""

    easy: _Positive = 1.0
    middle: Annotated[_Positive, Field(validation_alias=AliasChoices("middle", "medium"))] = 1.2
    """The papers say "medium", the published data "middle"; both keys are accepted."""
    hard: _Positive = 1.5


class QuestionWeights(_Settings):
    """Question weight β of a planning question by transfers (paper, section 4.2 and table 7)."""

    direct: _AtLeastZero = 0.0
    transfers: _AtLeastZero = 0.5


class DetailItems(_Settings):
    """Worth of each item of a route before scaling to ``detail_cap``.

    Values follow algorithm 1 of the paper (+2 for both ends, here +1 each because the paper's text
    rewards them separately; +4 for the line of a direct trip; +1 per transfer; −5 per surplus leg)
    and the released code (+3 per line of a trip with transfers).
    """

    origin: _Positive = 1.0
    destination: _Positive = 1.0
    direct_line: _AtLeastZero = 4.0
    line: _AtLeastZero = 3.0
    transfer: _AtLeastZero = 1.0
    surplus_leg: _Positive = 5.0

    def total(self, legs: int) -> float:
        """Return the total worth of a perfect route with ``legs`` legs (at least 1)."""
        lines = self.direct_line if legs == 1 else self.line * legs
        return self.origin + self.destination + lines + self.transfer * (legs - 1)


class RewardConfig(_Settings):
    """Settings of the reward. Use ``load_reward_config`` to build it from a recipe.

    Raises:
        pydantic.ValidationError: A key is unknown, a value is out of range, or the combination
            would let a wrong answer outscore a correct one.
    """

    alpha: _AtLeastZero = 0.5
    """Weight α of the detail reward (paper: 0.5; table 6 also tries 0.3 and 0.7)."""
    correctness: _Positive = 10.0
    """Reward of a correct answer (released code: 10)."""
    format: _AtLeastZero = 1.0
    """Reward of the exact format. The paper gives no number; ours is small."""
    format_floor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.5
    """Minimum share of the format reward for a readable answer."""
    detail_cap: _Positive = 10.0
    """Detail reward of a perfect route (paper: 10)."""
    detail_floor: _AtLeastZero = 0.0
    """Minimum detail reward of a readable route. Never negative, so that an unreadable answer
    never scores higher than a readable one."""
    wrong_share: _Share = 0.8
    """Maximum share of ``detail_cap`` for a wrong route."""
    items: DetailItems = DetailItems()
    map_weights: MapWeights = MapWeights()
    question_weights: QuestionWeights = QuestionWeights()
    use_format: bool = True
    """False removes the format reward (ablation)."""
    use_detail: bool = True
    """False removes the detail reward (ablation)."""
    use_difficulty: bool = True
    """False sets the weight of every question to 1 (ablation)."""
    max_characters: Annotated[int, Field(ge=1024, le=1_048_576)] = 65_536
    """Maximum number of characters read: three quarters from the end of the response, the rest
    from its beginning. About ten times the longest answer that fits 2,048 tokens."""
    max_legs: Annotated[int, Field(ge=8, le=1024)] = 128
    """Maximum number of legs read; no network has a longer route."""

    @property
    def format_value(self) -> float:
        """Format reward, 0 if switched off."""
        return self.format if self.use_format else 0.0

    @property
    def detail_weight(self) -> float:
        """Detail weight α, 0 if switched off."""
        return self.alpha if self.use_detail else 0.0

    @property
    def wrong_cap(self) -> float:
        """Maximum detail reward of a wrong route."""
        return self.wrong_share * self.detail_cap

    @model_validator(mode="after")
    def _right_beats_wrong(self) -> RewardConfig:
        if self.detail_floor >= self.wrong_cap:
            raise ValueError(
                f"detail_floor: found {self.detail_floor}; it must be below wrong_share · "
                f"detail_cap = {self.wrong_cap:g}, otherwise no partial credit remains"
            )
        best_wrong = self.format_value + self.detail_weight * self.wrong_cap
        least_right = self.correctness + self.detail_weight * self.detail_floor
        if best_wrong >= least_right:
            raise ValueError(
                f"alpha: found {self.alpha}; a wrong answer could earn {best_wrong:g} and a "
                f"correct one as little as {least_right:g}. Lower alpha, format, detail_cap or "
                "wrong_share, or raise correctness"
            )
        return self


def load_reward_config(settings: Mapping[str, Any] | None, where: str = BLOCK) -> RewardConfig:
    """Build the settings from the recipe's block, given as plain Python values.

    Raises:
        ConfigError: A setting is invalid; the error names its key, e.g.
            ``reward.rewardmap.alpha``.
    """
    try:
        return RewardConfig.model_validate(dict(settings or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        keys = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "value_error":  # raised above as "key: found value; reason"
            key, _, reason = str(fault["ctx"]["error"]).partition(": ")
            raise ConfigError(f"{where}.{key}", hint=f"{reason[:1].upper()}{reason[1:]}.") from None
        hint = {
            "extra_forbidden": "No such key; the keys are those of RewardConfig (docs/reward.md).",
        }.get(fault["type"], f"{fault['msg']}.")
        raise ConfigError(f"{where}.{keys}", found=fault["input"], hint=hint) from None
