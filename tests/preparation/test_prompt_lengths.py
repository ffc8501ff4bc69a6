"""Prompt lengths: the bound is never below the true count, and an exact count is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.tokens import byte_bound, check_length, text_counter

TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|><|image_pad|><|vision_end|>{text}<|im_end|>\n<|im_start|>assistant\n"
)
TEXTS = [
    "How many lines at Cedar? number in \\boxed{}.",
    "从西单站到长沙火车南站站怎么走？",
    "Café – Übergang · 西单 🚇\n\n  ",
    "",
]


@pytest.fixture(scope="module")
def saved_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer as Qwen's is, with almost no merges: the longest token counts."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet
    )
    model.train_from_iterator(["aa bb cc"], trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model)
    fast.chat_template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}"
        "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}{% else %}{{ c['text'] }}{% endif %}"
        "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    fast.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("text", TEXTS)
def test_exact_count_with_a_tokenizer(saved_tokenizer: Path, text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(saved_tokenizer)
    whole = (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
        f"{text}<|im_end|>\n<|im_start|>assistant\n"
    )
    expected = len(tokenizer(whole, add_special_tokens=False)["input_ids"])
    assert text_counter(saved_tokenizer)(text) == expected


@pytest.mark.parametrize("text", TEXTS)
def test_the_bound_covers_the_chat_template_of_qwen(text: str) -> None:
    """Its marks are one token each, and so are its words and line ends in Qwen's vocabulary."""
    marks = TEMPLATE.count("<|") - 1  # the image itself is counted elsewhere
    words = len(["system", "You", "are", "a", "helpful", "assistant", ".", "user", "assistant"])
    ends = TEMPLATE.count("\n") + 1  # one more after the image
    assert marks + words + ends <= byte_bound("")
    assert byte_bound(text) - byte_bound("") == len(text.encode())


def test_a_prompt_that_fits_has_the_sum_of_both_parts() -> None:
    assert check_length("row 1", 36, 100, 136, 28) == 136


def test_a_prompt_that_does_not_fit_names_the_budget_that_would() -> None:
    with pytest.raises(DataError, match=r"row 1.*Lower max_pixels to 27440 or raise.*to 136"):
        check_length("row 1", 36, 100, 135, 28)
    with pytest.raises(DataError, match="the text alone is too long"):
        check_length("row 1", 36, 100, 101, 28)
