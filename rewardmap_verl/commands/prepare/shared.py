"""Options that several ``prepare`` commands share, and the settings they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.settings import PrepareSettings, Size, SourceName
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.questions.types import QuestionType

__all__ = [
    "CommonOptions",
    "QuestionOptions",
    "SizeName",
    "SizeOption",
    "TestCities",
    "build_settings",
]

_QUESTIONS = "Questions"
_PROMPT = "Image and prompt size"
_BEYOND = ", ".join(kind.value for kind in QuestionType if kind.spec.beyond_papers)
_TYPES = ", ".join(kind.value for kind in QuestionType)

TestCities = Annotated[
    list[str] | None,
    typer.Option(
        "--test-city",
        help="City to hold out for testing, as CITY or COUNTRY/CITY. Repeat for several. "
        "[default: the eleven test cities of the papers, or a third of the cities]",
    ),
]


class SizeName(str, Enum):
    """Preset for the pixel budget, the wording and the number of questions."""

    TINY = "tiny"
    FULL = "full"


SizeOption = Annotated[
    SizeName,
    typer.Option(
        help="**full**: for Qwen2.5-VL, with as many questions as in the papers. **tiny**: at "
        "most 36 visual tokens and brief wording, for the embedded model."
    ),
]


@dataclass(frozen=True, slots=True)
class CommonOptions:
    """Options of every source."""

    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder to write. An existing prepared folder there is replaced."
        ),
    ]
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0
    form: Annotated[
        list[str] | None,
        typer.Option(
            help="Form of planning questions: short, long_count or long_via. Repeat for several. "
            "[default: depends on --size]",
            rich_help_panel=_QUESTIONS,
        ),
    ] = None
    max_pixels: Annotated[
        int | None,
        typer.Option(
            help="Maximum pixels of a map image; 784 pixels (28 x 28) are one visual token. "
            "[default: depends on --size]",
            rich_help_panel=_PROMPT,
        ),
    ] = None
    min_pixels: Annotated[
        int | None,
        typer.Option(
            help="Minimum pixels of a map image; smaller images are enlarged. "
            "[default: depends on --size]",
            rich_help_panel=_PROMPT,
        ),
    ] = None
    pixel_limit: Annotated[
        int,
        typer.Option(
            help="Reject source images with more pixels (decompression bombs).",
            rich_help_panel=_PROMPT,
        ),
    ] = PixelBudget().pixel_limit
    keep_originals: Annotated[
        bool,
        typer.Option(
            "--keep-originals",
            help="Also store each map at its full size, as tiles, for the zoom tool.",
            rich_help_panel=_PROMPT,
        ),
    ] = False
    max_prompt_length: Annotated[
        int | None,
        typer.Option(
            help="Maximum prompt length in tokens, image included. [default: depends on --size]",
            rich_help_panel=_PROMPT,
        ),
    ] = None
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the tokenizer that counts prompt tokens. "
            "[default: an upper bound without a tokenizer]",
            rich_help_panel=_PROMPT,
        ),
    ] = None
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes; 0 means one for each CPU core.")
    ] = 0
    force: Annotated[bool, typer.Option("--force", help="Rebuild even if up to date.")] = False


@dataclass(frozen=True, slots=True)
class QuestionOptions:
    """Options of the sources whose questions are generated here."""

    quota: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE=N",
            help=f"Questions of a type for each map. Repeat for several. Types: {_TYPES}.",
            rich_help_panel=_QUESTIONS,
        ),
    ] = None
    beyond_papers: Annotated[
        bool,
        typer.Option(
            "--beyond-papers",
            help=f"Also generate {_BEYOND}, types that the papers do not have. A curriculum must "
            "name them, as a stage or in data.curriculum.leave_out.",
            rich_help_panel=_QUESTIONS,
        ),
    ] = False
    brief: Annotated[
        bool | None,
        typer.Option(
            "--brief/--wordy",
            help="Short wording for models with a small context, or the full wording. "
            "[default: depends on --size]",
            rich_help_panel=_QUESTIONS,
        ),
    ] = None


def build_settings(
    source: SourceName,
    size: Size,
    common: CommonOptions,
    questions: QuestionOptions | None = None,
    **of_source: Any,
) -> PrepareSettings:
    """Combine a size preset with the options that override it.

    Args:
        source: Name of the source.
        size: The preset.
        common: Options of every source.
        questions: Options for generated questions; None for a source with its own questions.
        of_source: Further fields of ``PrepareSettings``; a field that is None keeps its
            default.

    Raises:
        ConfigError: A value is out of range, or values contradict each other.
    """
    questions = questions or QuestionOptions()
    quotas = size.quotas.with_beyond_papers(size.beyond if questions.beyond_papers else 0)
    given = {name: value for name, value in of_source.items() if value is not None}
    with _config_errors():
        return PrepareSettings(
            source=source,
            out=common.out,
            seed=common.seed,
            quotas=_quotas(quotas, questions.quota or [], common.form),
            brief=size.brief if questions.brief is None else questions.brief,
            budget=_budget(size, common),
            keep_originals=common.keep_originals,
            max_prompt_length=common.max_prompt_length or size.max_prompt_length,
            tokenizer=common.tokenizer,
            workers=common.workers,
            force=common.force,
            **given,
        )


def _budget(size: Size, common: CommonOptions) -> PixelBudget:
    maximum = common.max_pixels or size.max_pixels
    minimum = max(PixelBudget().min_pixels, min(size.min_pixels, maximum))
    return PixelBudget(
        max_pixels=maximum,
        min_pixels=common.min_pixels or minimum,
        pixel_limit=common.pixel_limit,
    )


def _quotas(preset: Quotas, given: list[str], forms: list[str] | None) -> Quotas:
    """Apply ``TYPE=N`` options to the quotas of a preset.

    Raises:
        ConfigError: An option does not have this form, or the type is unknown.
    """
    changed: dict[str, Any] = {"forms": tuple(forms)} if forms else {}
    types = {kind.value.lower() for kind in QuestionType}
    for option in given:
        name, _, number = option.partition("=")
        if name.lower() not in types or not number.isdecimal():
            hint = f"Write TYPE=N, where TYPE is one of {_TYPES}."
            raise ConfigError("--quota", found=option, hint=hint)
        changed[name.lower()] = int(number)
    return replace(preset, **changed)


@contextmanager
def _config_errors() -> Iterator[None]:
    """Report the first validation error of pydantic as a ``ConfigError``."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError("prepare", field, None, f"{message[:1].upper()}{message[1:]}.") from error
