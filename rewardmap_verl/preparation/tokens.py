"""How long a prompt is, checked when data is prepared: training fails the group of a longer one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["BytesBound", "TextTokens", "TokenizerCount", "check_length", "text_counter"]

# The chat template of Qwen2.5-VL adds 21 tokens (system message, roles, marks), the line after the
# image one more.
_TEMPLATE_TOKENS = 24


class TextTokens(Protocol):
    """Counts the tokens of a prompt without its image."""

    def __call__(self, text: str) -> int:
        """Return a number of tokens, never below the true one."""
        ...


class BytesBound:
    """An upper bound without a tokenizer: no token of a byte-level vocabulary is below a byte."""

    def __call__(self, text: str) -> int:
        """Bytes of the text and an allowance for the chat template."""
        return len(text.encode()) + _TEMPLATE_TOKENS


class TokenizerCount:
    """The exact count with the tokenizer of a model in a local folder."""

    def __init__(self, folder: Path) -> None:
        """Load the tokenizer.

        Raises:
            ConfigError: The folder holds none.
        """
        from transformers import AutoTokenizer  # slow to import, and needed for this only

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(
                "tokenizer",
                found=str(folder),
                hint="Give the folder of a model or tokenizer saved by transformers; leave it out "
                "to count by an upper bound.",
            ) from error

    def __call__(self, text: str) -> int:
        """Tokens of the text in the chat template, or with the allowance where there is none."""
        encode = self._tokenizer
        if encode.chat_template is None:
            return len(encode(text)["input_ids"]) + _TEMPLATE_TOKENS
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
        whole = encode.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return len(encode(whole, add_special_tokens=False)["input_ids"])


def text_counter(tokenizer: Path | None) -> TextTokens:
    """Return the exact counter for a tokenizer folder, or the bound when there is none."""
    return BytesBound() if tokenizer is None else TokenizerCount(tokenizer)


def check_length(where: str, image_tokens: int, text_tokens: int, limit: int, patch: int) -> int:
    """Return the length of a prompt in tokens.

    Raises:
        DataError: It is longer than ``limit``; the message says which pixel budget would fit.
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
