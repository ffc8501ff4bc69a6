"""verl's packed FSDP2 engine with flash-attn on image references: time, memory, agreement.

    python benchmarks/packed_engine.py --out benchmarks/records/packed_engine.json
    python benchmarks/packed_engine.py --text-layers 28 --vision-layers 32 --no-update

One process with one GPU; no data are needed. The model has the widths of Qwen2.5-VL-7B, random
weights and few layers, so that it is built in a minute; ``--text-layers`` and ``--vision-layers``
add more. A group of answers about one map is computed in micro-batches of one sequence: by the
padded engine with PyTorch's attention (SDPA), then by the packed engine with flash-attn, each with
image references and with tensors. The map is noise, which costs what any map of its size costs.

The functions below are also run by ``tests/verl_plugin/test_packed_engine.py``, on a CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

TEXTS = ["Which line goes from Alpha to Beta?", "Line A", "Alpha to Gamma, then on to Delta."] * 2
SHORTEST = 64
"""Tokens of the shortest answer."""
PATCH = 14
MERGED = 2 * PATCH
"""Side of a visual token in pixels."""


@dataclass(frozen=True)
class Size:
    """Widths and layers of a Qwen2.5-VL; a vocabulary of 0 is that of the tokenizer."""

    text_width: int = 3584
    text_heads: int = 28
    text_key_heads: int = 4
    text_hidden: int = 18944
    text_layers: int = 2
    vision_width: int = 1280
    vision_heads: int = 16
    vision_hidden: int = 3420
    vision_layers: int = 8
    vocabulary: int = 152064


TINY = Size(128, 4, 2, 256, 2, 64, 2, 128, 2, 0)


@dataclass(frozen=True)
class Answer:
    """One answer with its prompt, as verl's queue holds it."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    """4 × tokens: text, time, height, width."""
    loss_mask: torch.Tensor
    """1 where the next token belongs to the answer."""
    images: dict[str, Any]
    """``multi_modal_inputs``: ``pixel_values`` and ``image_grid_thw``."""


def write_map(path: Path, tokens: int, seed: int = 0) -> Path:
    """Write a square noise image of about ``tokens`` visual tokens."""
    side = max(1, round(tokens**0.5)) * MERGED
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


def build_model(folder: Path, size: Size, dtype: str = "fp32", tied: bool = False) -> None:
    """Save a model with random weights, and its processor."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    from rewardmap_verl.tiny_model.build import (
        TinyModelSize,
        make_config,
        make_processor,
        train_tokenizer,
    )

    processor = make_processor(train_tokenizer(TEXTS, 4096))
    config = make_config(
        processor,
        TinyModelSize(
            text_width=size.text_width,
            text_layers=size.text_layers,
            text_heads=size.text_heads,
            text_hidden=size.text_hidden,
            vision_width=size.vision_width,
            vision_layers=size.vision_layers,
            vision_heads=size.vision_heads,
            vision_hidden=size.vision_hidden,
            longest=32768,
        ),
    )
    config.text_config.num_key_value_heads = size.text_key_heads
    config.text_config.vocab_size = size.vocabulary or config.text_config.vocab_size
    # Full attention in every eighth layer and the last, windows in the others, as in the 7B model.
    last = size.vision_layers - 1
    config.vision_config.fullatt_block_indexes = sorted({*range(7, last, 8), last})
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = tied
    torch.manual_seed(1)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.to(torch.bfloat16 if dtype == "bf16" else torch.float32).save_pretrained(folder)
    processor.save_pretrained(folder)


def processors(folder: Path) -> dict[str, Any]:
    """Return a model's processor in two forms: stock verl's, and with image references."""
    from transformers import AutoProcessor

    from rewardmap_verl.verl_plugin.image_references.processor import refer_to_pixels

    stock, ours = (AutoProcessor.from_pretrained(folder) for _ in range(2))
    refer_to_pixels(ours)
    return {"tensors": stock, "references": ours}


def make_answer(processor: Any, path: Path, answer_tokens: int, seed: int) -> Answer:
    """Return an answer of random tokens about a map, with its prompt."""
    from verl.models.transformers.qwen2_vl import get_rope_index

    from rewardmap_verl.verl_plugin.agent_loop import prepared_images

    item = {"type": "image", "image": str(path), "max_pixels": 2**26}
    images = prepared_images([{"role": "user", "content": [item]}], PATCH, 2**30) or []
    prompt = f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{TEXTS[0]}<|im_end|>\n"
    output = processor(images=images, text=[prompt], return_tensors="pt")
    generator = torch.Generator().manual_seed(seed)
    answer = torch.randint(10, len(processor.tokenizer), (answer_tokens,), generator=generator)
    input_ids = torch.cat([output["input_ids"][0], answer])
    vision = get_rope_index(processor, input_ids, output["image_grid_thw"])
    mask = torch.zeros(len(input_ids))
    mask[-answer_tokens - 1 : -1] = 1
    return Answer(
        input_ids,
        torch.cat([torch.arange(len(input_ids))[None], vision]),
        mask,
        {name: output[name] for name in ("pixel_values", "image_grid_thw")},
    )


def make_batch(sequences: Sequence[Answer], packed: bool, **settings: Any) -> Any:
    """Return a batch as verl's workers receive it from the queue."""
    from verl.utils import tensordict_utils

    def nested(name: str) -> torch.Tensor:
        values = [getattr(one, name) for one in sequences]
        return torch.nested.as_nested_tensor(values, layout=torch.jagged)

    names = ("input_ids", "position_ids", "loss_mask")
    tensors: dict[str, Any] = {name: nested(name) for name in names}
    tensors["multi_modal_inputs"] = [one.images for one in sequences]
    usual = {"use_dynamic_bsz": False, "micro_batch_size_per_gpu": len(sequences)}
    more = {"temperature": 1.0, "use_remove_padding": packed, **usual, **settings}
    return tensordict_utils.get_tensordict(tensors, more)


