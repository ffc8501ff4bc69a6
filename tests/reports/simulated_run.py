"""Simulate the files of a training run from prepared data: no model, no verl, any size.

Answers are of the kinds that models give: perfect ones, routes with something broken, what cannot
be read, and text that would like to be HTML.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import RecordWriter
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.records import (
    PreparedQuestion,
    read_networks,
    read_prepared_questions,
)
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.score import score_answer
from rewardmap_verl.transit.network import Network

HOSTILE = (
    "</script><script>document.title='taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "\\boxed{<svg onload=document.title='taken'>}\u2028\u2029\x00\ud800",
    "Route Name: <b onclick=alert(1)>Line 1</b>\nDeparture Stop: A\nArrival Stop: </pre>B",
)


def simulate_run(
    data: Path, run: Path, steps: int = 6, groups: int = 4, answers: int = 4, seed: int = 1
) -> Path:
    """Write record, note and dumps of a run of ``steps`` training steps and two validations."""
    manifest = read_manifest(data)
    networks = read_networks(data, manifest)
    train, test = (list(read_prepared_questions(data, split)) for split in ("train", "test"))
    train.sort(key=lambda record: record.truth.is_planning)
    run.mkdir(parents=True)
    write_settings(run, {"data": {"folder": str(data)}, "reward": {"rewardmap": {}}})
    writer = _Writer(run, networks, random.Random(f"{seed}/answers"), steps)
    writer.write("val", 0, [(record, 1) for record in test[: 2 * groups]])
    for step in range(1, steps + 1):
        first = (step - 1) * len(train) // steps
        chosen = [train[(first + place) % len(train)] for place in range(groups)]
        writer.write("train", step, [(record, answers) for record in chosen])
    writer.write("val", steps, [(record, 1) for record in test[: 2 * groups]])
    return run


def write_settings(run: Path, config: dict[str, Any], version: int = 1) -> None:
    """Write the note beside the record."""
    note = {"rewardmap_run": {"format": version, "rewardmap_verl": "0.1.0"}, **config}
    (run / "rewardmap_run.yaml").write_text(yaml.safe_dump(note), encoding="utf-8")


class _Writer:
    def __init__(
        self,
        run: Path,
        networks: dict[tuple[str, str], Network],
        dice: random.Random,
        steps: int,
    ) -> None:
        self.run, self.networks, self.dice, self.steps = run, networks, dice, steps
        self.record = RecordWriter(run / "rewardmap_record.jsonl")

    def write(self, part: str, step: int, asked: list[tuple[PreparedQuestion, int]]) -> None:
        lines, groups = [], []
        for number, (record, answers) in enumerate(asked):
            network = self.networks[record.truth.country, record.truth.city]
            texts = [self.answer(record, network, step) for _ in range(answers)]
            scores = [
                score_answer(text, record.truth, network, RewardConfig()).as_dict()
                for text in texts
            ]
            lines += self.dump(part, step, number, record, texts, scores)
            groups.append(self.group(part, step, number, record, scores))
        folder = self.run / ("validation" if part == "val" else "rollouts")
        folder.mkdir(exist_ok=True)
        (folder / f"{step}.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
        )
        self.record.write("val" if part == "val" else "train", step, groups)

    def answer(self, record: PreparedQuestion, network: Network, step: int) -> str:
        kind = self.dice.random() + 0.3 * step / max(1, self.steps)
        if kind < 0.1:
            return self.dice.choice([*HOSTILE, "", "I cannot see the map."])
        if kind > 0.75:
            return record.answer
        lines = record.answer.split("\n")
        if record.truth.is_planning:
            place = self.dice.randrange(len(lines))
            label, _, _ = lines[place].partition(": ")
            other = self.dice.choice([*network.stops[:20], *network.lines]).name
            return "\n".join([*lines[:place], f"{label}: {other}", *lines[place + 1 :]])
        return f"I count them. The answer is \\boxed{{{self.dice.choice(['yes', 'no', '3', 'B'])}}}"

    def dump(
        self,
        part: str,
        step: int,
        number: int,
        record: PreparedQuestion,
        texts: list[str],
        scores: list[dict[str, float | None]],
    ) -> Iterator[dict[str, Any]]:
        for place, (text, score) in enumerate(zip(texts, scores, strict=True)):
            yield {
                "input": f"system\nYou are helpful.\nuser\n\n{record.text}\nassistant\n",
                "output": text,
                "gts": record.truth.to_json(),
                "score": score["score"],
                "step": step,
                **({**score, "reward": score["score"]} if part == "val" else {}),
                "uid": f"{step:04x}{number:04x}-0000_{place}_0",
            }

    def group(
        self,
        part: str,
        step: int,
        number: int,
        record: PreparedQuestion,
        scores: list[dict[str, float | None]],
    ) -> Group:
        kind = str(record.truth.type)
        stage = "planning" if record.truth.is_planning else "perception"
        return Group(
            stage="validation" if part == "val" else stage,
            kind=kind,
            row=record.index,
            slot=step * 100 + number,
            epoch=0,
            repeat=False,
            scores={name: tuple(score[name] for score in scores) for name in scores[0]},
        )
