"""Log-probabilities in blocks of tokens instead of token by token.

Upstream: without flash-attn verl computes ``logsumexp`` in a Python loop over the first dimension
of the logits to save memory (``logprobs_from_logits_v2`` in ``verl/utils/torch_functional.py``).
The FSDP engines pass packed logits ``[tokens, vocabulary]``, so the loop creates a tensor and a
node of the backward graph per token: with a tiny model and 10,000 tokens per pass, a quarter of the
actor's time. Blocks of rows bound the memory just as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardmap_verl.patching import Patch, Platform

if TYPE_CHECKING:
    import torch

__all__ = ["PATCH", "logprobs_from_logits"]

BLOCK_SIZE = 2**23
"""Logits per block: 32 MiB in fp32."""


def logprobs_from_logits(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of each label, as verl's ``logprobs_from_logits_v2``.

    Args:
        logits: ``[..., vocabulary]``, of any floating type.
        labels: Indices into the vocabulary, of the shape of ``logits`` without its last dimension.

    Returns:
        A tensor of the shape of ``labels``, equal to verl's up to rounding.
    """
    import torch

    rows, wanted = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1, 1)
    step = max(1, BLOCK_SIZE // logits.shape[-1])
    if logits.dtype in (torch.float32, torch.float64):
        blocks = [torch.logsumexp(block, dim=-1) for block in rows.split(step)]
        found = rows.gather(-1, wanted).squeeze(-1) - torch.cat(blocks)
    else:  # as verl: the difference of two large numbers is too coarse in these types
        found = torch.cat(
            [
                torch.log_softmax(block, dim=-1).gather(-1, some).squeeze(-1)
                for block, some in zip(rows.split(step), wanted.split(step), strict=True)
            ]
        )
    return found.reshape(labels.shape)


PATCH = Patch(
    target="verl.utils.torch_functional:logprobs_from_logits_v2",
    signature="(logits, labels)",
    replacement=lambda _original: logprobs_from_logits,
    reason="Without flash-attn, log-probabilities are computed in a Python loop over tokens.",
    upstream="verl: compute logsumexp in blocks of rows in logprobs_from_logits_v2.",
    seen_in="verl 0.9.1",
    platform=Platform.CPU,
)
