"""Prompt lengths, checked during preparation because training rejects longer prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["TokenCounter", "byte_bound", "check_length", "text_counter"]

# The chat template of Qwen2.5-VL adds 21 tokens (system message, roles, markers), and the line
# break after the image adds one.
_TEMPLATE_TOKENS = 24


TokenCounter = Callable[[str], int]
"""Returns the number of text tokens of a prompt, or an upper bound of it."""


def byte_bound(text: str) -> int:
    """Return an upper bound of the tokens of a text without a tokenizer.

    A token of a byte-level vocabulary has at least one byte; the chat template is included.
    """
    return len(text.encode()) + _TEMPLATE_TOKENS


def text_counter(tokenizer: Path | None) -> TokenCounter:
    """Return the exact counter of a tokenizer's folder, or ``byte_bound`` for ``None``.

    The count includes the chat template, or an allowance for one if the tokenizer has none.

    Raises:
        ConfigError: The folder has no tokenizer.
    """
    if tokenizer is None:
        return byte_bound
    from transformers import AutoTokenizer  # slow to import

    try:
        encode: Any = AutoTokenizer.from_pretrained(
            tokenizer, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # the library raises many kinds of errors for broken files
        raise ConfigError(
            "tokenizer",
            found=str(tokenizer),
            hint="Give the folder of a tokenizer saved by transformers, or omit the option to "
            "use an upper bound.",
        ) from error

    def count(text: str) -> int:
        if encode.chat_template is None:
            return len(encode(text)["input_ids"]) + _TEMPLATE_TOKENS
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
        prompt = encode.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return len(encode(prompt, add_special_tokens=False)["input_ids"])

    return count


def check_length(where: str, image_tokens: int, text_tokens: int, limit: int, patch: int) -> int:
    """Return the length of a prompt in tokens.

    Raises:
        DataError: It is longer than ``limit``; the message names a pixel budget that fits.
    """
    length = image_tokens + text_tokens
    if length <= limit:
        return length
    room = (limit - text_tokens) * patch * patch
    hint = (
        f"Lower max_pixels to {room} or raise max_prompt_length to {length}."
        if room >= 4 * patch * patch
        else f"Raise max_prompt_length to {length} or more: the text alone is too long."
    )
    raise DataError(
        where,
        "prompt length",
        f"{length} tokens ({image_tokens} for the image, {text_tokens} for the text)",
        f"The limit max_prompt_length is {limit}. {hint}",
    )