def build_engine(
    folder: Path,
    packed: bool,
    dtype: str = "fp32",
    lora_rank: int = 0,
    ulysses: int = 1,
    fused: bool = False,
) -> Any:
    """Return verl's FSDP2 engine: packed with flash-attn, or padded with PyTorch's attention.

    verl replaces methods of the model's classes for packing and for Ulysses, for the rest of the
    process: build padded engines first, and those with Ulysses last.
    """
    from verl.trainer.config import CheckpointConfig
    from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig
    from verl.workers.engine import EngineRegistry

    model = HFModelConfig(
        path=str(folder),
        use_remove_padding=packed,
        override_config={"attn_implementation": "flash_attention_2" if packed else "sdpa"},
        lora_rank=lora_rank,
        use_fused_kernels=fused,
        fused_kernel_options={"impl_backend": "torch"},
        exclude_modules=".*visual.*",
    )
    precision = {"param_dtype": dtype, "reduce_dtype": "fp32", "buffer_dtype": "fp32"}
    settings = FSDPEngineConfig(
        strategy="fsdp2",
        mixed_precision=precision,
        ulysses_sequence_parallel_size=ulysses,
        use_torch_compile=False,
        use_no_sync_for_gradient_accumulation=False,
        use_remove_padding=packed,
    )
    engine = EngineRegistry.new(
        model_type="language_model",
        backend="fsdp2",
        model_config=model,
        engine_config=settings,
        # The weights stay as they are, so that all measurements are of one model.
        optimizer_config=FSDPOptimizerConfig(lr=0.0, total_training_steps=100),
        checkpoint_config=CheckpointConfig(),
    )
    engine.initialize()
    return engine


def log_probs(engine: Any, batch: Any) -> list[torch.Tensor]:
    """Return the log-probability of each token but the first, per sequence."""
    with engine.eval_mode():
        output = engine.infer_batch(batch)
    return [one[:-1].float().cpu() for one in output["model_output"]["log_probs"].unbind()]


def update(engine: Any, batch: Any) -> float:
    """Train a batch and return the norm of its gradient."""

    def loss(model_output: Any, data: Any, dp_group: Any = None) -> Any:
        kept = model_output["log_probs"].values() * data["loss_mask"].values()
        return -kept.sum() / 1000, {}

    with engine.train_mode():
        return float(engine.train_batch(batch, loss)["metrics"]["grad_norm"])


