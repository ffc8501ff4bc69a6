"""``rewardmap prepare synthetic``: generated networks, drawn by this package."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.map_options import Language, language_names
from rewardmap_verl.commands.option_groups import option_groups
from rewardmap_verl.commands.prepare.run import run
from rewardmap_verl.commands.prepare.shared import (
    CommonOptions,
    QuestionOptions,
    build_settings,
)
from rewardmap_verl.drawing import style_at
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.settings import SIZES, Size
from rewardmap_verl.transit.synthesis.pocket_networks import PocketSettings
from rewardmap_verl.transit.synthetic import settings_at

__all__ = ["synthetic"]

_MAPS = "Maps"


class SyntheticSize(str, Enum):
    """Preset for the maps, the wording and the number of questions."""

    POCKET = "pocket"
    TINY = "tiny"
    FULL = "full"


@option_groups
def synthetic(
    common: CommonOptions,
    questions: QuestionOptions,
    size: Annotated[
        SyntheticSize,
        typer.Option(
            help="**pocket**: three to five lines on a grid of 48 visual tokens, which the "
            "embedded model reads. **tiny**: drawn as large maps are, with 16 to 36 visual "
            "tokens. **full**: for Qwen2.5-VL, with as many questions as in the papers."
        ),
    ] = SyntheticSize.POCKET,
    train_maps: Annotated[
        int | None,
        typer.Option(min=1, help="Training maps. [default: depends on --size]"),
    ] = None,
    test_maps: Annotated[
        int | None, typer.Option(min=1, help="Test maps. [default: depends on --size]")
    ] = None,
    difficulty: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Complexity of the networks, with --size full: 0 is a small town with two lines, "
            "1 a metropolis with twenty. [default: a mixture]",
            rich_help_panel=_MAPS,
        ),
    ] = None,
    language: Annotated[
        list[Language] | None,
        typer.Option(
            help="Language that the names imitate. Repeat for several; each map draws one.",
            rich_help_panel=_MAPS,
        ),
    ] = None,
) -> None:
    """Generate networks, draw their maps and ask about them.

    No input is needed. The same seed gives the same bytes on every machine.

    Example: **rewardmap prepare synthetic --out data/synthetic**

    For Qwen2.5-VL: **rewardmap prepare synthetic --size full --difficulty 0.5 --train-maps 100
    --out data/large**
    """
    with readable_errors():
        preset = _with_knobs(SIZES[size.value], difficulty, language or [])
        settings = build_settings(
            "synthetic",
            preset,
            common,
            questions,
            train_maps=train_maps or preset.train_maps,
            test_maps=test_maps or preset.test_maps,
            networks=preset.networks,
            style=preset.style,
        )
        run(settings)


def _with_knobs(preset: Size, difficulty: float | None, languages: list[Language]) -> Size:
    """Apply difficulty and languages to a preset.

    Raises:
        ConfigError: The preset does not have this setting.
    """
    if difficulty is not None:
        if preset.brief:
            hint = "Only maps of --size full have a difficulty."
            raise ConfigError("--difficulty", found=difficulty, hint=hint)
        networks, style = settings_at(difficulty), style_at(difficulty)
        preset = replace(preset, networks=networks, style=style)
    if languages:
        if isinstance(preset.networks, PocketSettings):
            hint = "The names of --size pocket are fixed; use --size tiny or full."
            raise ConfigError("--language", found=language_names(languages), hint=hint)
        named = preset.networks.with_languages(language_names(languages))
        preset = replace(preset, networks=named)
    return preset
