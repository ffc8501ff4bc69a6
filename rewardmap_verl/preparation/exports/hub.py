"""Export as a data set folder for the Hugging Face Hub: questions, maps and a card.

``load_dataset(folder)`` returns the questions by split, and ``load_dataset(folder, "maps")`` the
maps with their images and networks. Questions refer to their map, so that each image is stored
once.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.records import (
    PreparedQuestion,
    prepared_image,
    read_networks,
    read_prepared_questions,
)
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.transit.reader import network_to_json

__all__ = ["export_hub"]

_CARD = """\
---
license: {license}
task_categories:
- visual-question-answering
tags:
- transit-maps
- spatial-reasoning
- reinforcement-learning
configs:
- config_name: questions
  default: true
  data_files:
  - split: train
    path: questions/train.parquet
  - split: test
    path: questions/test.parquet
- config_name: maps
  data_files: maps/*.parquet
---
# Questions about transit maps

{total} questions of {kinds} types about {maps} maps, with gold answers, reference routes and the
network of each map.

{counts}

Map difficulty: {levels}. No test city is in the training split.

## How it was made

With rewardmap-verl {version}, source `{source}`, seed {seed}; the same seed gives the same data.
The question types follow ReasonMap (arXiv 2505.18675) and RewardMap (arXiv 2510.02240); the wording
is that of rewardmap-verl. Settings:

```json
{settings}
```

## Columns

`questions`: `question`, `response` (a perfect one), `answer` (1 for yes and 0 for no, the index of
the option, the number, -1 for a route), `type`, `form`, `country`, `city`,
`station_1`, `station_2`, `line`, `question_transfer_count`, `difficulty_city`, `routes` and
`annotation` (JSON), `map` (the `id` of a row in `maps`).

`maps`: `id`, `image`, `width`, `height`, `country`, `city`, `difficulty_city`, `network` (JSON).
"""


def export_hub(folder: Path, manifest: Manifest, target: Path, license: str) -> list[Path]:
    """Write ``questions/``, ``maps/`` and ``README.md``.

    Args:
        folder: The prepared folder.
        manifest: Its manifest.
        target: Where to write.
        license: License identifier for the card. The owner of the map drawings decides about it.

    Returns:
        The written files.
    """
    files = []
    for split in manifest.rows:
        rows = [_question(one) for one in read_prepared_questions(folder, split)]
        files.append(target / "questions" / f"{split}.parquet")
        _write(files[-1], pa.Table.from_pylist(rows))
    files.append(target / "maps" / "maps.parquet")
    _write(files[-1], _with_image_feature(pa.Table.from_pylist(list(_maps(folder, manifest)))))
    card = target / "README.md"
    write_bytes(card, _card(manifest, license).encode())
    return [*files, card]


def _question(record: PreparedQuestion) -> dict[str, Any]:
    truth = record.truth
    return {
        "question": record.text,
        "response": record.answer,
        "answer": truth.answer,
        "type": truth.type.value,
        "form": truth.form,
        "country": truth.country,
        "city": truth.city,
        "station_1": truth.station_1,
        "station_2": truth.station_2,
        "line": truth.line,
        "question_transfer_count": truth.question_transfer_count,
        "difficulty_city": truth.difficulty_city,
        "routes": json.dumps(dict(enumerate(truth.plans)), ensure_ascii=False),
        "annotation": json.dumps(truth.annotation, ensure_ascii=False),
        "map": f"{truth.country}/{truth.city}",
    }


def _maps(folder: Path, manifest: Manifest) -> Iterator[dict[str, Any]]:
    networks = read_networks(folder, manifest)
    for entry in manifest.maps:
        network = network_to_json(networks[entry.country, entry.city])
        yield {
            "id": f"{entry.country}/{entry.city}",
            "image": {
                "bytes": prepared_image(folder, entry.image).read_bytes(),
                "path": entry.image,
            },
            "width": entry.width,
            "height": entry.height,
            "country": entry.country,
            "city": entry.city,
            "difficulty_city": entry.difficulty,
            "network": json.dumps(network, ensure_ascii=False),
        }


def _with_image_feature(table: pa.Table) -> pa.Table:
    """Add the metadata by which ``datasets`` recognizes the image column."""
    features = {name: {"dtype": "string", "_type": "Value"} for name in table.column_names}
    features |= {name: {"dtype": "int64", "_type": "Value"} for name in ("width", "height")}
    features["image"] = {"_type": "Image"}
    info = json.dumps({"info": {"features": features}})
    return table.replace_schema_metadata({"huggingface": info})


def _write(path: Path, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=100)
    write_bytes(path, buffer.getvalue())


def _card(manifest: Manifest, license: str) -> str:
    levels: dict[str, int] = {}
    for entry in manifest.maps:
        levels[entry.difficulty] = levels.get(entry.difficulty, 0) + 1
    return _CARD.format(
        license=license,
        total=sum(manifest.rows.values()),
        kinds=len(_kinds(manifest)),
        maps=len(manifest.maps),
        counts=_counts(manifest),
        levels=", ".join(f"{count} {level}" for level, count in sorted(levels.items())),
        version=manifest.versions["rewardmap-verl"],
        source=manifest.source,
        seed=manifest.seed,
        settings=json.dumps(manifest.settings, indent=1, ensure_ascii=False),
    )


def _kinds(manifest: Manifest) -> list[QuestionType]:
    """Return the question types in the data."""
    present = {name for counts in manifest.rows_by_type.values() for name in counts}
    return [kind for kind in QuestionType if kind.value in present]


def _counts(manifest: Manifest) -> str:
    """Return a Markdown table of the numbers of questions by type and split."""
    splits = list(manifest.rows)
    rows = [["type", *splits], ["---"] * (1 + len(splits))]
    for kind in _kinds(manifest):
        numbers = [manifest.rows_by_type[split].get(kind.value, 0) for split in splits]
        rows.append([kind.value, *(f"{number:,}" for number in numbers)])
    rows.append(["all", *(f"{manifest.rows[split]:,}" for split in splits)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
