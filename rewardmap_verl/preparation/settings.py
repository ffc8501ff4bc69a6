"""Settings of a preparation, and presets for the size of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewardmap_verl.drawing import MapStyle, standard_style, tiny_style
from rewardmap_verl.drawing.pocket_map import PocketStyle
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.sources.gtfs_network import RAIL_TYPES
from rewardmap_verl.preparation.sources.reasonmap import MAPS_FROM, PUBLISHED
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.transit.synthesis.pocket_networks import PocketSettings
from rewardmap_verl.transit.synthetic import SyntheticSettings, standard_settings, tiny_settings

__all__ = ["SIZES", "PrepareSettings", "Size", "SourceName"]

SourceName = Literal["local", "synthetic", "reasonmap", "gtfs"]


class PrepareSettings(BaseModel):
    """Source, destination and options of a preparation.

    Paths, ``workers`` and ``force`` do not influence the bytes of the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    source: SourceName | Literal["custom"]
    """``custom``: maps that the caller passes to ``prepare_contents``."""
    out: Path
    """The prepared folder. An existing one is replaced at the very end."""
    root: Path | None = None
    """local: the folder with ``maps/`` and ``stations/``; reasonmap: the root of paths in rows."""
    data: tuple[str, ...] = PUBLISHED
    """reasonmap: data sets with the questions, on the Hub or on this machine."""
    maps_from: tuple[str, ...] = MAPS_FROM
    """reasonmap: data sets with the maps and networks that other rows refer to by path."""
    feeds: tuple[Path, ...] = ()
    """gtfs: feeds, zip files or folders; each is one city."""
    route_types: tuple[int, ...] = RAIL_TYPES
    """gtfs: values of ``route_type`` to include."""
    seed: int = 0
    quotas: Quotas
    """Number of questions for each map, by type."""
    brief: bool = False
    """Whether questions use the brief wording, for models with a short context."""
    budget: PixelBudget = Field(default_factory=PixelBudget)
    max_prompt_length: int = Field(default=20_000, ge=1)
    """Maximum prompt length in tokens, image included; RewardMap trains with 20,000."""
    tokenizer: Path | None = None
    """Folder of a tokenizer that counts prompts exactly; None uses an upper bound."""
    test_cities: tuple[str, ...] | None = None
    """local, gtfs: the test cities; None selects those of the papers."""
    train_maps: int = Field(default=24, ge=1)
    """synthetic: number of training maps."""
    test_maps: int = Field(default=8, ge=1)
    """synthetic: number of test maps."""
    networks: SyntheticSettings | PocketSettings = Field(default_factory=standard_settings)
    """synthetic: parameters of the networks."""
    style: MapStyle | PocketStyle = Field(default_factory=standard_style)
    """synthetic, gtfs: drawing style of the maps."""
    keep_originals: bool = False
    """Whether to store each map at its full size as well, for the zoom tool."""
    strict: bool = False
    """local, reasonmap: whether to fail on data that would be dropped, such as a missing map."""
    workers: int = Field(default=0, ge=0)
    """Number of worker processes; 0 means one for each CPU core."""
    force: bool = False
    """Whether to rebuild a folder that is up to date."""

    @model_validator(mode="after")
    def _check_source(self) -> PrepareSettings:
        if self.source == "local" and self.root is None:
            raise ValueError("the source `local` needs --root, a folder with maps/ and stations/")
        if self.source == "reasonmap" and any(
            self.quotas.of(kind) for kind in QuestionType if kind.spec.beyond_papers
        ):
            raise ValueError(
                "the source `reasonmap` has its own questions; use the source `local` to generate "
                "others about the same maps"
            )
        return self

    def content_settings(self) -> dict[str, object]:
        """Return the settings that influence the bytes of the folder, as JSON-compatible data."""
        of_one_source = {
            "local": {"test_cities", "strict"},
            "synthetic": {"train_maps", "test_maps", "networks", "style"},
            "reasonmap": {"strict"},
            "gtfs": {"test_cities", "route_types", "style"},
            "custom": set(),
        }
        of_others = set().union(*of_one_source.values()) - of_one_source[self.source]
        paths = {"out", "root", "data", "maps_from", "feeds", "tokenizer"}
        exclude = {*paths, "workers", "force", *of_others}
        settings = self.model_dump(mode="json", exclude=exclude)
        return settings | {"exact_prompt_tokens": self.tokenizer is not None}


@dataclass(frozen=True, slots=True)
class Size:
    """A preset for a model: pixel budget, wording, number of questions and maps."""

    max_pixels: int
    min_pixels: int
    max_prompt_length: int
    brief: bool
    quotas: Quotas
    beyond: int
    """Questions for each map and type beyond the papers, if these types are enabled."""
    train_maps: int
    test_maps: int
    networks: SyntheticSettings | PocketSettings
    style: MapStyle | PocketStyle


SIZES: Mapping[str, Size] = MappingProxyType(
    {
        # For the pretrained embedded model: maps that it can read, 48 visual tokens. Few questions
        # about many maps: with 24 training maps, perception falls more on held-out maps.
        "pocket": Size(
            max_pixels=48 * 28**2,
            min_pixels=48 * 28**2,
            max_prompt_length=256,
            brief=True,
            quotas=Quotas(2, 2, 2, 2, 1, 8, forms=("short",)),
            beyond=2,
            train_maps=200,
            test_maps=40,
            networks=PocketSettings(),
            style=PocketStyle(),
        ),
        # For a tiny model of a user's own maps: 16 to 36 visual tokens.
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
        # For Qwen2.5-VL: its maximum of visual tokens, and the papers' number of questions.
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
