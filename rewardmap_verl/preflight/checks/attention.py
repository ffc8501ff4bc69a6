"""Check that flash-attn is installed where the run packs its sequences."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from omegaconf import DictConfig

from rewardmap_verl.preflight.checks.values import Check, select
from rewardmap_verl.preflight.diagnostics import Diagnostic
from rewardmap_verl.preflight.nvidia import FLASH_ATTN_COMMAND

__all__ = ["check_attention"]


def check_attention(block: str, option: str) -> Check:
    """Return the check of the model block at a key.

    Args:
        block: Key of the model block.
        option: Option of the recipe that replaces flash-attn.
    """

    def check(config: DictConfig) -> Iterator[Diagnostic]:
        packed = select(config, f"{block}.use_remove_padding", False)
        attention = select(config, f"{block}.override_config.attn_implementation", "flash")
        if select(config, "trainer.device") == "cpu" or not (packed or "flash" in str(attention)):
            return
        if not has_flash_attn():
            yield Diagnostic(
                "flash-attn",
                "It is not installed, and the recipe packs its sequences with it. Install a "
                f"prebuilt wheel: {FLASH_ATTN_COMMAND} -- or train without it: '+{option}=[sdpa]', "
                "which pads every micro-batch and is slower.",
            )

    return check


def has_flash_attn() -> bool:
    """Return whether flash-attn can be imported; it is not imported for it."""
    return find_spec("flash_attn") is not None
