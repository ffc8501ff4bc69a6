"""Checks of batch sizes, token budgets and how they divide over the GPUs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from omegaconf import DictConfig

from rewardmap_verl.preflight.checks.values import (
    gpu_count,
    require_int,
    rollout_counts,
    select,
    sequence_parallel_size,
)
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_batch", "check_micro_batches", "check_replicas", "check_tokens"]

_ROLE = "actor_rollout_ref."
_MINI_BATCH = f"{_ROLE}actor.ppo_mini_batch_size"


def check_batch(config: DictConfig) -> Iterator[Diagnostic]:
    """Report batches that do not divide evenly.

    verl pads such a batch with sequences that have no image, and Qwen2.5-VL crashes on them
    (transformers 5.9).
    """
    size = sequence_parallel_size(config)
    if gpu_count(config) % size:
        yield Diagnostic(
            f"{_ROLE}actor.ulysses_sequence_parallel_size",
            f"It must divide the number of GPUs, {gpu_count(config)}.",
            size,
        )
        return
    yield from _mini_batch(config, gpu_count(config) // size)
    batch = require_int(config, "data.train_batch_size")
    fetched = select(config, "data.gen_batch_size", batch)
    if fetched != batch:
        yield Diagnostic(
            "data.gen_batch_size",
            f"Leave it null, or stages end inside a step of {batch}.",
            fetched,
        )


def _mini_batch(config: DictConfig, ranks: int) -> Iterator[Diagnostic]:
    batch = require_int(config, "data.train_batch_size")
    rollouts = require_int(config, f"{_ROLE}rollout.n")
    update = require_int(config, _MINI_BATCH)
    if update * rollouts % ranks:
        yield Diagnostic(
            _MINI_BATCH,
            f"{update} prompts × {rollouts} rollouts do not divide over {ranks} ranks. "
            f"Choose a multiple of {ranks // math.gcd(ranks, rollouts)}.",
            update,
        )
    elif batch % update:
        yield Diagnostic(
            _MINI_BATCH,
            f"It must divide data.train_batch_size={batch}, or verl pads {batch * rollouts} "
            f"sequences to {-(-batch // update) * update * rollouts}, and padding without an image "
            f"crashes Qwen2.5-VL. Set it to {batch}.",
            update,
        )


def check_micro_batches(config: DictConfig) -> Iterator[Diagnostic]:
    """Report fixed micro-batches that do not divide the sequences of a rank.

    verl's engine asserts this only after the rollout.
    """
    ranks = max(1, gpu_count(config) // sequence_parallel_size(config))
    batch = require_int(config, "data.train_batch_size")
    update = require_int(config, _MINI_BATCH)
    for key, dynamic, prompts in (
        ("actor.ppo_micro_batch_size_per_gpu", "actor.use_dynamic_bsz", update),
        ("ref.log_prob_micro_batch_size_per_gpu", "ref.log_prob_use_dynamic_bsz", batch),
        ("rollout.log_prob_micro_batch_size_per_gpu", "rollout.log_prob_use_dynamic_bsz", batch),
    ):
        micro = select(config, _ROLE + key)
        if select(config, _ROLE + dynamic) or not isinstance(micro, int):
            continue
        shares = {prompts * rollouts // ranks for rollouts in rollout_counts(config)}
        if any(share % micro for share in shares):
            yield Diagnostic(
                _ROLE + key,
                f"A rank computes {' or '.join(map(str, sorted(shares)))} sequences at a time. "
                f"Choose a divisor of {math.gcd(*shares)}, or set {_ROLE}{dynamic}=True.",
                micro,
            )


def check_tokens(config: DictConfig) -> Iterator[Diagnostic]:
    """Report token budgets below the longest prompt with its response."""
    response = require_int(config, "data.max_response_length")
    longest = require_int(config, "data.max_prompt_length") + response
    shared = longest // sequence_parallel_size(config)
    for key, needed, used in (
        ("actor.ppo_max_token_len_per_gpu", shared, "actor.use_dynamic_bsz"),
        ("ref.log_prob_max_token_len_per_gpu", shared, "ref.log_prob_use_dynamic_bsz"),
        ("rollout.log_prob_max_token_len_per_gpu", shared, "rollout.log_prob_use_dynamic_bsz"),
        ("rollout.max_model_len", longest, "rollout.name"),
    ):
        found = select(config, _ROLE + key)
        if select(config, _ROLE + used) and isinstance(found, int) and found < needed:
            yield Diagnostic(
                _ROLE + key,
                f"The longest prompt with its response has {needed} tokens "
                "(data.max_prompt_length + data.max_response_length). Raise this, or lower those.",
                found,
            )


def check_replicas(config: DictConfig) -> Iterator[Diagnostic]:
    """Report a tensor parallel size that does not divide the GPUs of a node."""
    key = f"{_ROLE}rollout.tensor_model_parallel_size"
    size = require_int(config, key, 1)
    gpus = require_int(config, "trainer.n_gpus_per_node")
    if gpus % size:
        yield Diagnostic(
            key,
            f"It must divide trainer.n_gpus_per_node={gpus}: a vLLM engine does not span nodes.",
            size,
        )
