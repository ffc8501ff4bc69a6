"""Cost of a prompt with a map apart from the model: CPU time of image work, bytes per transfer.

    rewardmap prepare local --root FOLDER --size full --out data/large
    python benchmarks/step_images.py data/large --out benchmarks/records/step_images.json

The benchmark takes the row with the largest map and sends a group of rollouts through verl's agent
loop, queue encoding and micro-batch assembly: once with verl's ``single_turn_agent``, once with
``rewardmap``. vLLM is replaced by what its server does with an image: hash it, and process it
unless the hash is known. Times are CPU seconds of this process with one thread. No model is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pickle
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import torch
from omegaconf import OmegaConf
from PIL import Image
from rich.console import Console
from rich.table import Table

PASSES = 3
"""Old log-probs, reference log-probs, update."""
QWEN_SIZE = {"shortest_edge": 3136, "longest_edge": 12845056}
ANSWER_TOKENS = 200


@dataclass
class Costs:
    """CPU seconds and bytes by purpose."""

    seconds: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Add the CPU seconds of the block."""
        start = time.process_time()
        yield
        self.seconds[name] += time.process_time() - start


class Server:
    """Stand-in for vLLM's server without its engine."""

    def __init__(self, costs: Costs, processor: Any) -> None:
        self.costs, self.processor = costs, processor
        self.known: set[str] = set()

    async def generate(self, *, image_data: list[Any], prompt_ids: list[int], **_: Any) -> Any:
        """Receive images as from Ray, hash them, and process those that are new."""
        from vllm.multimodal.hasher import MultiModalHasher

        with self.costs.on("images to the server"):
            message = pickle.dumps(image_data)
            images = pickle.loads(message)
        self.costs.bytes["request to vLLM"] += len(message) + 4 * len(prompt_ids)
        with self.costs.on("vLLM: hash"):
            keys = [MultiModalHasher.hash_kwargs(image=image) for image in images]
        for key, image in zip(keys, images, strict=True):
            if key not in self.known:
                self.known.add(key)
                with self.costs.on("vLLM: decode and processor"):
                    self.processor.image_processor([image], return_tensors="pt")
        answer = [1] * ANSWER_TOKENS
        return SimpleNamespace(
            token_ids=answer,
            log_probs=[-1.0] * ANSWER_TOKENS,
            num_preempted=0,
            routed_experts=None,
            extra_fields={},
        )


def main() -> None:
    """Measure both agent loops, print the result and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a prepared folder")
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--cache-megabytes", type=int, default=1024)
    parser.add_argument("--out", type=Path, help="file for the record, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    row = largest_row(arguments.data)
    results = {}
    for name in ("single_turn_agent", "rewardmap"):
        # Warm-up for the imports; another limit uses another cache.
        measure(name, row, 1, arguments.cache_megabytes + 1)
        costs, tokens = measure(name, row, arguments.rollouts, arguments.cache_megabytes)
        results[name] = {"cpu_seconds": dict(costs.seconds), "bytes": dict(costs.bytes)}
    with Image.open(row["images"][0]["image"]) as image:
        size = image.size
    record = {
        "map": {"pixels": size, "prompt_tokens": tokens},
        "rollouts": arguments.rollouts,
        "passes": PASSES,
        **results,
    }
    show(record)
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def largest_row(folder: Path) -> dict[str, Any]:
    """Return the first row with the map of the most pixels, with absolute paths as in training."""

    def pixels(row: dict[str, Any]) -> int:
        with Image.open(folder / row["images"][0]["image"]) as image:
            return image.width * image.height

    rows = [row for name in ("train", "test") for row in read(folder / f"{name}.parquet")]
    row = max(rows, key=pixels)
    row["images"][0]["image"] = str((folder / row["images"][0]["image"]).resolve())
    row["extra_info"]["network"] = str((folder / row["extra_info"]["network"]).resolve())
    return row


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a parquet file."""
    return pq.read_table(path).to_pylist() if path.is_file() else []


def make_processor(row: dict[str, Any]) -> Any:
    """Return Qwen2.5-VL's image processor with a small tokenizer, as verl loads it."""
    from transformers.image_utils import SizeDict
    from verl.utils.tokenizer import hf_processor

    from rewardmap_verl.tiny_model.build import build_tiny_model

    with TemporaryDirectory() as folder:
        model = build_tiny_model(Path(folder) / "model", [str(row["prompt"])] * 8)
        processor = hf_processor(str(model))
    processor.image_processor.size = SizeDict(**QWEN_SIZE)
    return processor


