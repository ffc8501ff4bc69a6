"""Keep FSDP2's offloaded parameters in ordinary memory.

Upstream: for the reference policy verl asks for ``CPUOffloadPolicy(pin_memory=True)``
(``verl/workers/engine/fsdp/transformer_impl.py``). Pinning needs an accelerator's driver and fails
without one ("Cannot access accelerator device when none is available").
Seen in verl 0.9.1 with torch 2.11.0.
"""

from __future__ import annotations

from typing import Any


def apply() -> None:
    """Make every ``CPUOffloadPolicy`` of this process an unpinned one."""
    from torch.distributed.fsdp import CPUOffloadPolicy

    def refuse_pinning(self: Any, pin_memory: bool = True) -> None:
        object.__setattr__(self, "pin_memory", False)

    CPUOffloadPolicy.__init__ = refuse_pinning
