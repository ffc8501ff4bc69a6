"""The list of all runtime patches of this package. Importing it applies none of them."""

from __future__ import annotations

from collections.abc import Iterable

from rewardmap_verl.cpu.patches import CPU_PATCHES
from rewardmap_verl.patching import Patch, Platform
from rewardmap_verl.verl_plugin import (
    frozen_tower,
    position_ids,
    single_machine,
    tcp_store,
    weight_socket,
)

__all__ = ["ALL_PATCHES", "EVERY_PLATFORM", "markdown_table"]

EVERY_PLATFORM: tuple[Patch, ...] = (
    position_ids.PATCH,
    frozen_tower.PATCH,
    tcp_store.PATCH,
    *weight_socket.PATCHES,
)
"""Patches that verl's processes apply on every platform. vLLM's processes apply that of
``tcp_store``, and import verl for the others."""

ALL_PATCHES: tuple[Patch, ...] = (*EVERY_PLATFORM, single_machine.PATCH, *CPU_PATCHES)
"""All patches. That of a run on one machine is applied by its Hydra callback."""


def markdown_table(patches: Iterable[Patch] = ALL_PATCHES) -> str:
    """Return the table of patches in ``docs/architecture.md``."""
    rows = [
        "| replaced name | by | why | can go when | active on |",
        "|---|---|---|---|---|",
        *(
            f"| `{patch.name}` | `{patch.module.removeprefix('rewardmap_verl.')}` | {patch.reason} "
            f"| {patch.upstream} | {active_on(patch)} |"
            for patch in patches
        ),
    ]
    return "\n".join(rows) + "\n"


def active_on(patch: Patch) -> str:
    """Return the platforms of a patch in words."""
    return "CPU only" if patch.platform is Platform.CPU else "every platform"
