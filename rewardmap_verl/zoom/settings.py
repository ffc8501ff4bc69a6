"""Settings of the zoom tool (``data.zoom``)."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.preparation.images import PixelBudget

__all__ = ["BLOCK", "ZoomSettings", "read_zoom", "zoom_settings"]

BLOCK = "data.zoom"


class ZoomSettings(BaseModel):
    """The block ``data.zoom``. The tool is offered if and only if the block exists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_calls: int = Field(default=4, ge=1, le=64)
    """Calls per answer, failed ones included. A further call gets a text answer without a crop."""
    max_pixels: int = Field(default=1024 * 28**2, ge=4 * 28**2)
    """Maximum pixels of a crop; 784 pixels are one visual token of Qwen2.5-VL."""
    min_pixels: int = Field(default=256 * 28**2, ge=4 * 28**2)
    """Minimum pixels of a crop; smaller regions are enlarged, so that small labels become legible
    even where the original has no more detail."""
    call_cost: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """Subtracted from the reward of an answer for each call. 0: calls are neither paid nor
    punished."""
    describe: bool = True
    """Whether the prompt describes the tool. False for a model that was fine-tuned on traces
    without the description."""

    @model_validator(mode="after")
    def _ordered(self) -> ZoomSettings:
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels must be at most max_pixels ({self.max_pixels})")
        return self

    def budget(self, unit: int) -> PixelBudget:
        """Return the limits on a crop's size.

        Args:
            unit: Side of the square of one visual token in pixels: 28, or 32 for Qwen3-VL.
        """
        smallest = max(self.min_pixels, 4 * unit**2)
        return PixelBudget(max(self.max_pixels, smallest), smallest, unit)

    def crop_tokens(self, unit: int = 28) -> int:
        """Return the maximum number of visual tokens of a crop."""
        return self.max_pixels // unit**2


def read_zoom(data: DictConfig) -> ZoomSettings | None:
    """Read and check the block ``zoom`` of verl's ``data`` block; ``None`` if there is none.

    Raises:
        ConfigError: A key is unknown, or a value is out of range.
    """
    block = data.get("zoom")
    return None if block is None else read_block(ZoomSettings, block, BLOCK)


def zoom_settings(words: Sequence[str]) -> ZoomSettings:
    """Return the settings that a command line gives as ``key=value``.

    Raises:
        ConfigError: A key is unknown, or a value is out of range.
    """
    return read_block(ZoomSettings, OmegaConf.from_dotlist(list(words)), "--zoom")
