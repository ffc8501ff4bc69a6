"""The zoom tool in verl's tool agent loop: crops arrive, masks are exact, nothing is stored twice.

The stand-in for vLLM returns fixed turns. ``test_zoom_agreement`` runs the real one.
"""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.tiny_model.build import make_processor
from rewardmap_verl.verl_plugin.image_references import ZOOM_LOOP
from rewardmap_verl.verl_plugin.image_references.pixel_reference import PixelReference
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage
from rewardmap_verl.verl_plugin.zoom_tool import (
    ZoomAgentLoop,
    description_tokens,
    last_turn,
    tool_kwargs,
)
from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.statistics import ANSWER_START, BOXES
from rewardmap_verl.zoom.tool import call_text

ZOOM = {"max_calls": 2, "max_pixels": 12_544, "min_pixels": 3136, "describe": False}
CALL = call_text(Box(0, 0, 500, 1000))
ANSWER = "Route Name: Line 1"


class Server:
    """Stand-in for vLLM: returns fixed turns, one after the other, and keeps what it was sent."""

    def __init__(self, tokenizer: Any, turns: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.turns = list(turns)
        self.prompts: list[list[int]] = []
        self.images: list[list[bytes]] = []

    async def generate(self, *, prompt_ids: list[int], image_data: Any, **_: Any) -> Any:
        self.prompts.append(list(prompt_ids))
        self.images.append([pickle.dumps(image) for image in image_data])
        end = [self.tokenizer.eos_token_id]
        tokens = self.tokenizer.encode(self.turns[len(self.prompts) - 1]) + end
        return SimpleNamespace(
            token_ids=tokens,
            log_probs=[-1.0 - number for number in range(len(tokens))],
            num_preempted=0,
            routed_experts=None,
            extra_fields={},
        )


class Trajectory(SimpleNamespace):
    """A trajectory with what verl puts into its queue for it."""


def run(
    processor: Any,
    folder: Path,
    turns: Sequence[str],
    response: int = 600,
    content: list[dict[str, Any]] | None = None,
    original: str = "",
    **zoom: Any,
) -> Trajectory:
    """One trajectory about the map of ``folder``, or about that of a prompt."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker, DictConfigWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    multi_turn = {
        "max_user_turns": None,
        "max_assistant_turns": 4,
        "max_parallel_calls": 1,
        "max_tool_response_length": 256,
        "tool_response_truncate_side": "middle",
        "format": "hermes",
    }
    rollout = {
        "name": "vllm",
        "prompt_length": 900,
        "response_length": response,
        "multi_turn": multi_turn,
        "full_determinism": False,
    }
    server = Server(processor.tokenizer, turns)
    worker: Any = AgentLoopWorker.__new__(AgentLoopWorker)
    worker.processor, worker.tokenizer = processor, processor.tokenizer
    worker.mm_processor_kwargs = {}
    item = {"type": "image", "image": str(folder / "images" / "map.png"), "max_pixels": 9408}
    text = {"type": "text", "text": "Question 1 of type planning?"}
    content = content or [item, text]

    async def one() -> Any:
        loop = ZoomAgentLoop(
            trainer_config=DictConfigWrap(
                OmegaConf.create({"actor_rollout_ref": {"rollout": rollout}})
            ),
            server_manager=server,
            tokenizer=processor.tokenizer,
            processor=processor,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(OmegaConf.create({"zoom": {**ZOOM, **zoom}})),
            hf_model_type="qwen2_5_vl",
        )
        return await loop.run(
            {},
            raw_prompt=[{"role": "user", "content": content}],
            tools_kwargs=tool_kwargs(original or str(folder / "originals" / "map.tif")),
        )

    output = asyncio.run(one())
    ids = torch.tensor(output.prompt_ids + output.response_ids)
    inputs = worker._compute_multi_modal_inputs(output, ids)
    return Trajectory(output=output, server=server, ids=ids, inputs=inputs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A prepared map of 84 × 112 pixels and its original, five times as large."""
    noise = np.random.default_rng(0).integers(0, 256, (560, 420, 3), dtype=np.uint8)
    original = Image.fromarray(noise)
    (tmp_path / "images").mkdir()
    original.resize((84, 112)).save(tmp_path / "images" / "map.png")
    store_original(original, "images/map.png", tmp_path)
    return tmp_path


@pytest.fixture
def ours(processor: Any) -> Any:
    return make_processor(processor.tokenizer.backend_tokenizer)


def test_a_trajectory_with_two_crops(ours: Any, folder: Path) -> None:
    turns = [CALL, call_text(Box(500, 500, 1000, 1000)), ANSWER]
    result = run(ours, folder, turns)
    output, tokenizer = result.output, ours.tokenizer
    assert output.extra_fields[BOXES] == [[0, 0, 500, 1000], [500, 500, 1000, 1000]]

    own = [t for t, m in zip(output.response_ids, output.response_mask, strict=True) if m]
    said = [token for turn in turns for token in [*tokenizer.encode(turn), tokenizer.eos_token_id]]
    assert own == said, "exactly the model's own tokens are trained"
    lengths = [len(tokenizer.encode(turn)) + 1 for turn in turns]
    own_logprobs = [
        value
        for value, mask in zip(output.response_logprobs, output.response_mask, strict=True)
        if mask
    ]
    assert own_logprobs == [-1.0 - number for length in lengths for number in range(length)]
    assert all(
        value == 0.0
        for value, mask in zip(output.response_logprobs, output.response_mask, strict=True)
        if not mask
    )
    answer = output.response_ids[output.extra_fields[ANSWER_START] :]
    assert tokenizer.decode(answer, skip_special_tokens=True) == ANSWER

    text = tokenizer.decode(output.response_ids)
    assert "Box [0, 0, 500, 1000]. Calls left: 1." in text
    assert text.count("<|vision_start|>") == 2

    grid = result.inputs["image_grid_thw"]
    pads = int((result.ids == ours.image_token_id).sum())
    assert len(grid) == 3
    assert pads == int(grid.prod(-1).sum()) // 4, "a place for each visual token of each picture"
    assert [len(images) for images in result.server.images] == [1, 2, 3]


def test_crops_travel_as_references_and_have_the_right_pixels(ours: Any, folder: Path) -> None:
    result = run(ours, folder, [CALL, ANSWER])
    reference = result.inputs["pixel_values"]
    assert isinstance(reference, PixelReference)
    assert len(pickle.dumps(reference)) < 3000
    assert all(len(image) < 1500 for images in result.server.images for image in images)
    shown = [pickle.loads(image) for image in result.server.images[-1]]
    assert all(isinstance(image, PreparedImage) for image in shown)
    crop = np.asarray(shown[1])
    original = Image.open(folder / "originals" / "map.tif").convert("RGB")
    expected = original.crop((0, 0, 210, 560)).resize(shown[1].size, Image.Resampling.LANCZOS)
    difference = np.abs(crop.astype(int) - np.asarray(expected).astype(int)).mean()
    assert difference < 8, "another region of this noise differs by more than 20"
    pixels = [image.source.image() for image in shown]
    stock = make_processor(ours.tokenizer.backend_tokenizer).image_processor(
        pixels, return_tensors="pt"
    )
    assert torch.equal(reference.tensor(), stock["pixel_values"]), "the actor sees what vLLM saw"
    assert torch.equal(result.inputs["image_grid_thw"], stock["image_grid_thw"])


def call(name: str, arguments: Any) -> str:
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


BAD_CALLS = {
    "no box": call("zoom", {}),
    "no size": call_text(Box(10, 10, 10, 10)),
    "no mapping": call("zoom", "everything"),
    "another path": call("zoom", {"original": "/etc/passwd"}),
    "another tool": call("shell", {"box": [0, 0, 1, 1]}),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_bad_call_gets_a_text_and_the_answer_still_counts(
    name: str, ours: Any, folder: Path
) -> None:
    result = run(ours, folder, [BAD_CALLS[name], ANSWER])
    output = result.output
    assert len(result.inputs["image_grid_thw"]) == 1
    answer = output.response_ids[output.extra_fields[ANSWER_START] :]
    assert ours.tokenizer.decode(answer, skip_special_tokens=True) == ANSWER
    assert "passwd" not in str(output.extra_fields)


def test_a_call_beyond_the_limit_gets_a_text(ours: Any, folder: Path) -> None:
    result = run(ours, folder, [CALL, CALL, CALL, ANSWER])
    assert len(result.inputs["image_grid_thw"]) == 3
    assert result.output.extra_fields[BOXES] == [[0, 0, 500, 1000]] * 2 + [None]
    assert "No zoom is left." in ours.tokenizer.decode(result.output.response_ids)


def test_a_crop_that_exceeds_the_response_is_left_out_whole(ours: Any, folder: Path) -> None:
    """Half a crop would leave places for visual tokens without a picture."""
    call = len(ours.tokenizer.encode(CALL)) + 1
    result = run(ours, folder, [CALL, ANSWER], response=call + 6)
    assert len(result.inputs["image_grid_thw"]) == 1
    assert result.output.response_mask == [1] * call


def test_an_answer_without_a_call(ours: Any, folder: Path) -> None:
    output = run(ours, folder, [ANSWER]).output
    assert (output.extra_fields[BOXES], output.extra_fields[ANSWER_START]) == ([], 0)


def test_the_tool_is_described_where_the_template_does_not(ours: Any, folder: Path) -> None:
    described = run(ours, folder, [ANSWER], describe=True)
    prompt = ours.tokenizer.decode(described.output.prompt_ids)
    assert prompt.startswith("<|im_start|>system") and "<tools>" in prompt
    plain = run(ours, folder, [ANSWER])
    added = len(described.output.prompt_ids) - len(plain.output.prompt_ids)
    counted = description_tokens(ZoomSettings(**{**ZOOM, "describe": True}), ours.tokenizer)
    assert added <= counted <= added + 8
    shows = make_processor(ours.tokenizer.backend_tokenizer)
    shows.chat_template = "{{- tools | tojson -}}" + shows.chat_template
    described = run(shows, folder, [ANSWER], describe=True)
    assert "system" not in shows.tokenizer.decode(described.output.prompt_ids)


def test_the_last_turn_is_what_the_model_wrote_after_the_last_crop() -> None:
    assert last_turn([1, 1, 0, 0, 1, 1]) == 4
    assert last_turn([1, 1]) == 0
    assert last_turn([1, 0]) == 2
    assert last_turn([]) == 0


def test_the_loop_is_registered() -> None:
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

    target = _agent_loop_registry[ZOOM_LOOP]["_target_"]
    assert target == f"{ZoomAgentLoop.__module__}.{ZoomAgentLoop.__qualname__}"
