"""One of two ranks of ``test_packed_engine.py``: verl's engine on a CPU without flash-attn.

    python packed_engine_rank.py FOLDER RANK

Writes the largest difference of log-probabilities to padded SDPA, per case, to FOLDER/RANK.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flash_attention
import packed_engine
import torch
from packed_engine import Answer, build_engine, log_probs, make_answer, make_batch, update

from rewardmap_verl.verl_plugin.image_references.pixel_reference import PixelReference

RANKS = 2
LENGTHS = [7, 30, 12, 18, 25, 9, 16, 40]
"""Tokens of the answers; rank 0 has the first of each pair."""


def make_answers(folder: Path, rank: int, lengths: Sequence[int]) -> list[Answer]:
    """Answers about two maps, one with several attention windows in the vision tower."""
    processor = packed_engine.processors(folder / "model")["references"]
    own = folder / f"maps-{rank}"
    own.mkdir(exist_ok=True)
    maps = [packed_engine.write_map(own / f"{n}.png", n, seed=n) for n in (12, 49)]
    # Pairs of one map: a rank's share has both.
    return [
        make_answer(processor, maps[number // RANKS % 2], length, number)
        for number, length in enumerate(lengths)
    ]


def build_adapted(folder: Path, packed: bool) -> Any:
    """An engine with adapters that change something: their second matrix starts at zero."""
    torch.manual_seed(3)
    engine = build_engine(folder / "model", packed, lora_rank=4)
    changed = [p for name, p in engine.module.named_parameters() if "lora_B" in name]
    assert changed
    with torch.no_grad():
        for parameter in changed:
            parameter.fill_(0.05)
    return engine


def gap(values: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Largest difference over all tokens."""
    pairs = zip(values, expected, strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)


def compare(folder: Path, rank: int) -> dict[str, float]:
    """Run every case, padded engines first: verl changes classes for the packed ones."""
    mixed = make_answers(folder, rank, LENGTHS)
    equal = make_answers(folder, rank, [20] * 8)
    equal = [one for one in equal if len(one.input_ids) == len(equal[0].input_ids)]
    assert all(isinstance(one.images["pixel_values"], PixelReference) for one in mixed)
    share, one_length = mixed[rank::RANKS], equal[rank::RANKS]
    assert len(one_length) > 1

    padded = build_engine(folder / "model", packed=False)
    want = log_probs(padded, make_batch(mixed, packed=False))
    want_equal = log_probs(padded, make_batch(one_length, packed=False))
    norm = update(padded, make_batch(share, packed=False))
    adapted = build_adapted(folder, packed=False)
    want_adapted = log_probs(adapted, make_batch(share, packed=False))
    tied = build_engine(folder / "tied", packed=False)
    want_tied = log_probs(tied, make_batch(share, packed=False))
    assert gap(want_adapted, want[rank::RANKS]) > 1e-3
    fused = {"use_fused_kernels": True}
    tied = build_engine(folder / "tied", packed=False, fused=True)
    fused_padded = log_probs(tied, make_batch(share, packed=False, **fused))

    engine = build_engine(folder / "model", packed=True)
    budget = max(len(one.input_ids) for one in mixed) + 20
    dynamic = {"use_dynamic_bsz": True, "max_token_len_per_gpu": budget}

    def packed(answers: Sequence[Answer], kind: Any = engine, **settings: Any) -> Any:
        return log_probs(kind, make_batch(answers, packed=True, **settings))

    found = {
        "mixed lengths": gap(packed(share), want[rank::RANKS]),
        "one length": gap(packed(one_length), want_equal),
        "one length, micro-batches": gap(
            packed(one_length, micro_batch_size_per_gpu=1), want_equal
        ),
        "one sequence per rank": gap(packed(share[:1]), want[rank : rank + 1]),
        "micro-batches of two": gap(packed(share, micro_batch_size_per_gpu=2), want[rank::RANKS]),
        "dynamic batches": gap(packed(share, **dynamic), want[rank::RANKS]),
        "gradient norm": abs(update(engine, make_batch(share, packed=True)) / norm - 1),
    }
    found["LoRA"] = gap(packed(share, build_adapted(folder, packed=True)), want_adapted)
    tied = build_engine(folder / "tied", packed=True, fused=True)
    found["fused kernels, tied, padded"] = gap(fused_padded, want_tied)
    found["fused kernels, tied"] = gap(packed(share, tied, **fused), want_tied)
    torch.distributed.all_to_all = all_to_all
    shared = build_engine(folder / "model", packed=True, ulysses=RANKS)
    found["Ulysses, all sequences on both ranks"] = gap(packed(mixed, shared), want)
    return found


def all_to_all(
    outputs: list[torch.Tensor], inputs: list[torch.Tensor], group: Any, async_op: bool = False
) -> None:
    """Exchange lists of equal tensors, which Ulysses needs and gloo has for single tensors only."""
    assert not async_op
    sent = torch.stack(inputs)
    received = torch.empty_like(sent)
    torch.distributed.all_to_all_single(received, sent, group=group)
    for output, one in zip(outputs, received, strict=True):
        output.copy_(one)


def run_benchmark(folder: Path, rank: int) -> None:
    """Run the benchmark's own main part; its model is split over both ranks."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLAttention

    stock = Qwen2_5_VLAttention.forward
    words = ["--tiny", "--dtype=fp32", "--visual-tokens=16", "--answers=2"]
    own = folder / f"benchmark-{rank}"
    own.mkdir()
    record = packed_engine.run(packed_engine.make_parser().parse_args(words), own)
    packed_engine.show(record)
    (own / "record.json").write_text(json.dumps(record))
    Qwen2_5_VLAttention.forward = stock


def main() -> None:
    """Run this rank."""
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    flash_attention.install()
    import verl  # noqa: F401  (loads the plugin)

    with packed_engine.process_group(folder, rank, RANKS):
        if rank == 0:
            for name, tied in (("model", False), ("tied", True)):
                packed_engine.build_model(folder / name, packed_engine.TINY, tied=tied)
        torch.distributed.barrier()
        run_benchmark(folder, rank)
        found = compare(folder, rank)
        (folder / f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
