"""The maps and questions of a protocol, prepared as ``rewardmap prepare synthetic`` does."""

from __future__ import annotations

from pathlib import Path

from benchmarks.evidence.protocol import World
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import SIZES, PrepareSettings
from rewardmap_verl.questions.sampling import Quotas

__all__ = ["prepare_maps"]


def prepare_maps(world: World, prompt_tokens: int, out: Path, workers: int = 0) -> Manifest:
    """Prepare the pocket maps and questions of a protocol; an up-to-date folder is kept.

    Args:
        world: Numbers of maps and questions.
        prompt_tokens: Longest prompt, image and text together.
        out: The folder to write.
        workers: Processes; 0 takes one per core.

    Raises:
        DataError: A prompt is too long, or the folder cannot be written.
    """
    size = SIZES["pocket"]
    return prepare(
        PrepareSettings(
            source="synthetic",
            out=out,
            seed=world.seed,
            quotas=_quotas(world),
            brief=size.brief,
            budget=PixelBudget(max_pixels=size.max_pixels, min_pixels=size.min_pixels),
            max_prompt_length=prompt_tokens,
            train_maps=world.train_maps,
            test_maps=world.test_maps,
            networks=size.networks,
            style=size.style,
            workers=workers,
        )
    )


def _quotas(world: World) -> Quotas:
    none = dict.fromkeys(("torf1", "torf2", "counting1", "counting2", "counting3", "planning"), 0)
    chosen = {kind.lower(): count for kind, count in world.questions.items()}
    return Quotas(**{**none, **chosen}, forms=("short",))
