"""Attention heads that look a word up in the picture, as initial weights of a tiny model.

A model that is to read a map must find the place where a name is printed and take from there what
else it sees. Large models can; a small one with random weights finds it after thousands of steps,
long after it has learned which answers are common. So the heads of the first layer that
:mod:`rewardmap_verl.tiny_model.induction_init` left free start as heads that do it: every token of the
text looks at the visual token that is most like it, and adds what stands there. This is the idea of
Trockman and Kolter, "Mimetic Initialization of Self-Attention Layers" (arXiv 2305.09828). Which
questions there are, and what follows from what is seen, is left to learn.

It needs a tower that writes words into visual tokens (:mod:`rewardmap_verl.tiny_model.vision_pretraining`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rewardmap_verl.tiny_model.induction_init import DISTANCES

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration

__all__ = ["init_visual_lookup_heads"]

LIKENESS = 16.0
"""Logit of attention between a name and the visual token that holds it."""

PREFERENCE = 15.0
"""Logit by which any visual token is preferred, for a word is most like itself."""

STRENGTH = 0.9
"""How loud what is seen is beside the word itself: about as loud."""

CALM = 0.15
"""Factor of the last layer's output: at first no token is much more likely than another. Without
it the first steps, in which the answers' form is learned, would spoil what the tower writes."""

FIRST_STEADY = 8
"""Rotary pairs before this one turn too fast to compare tokens that are some tens apart."""

PARTS_OF_A_VISUAL_TOKEN = 3
"""The mark of a picture, a stop's name and its lines, of like length."""


def init_visual_lookup_heads(
    model: Qwen2_5_VLForConditionalGeneration, generator: torch.Generator
) -> None:
    """Change the free heads of the first layer of ``model``, in place.

    Args:
        model: a model whose visual tokens are sums of embeddings, that of the image's mark among
            them, as :func:`rewardmap_verl.tiny_model.vision_pretraining.pretrain_vision` makes.
        generator: source of the directions in which tokens are compared.
    """
    import torch

    text = model.config.text_config
    width, heads = text.hidden_size, text.num_attention_heads
    language: Any = model.model.language_model
    mark = language.embed_tokens.weight[model.config.image_token_id].detach()
    with torch.no_grad():
        for head in range(len(DISTANCES), heads):
            rows = slice(head * width // heads, (head + 1) * width // heads)
            attention = language.layers[0].self_attn
            _compare(attention, rows, mark / mark.norm(), generator)
            _repeat(attention, rows, generator)
        language.norm.weight.mul_(CALM)


def _compare(attention: Any, rows: slice, mark: torch.Tensor, generator: torch.Generator) -> None:
    """Query and key alike, but for one pair of components: any query, and a picture's mark."""
    import torch

    size, width = rows.stop - rows.start, mark.shape[0]
    steady = [i for i in range(size) if i % (size // 2) >= FIRST_STEADY]
    *alike, last = steady
    some = _directions(len(alike), width, generator)
    some -= (some @ mark)[:, None] * mark
    # Tokens come with norm sqrt(width); of a visual one, the name is one part in three.
    share = len(alike) / PARTS_OF_A_VISUAL_TOKEN**0.5
    query, key, bias = torch.zeros(size, width), torch.zeros(size, width), torch.zeros(size)
    query[alike] = key[alike] = some * (LIKENESS * size**0.5 / share) ** 0.5
    key[last] = mark
    bias[last] = PREFERENCE * size**0.5 / (width / PARTS_OF_A_VISUAL_TOKEN) ** 0.5
    attention.q_proj.weight[rows], attention.k_proj.weight[rows] = query, key
    attention.q_proj.bias[rows], attention.k_proj.bias[rows] = bias, 0.0


def _repeat(attention: Any, rows: slice, generator: torch.Generator) -> None:
    """What is seen is written as it is, as far as it fits through one head."""
    size, width = rows.stop - rows.start, attention.v_proj.weight.shape[1]
    some = _directions(size, width, generator)
    attention.v_proj.weight[rows] = some
    attention.o_proj.weight[:, rows] = STRENGTH * (width / size) ** 0.5 * some.T


def _directions(count: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Random directions at right angles, one a row."""
    import torch

    rotation, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    return rotation[:count]
