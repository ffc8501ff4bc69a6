"""Stand-in for flash-attn on a CPU: its functions, computed with torch's attention per sequence."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention


def flash_attn_func(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    deterministic: bool = False,
) -> torch.Tensor:
    """Attention of a batch, sequences × tokens × heads × features."""
    assert dropout_p == 0.0
    assert window_size == (-1, -1)
    heads_first = (one.transpose(1, 2) for one in (q, k, v))
    output = scaled_dot_product_attention(
        *heads_first, is_causal=causal, scale=softmax_scale, enable_gqa=True
    )
    return output.transpose(1, 2)


def flash_attn_varlen_func(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens_q: torch.Tensor,
    cu_seqlens_k: torch.Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    deterministic: bool = False,
) -> torch.Tensor:
    """Attention of packed sequences, tokens × heads × features."""
    bounds = [one.tolist() for one in (cu_seqlens_q, cu_seqlens_k)]
    assert bounds[0] == bounds[1]
    assert bounds[0][-1] == len(q)
    spans = [slice(*pair) for pair in zip(bounds[0], bounds[0][1:], strict=False)]
    assert max(span.stop - span.start for span in spans) <= int(max_seqlen_q)
    return torch.cat(
        [
            flash_attn_func(
                q[None, span], k[None, span], v[None, span], dropout_p, softmax_scale, causal
            )[0]
            for span in spans
        ]
    )


def unused(*_: Any, **__: Any) -> None:
    """Fail: padding is for batches with an attention mask."""
    raise AssertionError("packed sequences have no padding")


def install() -> None:
    """Make this process believe in flash-attn; call it before transformers' models are imported."""
    import transformers.utils
    from transformers.utils import import_utils

    for place in (transformers.utils, import_utils):
        for name in ("is_flash_attn_2_available", "is_flash_attn_greater_or_equal_2_10"):
            setattr(place, name, lambda: True)
    import_utils.PACKAGE_DISTRIBUTION_MAPPING["flash_attn"] = ["flash-attn"]
    module, padding = ModuleType("flash_attn"), ModuleType("flash_attn.bert_padding")
    for one in (module, padding):
        one.__spec__ = ModuleSpec(one.__name__, None)
        sys.modules[one.__name__] = one
    here = sys.modules[__name__]
    for name in ("flash_attn_func", "flash_attn_varlen_func"):
        setattr(module, name, getattr(here, name))
    setattr(module, "flash_attn_with_kvcache", unused)  # noqa: B010
    for name in ("pad_input", "unpad_input"):
        setattr(padding, name, unused)

    from transformers import modeling_flash_attention_utils as utilities

    # flash-attn computes in half precision only, so transformers and verl would round to it.
    utilities.fa_peft_integration_check = lambda q, k, v, target_dtype=None: (q, k, v)
    entry = utilities.FLASH_ATTENTION_COMPATIBILITY_MATRIX[2]
    entry["general_availability_check"] = entry["pkg_availability_check"] = lambda *_, **__: True
    entry["supported_devices"] = ((lambda: True, "cpu"),)
