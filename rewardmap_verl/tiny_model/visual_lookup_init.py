"""Initial attention heads of a tiny model that look a word up in the image.

To read a map, a model must find the position where a name is printed and read what else is there.
Large models can do that. A small model with random weights learns it after thousands of steps, long
after it has learned which answers are common. The heads of the first layer that
``rewardmap_verl.tiny_model.induction_init`` leaves free are therefore initialized for it: every
text token attends to the most similar visual token and adds its content. This follows Trockman and
Kolter, "Mimetic Initialization of Self-Attention Layers" (arXiv 2305.09828). The questions and the
conclusions from the content still have to be learned.

It requires a tower that writes words into visual tokens
(``rewardmap_verl.tiny_model.vision_pretraining``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rewardmap_verl.tiny_model.induction_init import DISTANCES

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

__all__ = ["init_visual_lookup_heads"]

SIMILARITY = 16.0
"""Attention logit between a name and the visual token that contains it."""

IMAGE_BIAS = 15.0
"""Attention logit in favor of visual tokens; without it a word attends to itself."""

OUTPUT_SCALE = 0.9
"""Norm of the head's output relative to the residual stream."""

FINAL_NORM_SCALE = 0.15
"""Factor of the final norm, which makes the initial token distribution nearly uniform. Without it
the first steps, which learn the answer formats, would overwrite what the tower encodes."""

FIRST_STABLE_PAIR = 8
"""Rotary pairs before this one rotate too fast to compare tokens some tens of positions apart."""


def init_visual_lookup_heads(
    model: Qwen2_5_VLForConditionalGeneration, parts: int, generator: torch.Generator
) -> None:
    """Initialize the free heads of the first layer of ``model`` in place.

    Args:
        model: Model whose visual tokens are sums of embeddings that include the image token, as
            ``rewardmap_verl.tiny_model.vision_pretraining.pretrain_vision`` makes them.
        parts: Parts of a visual token of similar norm: image token, stop name, lines, and perhaps
            a place.
        generator: Source of the random directions in which tokens are compared.
    """
    import torch

    text = model.config.text_config
    width, heads = text.hidden_size, text.num_attention_heads
    language: Any = model.model.language_model
    image_token = language.embed_tokens.weight[model.config.image_token_id].detach()
    direction = image_token / image_token.norm()
    with torch.no_grad():
        for head in range(len(DISTANCES), heads):
            rows = slice(head * width // heads, (head + 1) * width // heads)
            attention = language.layers[0].self_attn
            _init_query_and_key(attention, rows, direction, parts, generator)
            _init_copy(attention, rows, generator)
        language.norm.weight.mul_(FINAL_NORM_SCALE)


def _init_query_and_key(
    attention: Any,
    rows: slice,
    image_token: torch.Tensor,
    parts: int,
    generator: torch.Generator,
) -> None:
    """Set equal query and key projections, plus one component that favors visual tokens.

    Args:
        attention: Attention module to change.
        rows: Rows of the head in the projections.
        image_token: Embedding of the image token, normalized.
        parts: Parts of a visual token.
        generator: Source of the random directions.
    """
    import torch

    size, width = rows.stop - rows.start, image_token.shape[0]
    stable = [i for i in range(size) if i % (size // 2) >= FIRST_STABLE_PAIR]
    *shared, last = stable
    projection = _orthogonal_rows(len(shared), width, generator)
    projection -= (projection @ image_token)[:, None] * image_token
    # Token norms are sqrt(width); the name is one of the parts of a visual token.
    share = len(shared) / parts**0.5
    query, key, bias = torch.zeros(size, width), torch.zeros(size, width), torch.zeros(size)
    query[shared] = key[shared] = projection * (SIMILARITY * size**0.5 / share) ** 0.5
    key[last] = image_token
    bias[last] = IMAGE_BIAS * size**0.5 / (width / parts) ** 0.5
    attention.q_proj.weight[rows], attention.k_proj.weight[rows] = query, key
    attention.q_proj.bias[rows], attention.k_proj.bias[rows] = bias, 0.0


def _init_copy(attention: Any, rows: slice, generator: torch.Generator) -> None:
    """Make the head copy the attended token, projected onto the rank of one head."""
    size, width = rows.stop - rows.start, attention.v_proj.weight.shape[1]
    projection = _orthogonal_rows(size, width, generator)
    attention.v_proj.weight[rows] = projection
    attention.o_proj.weight[:, rows] = OUTPUT_SCALE * (width / size) ** 0.5 * projection.T


def _orthogonal_rows(count: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Return random orthonormal rows."""
    import torch

    rotation, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    return rotation[:count]
