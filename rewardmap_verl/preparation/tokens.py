"""Prompt lengths, checked during preparation because training rejects longer prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["ByteBoundCounter", "TokenCounter", "TokenizerCounter", "check_length", "text_counter"]

# The chat template of Qwen2.5-VL adds 21 tokens (system message, roles, markers), and the line
# break after the image adds one.
_TEMPLATE_TOKENS = 24


class TokenCounter(Protocol):
    """Counter of the text tokens of a prompt."""

    def __call__(self, text: str) -> int:
        """Return the number of tokens, or an upper bound of it."""
        ...


class ByteBoundCounter:
    """Upper bound without a tokenizer: a token of a byte-level vocabulary has at least one byte."""

    def __call__(self, text: str) -> int:
        """Return the bytes of the text plus an allowance for the chat template."""
        return len(text.encode()) + _TEMPLATE_TOKENS


class TokenizerCounter:
    """Exact count with a tokenizer from a local folder.

    Raises:
        ConfigError: The folder has no tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer  # slow to import

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # the library raises many kinds of errors for broken files
            raise ConfigError(
                "tokenizer",
                found=str(folder),
                hint="Give the folder of a tokenizer saved by transformers, or omit the option to "
                "use an upper bound.",
            ) from error

    def __call__(self, text: str) -> int:
        """Return the tokens of the text in the chat template.

        Without a template, the result includes an allowance for one.
        """
        encode = self._tokenizer
        if encode.chat_template is None:
            return len(encode(text)["input_ids"]) + _TEMPLATE_TOKENS
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
        prompt = encode.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return len(encode(prompt, add_special_tokens=False)["input_ids"])


def text_counter(tokenizer: Path | None) -> TokenCounter:
    """Return the counter of a tokenizer folder, or the upper bound for None."""
    return ByteBoundCounter() if tokenizer is None else TokenizerCounter(tokenizer)


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
