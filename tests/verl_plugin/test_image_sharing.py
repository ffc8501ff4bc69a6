"""Prepared images give stock verl's values with a fraction of the bytes.

Every comparison is exact: the input of a model must not depend on how it was transferred.
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.tiny_model.build import (
    TinyModelSize,
    make_config,
    make_model,
    make_processor,
)
from rewardmap_verl.verl_plugin.agent_loop import MapAgentLoop, prepared_images
from rewardmap_verl.verl_plugin.image_references.color_codes import color_table, make_patches
from rewardmap_verl.verl_plugin.image_references.image_source import image_cache, source_of
from rewardmap_verl.verl_plugin.image_references.pixel_reference import (
    PixelReference,
    concatenate,
    patch_cache,
)
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage
from rewardmap_verl.verl_plugin.image_references.processor import refer_to_pixels

ANSWERS = ("Line A", "Alpha to Gamma, then on.", "2", "no")
LIMIT = 2**20


def noise(path: Path, width: int, height: int, seed: int = 0) -> Path:
    """Write an image in which no two patches are equal."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def messages_of(*paths: Path, **options: int) -> list[dict[str, Any]]:
    images = [{"type": "image", "image": str(path), **options} for path in paths]
    return [
        {
            "role": "user",
            "content": [*images, {"type": "text", "text": "Question 1 of type planning?"}],
        }
    ]


@pytest.fixture
def make_ours(processor: Any) -> Any:
    """A second processor of the tiny model, whose images refer to their pixels."""
    ours = make_processor(processor.tokenizer.backend_tokenizer)
    refer_to_pixels(ours)
    return ours


class Server:
    """Stand-in for vLLM that records images and returns the next of the fixed answers."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.images: list[bytes] = []
        self.requests = 0
        self.sampling: list[dict[str, Any]] = []

    async def generate(
        self,
        *,
        prompt_ids: list[int],
        image_data: Any,
        sampling_params: dict[str, Any],
        **_: Any,
    ) -> Any:
        """One answer, as verl's client gives it."""
        self.sampling.append(sampling_params)
        self.images += [pickle.dumps(image) for image in image_data or []]
        answer = self.tokenizer.encode(ANSWERS[self.requests % len(ANSWERS)])
        self.requests += 1
        return SimpleNamespace(
            token_ids=answer,
            log_probs=[-1.0] * len(answer),
            num_preempted=0,
            routed_experts=None,
            extra_fields={},
        )


def rollouts(
    kind: type,
    processor: Any,
    messages: list[dict[str, Any]],
    count: int = 4,
    engine: str = "vllm",
    sampling: dict[str, Any] | None = None,
    **data: Any,
) -> Any:
    """What verl puts into its queue for a group, and what its server got."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker, DictConfigWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    rollout = {"name": engine, "prompt_length": 2000, "response_length": 64}
    config = OmegaConf.create({"actor_rollout_ref": {"rollout": rollout}})
    server = Server(processor.tokenizer)
    worker: Any = AgentLoopWorker.__new__(AgentLoopWorker)
    worker.processor, worker.tokenizer, worker.mm_processor_kwargs = (
        processor,
        processor.tokenizer,
        {},
    )

    async def run() -> list[Any]:
        fields = []
        for _ in range(count):
            loop = kind(
                trainer_config=DictConfigWrap(config),
                server_manager=server,
                tokenizer=processor.tokenizer,
                processor=processor,
                dataset_cls=RLHFDataset,
                data_config=DictConfigWrap(OmegaConf.create(data)),
                hf_model_type="qwen2_5_vl",
            )
            output = await loop.run(dict(sampling or {}), raw_prompt=messages)
            input_ids = torch.tensor(output.prompt_ids + output.response_ids)
            inputs = worker._compute_multi_modal_inputs(output, input_ids)
            inputs.pop("mm_token_type_ids", None)
            fields.append(
                {
                    "input_ids": input_ids,
                    "multi_modal_inputs": inputs,
                    "images": output.multi_modal_data,
                }
            )
        return fields

    return asyncio.run(run()), server


def stock_loop() -> type:
    from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

    return SingleTurnAgentLoop


def sent(value: Any) -> tuple[Any, int]:
    """A value as it comes out of verl's queue, and its bytes in there."""
    from transfer_queue.utils.serial_utils import decode, encode

    frames = [bytes(frame) for frame in encode(value)]
    return decode(frames), sum(map(len, frames))


