"""``rewardmap tiny-model``: a Qwen2.5-VL small enough to train on two CPU cores."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.tiny_model.build import TinyModelSize

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["tiny_model"]

_DEFAULT = TinyModelSize()
_SIZE_OPTION = typer.Option(min=1, rich_help_panel="Size", show_default=True)


def tiny_model(
    data: Annotated[
        Path, typer.Argument(help="Prepared data folder, whose texts the tokenizer learns.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    seed: Annotated[int, typer.Option(help="Seed of the weights.")] = 1,
    see: Annotated[
        int,
        typer.Option(
            min=0,
            help="Teach the vision tower for so many steps what stands where on the training maps, "
            "which must be drawn by this package and of one size (300 is enough for size micro).",
        ),
    ] = 0,
    text_width: Annotated[int, _SIZE_OPTION] = _DEFAULT.text_width,
    text_layers: Annotated[int, _SIZE_OPTION] = _DEFAULT.text_layers,
    text_heads: Annotated[int, _SIZE_OPTION] = _DEFAULT.text_heads,
    text_hidden: Annotated[int, _SIZE_OPTION] = _DEFAULT.text_hidden,
    vision_width: Annotated[int, _SIZE_OPTION] = _DEFAULT.vision_width,
    vision_layers: Annotated[int, _SIZE_OPTION] = _DEFAULT.vision_layers,
) -> None:
    """Build a tiny Qwen2.5-VL, random but whole: weights, tokenizer, template, image processor.

    It has half a million parameters and goes through the same code of verl, vLLM and transformers
    as the model of seven billion. `rewardmap cold-start` then teaches it the answer formats.
    """
    from rich.console import Console

    from rewardmap_verl.tiny_model.build import build_tiny_model, count_parameters
    from rewardmap_verl.tiny_model.conversations import read_texts

    console = Console()
    try:
        size = TinyModelSize(
            text_width=text_width,
            text_layers=text_layers,
            text_heads=text_heads,
            text_hidden=text_hidden,
            vision_width=vision_width,
            vision_layers=vision_layers,
            vision_hidden=2 * vision_width,
        )
        if not see:
            build_tiny_model(output, read_texts(data), seed, size)
        else:
            _build_seeing_model(data, output, seed, size, see, console)
    except (DataError, ConfigError) as error:
        fail(error)
    console.print(f"{output}: {count_parameters(output):,} parameters", highlight=False)


def _build_seeing_model(
    data: Path, output: Path, seed: int, size: TinyModelSize, steps: int, console: Console
) -> None:
    """Build a model beside ``output``, teach it to see, and write the whole to ``output``."""
    from rich.progress import Progress

    from rewardmap_verl.tiny_model.build import build_tiny_model
    from rewardmap_verl.tiny_model.conversations import read_texts
    from rewardmap_verl.tiny_model.vision_pretraining import pretrain_vision, read_examples

    sights = read_examples(data)
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as beside,
        Progress(console=console, transient=True) as progress,
    ):
        blind = build_tiny_model(Path(beside) / "blind", read_texts(data), seed, size)
        task = progress.add_task("learning to see", total=steps)
        pretrain_vision(
            blind,
            sights,
            output,
            steps,
            seed,
            lambda step, _: progress.update(task, completed=step),
        )
