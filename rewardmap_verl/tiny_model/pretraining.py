"""Pretraining of the embedded model: it learns to read maps, then the form of answers.

RewardMap starts from a model that reads. Its small counterpart is pretrained on pocket maps drawn
for this purpose, none of which a prepared folder contains: first the vision tower
(``rewardmap_verl.tiny_model.vision_pretraining``), then the language model, which writes down what
maps show and answers perception questions, and last a short phase with some questions of every
type. Routes are a small part of it, so planning is left to reinforcement learning.

A run that is interrupted continues at its last checkpoint. Everything random is a function of the
seed and the step; with one thread and the same libraries the weights are the same bytes.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from rewardmap_verl.drawing.pocket_map import PocketStyle, draw_pocket_map
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.atomic import disk_errors, json_bytes, staging_folder, write_bytes
from rewardmap_verl.tiny_model.build import TinyModelSize, build_tiny_model, count_parameters
from rewardmap_verl.tiny_model.map_reader import Encoded, MapReader
from rewardmap_verl.tiny_model.pocket_model import RECORD
from rewardmap_verl.tiny_model.reading_tasks import KINDS, Task, map_tasks, pair_tasks
from rewardmap_verl.tiny_model.vision_pretraining import Example, TokenLabel, pretrain_vision
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthesis.pocket_networks import PocketSettings, generate_pocket_network

if TYPE_CHECKING:
    import torch

__all__ = ["Phase", "PretrainSettings", "evaluate_reading", "held_out_maps", "pretrain"]

NETWORKS: Final = PocketSettings()
STYLE: Final = PocketStyle()
SIZE: Final = TinyModelSize(
    text_width=128,
    text_layers=4,
    text_heads=4,
    text_hidden=384,
    vision_width=96,
    vision_hidden=192,
)

_SEEDS: Final = 1_000_000_007
"""Added to the seed of the maps, so that no prepared folder has one of them."""
_FIRST_HELD_OUT: Final = 1_000_000
_CORPUS: Final = 600
"""Maps whose texts are the corpus of the tokenizer."""
_WARM_UP: Final = 50
_MICRO_BATCHES: Final = 3
"""Parts of a batch by length, so that short sequences are not padded to the longest."""
_MAPS_AT_ONCE: Final = 100
_CHECKPOINT: Final = 100
"""Steps between checkpoints."""
_TASKS_OF_A_KIND: Final = 200
"""Held-out tasks of each kind."""


class Phase(BaseModel):
    """One phase of the language model: its steps and its mixture of tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    steps: int = Field(ge=0)
    learning_rate: float = Field(gt=0)
    """Peak of the learning rate of AdamW; it warms up in 50 steps and decays as a cosine."""
    final: float = Field(default=0.05, ge=0, le=1)
    """Fraction of the learning rate that remains at the end."""
    shares: Mapping[str, float]
    """Relative number of tasks of each kind (``reading_tasks.KINDS``)."""


class PretrainSettings(BaseModel):
    """Settings of a pretraining run. The defaults made the model in this package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 1
    maps: int = Field(default=10_000, ge=1)
    """Maps of the language model."""
    held_out: int = Field(default=80, ge=1)
    """Maps of the final evaluation."""
    vision_maps: int = Field(default=2_000, ge=1)
    vision_steps: int = Field(default=300, ge=1)
    batch: int = Field(default=64, ge=_MICRO_BATCHES)
    """Tasks per step of the language model."""
    phases: tuple[Phase, ...] = (
        Phase(
            name="reading",
            steps=1500,
            learning_rate=2e-3,
            final=0.1,
            shares={
                "map": 0.32,
                "line": 0.1,
                "stop": 0.1,
                "TorF1": 0.2,
                "TorF2": 0.08,
                "Counting1": 0.1,
                "Counting2": 0.04,
                "Counting3": 0.03,
                "direct trip": 0.03,
            },
        ),
        Phase(
            name="answers",
            steps=750,
            learning_rate=1.5e-3,
            shares={
                "map": 0.04,
                "line": 0.02,
                "stop": 0.08,
                "pair": 0.16,
                "TorF1": 0.3,
                "TorF2": 0.18,
                "Counting1": 0.08,
                "Counting2": 0.05,
                "Counting3": 0.03,
                "direct trip": 0.02,
                "one transfer": 0.03,
                "two transfers": 0.01,
            },
        ),
        Phase(
            name="judgment",
            steps=400,
            learning_rate=1.5e-3,
            shares={"stop": 0.06, "pair": 0.1, "TorF1": 0.55, "TorF2": 0.25, "direct trip": 0.04},
        ),
        Phase(
            name="mixture",
            steps=250,
            learning_rate=1e-3,
            shares={
                "map": 0.06,
                "line": 0.03,
                "stop": 0.06,
                "pair": 0.06,
                "TorF1": 0.16,
                "TorF2": 0.1,
                "Counting1": 0.18,
                "Counting2": 0.1,
                "Counting3": 0.08,
                "direct trip": 0.06,
                "one transfer": 0.08,
                "two transfers": 0.03,
            },
        ),
        Phase(
            name="trips",
            steps=160,
            learning_rate=1e-3,
            shares={
                "stop": 0.05,
                "pair": 0.1,
                "TorF1": 0.14,
                "TorF2": 0.08,
                "Counting1": 0.14,
                "Counting2": 0.08,
                "Counting3": 0.06,
                "direct trip": 0.14,
                "one transfer": 0.16,
                "two transfers": 0.05,
            },
        ),
    )
    """Phases of the language model. A mixture of all types does not teach true/false questions: for
    thousands of steps they stay at chance, while 200 steps of little else do."""


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
    """
    settings = settings or PretrainSettings()
    if output.exists():
        raise ConfigError(output, found="an existing path", hint="Remove it or choose another one.")
    work = output.parent / f".{output.name}.pretraining"
    with disk_errors(work):
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
        shutil.rmtree(work)
    return output


