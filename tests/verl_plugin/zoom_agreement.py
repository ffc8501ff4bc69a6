"""Program of ``test_zoom_agreement``: real vLLM, real agent loop, the model of the actor.

    python zoom_agreement.py FOLDER MAP ORIGINAL

It reads the model in FOLDER/model, and writes what it found to FOLDER/result.json and what an actor
would get to FOLDER/trajectories.pt.

The turns that zoom are given, because a random model does not call tools; vLLM computes their
log-probabilities as those of a prompt. The last turn is sampled.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import verl  # noqa: F401 (loads the plugin)
from omegaconf import OmegaConf
from transformers import Qwen2_5_VLForConditionalGeneration
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker, DictConfigWrap
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.model import extract_multi_modal_inputs
from verl.utils.tokenizer import hf_processor
from verl.workers.rollout.utils import qwen2_5_vl_dedup_image_tokens

from rewardmap_verl.verl_plugin.zoom_tool import ZoomAgentLoop, tool_kwargs
from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.tool import call_text

TRAJECTORIES = (
    (),
    (Box(0, 0, 500, 1000),),
    (Box(500, 0, 1000, 500), Box(100, 100, 400, 900)),
    (Box(0, 0, 1000, 300), Box(0, 0, 1000, 1000)),
)
ANSWER_TOKENS = 12


class Server:
    """vLLM behind the interface of verl's client, with given turns before the sampled one."""

    def __init__(self, engine: Any, processor: Any, turns: Sequence[str]) -> None:
        self.engine = engine
        self.processor = processor
        self.turns = list(turns)
        self.same_tokens: list[bool] = []
        """For each turn, whether vLLM saw the tokens that the actor gets."""

    async def generate(self, *, prompt_ids: list[int], image_data: Any, **_: Any) -> Any:
        from vllm import SamplingParams

        tokenizer = self.processor.tokenizer
        given = []
        if self.turns:
            given = [*tokenizer.encode(self.turns.pop(0)), tokenizer.eos_token_id]
        sampling = SamplingParams(
            temperature=1.0,
            seed=1,
            max_tokens=1 if given else ANSWER_TOKENS,
            logprobs=0,
            prompt_logprobs=0 if given else None,
            ignore_eos=True,
            detokenize=False,
        )
        tokens = qwen2_5_vl_dedup_image_tokens(prompt_ids + given, self.processor)
        prompt = {"prompt_token_ids": tokens, "multi_modal_data": {"image": list(image_data)}}
        (output,) = self.engine.generate([prompt], sampling, use_tqdm=False)
        self.same_tokens.append(output.prompt_token_ids == prompt_ids + given)
        if given:
            found = output.prompt_logprobs[-len(given) :]
        else:
            given, found = list(output.outputs[0].token_ids), output.outputs[0].logprobs
        return SimpleNamespace(
            token_ids=given,
            log_probs=[one[token].logprob for one, token in zip(found, given, strict=True)],
            num_preempted=0,
            routed_experts=None,
            extra_fields={},
        )


def make_loop(processor: Any, server: Server) -> ZoomAgentLoop:
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
        "prompt_length": 300,
        "response_length": 600,
        "multi_turn": multi_turn,
        "full_determinism": False,
    }
    zoom = {"max_calls": 2, "max_pixels": 12_544, "min_pixels": 3136, "describe": False}
    return ZoomAgentLoop(
        trainer_config=DictConfigWrap(
            OmegaConf.create({"actor_rollout_ref": {"rollout": rollout}})
        ),
        server_manager=server,
        tokenizer=processor.tokenizer,
        processor=processor,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(OmegaConf.create({"zoom": zoom})),
        hf_model_type="qwen2_5_vl",
    )


async def run(processor: Any, server: Server, content: list[Any], original: str) -> Any:
    """One trajectory. The loop belongs to the event loop in which it is made."""
    return await make_loop(processor, server).run(
        {},
        raw_prompt=[{"role": "user", "content": content}],
        tools_kwargs=tool_kwargs(original),
    )


def for_actor(worker: Any, output: Any) -> dict[str, Any]:
    """What verl would send to the actor, by the names of ``packed_engine.Answer``."""
    ids = torch.tensor(output.prompt_ids + output.response_ids)
    inputs = worker._compute_multi_modal_inputs(output, ids)
    positions = worker._compute_position_ids(
        ids.unsqueeze(0), torch.ones_like(ids).unsqueeze(0), inputs, {}
    )
    own = [0] * len(output.prompt_ids) + output.response_mask
    mask = torch.tensor([*own[1:], 0], dtype=torch.float32)  # of the next token
    inputs.pop("images_seqlens", None)
    return {
        "input_ids": ids,
        "position_ids": positions[0],
        "loss_mask": mask,
        "images": dict(inputs),
    }


def actor_log_probs(model: Any, sent: dict[str, Any]) -> torch.Tensor:
    """Log-probability of each token but the first."""
    ids, positions = sent["input_ids"], sent["position_ids"].unsqueeze(1)
    inputs = extract_multi_modal_inputs([sent["images"]])
    logits = model(input_ids=ids.unsqueeze(0), position_ids=positions, **inputs).logits
    return logits[0, :-1].float().log_softmax(-1).gather(-1, ids[1:, None])[:, 0]


@torch.no_grad()
def main(folder: str, image: str, original: str) -> None:
    from vllm import LLM

    path = f"{folder}/model"
    processor = hf_processor(path)
    engine = LLM(
        path,
        dtype="float32",
        enforce_eager=True,
        max_model_len=1024,
        limit_mm_per_prompt={"image": 3},
        skip_mm_profiling=True,
        distributed_executor_backend="uni",
        seed=0,
    )
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        path, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()
    worker: Any = AgentLoopWorker.__new__(AgentLoopWorker)
    worker.processor, worker.tokenizer = processor, processor.tokenizer
    worker.mm_processor_kwargs = {}
    content = [
        {"type": "image", "image": image, "max_pixels": 9408},
        {"type": "text", "text": "Question 1 of type planning?"},
    ]
    found, all_sent = [], []
    for boxes in TRAJECTORIES:
        server = Server(engine, processor, [call_text(box) for box in boxes])
        output = asyncio.run(run(processor, server, content, original))
        all_sent.append(for_actor(worker, output))
        start = len(output.prompt_ids) - 1
        found.append(
            {
                "pictures": len(output.multi_modal_data["images"]),
                "same_tokens": server.same_tokens,
                "mask": output.response_mask,
                "rollout": output.response_logprobs,
                "start": start,
                "actor": actor_log_probs(model, all_sent[-1])[start:].tolist(),
            }
        )
    torch.save(all_sent, f"{folder}/trajectories.pt")
    Path(folder, "result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
