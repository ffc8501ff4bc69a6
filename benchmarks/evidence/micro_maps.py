"""Maps of micro networks, as contents for the package's preparation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.evidence.cell_drawing import CellStyle, draw_cells
from benchmarks.evidence.micro_networks import MicroSettings, generate_micro_network
from benchmarks.evidence.protocol import World
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import Manifest, hash_file
from rewardmap_verl.preparation.map_jobs import ReportProgress
from rewardmap_verl.preparation.prepare import prepare_contents
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.sources.base import Contents, Rendered
from rewardmap_verl.preparation.sources.synthetic import (
    drawing_identity,
    generated_contents,
    numbered_maps,
    render_drawn,
)
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.transit.placement import PlacedNetwork

__all__ = ["MicroPicture", "micro_contents", "prepare_micro_maps"]

_SOURCE_FILES = ("cell_drawing.py", "micro_maps.py", "micro_networks.py")


@dataclass(frozen=True, slots=True)
class MicroPicture:
    """A map drawn from a micro network."""

    placed: PlacedNetwork
    style: CellStyle

    def identity(self) -> str:
        """Return a hash of the network, the style and the drawing code."""
        return drawing_identity(self.placed, [self.style.model_dump(mode="json"), _code()])

    def effort(self) -> int:
        """Return the number of stops to draw."""
        return len(self.placed.network.stops)

    def render(self, budget: PixelBudget) -> Rendered:
        """Draw the map on the pixel budget."""
        network = self.placed.network
        where = f"{network.country}/{network.city}"
        return render_drawn(draw_cells(self.placed, self.style), where, budget)


def micro_contents(
    seed: int, train_maps: int, test_maps: int, settings: MicroSettings, style: CellStyle
) -> Contents:
    """Return micro maps for training and others for testing."""
    placed = [
        (split, generate_micro_network(seed, index, settings))
        for split, index in numbered_maps(train_maps, test_maps)
    ]
    return generated_contents(placed, lambda one: MicroPicture(one, style))


def prepare_micro_maps(
    world: World,
    prompt_tokens: int,
    out: Path,
    workers: int = 0,
    report: ReportProgress = lambda progress: None,
) -> Manifest:
    """Prepare the maps and questions of a protocol; an up-to-date folder is kept.

    Args:
        world: Numbers of maps and questions.
        prompt_tokens: Longest prompt, image and text together.
        out: The folder to write.
        workers: Processes; 0 takes one per core.
        report: Called after each map.

    Raises:
        ConfigError: The networks do not fit on the grid, or a quota names no question type.
        DataError: A prompt is too long, or the folder cannot be written.
    """
    style = CellStyle(across=world.networks.width, down=world.networks.height)
    pixels = style.across * style.down * style.cell**2
    settings = PrepareSettings(
        source="custom",
        out=out,
        seed=world.seed,
        quotas=_quotas(world),
        brief=True,
        budget=PixelBudget(max_pixels=pixels, min_pixels=pixels),
        max_prompt_length=prompt_tokens,
        workers=workers,
    )
    contents = micro_contents(world.seed, world.train_maps, world.test_maps, world.networks, style)
    return prepare_contents(settings, contents, report)


def _quotas(world: World) -> Quotas:
    none = dict.fromkeys(("torf1", "torf2", "counting1", "counting2", "counting3", "planning"), 0)
    chosen = {kind.lower(): count for kind, count in world.questions.items()}
    return Quotas(**{**none, **chosen}, forms=tuple(world.forms))


def _code() -> list[str]:
    return [hash_file(Path(__file__).with_name(name)).sha256 for name in _SOURCE_FILES]