def _claim(work: Path, settings: PretrainSettings) -> None:
    """Create the folder of a run, or check that an unfinished one has the same settings."""
    work.mkdir(parents=True, exist_ok=True)
    path, wanted = work / "settings.json", settings.model_dump(mode="json")
    if path.exists() and json.loads(path.read_text()) != wanted:
        raise ConfigError(
            work, found="other settings", hint="Remove this folder, or repeat its settings."
        )
    write_bytes(path, json_bytes(wanted))


def _network(settings: PretrainSettings, index: int) -> PlacedNetwork:
    return generate_pocket_network(_SEEDS + settings.seed, index, NETWORKS)


def held_out_maps(settings: PretrainSettings) -> list[PlacedNetwork]:
    """Return the maps of the final evaluation, which pretraining never uses."""
    return [_network(settings, _FIRST_HELD_OUT + i) for i in range(settings.held_out)]


def _build(work: Path, settings: PretrainSettings, report: Report) -> None:
    """Build the model and pretrain its vision tower, unless that has been done."""
    if not (work / "untrained").exists():
        networks = [_network(settings, i) for i in range(min(_CORPUS, settings.maps))]
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
    placed, path = _network(settings, index), work / "maps" / f"{index}.png"
    path.parent.mkdir(exist_ok=True)
    draw_pocket_map(placed, STYLE).image.save(path)
    return Example(path, tuple(_labels(placed)))


def _labels(placed: PlacedNetwork) -> Iterator[TokenLabel]:
    for (x, y), stop in zip(placed.positions, placed.network.stops, strict=True):
        colors = (line.removesuffix(" Line") for line in stop.lines)
        yield TokenLabel(y * NETWORKS.width + x, (stop.name, *colors))


@dataclass(frozen=True, slots=True)
class _Pool:
    """Maps with their tasks by kind and their visual tokens."""

    tasks: list[dict[str, list[Task]]]
    seen: torch.Tensor
    """Visual tokens (maps, tokens, width)."""


def _tasks(placed: PlacedNetwork, settings: PretrainSettings) -> dict[str, list[Task]]:
    """Return the tasks about a map by kind."""
    tasks = [*map_tasks(placed, settings.seed), *pair_tasks(placed.network, settings.seed)]
    return {kind: found for kind in KINDS if (found := [t for t in tasks if t.kind == kind])}


def _see(reader: MapReader, networks: Sequence[PlacedNetwork]) -> torch.Tensor:
    return reader.see([draw_pocket_map(placed, STYLE).image for placed in networks])


class _LanguageRun:
    """Training of the language model with checkpoints."""

    def __init__(
        self, work: Path, settings: PretrainSettings, reader: MapReader, report: Report
    ) -> None:
        self._work, self._settings = work, settings
        self._reader, self._report = reader, report
        self._pool = self._read_pool()

    def _read_pool(self) -> _Pool:
        """Return all training maps; their visual tokens are computed once per run."""
        import torch

        path, count = self._work / "seen.pt", self._settings.maps
        tasks, parts = [], []
        for start in range(0, count, _MAPS_AT_ONCE):
            indices = range(start, min(start + _MAPS_AT_ONCE, count))
            networks = [_network(self._settings, i) for i in indices]
            tasks += [_tasks(placed, self._settings) for placed in networks]
            if not path.exists():
                parts.append(_see(self._reader, networks))
            self._report("maps", indices[-1] + 1, count, math.nan)
        if parts:
            _save(torch.cat(parts), path)
        return _Pool(tasks, torch.load(path, weights_only=True))

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
        kinds, shares = zip(*phase.shares.items(), strict=True)
        chosen: list[tuple[int, Encoded]] = []
        while len(chosen) < self._settings.batch:
            index, kind = rng.randrange(len(self._pool.tasks)), rng.choices(kinds, shares)[0]
            found = self._pool.tasks[index].get(kind)
            if found:
                chosen.append((index, self._reader.encode(rng.choice(found))))
        return sorted(chosen, key=lambda pair: len(pair[1]))

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


def evaluate_reading(
    reader: MapReader, settings: PretrainSettings
) -> dict[str, dict[str, float | int]]:
    """Measure the share of exact answers on held-out maps, by kind of task.

    ``greedy`` counts the answers that greedy decoding gets exactly right. ``sampled`` is the mean
    probability of the exact answer, which is the expected share at temperature 1.
    """
    networks = held_out_maps(settings)
    pool = _Pool([_tasks(placed, settings) for placed in networks], _see(reader, networks))
    results = {}
    for kind in KINDS:
        tasks = [(i, task) for i, found in enumerate(pool.tasks) for task in found.get(kind, ())]
        random.Random(kind).shuffle(tasks)
        chosen = tasks[:_TASKS_OF_A_KIND]
        scores = [_score(reader, pool, pair) for pair in chosen]
        greedy, sampled = (sum(column) / len(scores) for column in zip(*scores, strict=True))
        results[kind] = {
            "tasks": len(chosen),
            "greedy": round(greedy, 4),
            "sampled": round(sampled, 4),
        }
    return results


def _score(reader: MapReader, pool: _Pool, pair: tuple[int, Task]) -> tuple[bool, float]:
    """Return whether greedy decoding gives the exact answer, and the answer's probability."""
    import torch

    index, task = pair
    with torch.no_grad():
        logits, ids = reader.answer_logits([reader.encode(task)], pool.seen[[index]])
    chances = logits.log_softmax(-1).gather(1, ids[:, None])
    return bool((logits.argmax(-1) == ids).all()), math.exp(chances.sum())


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
