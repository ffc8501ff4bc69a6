"""The rows of the prepared parquet files, in verl's format with one schema for all types."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.questions.types import Question
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.transit.network import Network

__all__ = ["SCHEMA", "RowContext", "build_row", "write_rows"]

ABILITY: Final = "transit_map"
IMAGE_MARKER: Final = "<image>"
_MEDIA_MARKERS: Final = (IMAGE_MARKER, "<video>", "<audio>")  # verl splits the prompt at these

SCHEMA: Final = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.struct([("image", pa.string()), ("max_pixels", pa.int64())]))),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        (
            "extra_info",
            pa.struct(
                [
                    ("index", pa.int64()),
                    ("split", pa.string()),
                    ("type", pa.string()),
                    ("country", pa.string()),
                    ("city", pa.string()),
                    ("station_1", pa.string()),
                    ("station_2", pa.string()),
                    ("line", pa.string()),
                    ("question_transfer_count", pa.int64()),
                    ("difficulty_city", pa.string()),
                    ("form", pa.string()),
                    ("source", pa.string()),
                    ("network", pa.string()),
                    ("image_tokens", pa.int64()),
                    ("prompt_tokens", pa.int64()),
                ]
            ),
        ),
    ]
)
"""Columns of a row. Paths are relative to the folder of the parquet file. ``extra_info.index`` is
the row's number in its split; ``prompt_tokens`` is an upper bound unless a tokenizer was given."""


@dataclass(frozen=True, slots=True)
class RowContext:
    """The fields of a row that do not depend on its question."""

    split: str
    index: int
    source: str
    network: str
    image: str
    max_pixels: int
    image_tokens: int
    prompt_tokens: int

    def __str__(self) -> str:
        """Return the name of the row for error messages."""
        return f"{self.split} row {self.index}"


def build_row(question: Question, network: Network, context: RowContext) -> dict[str, Any]:
    """Return one row of ``SCHEMA``.

    Raises:
        DataError: The text contains a marker that verl would replace by a picture, the reward
            rejects the gold answer, or the question names something that the network lacks.
    """
    for marker in _MEDIA_MARKERS:
        if marker in question.text:
            raise DataError(
                f"{question.country}/{question.city}, {context}",
                "text",
                marker,
                "Names of stops and lines must not contain it; rename it in the station list.",
            )
    truth = GroundTruth.from_row({**asdict(question), "type": question.type.value}, str(context))
    check_against_network(truth, network, str(context))
    return {
        "data_source": f"rewardmap/{question.type.value}",
        "prompt": [{"role": "user", "content": f"{IMAGE_MARKER}\n{question.text}"}],
        "images": [{"image": context.image, "max_pixels": context.max_pixels}],
        "ability": ABILITY,
        "reward_model": {
            "style": "rule",
            "ground_truth": truth.to_json(),
        },
        "extra_info": {
            "index": context.index,
            "split": context.split,
            "type": question.type.value,
            "country": question.country,
            "city": question.city,
            "station_1": question.station_1,
            "station_2": question.station_2,
            "line": question.line,
            "question_transfer_count": question.question_transfer_count,
            "difficulty_city": question.difficulty_city,
            "form": question.form,
            "source": context.source,
            "network": context.network,
            "image_tokens": context.image_tokens,
            "prompt_tokens": context.prompt_tokens,
        },
    }


def write_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write rows as parquet, atomically. The same rows give the same bytes."""
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    pq.write_table(table, buffer, compression="zstd", row_group_size=1000)
    write_bytes(path, buffer.getvalue())
