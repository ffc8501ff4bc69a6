"""The function that vLLM calls at the start of each of its processes.

It is registered as entry point ``vllm.general_plugins``. vLLM's engines join process groups without
importing verl, so the patches that they need are applied here.
"""

from __future__ import annotations

__all__ = ["register"]


def register() -> None:
    """Apply the patches of vLLM's processes."""
    from rewardmap_verl.cpu import vllm_plugin
    from rewardmap_verl.patching import apply
    from rewardmap_verl.verl_plugin import tcp_store

    vllm_plugin.register()
    apply(tcp_store.PATCH)
