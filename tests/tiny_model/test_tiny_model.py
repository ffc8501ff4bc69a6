"""The tiny model: an ordinary Qwen2.5-VL folder, the same for the same seed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.tiny_model.build import (
    SPECIAL_TOKENS,
    TinyModelSize,
    build_tiny_model,
    count_parameters,
)

ANSWER = "Route Name: Line 2\nDeparture Stop: Cato\nArrival Stop: Łódź 西单"
TEXTS = [
    "<image>\nAre Cato and Juno on one line? yes or no in \\boxed{}.",
    "<image>\nBest route from Cato to Juno? One block per line.",
    "\\boxed{yes}",
    "\\boxed{no}",
    ANSWER,
] * 3
SMALL = TinyModelSize(text_width=32, text_heads=1, text_hidden=64, vision_width=32, vision_heads=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny", TEXTS, seed=3)


def conversation(text: str) -> list[dict]:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_folder_loads_as_any_other_and_generates(model: Path) -> None:
    processor = AutoProcessor.from_pretrained(model)
    loaded = AutoModelForImageTextToText.from_pretrained(model)
    assert type(processor).__name__ == "Qwen2_5_VLProcessor"
    assert type(loaded).__name__ == "Qwen2_5_VLForConditionalGeneration"
    prompt = processor.apply_chat_template(
        conversation("How many lines?"), add_generation_prompt=True, tokenize=False
    )
    inputs = processor(text=[prompt], images=[Image.new("RGB", (112, 84))], return_tensors="pt")
    image_token = loaded.config.image_token_id
    assert int((inputs["input_ids"] == image_token).sum()) == (112 // 28) * (84 // 28)
    generated = loaded.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert generated.shape[1] == inputs["input_ids"].shape[1] + 3


def test_size_is_as_documented(model: Path) -> None:
    loaded = AutoModelForImageTextToText.from_pretrained(model)
    assert sum(weight.numel() for weight in loaded.parameters()) == count_parameters(model)
    assert 300_000 < count_parameters(model) < 1_000_000
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}


def test_vocabulary_is_the_tokenizers(model: Path) -> None:
    """vLLM masks logits beyond the tokenizer, and the actor does not."""
    tokenizer = AutoProcessor.from_pretrained(model).tokenizer
    config = AutoModelForImageTextToText.from_pretrained(model).config
    assert config.text_config.vocab_size == len(tokenizer)
    for token in SPECIAL_TOKENS:
        assert len(tokenizer.encode(token)) == 1
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"


@pytest.mark.parametrize(
    "text", [ANSWER, "unseen words: Zürich → 北京\t(ø)", "\n\n a  b \\boxed{7}"]
)
def test_any_text_survives_the_tokenizer(model: Path, text: str) -> None:
    tokenizer = AutoProcessor.from_pretrained(model).tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_frequent_words_are_single_tokens(model: Path) -> None:
    tokenizer = AutoProcessor.from_pretrained(model).tokenizer
    for word in ("user", "assistant", "boxed", "Departure", " Cato", " 西单"):
        assert len(tokenizer.encode(word)) == 1, word


def test_turns_tokenize_alike_alone_and_together(model: Path) -> None:
    """verl encodes prompt and answer separately and compares with the joined text."""
    processor = AutoProcessor.from_pretrained(model)
    question = conversation("Best route?")
    answer = {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]}

    def encode(messages: list[dict], prompt: bool) -> list[int]:
        text = processor.apply_chat_template(messages, add_generation_prompt=prompt, tokenize=False)
        return processor.tokenizer.encode(text)

    whole = encode([*question, answer], prompt=False)
    assert whole == encode(question, prompt=False) + encode([answer], prompt=False)
    assert whole == encode(question, prompt=True) + processor.tokenizer.encode(
        ANSWER + "<|im_end|>\n"
    )


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    one = build_tiny_model(tmp_path / "one", TEXTS, seed=5, size=SMALL)
    two = build_tiny_model(tmp_path / "two", reversed(TEXTS), seed=5, size=SMALL)
    other = build_tiny_model(tmp_path / "other", TEXTS, seed=6, size=SMALL)
    assert hashes(one) == hashes(two)
    differing = {name for name, value in hashes(other).items() if value != hashes(one)[name]}
    assert differing == {"model.safetensors"}
    assert torch.equal(before, torch.random.get_rng_state())


def test_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Remove it or choose another"):
        build_tiny_model(tmp_path, TEXTS)


def test_no_texts_is_an_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Prepare a data folder"):
        build_tiny_model(tmp_path / "model", ["", " "])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [{"text_width": 100}, {"vision_heads": 0}, {"vision_width": 30}])
def test_impossible_sizes_are_refused(size: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="multiple of four times"):
        TinyModelSize(**size)
