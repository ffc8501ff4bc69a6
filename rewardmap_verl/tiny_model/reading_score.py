"""How well a model reads: the share of held-out tasks that it answers exactly."""

from __future__ import annotations

import math
import random
from typing import Final

from rewardmap_verl.tiny_model.map_reader import MapReader
from rewardmap_verl.tiny_model.pretraining_maps import (
    MapPool,
    held_out_maps,
    see_maps,
    tasks_by_kind,
)
from rewardmap_verl.tiny_model.pretraining_settings import PretrainSettings
from rewardmap_verl.tiny_model.reading_tasks import KINDS, Task

__all__ = ["evaluate_reading"]

_TASKS_OF_A_KIND: Final = 200
"""Held-out tasks of each kind."""


def evaluate_reading(
    reader: MapReader, settings: PretrainSettings
) -> dict[str, dict[str, float | int]]:
    """Measure the share of exact answers on held-out maps, by kind of task.

    ``greedy`` counts the answers that greedy decoding gets exactly right. ``sampled`` is the mean
    probability of the exact answer, which is the expected share at temperature 1.
    """
    networks = held_out_maps(settings)
    tasks = [tasks_by_kind(placed, settings.seed) for placed in networks]
    pool = MapPool(tasks, see_maps(reader, networks))
    results = {}
    for kind in KINDS:
        chosen = [(i, task) for i, found in enumerate(tasks) for task in found.get(kind, ())]
        random.Random(kind).shuffle(chosen)
        del chosen[_TASKS_OF_A_KIND:]
        scores = [_score(reader, pool, pair) for pair in chosen]
        greedy, sampled = (sum(column) / len(scores) for column in zip(*scores, strict=True))
        results[kind] = {
            "tasks": len(chosen),
            "greedy": round(greedy, 4),
            "sampled": round(sampled, 4),
        }
    return results


def _score(reader: MapReader, pool: MapPool, pair: tuple[int, Task]) -> tuple[bool, float]:
    """Return whether greedy decoding gives the exact answer, and the answer's probability."""
    import torch

    index, task = pair
    with torch.no_grad():
        logits, ids = reader.answer_logits([reader.encode(task)], pool.seen[[index]])
    chances = logits.log_softmax(-1).gather(1, ids[:, None])
    return bool((logits.argmax(-1) == ids).all()), math.exp(chances.sum())
