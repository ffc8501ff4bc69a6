"""Everything that decides what a prepared folder holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewardmap_verl.drawing import CellStyle, MapStyle, standard_style, tiny_style
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.sources.gtfs_network import RAIL_TYPES
from rewardmap_verl.preparation.sources.reasonmap import MAPS_FROM, PUBLISHED
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.transit.micro import MicroSettings
from rewardmap_verl.transit.synthetic import SyntheticSettings, standard_settings, tiny_settings

__all__ = ["SIZES", "PrepareSettings", "Size", "SourceName"]

SourceName = Literal["local", "synthetic", "reasonmap", "gtfs"]


class PrepareSettings(BaseModel):
    """What to prepare, from what, and where to.

    Paths, ``workers`` and ``force`` do not change the bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    source: SourceName
    out: Path
    """The prepared folder. It is replaced as a whole when everything else has succeeded."""
    root: Path | None = None
    """local: the folder with ``maps/`` and ``stations/``; reasonmap: where the rows' paths lead."""
    data: tuple[str, ...] = PUBLISHED
    """reasonmap: data sets whose questions are taken, on the hub or on this machine."""
    maps_from: tuple[str, ...] = MAPS_FROM
    """reasonmap: data sets in which maps and networks are looked up that the rows only name."""
    feeds: tuple[Path, ...] = ()
    """gtfs: feeds, one city each; zip files or folders."""
    route_types: tuple[int, ...] = RAIL_TYPES
    """gtfs: kinds of routes to take, numbers of GTFS's ``route_type``."""
    seed: int = 0
    quotas: Quotas
    """Questions for each map and type."""
    brief: bool = False
    """Whether questions use the brief wording, for models with a short context."""
    budget: PixelBudget = Field(default_factory=PixelBudget)
    max_prompt_length: int = Field(default=20_000, ge=1)
    """Longest prompt in tokens, image and text together; RewardMap trains with 20,000."""
    tokenizer: Path | None = None
    """Folder of a tokenizer that counts prompts exactly; None counts by an upper bound."""
    test_cities: tuple[str, ...] | None = None
    """local: cities kept as test; None takes the eleven of the papers."""
    train_maps: int = Field(default=24, ge=1)
    """synthetic: number of maps to train on."""
    test_maps: int = Field(default=8, ge=1)
    """synthetic: number of maps kept as test."""
    networks: SyntheticSettings | MicroSettings = Field(default_factory=standard_settings)
    """synthetic: what the networks look like."""
    style: MapStyle | CellStyle = Field(default_factory=standard_style)
    """synthetic: what the maps look like."""
    strict: bool = False
    """Whether a city without an image is an error, not a city left out."""
    workers: int = Field(default=0, ge=0)
    """Processes that work on maps; 0 takes one for each core."""
    force: bool = False
    """Whether to prepare again what is up to date."""

    @model_validator(mode="after")
    def _check_source(self) -> PrepareSettings:
        if self.source == "local" and self.root is None:
            raise ValueError("the source `local` needs --root, a folder with maps/ and stations/")
        if self.source != "synthetic" and isinstance(self.style, CellStyle):
            raise ValueError("only synthetic maps have the size micro")
        if isinstance(self.networks, MicroSettings) != isinstance(self.style, CellStyle):
            raise ValueError("networks in cells and the style of cells belong together")
        if self.source == "reasonmap" and any(
            self.quotas.of(kind) for kind in QuestionType if kind.spec.beyond_papers
        ):
            raise ValueError(
                "the source `reasonmap` brings its questions along; prepare its maps with the "
                "source `local` to ask more"
            )
        return self

    def that_matter(self) -> dict[str, object]:
        """Return, JSON-able, the settings that decide the bytes of the folder."""
        of_one_source = {
            "local": {"test_cities", "strict"},
            "synthetic": {"train_maps", "test_maps", "networks", "style"},
            "reasonmap": {"strict"},
            "gtfs": {"test_cities", "route_types", "style"},
        }
        of_others = set().union(*of_one_source.values()) - of_one_source[self.source]
        paths = {"out", "root", "data", "maps_from", "feeds", "tokenizer"}
        exclude = {*paths, "workers", "force", *of_others}
        settings = self.model_dump(mode="json", exclude=exclude)
        return settings | {"exact_prompt_tokens": self.tokenizer is not None}


@dataclass(frozen=True, slots=True)
class Size:
    """Settings that belong together: how much the model sees and what it is asked."""

    max_pixels: int
    min_pixels: int
    max_prompt_length: int
    brief: bool
    quotas: Quotas
    beyond: int
    """Questions of each type beyond the papers for a map, when they are wanted."""
    train_maps: int
    test_maps: int
    networks: SyntheticSettings | MicroSettings
    style: MapStyle | CellStyle


SIZES: Mapping[str, Size] = MappingProxyType(
    {
        # For evidence in small (docs/evidence.md): a stop is one of 20 visual tokens.
        "micro": Size(
            max_pixels=20 * 28**2,
            min_pixels=20 * 28**2,
            max_prompt_length=192,
            brief=True,
            quotas=Quotas(3, 3, 0, 2, 1, 4, forms=("short",)),
            beyond=2,
            train_maps=400,
            test_maps=40,
            networks=MicroSettings(),
            style=CellStyle(),
        ),
        # For the embedded model, which is trained on a CPU within minutes: 16 to 36 visual tokens.
        "tiny": Size(
            max_pixels=36 * 28**2,
            min_pixels=16 * 28**2,
            max_prompt_length=320,
            brief=True,
            quotas=Quotas(2, 2, 2, 2, 1, 2, forms=("short",)),
            beyond=2,
            train_maps=24,
            test_maps=8,
            networks=tiny_settings(),
            style=tiny_style(),
        ),
        # For Qwen2.5-VL: as many visual tokens as it takes, and the papers' number of questions.
        "full": Size(
            max_pixels=16_384 * 28**2,
            min_pixels=4 * 28**2,
            max_prompt_length=20_000,
            brief=False,
            quotas=Quotas(),
            beyond=20,
            train_maps=24,
            test_maps=8,
            networks=standard_settings(),
            style=standard_style(),
        ),
    }
)
