"""Checks of supervised fine-tuning with verl's SFT trainer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from rewardmap_verl.preflight.checks.values import gpu_count, require_int, select
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_sft_batch", "check_sft_rows"]


def check_sft_rows(config: DictConfig) -> Iterator[Diagnostic]:
    """Report missing conversations, and a token budget below the longest of them."""
    key = "data.train_files"
    found = str(select(config, key, ""))
    if not Path(found).is_file():
        yield Diagnostic(
            key,
            f"There is no such file (relative paths start at {Path.cwd()}). Write it with "
            f"rewardmap sft-rows {select(config, 'data.folder', 'FOLDER')}.",
            found,
        )
    budget = require_int(config, "data.max_token_len_per_gpu")
    longest = require_int(config, "data.max_length")
    if select(config, "data.use_dynamic_bsz") and budget < longest:
        yield Diagnostic(
            "data.max_token_len_per_gpu",
            f"The longest conversation has data.max_length={longest} tokens. Raise this.",
            budget,
        )


def check_sft_batch(config: DictConfig) -> Iterator[Diagnostic]:
    """Report a batch that does not divide over the GPUs."""
    batch = require_int(config, "data.train_batch_size")
    if batch % gpu_count(config):
        yield Diagnostic(
            "data.train_batch_size", f"Choose a multiple of the {gpu_count(config)} GPUs.", batch
        )