def make_worker(processor: Any) -> Any:
    """Return an agent loop worker that can only postprocess answers."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

    worker: Any = object.__new__(AgentLoopWorker)
    worker.processor, worker.tokenizer = processor, processor.tokenizer
    worker.mm_processor_kwargs = {}
    return worker


def measure(name: str, row: dict[str, Any], rollouts: int, megabytes: int) -> tuple[Costs, int]:
    """Send a group through an agent loop, the queue and the actor's passes."""
    from transfer_queue.utils.serial_utils import decode, encode
    from verl.utils.model import extract_multi_modal_inputs

    from rewardmap_verl.verl_plugin.image_references.pixel_reference import PixelReference

    costs, processor = Costs(), make_processor(row)
    server = Server(costs, make_processor(row))
    message = {**row["images"][0], "type": "image"}
    message = {key: value for key, value in message.items() if value is not None}
    question = {"type": "text", "text": row["prompt"][0]["content"].replace("<image>", "")}
    columns = {**row, "raw_prompt": [{"role": "user", "content": [message, question]}]}
    columns.pop("images")
    costs.bytes["row to the agent loop"] = len(pickle.dumps(columns))
    worker = make_worker(processor)
    queue: list[list[bytes]] = []
    for _ in range(rollouts):
        before = sum(costs.seconds.values())
        start = time.process_time()
        output = asyncio.run(roll_out(name, processor, server, megabytes, columns["raw_prompt"]))
        tokens = torch.tensor(output.prompt_ids + output.response_ids)
        for _ in range(2):  # for the reward's position ids, and for the actor
            inputs = worker._compute_multi_modal_inputs(output, tokens)
            with costs.on("agent loop: positions"):
                position_ids = worker._compute_position_ids(
                    tokens[None], torch.ones_like(tokens)[None], inputs
                )[0]
        others = sum(costs.seconds.values()) - before
        costs.seconds["agent loop"] += time.process_time() - start - others
        scored = {**columns, "input_ids": tokens, "position_ids": position_ids}
        costs.bytes["row and answer to the reward"] += len(pickle.dumps(scored))
        frames = [bytes(frame) for frame in encode({**scored, "multi_modal_inputs": inputs})]
        costs.bytes["trajectory in the queue"] += sum(map(len, frames))
        queue.append(frames)
    received = [decode(frames)["multi_modal_inputs"]["pixel_values"] for frames in queue]
    with costs.on("actor: decode and processor"):
        for pixels in received:
            if isinstance(pixels, PixelReference):
                pixels.patches()
    for _ in range(PASSES):
        for frames in queue:
            with costs.on("actor: pixels of a micro-batch"):
                extract_multi_modal_inputs([decode(frames)["multi_modal_inputs"]])
    return costs, len(output.prompt_ids)


async def roll_out(
    name: str, processor: Any, server: Server, megabytes: int, messages: list[dict[str, Any]]
) -> Any:
    """Run one rollout; verl builds an agent loop for each."""
    return await make_loop(name, processor, server, megabytes).run({}, raw_prompt=messages)


def make_loop(name: str, processor: Any, server: Server, megabytes: int) -> Any:
    """Build an agent loop as verl does for each rollout."""
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap
    from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from rewardmap_verl.verl_plugin.agent_loop import MapAgentLoop

    rollout = {"prompt_length": 20000, "response_length": 2048}
    return {"rewardmap": MapAgentLoop, "single_turn_agent": SingleTurnAgentLoop}[name](
        trainer_config=DictConfigWrap(
            OmegaConf.create({"actor_rollout_ref": {"rollout": rollout}})
        ),
        server_manager=server,
        tokenizer=processor.tokenizer,
        processor=processor,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(OmegaConf.create({"images": {"cache_megabytes": megabytes}})),
        hf_model_type="qwen2_5_vl",
    )


def show(record: dict[str, Any]) -> None:
    """Print both agent loops side by side."""
    console = Console()
    stock, ours = record["single_turn_agent"], record["rewardmap"]
    for unit, scale, digits in (("cpu_seconds", 1.0, 2), ("bytes", 1e6, 3)):
        table = Table(title=f"{unit.replace('_', ' ')}{' / 10^6' if scale > 1 else ''} per group")
        for column in ("", "single_turn_agent", "rewardmap", "factor"):
            table.add_column(column, justify="left" if not column else "right")
        for name in [*stock[unit], "total"]:
            one, other = (
                sum(loop[unit].values()) if name == "total" else loop[unit].get(name, 0.0)
                for loop in (stock, ours)
            )
            ratio = f"{one / other:.1f}" if other else "-"
            table.add_row(name, f"{one / scale:.{digits}f}", f"{other / scale:.{digits}f}", ratio)
        console.print(table)
    console.print(record["map"])


if __name__ == "__main__":
    main()
