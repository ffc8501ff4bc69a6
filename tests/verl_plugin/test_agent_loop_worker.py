"""What our worker of agent loops shares within a group is what verl's computes per answer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from rewardmap_verl.tiny_model.build import build_tiny_model
from rewardmap_verl.verl_plugin.agent_loop import MapAgentLoop, prepared_images
from rewardmap_verl.verl_plugin.agent_loop_worker import (
    MapAgentLoopManager,
    SharesPrompts,
)
from rewardmap_verl.verl_plugin.image_references.processor import refer_to_pixels

PLACE = "<|vision_start|><|image_pad|><|vision_end|>"
ANSWERS = ("Line A", "Alpha to Gamma, then on.", "2", "")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = ["Question 1 of Alpha and Beta?", *ANSWERS] * 3
    return build_tiny_model(tmp_path_factory.mktemp("worker") / "model", texts)


@pytest.fixture
def workers(model: Path) -> tuple[Any, Any]:
    """verl's and ours, each with a processor of its own, as verl loads it."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
    from verl.utils.tokenizer import hf_processor

    class Ours(SharesPrompts, AgentLoopWorker):
        pass

    made = []
    for kind in (AgentLoopWorker, Ours):
        worker: Any = kind.__new__(kind)
        worker.processor = hf_processor(str(model))
        worker.tokenizer, worker.mm_processor_kwargs = worker.processor.tokenizer, {}
        refer_to_pixels(worker.processor)
        made.append(worker)
    return made[0], made[1]


def picture(path: Path, width: int, height: int) -> dict[str, Any]:
    Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8)).save(path)
    return {"type": "image", "image": str(path)}


def answered(worker: Any, items: list[dict[str, Any]], text: str, answer: list[int]) -> Any:
    """What an agent loop gives for one answer."""
    images = prepared_images([{"role": "user", "content": items}], 14, 2**20) if items else None
    prompt = worker.processor(text=[text], images=images or None)["input_ids"][0]
    return SimpleNamespace(
        prompt_ids=list(prompt),
        response_ids=answer,
        multi_modal_data={"images": images} if images else {},
        mm_processor_kwargs=None,
    )


def trajectory(worker: Any, output: Any) -> dict[str, Any]:
    """What verl makes of an answer, for the reward and for the queue."""
    tokens = torch.tensor(output.prompt_ids + output.response_ids)
    inputs = worker._compute_multi_modal_inputs(output, tokens)
    mask = torch.ones_like(tokens)
    positions = worker._compute_position_ids(tokens[None], mask[None], inputs)
    return {**inputs, "positions": positions}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.dtype == other.dtype
    return bool(one == other)


CASES = {
    "one map": (1, PLACE + "\nQuestion 1 of Alpha?"),
    "two maps": (2, PLACE + "Alpha" + PLACE + "\nQuestion 1 of Beta?"),
    "a map at the very end": (1, "Question 1 of Alpha? <|vision_start|><|image_pad|>"),
    "no map": (0, "Question 1 of Alpha?"),
}


@pytest.mark.parametrize("name", CASES)
def test_every_answer_is_verls(name: str, workers: tuple[Any, Any], tmp_path: Path) -> None:
    count, text = CASES[name]
    items = [picture(tmp_path / f"{i}.png", 84 + 28 * i, 56) for i in range(count)]
    stock, ours = workers
    for answer in [*ANSWERS, *ANSWERS]:
        tokens = ours.tokenizer.encode(answer)
        want = trajectory(stock, answered(stock, items, text, tokens))
        have = trajectory(ours, answered(ours, items, text, tokens))
        assert want.keys() == have.keys()
        assert all(same(want[key], have[key]) for key in want), name


def test_prompts_and_maps_are_not_mistaken(workers: tuple[Any, Any], tmp_path: Path) -> None:
    """Other maps behind the same words, other words before the same map."""
    stock, ours = workers
    wide = [picture(tmp_path / "wide.png", 112, 56)]
    high = [picture(tmp_path / "high.png", 56, 112)]
    for items in (wide, high, wide):
        for text in (PLACE + "Alpha", PLACE + "Alpha Beta", "Beta" + PLACE + "Alpha"):
            tokens = ours.tokenizer.encode("2")
            want = trajectory(stock, answered(stock, items, text, tokens))
            have = trajectory(ours, answered(ours, items, text, tokens))
            assert all(same(want[key], have[key]) for key in want)


def test_an_answer_that_holds_a_mark_of_pictures_takes_verls_way(
    workers: tuple[Any, Any], tmp_path: Path
) -> None:
    stock, ours = workers
    items = [picture(tmp_path / "map.png", 84, 56)]
    mark = ours.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    outcomes = []
    for worker in (stock, ours):
        try:
            made = trajectory(worker, answered(worker, items, PLACE + "Alpha", [5, mark, 6]))
            outcomes.append(str(made["positions"]))
        except Exception as error:
            outcomes.append(type(error).__name__)
    assert outcomes[0] == outcomes[1]


