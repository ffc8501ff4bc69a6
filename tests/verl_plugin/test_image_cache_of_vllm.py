"""vLLM's cache of processed images: every answer of a group except the first is a hit.

The test runs the parts of vLLM's server that a request passes before the engine, with its settings
and its statistics, which it reports as ``vllm:mm_cache_queries`` and ``…_hits``.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from rewardmap_verl.tiny_model.build import TinyModelSize, make_config, make_model

ASK = """
import json, pathlib, pickle, sys
import verl
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs import TokensPrompt
from vllm.renderers import renderer_from_config
from vllm.v1.engine.input_processor import InputProcessor
from rewardmap_verl.verl_plugin.image_references.image_source import image_cache

model, requests = sys.argv[1:]
settings = AsyncEngineArgs(
    model=model, enforce_eager=True, dtype="float32", max_model_len=128, skip_mm_profiling=True,
    distributed_executor_backend="uni", limit_mm_per_prompt={"image": 1},
).create_engine_config()
renderer = renderer_from_config(settings)
processor = InputProcessor(settings, renderer)
for number, (tokens, images) in enumerate(pickle.loads(pathlib.Path(requests).read_bytes())):
    prompt = TokensPrompt(prompt_token_ids=tokens, multi_modal_data={"image": pickle.loads(images)})
    processor.process_inputs(str(number), prompt, SamplingParams(max_tokens=4), ("generate",))
    renderer.update_mm_cache_stats()  # as vLLM does when it has accepted a request
counted = renderer.stat_mm_cache()
print("counted", counted.queries, counted.hits, image_cache(2**20).cache_info().misses)
"""
MAPS, ANSWERS = 3, 8


def test_all_answers_of_a_group_but_the_first_hit_it(processor: Any, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    from rewardmap_verl.verl_plugin.agent_loop import prepared_images

    model = make_model(make_config(processor, TinyModelSize()), seed=1)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    prompt = "<|vision_start|><|image_pad|><|vision_end|>Question 1"
    tokens = processor.tokenizer(prompt)["input_ids"]
    requests = []
    for number in range(MAPS):
        pixels = np.random.default_rng(number).integers(0, 256, (56, 84, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        item = {"type": "image", "image": str(tmp_path / f"{number}.png")}
        for _ in range(ANSWERS):  # each request brings its own copy, as through Ray
            images = prepared_images([{"role": "user", "content": [item]}], 14, 2**20)
            requests.append((tokens, pickle.dumps(images)))
    (tmp_path / "requests").write_bytes(pickle.dumps(requests))
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / "model"), str(tmp_path / "requests")],
        env={**os.environ, "VERL_PLATFORM": "cpu"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    queries, hits, decoded = map(int, done.stdout.rpartition("counted ")[2].split())
    assert queries == MAPS * ANSWERS
    assert hits == MAPS * (ANSWERS - 1)
    assert decoded == MAPS, "a hit decodes no pixels"
