"""Pretraining of the embedded model: it learns to read maps, then the form of answers.

RewardMap starts from a model that reads. Its small counterpart is pretrained on pocket maps drawn
for this purpose, none of which a prepared folder contains: first the vision tower
(``rewardmap_verl.tiny_model.vision_pretraining``), then the language model, which writes down what
maps show and answers perception questions. It learns the form of a route on a blank map, and last
come short phases with some questions of every type. Routes are a small part of them, so planning is
left to reinforcement learning.

A run that is interrupted continues at its last checkpoint. Everything random is a function of the
seed and the step; with one thread and the same libraries the weights are the same bytes.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.drawing.pocket_map import draw_pocket_map
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.atomic import (
    disk_errors,
    exclusive_lock,
    json_bytes,
    remove_folder,
    staging_folder,
    write_bytes,
)
from rewardmap_verl.tiny_model.build import TinyModelSize, build_tiny_model, count_parameters
from rewardmap_verl.tiny_model.map_reader import Encoded, MapReader
from rewardmap_verl.tiny_model.pocket_model import RECORD
from rewardmap_verl.tiny_model.pretraining_maps import (
    NETWORKS,
    STYLE,
    MapPool,
    blank_map,
    pretraining_map,
    see_maps,
    tasks_by_kind,
)
from rewardmap_verl.tiny_model.pretraining_settings import Phase, PretrainSettings
from rewardmap_verl.tiny_model.reading_score import evaluate_reading
from rewardmap_verl.tiny_model.reading_tasks import (
    RIDE,
    ROUTE_FORM,
    Task,
    map_tasks,
    place_words,
    ride_task,
    route_form_task,
)
from rewardmap_verl.tiny_model.vision_pretraining import Example, TokenLabel, pretrain_vision
from rewardmap_verl.transit.placement import PlacedNetwork

__all__ = ["pretrain"]

SIZE: Final = TinyModelSize(
    text_width=128,
    text_layers=4,
    text_heads=4,
    text_hidden=384,
    vision_width=96,
    vision_hidden=192,
)

_CORPUS: Final = 600
"""Maps whose texts are the corpus of the tokenizer."""
_WARM_UP: Final = 50
_MICRO_BATCHES: Final = 3
"""Parts of a batch by length, so that short sequences are not padded to the longest."""
_MAPS_AT_ONCE: Final = 100
_BLANK: Final = -1
"""Index of the blank map among the visual tokens of all maps."""
_CHECKPOINT: Final = 100
"""Steps between checkpoints."""

Report = Callable[[str, int, int, float], None]
"""Called with the name of a stage, its finished steps, all its steps, and the loss."""


def _ignore(stage: str, done: int, total: int, loss: float) -> None:
    pass


def pretrain(
    output: Path, settings: PretrainSettings | None = None, report: Report = _ignore
) -> Path:
    """Pretrain the embedded model and save it with its record.

    Finished stages and checkpoints are kept in a hidden folder beside ``output`` until the model is
    complete.

    Args:
        output: Folder to write; it appears only when complete, and must not exist.
        settings: Everything that influences the result.
        report: Called as the work proceeds.

    Returns:
        ``output``.

    Raises:
        ConfigError: ``output`` exists, or an unfinished run beside it has other settings.
        DataError: Another process is writing to ``output``, or the disk fails.
    """
    settings = settings or PretrainSettings()
    work = output.parent / f".{output.name}.pretraining"
    if output.exists():
        if (output / RECORD).is_file():
            remove_folder(work)  # of a run that was killed after it had written its output
        raise ConfigError(output, found="an existing path", hint="Remove it or choose another one.")
    with disk_errors(work):
        work.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(work, output):
            _pretrain(work, output, settings, report)
            shutil.rmtree(work)
    return output


def _pretrain(work: Path, output: Path, settings: PretrainSettings, report: Report) -> None:
    """Run all stages in ``work`` and write ``output``."""
    _claim(work, settings)
    _build(work, settings, report)
    reader = MapReader(work / "seeing", (NETWORKS.height, NETWORKS.width))
    run = _LanguageRun(work, settings, reader, report)
    curve = [point for phase in settings.phases for point in run.train(phase)]
    # verl_plugin/frozen_tower.py reads it: what the tower has learned is not trained away.
    reader.model.config.update({"freeze_vision_tower": True})
    with staging_folder(output, "config.json") as staging:
        reader.save(staging)
        record = _record(settings, curve, evaluate_reading(reader, settings))
        record["parameters"] = count_parameters(staging)
        write_bytes(staging / RECORD, json_bytes(record))


def _claim(work: Path, settings: PretrainSettings) -> None:
    """Note the settings of a run, or check that an unfinished one has the same."""
    path, wanted = work / "settings.json", settings.model_dump(mode="json")
    if path.exists() and json.loads(path.read_text()) != wanted:
        raise ConfigError(
            work, found="other settings", hint="Remove this folder, or repeat its settings."
        )
    write_bytes(path, json_bytes(wanted))


def _build(work: Path, settings: PretrainSettings, report: Report) -> None:
    """Build the model and pretrain its vision tower, unless that has been done."""
    if not (work / "untrained").exists():
        networks = [pretraining_map(settings, i) for i in range(min(_CORPUS, settings.maps))]
        tasks = [task for placed in networks for task in map_tasks(placed, settings.seed)]
        texts = [text for task in tasks for text in (f"\n{task.question}", task.answer)]
        build_tiny_model(work / "untrained", texts, settings.seed, SIZE)
    if not (work / "seeing").exists():
        total = settings.vision_steps
        pretrain_vision(
            work / "untrained",
            [_example(work, settings, i) for i in range(settings.vision_maps)],
            work / "seeing",
            total,
            settings.seed,
            lambda step, loss: report("vision", step, total, loss),
        )


def _example(work: Path, settings: PretrainSettings, index: int) -> Example:
    """Draw a map into the working folder and label its visual tokens."""
    placed, path = pretraining_map(settings, index), work / "maps" / f"{index}.png"
    path.parent.mkdir(exist_ok=True)
    draw_pocket_map(placed, STYLE).image.save(path)
    return Example(path, tuple(_labels(placed)))


def _labels(placed: PlacedNetwork) -> Iterator[TokenLabel]:
    for (x, y), stop in zip(placed.positions, placed.network.stops, strict=True):
        colors = (line.removesuffix(" Line") for line in stop.lines)
        yield TokenLabel(y * NETWORKS.width + x, (stop.name, *colors), place_words((x, y)))


class _LanguageRun:
    """Training of the language model with checkpoints."""

    def __init__(
        self, work: Path, settings: PretrainSettings, reader: MapReader, report: Report
    ) -> None:
        self._work, self._settings = work, settings
        self._reader, self._report = reader, report
        self._pool = self._read_pool()

    def _read_pool(self) -> MapPool:
        """Return all training maps and, last, a blank one.

        Their visual tokens are computed once per run.
        """
        import torch

        path, count = self._work / "seen.pt", self._settings.maps
        tasks, parts = [], []
        for start in range(0, count, _MAPS_AT_ONCE):
            indices = range(start, min(start + _MAPS_AT_ONCE, count))
            networks = [pretraining_map(self._settings, i) for i in indices]
            tasks += [tasks_by_kind(placed, self._settings.seed) for placed in networks]
            if not path.exists():
                parts.append(see_maps(self._reader, networks))
            self._report("maps", indices[-1] + 1, count, math.nan)
        if parts:
            _save(torch.cat(parts), path)
        seen = torch.load(path, weights_only=True)
        return MapPool(tasks, torch.cat([seen, self._reader.see([blank_map()])]))

    def train(self, phase: Phase) -> list[dict[str, float | str]]:
        """Train a phase from its last checkpoint on; return its loss curve."""
        import torch

        optimizer = torch.optim.AdamW(
            self._reader.weights(), lr=phase.learning_rate, weight_decay=0.01, betas=(0.9, 0.98)
        )
        name = phase.name
        curve, first = self._resume(name, optimizer)
        for step in range(first, phase.steps + 1):
            for group in optimizer.param_groups:
                group["lr"] = phase.learning_rate * _rate(step, phase)
            loss = self._update(self._batch(phase, step), optimizer)
            self._report(name, step, phase.steps, loss)
            if step % 10 == 0 or step == phase.steps:
                curve.append({"phase": name, "step": step, "loss": round(loss, 4)})
            if step % _CHECKPOINT == 0 or step == phase.steps:
                self._save(name, step, optimizer, curve)
        return curve

    def _batch(self, phase: Phase, step: int) -> list[tuple[int, Encoded]]:
        """Return (map, task) pairs, the shortest first; a function of seed, phase and step."""
        rng = random.Random(f"{self._settings.seed}/{phase.name}/{step}")
        chosen: list[tuple[int, Encoded]] = []
        while len(chosen) < self._settings.batch:
            if drawn := self._draw(phase, rng):
                index, task = drawn
                chosen.append((index, self._reader.encode(task)))
        return sorted(chosen, key=lambda pair: len(pair[1]))

    def _draw(self, phase: Phase, rng: random.Random) -> tuple[int, Task] | None:
        """Return a map and a task about it, or nothing if the map has no task of the kind."""
        kinds, shares = zip(*phase.shares.items(), strict=True)
        index, kind = rng.randrange(len(self._pool.tasks)), rng.choices(kinds, shares)[0]
        if kind == ROUTE_FORM:
            return _BLANK, route_form_task(rng)
        if kind == RIDE:
            return index, ride_task(pretraining_map(self._settings, index).network, rng)
        found = self._pool.tasks[index].get(kind)
        return (index, rng.choice(found)) if found else None

    def _update(self, batch: Sequence[tuple[int, Encoded]], optimizer: Any) -> float:
        import torch

        total, size = 0.0, len(batch) // _MICRO_BATCHES
        tokens = sum(len(task.answer) for _, task in batch)
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            seen = self._pool.seen[[index for index, _ in part]]
            logits, ids = self._reader.answer_logits([task for _, task in part], seen)
            loss = torch.nn.functional.cross_entropy(logits, ids, reduction="sum") / tokens
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self._reader.weights(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return total

    def _save(self, name: str, step: int, optimizer: Any, curve: list[Any]) -> None:
        state = {
            "model": self._reader.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
            "curve": curve,
        }
        _save(state, self._work / f"{name}.pt")

    def _resume(self, name: str, optimizer: Any) -> tuple[list[Any], int]:
        """Load the checkpoint of a phase; return its curve and the next step."""
        import torch

        path = self._work / f"{name}.pt"
        if not path.exists():
            return [], 1
        state = torch.load(path, weights_only=True)
        self._reader.model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return state["curve"], state["step"] + 1


def _save(value: object, path: Path) -> None:
    """Save with torch, so that a file of this name is always complete."""
    import torch

    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    partial.replace(path)


def _rate(step: int, phase: Phase) -> float:
    """Return the learning-rate factor: linear warm-up and cosine decay."""
    decay = (1 + math.cos(math.pi * step / phase.steps)) / 2
    return min(1.0, step / _WARM_UP) * (phase.final + (1 - phase.final) * decay)


def _record(
    settings: PretrainSettings,
    curve: Sequence[Mapping[str, float | str]],
    held_out: Mapping[str, Mapping[str, float | int]],
) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "settings": settings.model_dump(mode="json"),
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
        "curve": list(curve),
        "held_out": dict(held_out),
    }
