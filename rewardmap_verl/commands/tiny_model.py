"""``rewardmap tiny-model``: build a Qwen2.5-VL that trains on two CPU cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.tiny_model.build import TinyModelSize

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["tiny_model"]

_DEFAULT = TinyModelSize()
_SIZE_OPTION = typer.Option(min=1, rich_help_panel="Size", show_default=True)


def tiny_model(
    data: Annotated[
        Path, typer.Argument(help="Prepared folder; its texts are the corpus of the tokenizer.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist.")],
    seed: Annotated[int, typer.Option(help="Seed of the weights.")] = 1,
    traces: Annotated[
        Path | None,
        typer.Option(
            help="Parquet file of `rewardmap export DATA verl --reasoning zoom`; its texts are "
            "part of the corpus, so that calls and reasoning take few tokens."
        ),
    ] = None,
    vision_steps: Annotated[
        int,
        typer.Option(
            min=0,
            help="Steps of vision pretraining on the training maps, which must be drawn by this "
            "package and have one size.",
        ),
    ] = 0,
    text_width: Annotated[int, _SIZE_OPTION] = _DEFAULT.text_width,
    text_layers: Annotated[int, _SIZE_OPTION] = _DEFAULT.text_layers,
    text_heads: Annotated[int, _SIZE_OPTION] = _DEFAULT.text_heads,
    text_hidden: Annotated[int, _SIZE_OPTION] = _DEFAULT.text_hidden,
    vision_width: Annotated[int, _SIZE_OPTION] = _DEFAULT.vision_width,
    vision_layers: Annotated[int, _SIZE_OPTION] = _DEFAULT.vision_layers,
) -> None:
    """Build a complete tiny Qwen2.5-VL: random weights, tokenizer, template, image processor.

    It has half a million parameters and runs through the same code of verl, vLLM and transformers
    as the 7B model. `rewardmap cold-start` then teaches it the answer formats.
    """
    from rich.console import Console

    from rewardmap_verl.tiny_model.build import build_tiny_model, count_parameters
    from rewardmap_verl.tiny_model.conversations import read_texts, read_trace_texts

    console = Console()
    with readable_errors():
        size = TinyModelSize(
            text_width=text_width,
            text_layers=text_layers,
            text_heads=text_heads,
            text_hidden=text_hidden,
            vision_width=vision_width,
            vision_layers=vision_layers,
            vision_hidden=2 * vision_width,
        )
        texts = [*read_texts(data), *(read_trace_texts(traces) if traces else [])]
        if vision_steps:
            _build_with_vision(data, texts, out, seed, size, vision_steps, console)
        else:
            build_tiny_model(out, texts, seed, size)
    console.print(f"{out}: {count_parameters(out):,} parameters", highlight=False)


def _build_with_vision(
    data: Path,
    texts: Sequence[str],
    output: Path,
    seed: int,
    size: TinyModelSize,
    steps: int,
    console: Console,
) -> None:
    """Build a model in a temporary folder, pretrain its vision, and write it to ``output``."""
    from rich.progress import Progress

    from rewardmap_verl.tiny_model.build import build_tiny_model
    from rewardmap_verl.tiny_model.vision_pretraining import pretrain_vision, read_examples

    examples = read_examples(data)
    with TemporaryDirectory() as folder, Progress(console=console, transient=True) as progress:
        untrained = build_tiny_model(Path(folder) / "untrained", texts, seed, size)
        task = progress.add_task("vision pretraining", total=steps)
        pretrain_vision(
            untrained,
            examples,
            output,
            steps,
            seed,
            lambda step, _: progress.update(task, completed=step),
        )
