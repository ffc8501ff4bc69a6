"""Build a tiny Qwen2.5-VL: the real architecture with under a million parameters.

With it the complete stack (image processor, vision tower, vLLM, FSDP, weight sync) runs on two CPU
cores. Its weights are random until ``rewardmap_verl.tiny_model.cold_start`` teaches it the
answer formats. The result is an ordinary Hugging Face folder with tokenizer, chat template and
processor.

Example:
    >>> texts = read_texts(Path("data/synthetic"))  # doctest: +SKIP
    >>> build_tiny_model(Path("runs/tiny"), texts, seed=7)  # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import disk_errors, staging_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
    )

IMAGE_MARKER = "<image>"
"""Placeholder of the image in the text of a prompt (verl's convention)."""

END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
VISION_START = "<|vision_start|>"
VISION_END = "<|vision_end|>"
IMAGE_PAD = "<|image_pad|>"
VIDEO_PAD = "<|video_pad|>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    TURN_START,
    TURN_END,
    VISION_START,
    VISION_END,
    IMAGE_PAD,
    VIDEO_PAD,
)
"""Special tokens of Qwen2.5-VL that its code, verl or vLLM look up by name."""

# Pieces: a word, a digit, a run of punctuation, or a newline. A newline is always a separate
# piece, so that a turn has the same tokens with and without its answer (verl encodes prompt and
# answer separately).
WORDS = r"\n| ?\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|[^\S\n]"