def test_a_group_is_prepared_once(
    workers: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

    calls: Counter[str] = Counter()
    for name in ("_compute_multi_modal_inputs", "_compute_position_ids"):
        stock = getattr(AgentLoopWorker, name)

        def counted(self: Any, *args: Any, _stock: Any = stock, _name: str = name) -> Any:
            calls[_name] += 1
            return _stock(self, *args)

        monkeypatch.setattr(AgentLoopWorker, name, counted)
    _, ours = workers
    for number in range(3):
        items = [picture(tmp_path / f"{number}.png", 84, 56)]
        for answer in ANSWERS[:3] * 2:
            output = answered(ours, items, PLACE + "Alpha", ours.tokenizer.encode(answer))
            trajectory(ours, output)
            trajectory(ours, output)  # for the reward, and for the queue
    # Positions are a matter of the map's size alone, and these are of one size
    assert calls == {"_compute_multi_modal_inputs": 3, "_compute_position_ids": 1}


class Client:
    """In place of verl's client of vLLM: what it answers is a matter of the prompt alone."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    async def generate(self, *, prompt_ids: list[int], **_: Any) -> Any:
        """One answer; the larger its number, the sooner it comes."""
        number = sum(prompt_ids) % 97
        await asyncio.sleep((97 - number) / 2000)
        tokens = self.tokenizer.encode(ANSWERS[number % 3])
        return SimpleNamespace(
            token_ids=tokens,
            log_probs=[-float(number)] * len(tokens),
            num_preempted=0,
            routed_experts=None,
            extra_fields={"number": number},
        )


def run_loops(worker: Any, name: str, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a worker has for the queue, when it is asked about all questions at once."""
    from verl.utils.dataset.rl_dataset import RLHFDataset

    rollout = {"name": "vllm", "prompt_length": 500, "response_length": 64}
    worker.config = OmegaConf.create({"actor_rollout_ref": {"rollout": rollout}, "data": {}})
    worker.llm_client, worker.tools = Client(worker.tokenizer), []
    worker.hf_model_type, worker.dataset_cls = "qwen2_5_vl", RLHFDataset
    ended: dict[int, Any] = {}

    async def keep(output: Any, validate: bool, **kwargs: Any) -> None:
        ended[kwargs["session_id"]] = {**output.model_dump(), "validate": validate, **kwargs}

    worker._agent_loop_postprocess = keep
    place = {"step": 3, "sample_index": 1, "rollout_n": 0, "validate": False}

    async def run() -> None:
        calls = (
            worker._run_agent_loop({}, place, agent_name=name, session_id=at, **question)
            for at, question in enumerate(questions)
        )
        await asyncio.gather(*calls)

    asyncio.run(run())
    for one in ended.values():
        one.pop("metrics")  # seconds
        one["images"] = one.pop("multi_modal_data")["images"]
    return [ended[at] for at in range(len(questions))]


def questions_about(folder: Path) -> list[dict[str, Any]]:
    questions = []
    for number in range(5):
        item = picture(folder / f"{number % 2}.png", 84 + 28 * (number % 2), 56)
        content = [item, {"type": "text", "text": f"Question {'1 ' * number} of Alpha?"}]
        questions.append({"raw_prompt": [{"role": "user", "content": content}]})
    return questions


def test_one_loop_serves_all_answers_as_verls_loops_do(
    workers: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Counter[str]()
    build = MapAgentLoop.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        made["loops"] += 1
        build(self, *args, **kwargs)

    monkeypatch.setattr(MapAgentLoop, "__init__", counted)
    stock, ours = workers
    questions = questions_about(tmp_path)
    want = run_loops(stock, "rewardmap", questions)
    assert made["loops"] == len(questions)
    have = run_loops(ours, "rewardmap", questions)
    assert made["loops"] == len(questions) + 1
    for one in (*have, *want):
        one["images"] = [image.source for image in one["images"]]
    assert have == want
    assert len({one["extra_fields"]["number"] for one in have}) == len(questions)


def test_other_loops_are_verls_matter(
    workers: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another name, and another class that a user has registered under ours."""
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

    _, ours = workers
    (answer,) = run_loops(ours, "single_turn_agent", questions_about(tmp_path)[:1])
    assert isinstance(answer["images"][0], Image.Image)
    stock = _agent_loop_registry["single_turn_agent"]
    monkeypatch.setitem(_agent_loop_registry, "rewardmap", dict(stock))
    (answer,) = run_loops(ours, "rewardmap", questions_about(tmp_path)[:1])
    assert isinstance(answer["images"][0], Image.Image)


FOUND = """
import sys
from ray import cloudpickle
kind = cloudpickle.loads(sys.stdin.buffer.read())
print([one.__name__ for one in kind.__mro__])
try:
    kind()
except TypeError as error:
    print(error)
"""


def test_verls_manager_starts_our_workers() -> None:
    """The class arrives in another process, and its parts call each other there."""
    from ray import cloudpickle

    config = OmegaConf.create({"actor_rollout_ref": {"rollout": {}, "model": {}}})
    manager = MapAgentLoopManager(config=config, llm_client=None)
    sent = cloudpickle.dumps(manager.agent_loop_workers_class.__ray_metadata__.modified_class)
    done = subprocess.run(
        [sys.executable, "-c", FOUND], input=sent, capture_output=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names, error = done.stdout.decode().strip().splitlines()[-2:]
    assert "'SharesPrompts', 'AgentLoopWorkerTQ', 'AgentLoopWorker'" in names
    assert "AgentLoopWorker.__init__() missing" in error
