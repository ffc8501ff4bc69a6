"""Options of ``rewardmap evaluate`` for a model that generates answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from rewardmap_verl.errors import ConfigError

if TYPE_CHECKING:
    from rewardmap_verl.evaluation.inference import Generation
    from rewardmap_verl.evaluation.questions import Mask

__all__ = ["LOG_NAME", "GenerationOptions"]

LOG_NAME = "evaluate.log"
"""File in the output folder with what vLLM and other libraries print."""


class Sampling(str, Enum):
    """How tokens are chosen."""

    GREEDY = "greedy"
    MODEL = "model"


class Tool(str, Enum):
    """What a model may call before it answers."""

    ZOOM = "zoom"


@dataclass(frozen=True)
class GenerationOptions:
    """Options of a model that generates answers."""

    PANEL: ClassVar[str] = "Generating answers with a model"

    answers: Annotated[
        Path | None,
        typer.Option(
            help="File that answers are appended to; default: OUT/answers.jsonl. Questions that it "
            "answers already are skipped."
        ),
    ] = None
    batch_size: Annotated[
        int, typer.Option(min=1, help="Questions per engine and write to disk.")
    ] = 64
    max_tokens: Annotated[int, typer.Option(min=1, help="Maximum tokens of an answer.")] = 2048
    max_model_len: Annotated[
        int | None, typer.Option(help="Maximum tokens of prompt and answer together.")
    ] = None
    dtype: Annotated[str, typer.Option(help="auto, bfloat16, float16 or float32.")] = "auto"
    gpu_memory_utilization: Annotated[
        float, typer.Option(help="Fraction of GPU memory for vLLM.")
    ] = 0.9
    tensor_parallel_size: Annotated[int, typer.Option(min=1, help="GPUs that share one model.")] = 1
    data_parallel_size: Annotated[
        int,
        typer.Option(
            min=1,
            help="Engines that share the questions; all GPUs of a node: their number, divided by "
            "--tensor-parallel-size.",
        ),
    ] = 1
    sampling: Annotated[
        Sampling, typer.Option(help="greedy, or model: the model's own generation settings.")
    ] = Sampling.GREEDY
    repetition_penalty: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=2.0,
            help="Repetition penalty; default: none, or with --sampling model the model's own. The "
            "released evaluation of Qwen2.5-VL has 1.05.",
        ),
    ] = None
    without_map: Annotated[
        bool, typer.Option("--without-map", help="Also ask the model without any image.")
    ] = False
    blank: Annotated[
        bool,
        typer.Option("--blank", help="Also ask the model with a white image in place of each map."),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help=f"Show what vLLM and other libraries print; it goes to OUT/{LOG_NAME} otherwise.",
        ),
    ] = False
    tool: Annotated[
        Tool | None,
        typer.Option(
            help="zoom: let the model look at crops of the original maps, in turns, before it "
            "answers. The data must have been prepared with --keep-originals."
        ),
    ] = None
    zoom: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Setting of the tool, such as max_calls=2; repeatable. Use those of the run "
            "(data.zoom). [default: those of the option zoom]",
        ),
    ] = None

    def generation(self) -> Generation:
        """Return the settings of the generation.

        Raises:
            ConfigError: There are settings of the tool without it, or one is invalid.
        """
        from rewardmap_verl.evaluation.inference import Generation
        from rewardmap_verl.zoom.settings import zoom_settings

        given: Sequence[str] = self.zoom or ()
        if given and self.tool is None:
            raise ConfigError("--zoom", found=given[0], hint="It needs --tool zoom.")
        return Generation(
            self.max_tokens,
            self.dtype,
            self.max_model_len,
            self.gpu_memory_utilization,
            self.tensor_parallel_size,
            greedy=self.sampling is Sampling.GREEDY,
            repetition_penalty=self.repetition_penalty,
            data_parallel_size=self.data_parallel_size,
            zoom=zoom_settings(given) if self.tool is Tool.ZOOM else None,
        )

    def masks(self) -> list[Mask]:
        """Return what a model sees in place of the maps when it is asked again."""
        from rewardmap_verl.evaluation.questions import Mask

        chosen = (self.without_map, self.blank)
        return [mask for mask, on in zip(Mask, chosen, strict=True) if on]
