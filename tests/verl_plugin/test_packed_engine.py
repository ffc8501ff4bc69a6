"""verl's packed FSDP2 engine on image references gives the log-probabilities of padded SDPA.

Packing needs flash-attn, which needs a GPU. Here its functions are computed by torch
(``flash_attention.py``), in fp32, and Ulysses exchanges through gloo's ``all_to_all_single``; all
else is verl's engine on two ranks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("verl") is None, reason="verl is not installed"),
]

HERE = Path(__file__).resolve().parent
BENCHMARKS = HERE.parents[1] / "benchmarks"
RANKS = (0, 1)

CASES = [
    "mixed lengths",
    "one length",
    "one length, micro-batches",
    "one sequence per rank",
    "micro-batches of two",
    "dynamic batches",
    "gradient norm",
    "LoRA",
    "fused kernels, tied",
    "fused kernels, tied, padded",
    "Ulysses, all sequences on both ranks",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two ranks have run all cases."""
    place = tmp_path_factory.mktemp("packed")
    paths = os.pathsep.join(map(str, (HERE, BENCHMARKS)))
    environment = {**os.environ, "PYTHONPATH": paths, "VERL_PLATFORM": "cpu"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(HERE / "packed_engine_rank.py"), str(place), str(rank)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in RANKS
    ]
    try:
        outputs = [rank.communicate(timeout=840)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(o[-3000:] for o in outputs)
    return place


@pytest.mark.parametrize("case", CASES)
def test_log_probabilities_agree_with_padded_sdpa(folder: Path, case: str) -> None:
    results = [json.loads((folder / f"{rank}.json").read_text()) for rank in RANKS]
    assert [sorted(result) for result in results] == [sorted(CASES)] * 2
    assert max(result[case] for result in results) < 1e-5


def test_the_benchmark_for_gpus_runs_in_small(folder: Path) -> None:
    records: list[dict[str, Any]] = [
        json.loads((folder / f"benchmark-{rank}" / "record.json").read_text()) for rank in RANKS
    ]
    for record in records:
        assert len(record["measured"]) == 4
        assert all(row["update_seconds"] > 0 for row in record["measured"])
        norms = [row["gradient_norm"] for row in record["measured"]]
        assert max(norms) - min(norms) < 1e-4 * max(norms)
        assert record["agreement"]["flash-attn and sdpa"]["max"] < 1e-5
        assert record["agreement"]["references and tensors"]["max"] == 0
