"""A tiny model that is taught to see: names come out of pixels and are looked up by their words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import SIZES, PrepareSettings
from rewardmap_verl.tiny_model.build import TinyModelSize, build_tiny_model
from rewardmap_verl.tiny_model.conversations import read_texts
from rewardmap_verl.tiny_model.vision_pretraining import Example, pretrain_vision, read_examples
from rewardmap_verl.transit.micro import MicroSettings

SIZE = TinyModelSize(
    text_width=128, text_layers=2, text_heads=4, vision_width=64, vision_layers=1, vision_hidden=128
)
STEPS = 120


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps with few letters and colors, which are soon learned."""
    micro = SIZES["micro"]
    out = tmp_path_factory.mktemp("micro") / "data"
    settings = PrepareSettings(
        source="synthetic",
        out=out,
        seed=2,
        quotas=micro.quotas,
        brief=True,
        budget=PixelBudget(max_pixels=micro.max_pixels, min_pixels=micro.min_pixels),
        max_prompt_length=micro.max_prompt_length,
        train_maps=80,
        test_maps=10,
        networks=MicroSettings(most_lines=2, most_stops=3, colors=3, letters=5),
        style=micro.style,
        workers=1,
    )
    prepare(settings)
    return out


@pytest.fixture(scope="module")
def blind(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("blind") / "m", read_texts(data), 1, SIZE)


@pytest.fixture(scope="module")
def seeing(data: Path, blind: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("seeing") / "m"
    return pretrain_vision(blind, read_examples(data), out, STEPS)


def share_read(folder: Path, sights: list[Example]) -> float:
    """Share of stops whose own letter is the letter most like their visual token."""
    model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    embeddings = model.get_input_embeddings().weight
    letters = sorted({place.words[0] for sight in sights for place in sight.places})
    known = embeddings[[processor.tokenizer.encode(f" {letter}")[0] for letter in letters]]
    right = []
    for sight in sights:
        read = processor.image_processor(Image.open(sight.image), return_tensors="pt")
        with torch.no_grad():
            tokens = model.model.visual(read["pixel_values"], grid_thw=read["image_grid_thw"])
        for place in sight.places:
            likeness = known @ tokens.pooler_output[place.token]
            right.append(letters[int(likeness.argmax())] == place.words[0])
    return sum(right) / len(right)


def test_sights_say_what_stands_in_each_cell(data: Path) -> None:
    sights = read_examples(data)
    assert len(sights) == 80
    for sight in sights:
        assert len({place.token for place in sight.places}) == len(sight.places)
        assert all(0 <= place.token < 20 for place in sight.places)
        assert all("Line" not in word for place in sight.places for word in place.words)


def test_letters_of_maps_never_shown_are_read(data: Path, blind: Path, seeing: Path) -> None:
    unseen = read_examples(data, "test")
    assert share_read(blind, unseen) < 0.6
    assert share_read(seeing, unseen) > 0.8


def test_a_stop_in_the_question_looks_at_its_place_in_the_picture(data: Path, seeing: Path) -> None:
    model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        seeing, attn_implementation="eager"
    )
    processor = AutoProcessor.from_pretrained(seeing)
    weights = []
    for sight in read_examples(data, "test"):
        place = sight.places[0]
        text = f"<|vision_start|><|image_pad|><|vision_end|>How many lines at {place.words[0]}?"
        inputs = processor(text=[text], images=[Image.open(sight.image)], return_tensors="pt")
        ids = inputs["input_ids"][0]
        asked = int((ids == processor.tokenizer.encode(f" {place.words[0]}")[0]).nonzero()[-1])
        first = int((ids == model.config.image_token_id).nonzero()[0])
        with torch.no_grad():
            attention = model(**inputs, output_attentions=True).attentions[0][0]
        weights.append(float(attention[2:, asked, first + place.token].mean()))
    assert sum(weights) / len(weights) > 0.3  # one of 20 places: 0.05 by chance


def test_the_same_seed_gives_the_same_weights(data: Path, blind: Path, tmp_path: Path) -> None:
    sights = read_examples(data)[:40]
    one, two = (pretrain_vision(blind, sights, tmp_path / name, 3) for name in ("one", "two"))
    weights = "model.safetensors"
    assert (one / weights).read_bytes() == (two / weights).read_bytes()


def test_a_folder_that_exists_is_not_written_over(data: Path, blind: Path) -> None:
    with pytest.raises(ConfigError, match="existing path"):
        pretrain_vision(blind, read_examples(data), blind, 1)


def test_data_without_drawn_maps_is_an_error_that_says_what_to_do(data: Path) -> None:
    with pytest.raises(DataError, match="prepare synthetic"):
        read_examples(data, "nowhere")
