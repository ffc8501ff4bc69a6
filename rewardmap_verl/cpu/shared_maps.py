"""The vision tower looks once at a map that a micro-batch holds several times.

Upstream: a micro-batch of verl 0.9.1 has an image for each of its answers, and the tower of a model
computes the features of each, though all answers of a group ask about one map. On the CPU a
micro-batch is a whole batch, 64 answers about 8 maps, and a fifth of the workers' time went there.
On a GPU one sequence with a map of 16,000 visual tokens fills a micro-batch, and nothing is shared.

Features and gradients are the same but for rounding: what the answers ask of a map's features is
summed before it goes back through the tower and not after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["SharedMaps", "first_of_each", "share_maps"]


def share_maps(model: Any) -> bool:
    """Have the tower of a model, as transformers builds Qwen2.5-VL, look at each map once.

    Returns:
        Whether the model has such a tower.
    """
    tower: Any = getattr(getattr(model, "model", None), "visual", None)
    if getattr(tower, "spatial_merge_size", None) is None:
        return False
    shared = SharedMaps(tower.spatial_merge_size**2)
    tower.register_forward_pre_hook(shared.before, with_kwargs=True)
    tower.register_forward_hook(shared.after, with_kwargs=True)
    return True


class SharedMaps:
    """Hooks of a tower: takes repeated maps out of what it gets, puts their features back."""

    def __init__(self, patches_of_a_token: int) -> None:
        self._patches_of_a_token = patches_of_a_token
        self._firsts: list[int] = []

    def before(
        self, _tower: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Pixels (patches × numbers) and sizes (maps × 3) of the different maps only."""
        import torch

        pixels, grid = arguments[0], options["grid_thw"]
        maps = pixels.split(grid.prod(-1).tolist())
        self._firsts = first_of_each(maps, grid.tolist())
        kept = sorted(set(self._firsts))
        if len(kept) == len(maps):
            return arguments, options
        fewer = torch.cat([maps[number] for number in kept])
        return (fewer, *arguments[1:]), {**options, "grid_thw": grid[kept]}

    def after(
        self, _tower: Any, _arguments: tuple[Any, ...], options: dict[str, Any], output: Any
    ) -> Any:
        """Features (visual tokens × numbers) of all maps, in their order."""
        import torch

        kept = sorted(set(self._firsts))
        if len(kept) == len(self._firsts):
            return output
        patches = options["grid_thw"].prod(-1)
        of_one = {"pooler_output": self._patches_of_a_token, "last_hidden_state": 1}
        for name, divisor in of_one.items():
            parts = output[name].split((patches // divisor).tolist())
            of_map = dict(zip(kept, parts, strict=True))
            output[name] = torch.cat([of_map[number] for number in self._firsts])
        return output


def first_of_each(maps: Sequence[torch.Tensor], grid: Sequence[Sequence[int]]) -> list[int]:
    """For each map, the number of the first one that is equal to it."""
    import torch

    seen: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    firsts = []
    for number, (pixels, size) in enumerate(zip(maps, grid, strict=True)):
        alike = seen[tuple(size), float(pixels.sum())]
        equal = (other for other in alike if torch.equal(maps[other], pixels))
        first = next(equal, number)
        if first == number:
            alike.append(number)
        firsts.append(first)
    return firsts