@dataclass
class Measured:
    """Result of one engine with one form of images."""

    engine: str
    images: str
    forward_seconds: float
    """Per micro-batch of one sequence."""
    update_seconds: float | None
    peak_gigabytes: float
    """Allocated on the GPU at most; 0 on a CPU."""
    gradient_norm: float | None


def measure(
    engine: Any, name: str, images: str, batch: Any, count: int, with_update: bool
) -> tuple[Measured, list[torch.Tensor]]:
    """Measure an engine on a batch, after one pass that fills the caches."""
    is_gpu = torch.cuda.is_available()
    log_probs(engine, batch)
    if is_gpu:
        torch.cuda.reset_peak_memory_stats()
    begin = now()
    values = log_probs(engine, batch)
    forward = (now() - begin) / count
    norm = seconds = None
    if with_update:
        begin = now()
        norm = update(engine, batch)
        seconds = (now() - begin) / count
    peak = torch.cuda.max_memory_allocated() / 1e9 if is_gpu else 0.0
    return Measured(name, images, forward, seconds, peak, norm), values


def now() -> float:
    """Return seconds, once the GPU has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def process_group(folder: Path, rank: int = 0, ranks: int = 1) -> Iterator[None]:
    """Run the block in a process group that meets in a file."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store = f"file://{folder / 'store'}"
    torch.distributed.init_process_group(backend, init_method=store, rank=rank, world_size=ranks)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure all cases and return the record."""
    size = (
        TINY
        if arguments.tiny
        else Size(text_layers=arguments.text_layers, vision_layers=arguments.vision_layers)
    )
    build_model(folder / "model", size, arguments.dtype)
    path = write_map(folder / "map.png", arguments.visual_tokens)
    groups = {
        images: [
            make_answer(processor, path, SHORTEST + 16 * one, one)
            for one in range(arguments.answers)
        ]
        for images, processor in processors(folder / "model").items()
    }
    measured, values = [], {}
    for name, packed in (("sdpa, padded", False), ("flash-attn, packed", True)):
        engine = build_engine(folder / "model", packed, arguments.dtype)
        for images, sequences in groups.items():
            batch = make_batch(sequences, packed, micro_batch_size_per_gpu=1)
            result, values[packed, images] = measure(
                engine, name, images, batch, len(sequences), not arguments.no_update
            )
            measured.append(result)
        del engine
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "size": asdict(size),
        "dtype": arguments.dtype,
        "prompt_tokens": len(groups["references"][0].input_ids) - SHORTEST,
        "answers": arguments.answers,
        "measured": [asdict(one) for one in measured],
        "agreement": {
            "flash-attn and sdpa": difference(values[True, "references"], values[False, "tensors"]),
            "references and tensors": difference(
                values[False, "references"], values[False, "tensors"]
            ),
        },
    }


def difference(one: list[torch.Tensor], other: list[torch.Tensor]) -> dict[str, float]:
    """Return the mean and maximum difference of log-probabilities, and their correlation."""
    first, second = torch.cat(one), torch.cat(other)
    gap = (first - second).abs()
    correlation = torch.corrcoef(torch.stack([first.exp(), second.exp()]))[0, 1]
    return {"mean": gap.mean().item(), "max": gap.max().item(), "pearson": correlation.item()}


def show(record: dict[str, Any]) -> None:
    """Print the record as tables."""
    table = Table(title=f"{record['device']}, prompts of {record['prompt_tokens']} tokens")
    for name in record["measured"][0]:
        table.add_column(name.replace("_", " "))
    for row in record["measured"]:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console().print(table)
    for name, found in record["agreement"].items():
        Console().print(name, found)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--text-layers", type=int, default=2, help="of 28")
    parser.add_argument("--vision-layers", type=int, default=8, help="of 32")
    parser.add_argument("--visual-tokens", type=int, default=16384, help="per map")
    parser.add_argument("--answers", type=int, default=8, help="of the group")
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--no-update", action="store_true", help="forward passes only")
    parser.add_argument("--tiny", action="store_true", help="the embedded model's widths")
    parser.add_argument("--out", type=Path, help="write the record as JSON")
    return parser


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = make_parser().parse_args()
    import verl  # noqa: F401  (loads the plugin, before any of its modules)

    with TemporaryDirectory() as name, process_group(Path(name)):
        record = run(arguments, Path(name))
    show(record)
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
