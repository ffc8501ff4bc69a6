"""Measure a reward worker under concurrent load: event loop lag, samples/s and memory.

    python benchmarks/reward_concurrency.py [--samples 1000] [--rounds 20] [--hostile]

One reward manager, as in verl's reward worker, scores all samples of a round concurrently. A timer
on the same event loop fires every millisecond; its delay is the lag that another call to the
worker would see. Responses are correct and wrong routes and short answers; with ``--hostile``,
every tenth is 1 MB of hostile text.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl import DataProto

from rewardmap_verl.questions.sampling import generate_questions
from rewardmap_verl.questions.types import Question
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.synthetic import generate_network, standard_settings
from rewardmap_verl.verl_plugin.reward_manager import RewardMapRewardManager

TICK = 0.001
"""Seconds that the clock on the event loop sleeps."""

HOSTILE = ("{", "\\boxed{", "--\n", "Route Name:", "Route Name: Line 1\nDeparture Stop: x\n", "7")


class Letters:
    """A tokenizer with one token per character, to exclude the cost of a real tokenizer."""

    def decode(self, tokens: torch.Tensor, skip_special_tokens: bool) -> str:
        """Convert code points to text."""
        return tokens.numpy().astype("<u4").tobytes().decode("utf-32-le", "replace")


def write_network(network: Network, folder: Path) -> Path:
    """Write a network as a station file that the manager reads."""
    path = folder / f"{network.city}.json"
    lists = {
        line.name: [network.stops[index].name for index in line.listed] for line in network.lines
    }
    path.write_text(json.dumps(lists, ensure_ascii=False), encoding="utf-8")
    return path


def questions(folder: Path) -> list[tuple[Question, Path]]:
    """Return the questions of five generated cities, each with its network file."""
    found = []
    for index in range(5):
        network = generate_network(1, index, standard_settings()).network
        path = write_network(network, folder)
        found += [(question, path) for question in generate_questions(network, "middle", 0)]
    return found


def response(question: Question, rng: random.Random, hostile: bool) -> str:
    """Return a correct answer, a wrong one, or 1 MB of hostile text."""
    gold = gold_answer(question)
    if hostile and rng.random() < 0.1:
        return rng.choice(HOSTILE) * (1_000_000 // 8)
    return gold if rng.random() < 0.5 else gold.replace("Route Name: ", "Route Name: Old ")


def sample(question: Question, path: Path, text: str) -> DataProto:
    """Build the batch that an agent loop sends for one rollout."""
    tokens = torch.tensor([[ord(char) for char in text]])
    batch = TensorDict({"responses": tokens, "attention_mask": torch.ones_like(tokens)}, [1])
    rows: dict[str, Any] = {
        "reward_model": {"ground_truth": GroundTruth.from_question(question).to_json()},
        "extra_info": {"network": str(path)},
    }
    return DataProto(batch, {name: np.array([row], dtype=object) for name, row in rows.items()})


async def watch(lags: list[float]) -> None:
    """Record the delay of each timer tick in seconds."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(TICK)
        lags.append(time.perf_counter() - start - TICK)


async def measure(manager: Any, samples: list[DataProto]) -> tuple[float, list[float]]:
    """Return the duration of a round in seconds and the event loop lags during it."""
    lags: list[float] = []
    clock = asyncio.create_task(watch(lags))
    start = time.perf_counter()
    await asyncio.gather(*(manager.run_single(one) for one in samples))
    seconds = time.perf_counter() - start
    clock.cancel()
    return seconds, lags


def main() -> None:
    """Measure and print one line per round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--hostile", action="store_true")
    arguments = parser.parse_args()
    process, rng = psutil.Process(), random.Random("reward_concurrency")
    manager = RewardMapRewardManager(OmegaConf.create({"reward": {}}), Letters())
    with tempfile.TemporaryDirectory() as folder:
        pool = questions(Path(folder))
        chosen = [rng.choice(pool) for _ in range(arguments.samples)]
        samples = [
            sample(question, path, response(question, rng, arguments.hostile))
            for question, path in chosen
        ]
        asyncio.run(measure(manager, samples))  # warm-up: loads networks and gold answers
        before = process.memory_info().rss
        print("round  samples/s  max lag ms  p99 lag ms  MB more")
        for number in range(arguments.rounds):
            seconds, lags = asyncio.run(measure(manager, samples))
            more = (process.memory_info().rss - before) / 1e6
            print(
                f"{number:5} {len(samples) / seconds:10.0f} {max(lags) * 1e3:11.1f} "
                f"{np.percentile(lags, 99) * 1e3:11.1f} {more:8.1f}"
            )


if __name__ == "__main__":
    main()