TURNS = ["system\n", "user\n", "assistant\n"]
"""Text that the chat template adds."""

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or 'image' in part -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif part['type'] == 'video' or 'video' in part -%}
{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif 'text' in part -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' -}}
{%- endif -%}
"""
"""Qwen's chat format without the default system prompt, whose tokens cost time on two cores."""


@dataclass(frozen=True, slots=True)
class TinyModelSize:
    """Size of the model. Widths are numbers of features.

    ``text_width / text_heads`` must be a head size that vLLM's CPU attention supports (32, 64, …).
    """

    vocabulary: int = 4096
    """Maximum number of tokenizer entries; the tokenizer has fewer if the corpus is small."""
    text_width: int = 96
    text_layers: int = 2
    text_heads: int = 3
    text_hidden: int = 256
    vision_width: int = 64
    vision_layers: int = 2
    vision_heads: int = 2
    vision_hidden: int = 128
    longest: int = 4096
    """Maximum sequence length in tokens."""

    def __post_init__(self) -> None:
        """Reject a single layer, and widths that do not divide into heads of even size."""
        if self.text_layers < 2:
            raise ConfigError(
                "TinyModelSize",
                field="text_layers",
                found=self.text_layers,
                hint="Copying a name needs at least two layers.",
            )
        for part, width, heads in (
            ("text", self.text_width, self.text_heads),
            ("vision", self.vision_width, self.vision_heads),
        ):
            if heads < 1 or width % heads or (width // heads) % 4:
                raise ConfigError(
                    "TinyModelSize",
                    field=f"{part}_width, {part}_heads",
                    found=(width, heads),
                    hint="Make the width a multiple of four times the number of heads.",
                )


def build_tiny_model(
    output: Path, texts: Iterable[str], seed: int = 0, size: TinyModelSize | None = None
) -> Path:
    """Build tokenizer, processor and randomly initialized weights, and save them as one folder.

    The same texts, seed and size give the same bytes.

    Args:
        output: Folder to write; it appears only when complete, and must not exist.
        texts: Corpus of the tokenizer
            (``rewardmap_verl.tiny_model.conversations.read_texts``).
        seed: Seed of the weights.
        size: Size of the model; the default has about half a million parameters.

    Returns:
        ``output``.

    Raises:
        ConfigError: ``output`` exists.
        DataError: ``texts`` is empty.
    """
    if output.exists():
        raise ConfigError(output, found="an existing path", hint="Remove it or choose another one.")
    size = size or TinyModelSize()
    processor = make_processor(train_tokenizer(texts, size.vocabulary))
    model = make_model(make_config(processor, size), seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(output), staging_folder(output, "config.json") as staging:
        processor.save_pretrained(staging)
        model.save_pretrained(staging)
    return output


def count_parameters(model: Path) -> int:
    """Count the weights in a model folder; tied weights count once."""
    from safetensors import safe_open

    with safe_open(model / "model.safetensors", framework="np") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Train a byte-level tokenizer in which each frequent word is one token.

    Args:
        texts: Corpus; only the counts of words matter, not the order.
        vocabulary: Maximum number of entries, including special tokens.

    Raises:
        DataError: There is no text.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    known = sorted(text for text in texts if text.strip())
    if known:
        known += TURNS * 2  # twice, because a word must occur twice to become a token
    else:
        raise DataError("tokenizer corpus", found=known, hint="Prepare a data folder with rows.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(known, trainer)
    return tokenizer


def make_processor(tokenizer: Tokenizer) -> Qwen2_5_VLProcessor:
    """Create Qwen2.5-VL's processor with ``tokenizer`` and our chat template."""
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    wrapped: PreTrainedTokenizerFast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        extra_special_tokens=list(SPECIAL_TOKENS),
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(),
        tokenizer=wrapped,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )


def make_config(processor: Qwen2_5_VLProcessor, size: TinyModelSize) -> Qwen2_5_VLConfig:
    """Create the configuration of the model.

    The vocabulary has exactly the size of the tokenizer. verl masks logits beyond the tokenizer in
    vLLM but not in the actor, so their probabilities would differ.
    """
    from transformers import Qwen2_5_VLConfig

    identifiers = processor.tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        text_config=_text_config(processor.tokenizer, size),
        vision_config=_vision_config(size),
        image_token_id=identifiers(IMAGE_PAD),
        video_token_id=identifiers(VIDEO_PAD),
        vision_start_token_id=identifiers(VISION_START),
        vision_end_token_id=identifiers(VISION_END),
        tie_word_embeddings=True,
        architectures=["Qwen2_5_VLForConditionalGeneration"],
    )


def _text_config(tokenizer: PreTrainedTokenizerFast, size: TinyModelSize) -> dict[str, object]:
    """Return the configuration of the language model."""
    half_head = size.text_width // size.text_heads // 2
    # The rotary axes (time, height, width) share half a head; Qwen2.5-VL gives time a quarter.
    time = half_head // 4
    height = (half_head - time) // 2
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": size.text_width,
        "intermediate_size": size.text_hidden,
        "num_hidden_layers": size.text_layers,
        "num_attention_heads": size.text_heads,
        "num_key_value_heads": size.text_heads,
        "max_position_embeddings": size.longest,
        "max_window_layers": size.text_layers,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [time, height, half_head - time - height],
        },
        "bos_token_id": tokenizer.convert_tokens_to_ids(END_OF_TEXT),
        "eos_token_id": tokenizer.convert_tokens_to_ids(TURN_END),
        "pad_token_id": tokenizer.convert_tokens_to_ids(END_OF_TEXT),
        # Keeps unit variance through the layers; the usual 0.02 is too small at this width.
        "initializer_range": size.text_width**-0.5,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def _vision_config(size: TinyModelSize) -> dict[str, object]:
    """Return the configuration of the vision tower: 14-pixel patches, merged two by two."""
    return {
        "depth": size.vision_layers,
        "hidden_size": size.vision_width,
        "intermediate_size": size.vision_hidden,
        "num_heads": size.vision_heads,
        "out_hidden_size": size.text_width,
        # Full attention in all layers: the images are hardly larger than one attention window.
        "fullatt_block_indexes": list(range(size.vision_layers)),
        "initializer_range": size.vision_width**-0.5,
        "dtype": "float32",
    }


def make_model(config: Qwen2_5_VLConfig, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    """Create fp32 weights from a seed, without changing torch's global generator.

    They are random except for the induction heads
    (``rewardmap_verl.tiny_model.induction_init``).
    """
    import torch
    from transformers import GenerationConfig, Qwen2_5_VLForConditionalGeneration

    from rewardmap_verl.tiny_model.induction_init import init_induction_heads

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(config)
    init_induction_heads(model, torch.Generator().manual_seed(seed))
    # Otherwise transformers derives the saved generation config from the model configuration.
    model.generation_config = GenerationConfig(
        bos_token_id=config.text_config.bos_token_id,
        eos_token_id=config.text_config.eos_token_id,
        pad_token_id=config.text_config.pad_token_id,
    )
    return model
