"""Reference points: the size of the data, and baselines that need no model."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.evidence.collect import judge_texts
from benchmarks.evidence.result import Answers
from benchmarks.evidence.study import Study
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.baselines import baseline_answers, frequent_answers
from rewardmap_verl.evaluation.questions import read_questions
from rewardmap_verl.preparation.atomic import disk_errors, write_bytes
from rewardmap_verl.preparation.manifest import read_manifest

__all__ = ["SCALE_NAME", "Scale", "read_scale", "write_scale"]

SCALE_NAME: Final = "scale.json"
_BASELINES: Final = ("random", "majority", "gold")
_SEED: Final = 0


class Scale(BaseModel):
    """Sizes of the prepared data, and the answers of the baselines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    data: str
    """Hash of the prepared folder's content."""
    maps: dict[str, int]
    """Networks by split."""
    rows: dict[str, dict[str, int]]
    """Questions by split and type."""
    image_tokens: int
    """Visual tokens of the largest map."""
    prompt_tokens: int
    """Length of the longest prompt."""
    types: tuple[str, ...]
    """Question type, per test question."""
    places: tuple[str, ...]
    """Map, per test question."""
    baselines: dict[str, Answers]


def write_scale(study: Study, data: str) -> None:
    """Write the reference points beside the results; an up-to-date file is kept.

    Args:
        study: The study.
        data: Hash of the prepared folder's content.

    Raises:
        DataError: The data cannot be read, or the folder cannot be written.
    """
    path = study.out / SCALE_NAME
    if path.is_file() and read_scale(study.out).data == data:
        return
    questions = read_questions(study.data)
    frequent = frequent_answers(read_questions(study.data, "train").items)
    manifest = read_manifest(study.data)
    baselines = {}
    for name in _BASELINES:
        given = baseline_answers(name, questions, frequent, _SEED)
        texts = [
            str(given[one.key][0].response) if one.key in given else "" for one in questions.items
        ]
        baselines[name] = judge_texts(questions.items, texts)
    scale = Scale(
        data=data,
        maps={split: sum(split in one.splits for one in manifest.maps) for split in manifest.rows},
        rows=manifest.rows_by_type,
        image_tokens=max((one.image_tokens for one in manifest.maps), default=0),
        prompt_tokens=max(manifest.longest_prompt.values(), default=0),
        types=tuple(str(one.truth.type) for one in questions.items),
        places=tuple(f"{one.truth.country}/{one.truth.city}" for one in questions.items),
        baselines=baselines,
    )
    with disk_errors(path):
        write_bytes(path, (scale.model_dump_json() + "\n").encode())


def read_scale(out: Path) -> Scale:
    """Read the reference points of a results folder.

    Raises:
        DataError: The file is missing or truncated.
    """
    path = out / SCALE_NAME
    again = "`python -m benchmarks.evidence run` writes it."
    try:
        return Scale.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(path, found=error.strerror, hint=again) from None
    except ValidationError as error:
        found = error.errors()[0]["msg"]
        raise DataError(path, found=found, hint=f"Delete it. {again}") from None