def model_inputs(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """A micro-batch of rollouts after their way through the queue."""
    from verl.utils.model import extract_multi_modal_inputs

    return extract_multi_modal_inputs([sent(field["multi_modal_inputs"])[0] for field in fields])


SIZES = {
    "as prepared": ((84, 56), {"max_pixels": 84 * 56}),
    "shrunk on loading": ((150, 90), {"max_pixels": 84 * 56}),
    "enlarged on loading": ((30, 40), {"min_pixels": 56 * 84}),
    "without bounds": ((90, 60), {}),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_group_is_the_same_to_the_last_bit(
    name: str, processor: Any, make_ours: Any, tmp_path: Path
) -> None:
    (width, height), options = SIZES[name]
    messages = messages_of(noise(tmp_path / "map.png", width, height), **options)
    stock, stock_server = rollouts(stock_loop(), processor, messages)
    ours, our_server = rollouts(MapAgentLoop, make_ours, messages)
    for one, other in zip(stock, ours, strict=True):
        assert torch.equal(one["input_ids"], other["input_ids"])
        assert isinstance(other["multi_modal_inputs"]["pixel_values"], PixelReference)
    want, have = model_inputs(stock), model_inputs(ours)
    assert {key: value.dtype for key, value in want.items()} == {
        key: value.dtype for key, value in have.items()
    }
    assert all(torch.equal(want[key], have[key]) for key in want)
    for one, other in zip(stock_server.images, our_server.images, strict=True):
        assert np.array_equal(pickle.loads(one), pickle.loads(other)), "what vLLM sees"


def test_two_images_of_a_prompt_keep_their_order(
    processor: Any, make_ours: Any, tmp_path: Path
) -> None:
    paths = noise(tmp_path / "a.png", 84, 56, 1), noise(tmp_path / "b.png", 56, 112, 2)
    messages = messages_of(*paths, max_pixels=10**6)
    stock, _ = rollouts(stock_loop(), processor, messages, 1)
    ours, _ = rollouts(MapAgentLoop, make_ours, messages, 1)
    want, have = model_inputs(stock), model_inputs(ours)
    assert all(torch.equal(want[key], have[key]) for key in want)


def test_log_probs_and_gradients_are_the_same_to_the_last_bit(
    processor: Any, make_ours: Any, tmp_path: Path
) -> None:
    messages = messages_of(noise(tmp_path / "map.png", 84, 112), max_pixels=84 * 112)
    results = []
    for kind, ours in ((stock_loop(), processor), (MapAgentLoop, make_ours)):
        fields, _ = rollouts(kind, ours, messages)
        model = make_model(make_config(processor, TinyModelSize()), seed=5)
        ids = torch.nn.utils.rnn.pad_sequence(
            [field["input_ids"] for field in fields],
            batch_first=True,
            padding_value=processor.tokenizer.pad_token_id,
        )
        types = (ids == processor.image_token_id).int()
        inputs = {**model_inputs(fields), "input_ids": ids, "mm_token_type_ids": types}
        inputs.pop("images_seqlens")
        logits = model(**inputs).logits[:, :-1].log_softmax(-1)
        log_probs = logits.gather(-1, ids[:, 1:, None])
        log_probs.mean().backward()
        gradients = {name: value.grad for name, value in model.named_parameters()}
        results.append((log_probs.detach(), gradients))
    (want, want_gradients), (have, have_gradients) = results
    assert torch.equal(want, have)
    vision = [name for name in want_gradients if "visual" in name]
    assert vision and any(want_gradients[name].abs().max() > 0 for name in vision)
    assert all(torch.equal(want_gradients[name], have_gradients[name]) for name in want_gradients)


def test_a_step_holds_one_copy_per_prompt_or_less(
    processor: Any, make_ours: Any, tmp_path: Path
) -> None:
    messages = messages_of(noise(tmp_path / "map.png", 280, 280), max_pixels=280 * 280)
    stock, stock_server = rollouts(stock_loop(), processor, messages)
    ours, our_server = rollouts(MapAgentLoop, make_ours, messages)
    one_copy = model_inputs(stock[:1])["pixel_values"].nbytes
    bytes_of = {
        name: sum(sent(field["multi_modal_inputs"])[1] for field in fields)
        for name, fields in (("stock", stock), ("ours", ours))
    }
    assert bytes_of["stock"] > len(stock) * one_copy
    assert bytes_of["ours"] < one_copy / 50
    assert sum(map(len, our_server.images)) < sum(map(len, stock_server.images)) / 50


def test_a_process_decodes_and_processes_a_map_once(make_ours: Any, tmp_path: Path) -> None:
    messages = messages_of(noise(tmp_path / "map.png", 112, 112, 7), max_pixels=112 * 112)
    limit = 3 * LIMIT
    fields, server = rollouts(MapAgentLoop, make_ours, messages, 8, images={"cache_megabytes": 3})
    images, patches = image_cache(limit), patch_cache(limit)
    assert (images.cache_info().misses, patches.cache_info().misses) == (0, 0), (
        "the agent loop needs no pixels"
    )
    for data in server.images:
        pickle.loads(data).load()
    for _ in range(3):
        model_inputs(fields)
    assert (images.cache_info().misses, patches.cache_info().misses) == (1, 1)


def test_cached_pixels_are_an_eighth_of_the_tensor(make_ours: Any, tmp_path: Path) -> None:
    images = prepared_images(
        messages_of(noise(tmp_path / "map.png", 112, 112), max_pixels=112 * 112), 14, LIMIT
    )
    output = make_ours.image_processor(images, return_tensors="pt")
    reference = output["pixel_values"]
    assert reference.patches()[0].nbytes * 8 == reference.tensor().nbytes


def test_colors_are_expanded_on_the_device_of_the_output(make_ours: Any, tmp_path: Path) -> None:
    """torch's device without memory takes the way of a GPU: the colors are sent, then looked up."""
    path = noise(tmp_path / "map.png", 112, 112)
    images = prepared_images(messages_of(path, max_pixels=112 * 112), 14, LIMIT)
    reference = make_ours.image_processor(images, return_tensors="pt")["pixel_values"]
    output = concatenate([reference, reference], torch.device("meta"))
    assert (output.device.type, output.dtype) == ("meta", torch.float32)
    assert output.shape == (2 * reference.shape[0], reference.shape[1])
    (patches,) = reference.patches()
    assert patches.table is not None
    looked_up = torch.empty(reference.shape)
    replace(patches.table, scales=None).write(patches.stored, looked_up)
    assert torch.equal(looked_up, reference.tensor())


def test_a_processor_of_unknown_order_keeps_its_output(processor: Any) -> None:
    def process(image: Image.Image, **options: Any) -> torch.Tensor:
        values = processor.image_processor([image], return_tensors="pt", **options)["pixel_values"]
        return values.flip(-1) if options else values

    assert color_table(processor.image_processor, process) is None


def test_texts_are_left_to_verl(processor: Any, make_ours: Any) -> None:
    messages = [{"role": "user", "content": "Question 2 of type TorF1?"}]
    stock, _ = rollouts(stock_loop(), processor, messages, 1)
    ours, _ = rollouts(MapAgentLoop, make_ours, messages, 1)
    assert torch.equal(stock[0]["input_ids"], ours[0]["input_ids"])
    assert model_inputs(ours) == {}
    assert stock[0]["images"] == ours[0]["images"]


def test_pixels_in_a_message_are_left_to_verl(
    processor: Any, make_ours: Any, tmp_path: Path
) -> None:
    image = Image.open(noise(tmp_path / "map.png", 84, 56))
    messages = [
        {
            "role": "user",
            "content": [{"type": "image", "image": image}, {"type": "text", "text": "TorF1?"}],
        }
    ]
    stock, _ = rollouts(stock_loop(), processor, messages, 1)
    ours, _ = rollouts(MapAgentLoop, make_ours, messages, 1)
    assert isinstance(ours[0]["multi_modal_inputs"]["pixel_values"], torch.Tensor)
    assert torch.equal(model_inputs(stock)["pixel_values"], model_inputs(ours)["pixel_values"])


def image_at(path: Path, **options: int) -> PreparedImage:
    source = source_of({"type": "image", "image": str(path), **options}, 14, LIMIT)
    assert source is not None
    return PreparedImage(source)


@pytest.mark.parametrize(
    ("engine", "sampling", "asked"),
    [
        ("vllm", {"temperature": 0.5}, {"temperature": 0.5, "detokenize": False}),
        ("vllm", {"stop": ["."]}, {"stop": ["."]}),  # found in texts alone
        ("vllm", {"detokenize": True}, {"detokenize": True}),
        ("sglang", {"temperature": 0.5}, {"temperature": 0.5}),  # has no such parameter
    ],
)
def test_vllm_skips_unused_detokenization(
    make_ours: Any, engine: str, sampling: dict[str, Any], asked: dict[str, Any]
) -> None:
    messages = [{"role": "user", "content": "Question 2 of type planning?"}]
    _, server = rollouts(MapAgentLoop, make_ours, messages, 1, engine, sampling)
    assert server.sampling == [asked]


def test_equal_images_and_only_those_have_equal_identities(tmp_path: Path) -> None:
    first = image_at(noise(tmp_path / "a.png", 56, 56, 1), max_pixels=3136)
    same = image_at(noise(tmp_path / "copy.png", 56, 56, 1), max_pixels=3136)
    other = image_at(noise(tmp_path / "b.png", 56, 56, 2), max_pixels=3136)
    smaller = image_at(tmp_path / "a.png", max_pixels=1000, min_pixels=100)
    assert first.identity() == same.identity() == pickle.loads(pickle.dumps(first)).identity()
    assert len({one.identity() for one in (first, other, smaller)}) == 3


def test_shared_pixels_are_not_written_to(tmp_path: Path) -> None:
    path = noise(tmp_path / "a.png", 56, 56)
    drawn_on, untouched = image_at(path), image_at(path)
    before = np.array(untouched)
    drawn_on.paste((1, 2, 3), (0, 0, 56, 56))
    assert np.array_equal(np.array(untouched), before)
    assert not np.array_equal(np.array(drawn_on), before)


def test_a_changed_file_is_an_error(tmp_path: Path) -> None:
    image = image_at(noise(tmp_path / "map.png", 56, 56, 3))
    noise(tmp_path / "map.png", 56, 56, 4)
    with pytest.raises(DataError, match=r"map\.png.*differs from the one.*identical on all nodes"):
        image.load()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png.*same path on every node"):
        source_of({"type": "image", "image": str(tmp_path / "gone.png")}, 14, LIMIT)


def test_unknown_settings_are_refused(make_ours: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.images\.cache_gigabytes"):
        rollouts(MapAgentLoop, make_ours, messages_of(), 1, images={"cache_gigabytes": 1})


@pytest.mark.parametrize("change", [{}, {"rescale_factor": None}, {"image_mean": [0.5, 0.5, 0.5]}])
def test_pixels_are_exact_with_and_without_the_processors_arithmetic(
    change: dict[str, Any], processor: Any, tmp_path: Path
) -> None:
    """Without a known formula, the table is looked up."""
    inner = processor.image_processor

    def process(image: Image.Image, **options: Any) -> torch.Tensor:
        return inner([image], return_tensors="pt", **options)["pixel_values"]  # type: ignore[no-any-return]

    seen = {name: getattr(inner, name) for name in ("patch_size", "temporal_patch_size")}
    seen |= {name: getattr(inner, name) for name in ("image_mean", "image_std", "rescale_factor")}
    table = color_table(SimpleNamespace(**{**seen, **change}), process)
    assert table is not None
    assert (table.scales is None) == bool(change)
    image = Image.open(noise(tmp_path / "map.png", 84, 56)).convert("RGB")
    patches = make_patches(process, table, image)
    output = torch.empty(patches.shape, dtype=patches.dtype)
    patches.write(output)
    assert torch.equal(output, process(image))


def test_the_dataset_module_registers_the_agent_loop() -> None:
    """verl's agent loop workers import the dataset's module only."""
    from importlib.resources import files

    import yaml

    recipe = (files("rewardmap_verl.recipes") / "recipe/rewardmap.yaml").read_text("utf-8")
    settings = yaml.safe_load(recipe)
    module = settings["data"]["custom_cls"]["path"].removeprefix("pkg://")
    program = (
        f"import {module}\n"
        "from verl.experimental.agent_loop.agent_loop import _agent_loop_registry as known\n"
        "print(known['%s']['_target_'])"
    )
    name = settings["actor_rollout_ref"]["rollout"]["agent"]["default_agent_loop"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program % name],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.split()[-1] == f"{MapAgentLoop.__module__}.{MapAgentLoop.__qualname__}"


def test_a_text_with_its_maps_is_processed_once(
    make_ours: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = type(make_ours).__mro__[2]
    process, seen = own.__call__, []

    def count(self: Any, images: Any = None, text: Any = None, **options: Any) -> Any:
        seen.append(text)
        return process(self, images=images, text=text, **options)

    monkeypatch.setattr(own, "__call__", count)
    messages = messages_of(noise(tmp_path / "map.png", 84, 56), max_pixels=84 * 56)
    fields, _ = rollouts(MapAgentLoop, make_ours, messages, 8)
    again, _ = rollouts(MapAgentLoop, make_ours, messages, 8)
    assert len(seen) == 1 + len(ANSWERS), "the prompt, and each answer that differs"
    for one, other in zip(fields, again, strict=True):
        assert torch.equal(one["input_ids"], other["input_ids"])
        assert one["multi_modal_inputs"] is not other["multi_modal_inputs"]
        assert one["multi_modal_inputs"].keys() == other["multi_modal_inputs"].keys()


def test_cached_outputs_are_copies(make_ours: Any, tmp_path: Path) -> None:
    images = prepared_images(messages_of(noise(tmp_path / "map.png", 84, 56)), 14, LIMIT)
    text = ["<|vision_start|><|image_pad|><|vision_end|>Question 1"]
    first = make_ours(text=text, images=images, return_tensors="pt")
    keys = set(first)
    first.pop("input_ids")
    assert set(make_ours(text=text, images=images, return_tensors="pt")) == keys
    assert "input_ids" in keys


def test_other_maps_texts_and_options_give_other_outputs(make_ours: Any, tmp_path: Path) -> None:
    small, large = (
        prepared_images(messages_of(noise(tmp_path / name, *size)), 14, LIMIT)
        for name, size in (("small.png", (56, 56)), ("large.png", (84, 56)))
    )
    text = "<|vision_start|><|image_pad|><|vision_end|>Question {}"

    def grid(number: int, images: Any, **options: Any) -> tuple[list[int], Any]:
        output = make_ours(text=[text.format(number)], images=images, **options)
        return list(output["input_ids"][0]), output["image_grid_thw"]

    assert grid(1, small)[0] != grid(2, small)[0]
    assert len(grid(1, small)[0]) < len(grid(1, large)[0])
    assert isinstance(make_ours(text=[text.format(1)], images=small)["input_ids"], list)
    with_tensors = make_ours(text=[text.format(1)], images=small, return_tensors="pt")
    assert isinstance(with_tensors["input_ids"], torch.Tensor)


def test_the_cache_of_texts_is_bounded(make_ours: Any, tmp_path: Path) -> None:
    outputs = make_ours.__dict__["_rewardmap_outputs"]
    images = prepared_images(messages_of(noise(tmp_path / "map.png", 56, 56)), 14, LIMIT)
    make_ours(text=["<|image_pad|>" + "Question " * 500], images=images, return_tensors="pt")
    tokens = 500
    assert tokens * 8 <= outputs.cache.currsize <= outputs.cache.maxsize <= 2**27
