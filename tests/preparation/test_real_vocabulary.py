"""Prompt lengths with the vocabulary of Qwen2.5 and real maps: predicted and true ones are equal.

``tests/qwen_vocabulary.py`` gets the tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from tests.qwen_vocabulary import IMAGE_PAD

pytestmark = [pytest.mark.opt_in, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def rows(
    qwen_processor: tuple[Any, Path], shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, Any]]]:
    """The prepared folder of the real maps, counted with this tokenizer, and all its rows."""
    import pyarrow.parquet as pq

    out = tmp_path_factory.mktemp("prepared") / "maps"
    words = ["--root", shared_data, "--out", out, "--tokenizer", qwen_processor[1], "--seed", "1"]
    done = CliRunner().invoke(app, ["prepare", "local", *map(str, words)])
    assert done.exit_code == 0, done.output
    return out, [
        row
        for name in ("train", "test")
        for row in pq.read_table(out / f"{name}.parquet").to_pylist()
    ]


def test_vocabulary_is_qwens(qwen_processor: tuple[Any, Path]) -> None:
    tokenizer = qwen_processor[0].tokenizer
    assert len(tokenizer) == 151_643 + 22
    ids = {"<|endoftext|>": 151_643, "<|im_start|>": 151_644, IMAGE_PAD: 151_655}
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in ids} == ids


def test_predicted_and_true_lengths_are_equal(
    qwen_processor: tuple[Any, Path], rows: tuple[Path, list[dict[str, Any]]]
) -> None:
    folder, found = rows
    assert len({row["images"][0]["image"] for row in found}) >= 17
    wrong = {
        row["extra_info"]["index"]: (row["extra_info"]["prompt_tokens"], length)
        for row, length in true_lengths(qwen_processor[0], folder, found)
        if row["extra_info"]["prompt_tokens"] != length
    }
    assert wrong == {}


def true_lengths(
    processor: Any, folder: Path, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield every row with the length that the processor makes of it.

    The picture of a map is processed with the first row about it; in the others only its number of
    tokens is put in.
    """
    from PIL import Image

    pads: dict[str, int] = {}
    for row in rows:
        name = row["images"][0]["image"]
        content = [{"type": "image"}, {"type": "text", "text": text_of(row)}]
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        if name not in pads:
            with Image.open(folder / name) as image:
                made = processor(text=[prompt], images=[image.convert("RGB")])
            ids = list(made["input_ids"][0])
            pads[name] = ids.count(processor.tokenizer.convert_tokens_to_ids(IMAGE_PAD))
            yield row, len(ids)
        else:
            whole = prompt.replace(IMAGE_PAD, IMAGE_PAD * pads[name])
            yield row, len(processor.tokenizer(whole, add_special_tokens=False)["input_ids"])


def text_of(row: dict[str, Any]) -> str:
    """The text of a prompt as verl splits it off: all after the mark of the image."""
    return str(row["prompt"][0]["content"].removeprefix("<image>"))


def test_bound_without_the_tokenizer_is_not_below(
    rows: tuple[Path, list[dict[str, Any]]],
) -> None:
    from rewardmap_verl.preparation.tokens import byte_bound

    for row in rows[1]:
        extra = row["extra_info"]
        assert byte_bound(text_of(row)) + extra["image_tokens"] >= extra["prompt_tokens"]


def test_published_files_are_complete(qwen_vocabulary: Path) -> None:
    saved = json.loads((qwen_vocabulary / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(saved["model"]["vocab"]) == 151_643
