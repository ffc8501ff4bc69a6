"""What this package needs from NVIDIA's software, and what ``nvidia-smi`` says about it."""

from __future__ import annotations

import subprocess

__all__ = ["FLASH_ATTN_COMMAND", "LEAST_DRIVER", "is_older", "query"]

LEAST_DRIVER = "580.65.06"
"""First Linux driver of CUDA 13.0, for which torch 2.11 is built."""

FLASH_ATTN_COMMAND = (
    "uv pip install --no-deps --index-url https://wheels.astral.sh/simple/cu130/ "
    "flash-attn==2.8.3+cu.13.0.torch.2.11"
)
"""Installs a prebuilt wheel. pyproject.toml makes the same choice for an installation by make."""


def query(field: str) -> list[str]:
    """Return the value of a field of ``nvidia-smi --query-gpu`` for each GPU; empty without one."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def is_older(version: str, than: str) -> bool:
    """Return whether a dotted version precedes another; an unreadable one does not."""
    try:
        return [int(part) for part in version.split(".")] < [int(part) for part in than.split(".")]
    except ValueError:
        return False
