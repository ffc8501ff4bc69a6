"""Vision pretraining: visual tokens encode names, and text tokens look them up."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

from rewardmap_verl.drawing.pocket_map import PocketStyle
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.prepare import prepare_contents
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.sources.synthetic import (
    DrawnPicture,
    generated_contents,
    numbered_maps,
)
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.tiny_model.build import TinyModelSize, build_tiny_model
from rewardmap_verl.tiny_model.conversations import read_texts
from rewardmap_verl.tiny_model.vision_pretraining import Example, pretrain_vision, read_examples
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthesis.pocket_networks import PocketSettings, generate_pocket_network

SIZE = TinyModelSize(
    text_width=128, text_layers=2, text_heads=4, vision_width=64, vision_layers=1, vision_hidden=128
)
STEPS = 120
NETWORKS = PocketSettings(width=5, height=4, lines=(2, 2), stops=(3, 3), colors=3)
NAMES = ("Ash", "Box", "Cup", "Dot", "Elm")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps with few names and colors, which are learned fast."""
    out = tmp_path_factory.mktemp("small") / "data"
    style = PocketStyle(columns=NETWORKS.width, rows=NETWORKS.height)
    maps = [(split, renamed(index)) for split, index in numbered_maps(80, 10)]
    pixels = style.columns * style.rows * style.cell**2
    settings = PrepareSettings(
        source="custom",
        out=out,
        quotas=Quotas(3, 3, 0, 2, 1, 4, forms=("short",)),
        brief=True,
        budget=PixelBudget(max_pixels=pixels, min_pixels=pixels),
        max_prompt_length=192,
        workers=1,
    )
    prepare_contents(settings, generated_contents(maps, lambda one: DrawnPicture(one, style)))
    return out


def renamed(index: int) -> PlacedNetwork:
    """Generate a network whose stops have the few names, in random order."""
    placed = generate_pocket_network(2, index, NETWORKS)
    names = random.Random(index).sample(NAMES, len(placed.network.stops))
    stops = tuple(
        replace(stop, name=name, spellings=(name,))
        for stop, name in zip(placed.network.stops, names, strict=True)
    )
    return replace(placed, network=replace(placed.network, stops=stops))


@pytest.fixture(scope="module")
def untrained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("untrained") / "m", read_texts(data), 1, SIZE)


@pytest.fixture(scope="module")
def pretrained(data: Path, untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pretrained") / "m"
    return pretrain_vision(untrained, read_examples(data), out, STEPS)


def share_read(folder: Path, examples: list[Example]) -> float:
    """Share of stops whose visual token is most similar to their name."""
    model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    embeddings = model.get_input_embeddings().weight
    names = sorted({label.words[0] for example in examples for label in example.labels})
    known = embeddings[[processor.tokenizer.encode(f" {name}")[0] for name in names]]
    right = []
    for example in examples:
        read = processor.image_processor(Image.open(example.image), return_tensors="pt")
        with torch.no_grad():
            tokens = model.model.visual(read["pixel_values"], grid_thw=read["image_grid_thw"])
        for label in example.labels:
            similarity = known @ tokens.pooler_output[label.token]
            right.append(names[int(similarity.argmax())] == label.words[0])
    return sum(right) / len(right)


def test_examples_label_each_square_once(data: Path) -> None:
    examples = read_examples(data)
    assert len(examples) == 80
    for example in examples:
        assert len({label.token for label in example.labels}) == len(example.labels)
        assert all(0 <= label.token < 20 for label in example.labels)
        assert all("Line" not in word for label in example.labels for word in label.words)


def test_names_of_unseen_maps_are_read(data: Path, untrained: Path, pretrained: Path) -> None:
    unseen = read_examples(data, "test")
    assert share_read(untrained, unseen) < 0.6
    assert share_read(pretrained, unseen) > 0.8


def test_a_stop_in_the_question_attends_to_its_position_in_the_image(
    data: Path, pretrained: Path
) -> None:
    model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        pretrained, attn_implementation="eager"
    )
    processor = AutoProcessor.from_pretrained(pretrained)
    weights = []
    for example in read_examples(data, "test"):
        label = example.labels[0]
        text = f"<|vision_start|><|image_pad|><|vision_end|>How many lines at {label.words[0]}?"
        inputs = processor(text=[text], images=[Image.open(example.image)], return_tensors="pt")
        ids = inputs["input_ids"][0]
        asked = int((ids == processor.tokenizer.encode(f" {label.words[0]}")[0]).nonzero()[-1])
        first = int((ids == model.config.image_token_id).nonzero()[0])
        with torch.no_grad():
            attention = model(**inputs, output_attentions=True).attentions[0][0]
        weights.append(float(attention[2:, asked, first + label.token].mean()))
    assert sum(weights) / len(weights) > 0.3  # one of 20 squares: 0.05 by chance


def test_the_same_seed_gives_the_same_weights(data: Path, untrained: Path, tmp_path: Path) -> None:
    examples = read_examples(data)[:40]
    one, two = (pretrain_vision(untrained, examples, tmp_path / name, 3) for name in ("one", "two"))
    weights = "model.safetensors"
    assert (one / weights).read_bytes() == (two / weights).read_bytes()


def test_an_existing_folder_is_not_overwritten(data: Path, untrained: Path) -> None:
    with pytest.raises(ConfigError, match="existing path"):
        pretrain_vision(untrained, read_examples(data), untrained, 1)


def test_data_without_drawn_maps_is_an_error_with_a_hint(data: Path) -> None:
    with pytest.raises(DataError, match="prepare synthetic"):
        read_examples(data, "nowhere")
