"""Pretraining of the embedded model: resumable, deterministic, and the model made by it."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
import torch

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import exclusive_lock
from rewardmap_verl.tiny_model.build import count_parameters
from rewardmap_verl.tiny_model.map_reader import MapReader
from rewardmap_verl.tiny_model.pocket_model import RECORD, copy_pocket_model, read_record
from rewardmap_verl.tiny_model.pretraining import pretrain
from rewardmap_verl.tiny_model.pretraining_settings import Phase, PretrainSettings
from rewardmap_verl.tiny_model.reading_score import evaluate_reading
from rewardmap_verl.tiny_model.reading_tasks import (
    KINDS,
    RIDE,
    ROUTE_FORM,
    Task,
    map_tasks,
    ride_task,
    route_form_task,
)
from rewardmap_verl.transit.synthesis.pocket_networks import PocketSettings, generate_pocket_network

PHASES = tuple(
    Phase(name=name, steps=2, learning_rate=1e-3, shares={"map": 1, "TorF1": 1})
    for name in ("reading", "answers")
)
SETTINGS = PretrainSettings(
    maps=8, held_out=2, vision_maps=4, vision_steps=2, batch=6, phases=PHASES
)


class InterruptedRunError(Exception):
    """Raised instead of a kill."""


def interrupt_at(stage: str, step: int) -> object:
    def report(name: str, done: int, total: int, loss: float) -> None:
        if (name, done) == (stage, step):
            raise InterruptedRunError

    return report


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain(tmp_path_factory.mktemp("pretrained") / "model", SETTINGS)


def test_an_interrupted_run_continues_to_the_same_weights(whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    for stage, step in (("vision", 2), ("maps", 8), ("reading", 2), ("answers", 1)):
        with pytest.raises(InterruptedRunError):
            pretrain(output, SETTINGS, interrupt_at(stage, step))  # type: ignore[arg-type]
        assert not output.exists()
    with pytest.raises(ConfigError, match="other settings"):
        pretrain(output, SETTINGS.model_copy(update={"seed": 2}))
    pretrain(output, SETTINGS)
    assert (output / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert (output / RECORD).read_bytes() == (whole / RECORD).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_record_says_how_the_model_was_made(whole: Path) -> None:
    record = read_record(whole)
    assert PretrainSettings(**record["settings"]) == SETTINGS
    assert [point["step"] for point in record["curve"]] == [2, 2]
    assert set(record["held_out"]) == set(KINDS)
    assert json.loads((whole / "config.json").read_text())["freeze_vision_tower"] is True
    with pytest.raises(ConfigError, match="existing"):
        pretrain(whole, SETTINGS)


def test_positions_and_tokens_are_those_of_the_model(whole: Path) -> None:
    reader = MapReader(whole, (6, 8))
    task = reader.encode(Task("TorF1", "Are Ash and Fox on one line?", "\\boxed{yes}"))
    ids = torch.tensor([task.prompt + task.answer])
    visual = (ids == reader.model.config.image_token_id).int()
    grid = torch.tensor([[1, 12, 16]])
    expected, _ = reader.model.model.get_rope_index(ids, visual, image_grid_thw=grid)
    assert torch.equal(reader.positions(len(task)), expected[:, 0])
    assert int(visual.sum()) == 48


def test_tasks_name_everything_on_the_map() -> None:
    placed = generate_pocket_network(3, 0, PocketSettings())
    network, tasks = placed.network, map_tasks(placed, 1)
    whole = next(task.answer for task in tasks if task.kind == "map")
    assert all(stop.name in whole for stop in network.stops)
    assert [line.split(":")[0] for line in whole.splitlines()] == sorted(
        line.name for line in network.lines
    )
    assert {task.kind for task in tasks} <= set(KINDS)
    assert map_tasks(placed, 1) == tasks


def test_the_form_of_a_route_is_learned_on_a_blank_map(tmp_path: Path) -> None:
    tasks = [route_form_task(random.Random(i)) for i in range(50)]
    assert tasks == [route_form_task(random.Random(i)) for i in range(50)]
    for task in tasks:
        first, last = re.search(r"from (\w+) to (\w+)\?", task.question).groups()  # type: ignore[union-attr]
        departures = re.findall("Departure Stop: (.*)", task.answer)
        arrivals = re.findall("Arrival Stop: (.*)", task.answer)
        assert [*departures, last] == [first, *arrivals]
    assert len({task.answer.count("Route Name") for task in tasks}) == 3
    only_form = Phase(name="form", steps=1, learning_rate=1e-3, shares={ROUTE_FORM: 1})
    model = pretrain(tmp_path / "model", SETTINGS.model_copy(update={"phases": (only_form,)}))
    assert [point["phase"] for point in read_record(model)["curve"]] == ["form"]


def test_rides_follow_the_lines_of_the_map_and_have_no_destination(tmp_path: Path) -> None:
    networks = [generate_pocket_network(5, i, PocketSettings()).network for i in range(30)]
    legs = []
    for i, network in enumerate(networks):
        task = ride_task(network, random.Random(i))
        assert task == ride_task(network, random.Random(i))
        departures = re.findall("Departure Stop: (.*)", task.answer)
        arrivals = re.findall("Arrival Stop: (.*)", task.answer)
        lines = re.findall("Route Name: (.*)", task.answer)
        assert departures == [task.question.split("?")[0].split()[-1], *arrivals[:-1]]
        assert len(set(lines)) == len(lines)
        for line, departure, arrival in zip(lines, departures, arrivals, strict=True):
            (stops,) = [one.listed for one in network.lines if one.name == line]
            names = {network.stops[stop].name for stop in stops}
            assert departure != arrival
            assert {departure, arrival} <= names
        assert arrivals[-1] not in task.question
        legs.append(len(lines))
    assert set(legs) == {1, 2, 3}
    only_rides = Phase(name="rides", steps=1, learning_rate=1e-3, shares={RIDE: 1})
    model = pretrain(tmp_path / "model", SETTINGS.model_copy(update={"phases": (only_rides,)}))
    assert [point["phase"] for point in read_record(model)["curve"]] == ["rides"]


def test_the_packaged_model_reads_new_maps_as_its_record_says(tmp_path: Path) -> None:
    folder = copy_pocket_model(tmp_path / "pocket")
    record = read_record(folder)
    assert count_parameters(folder) == record["parameters"] <= 3_000_000
    assert (folder / "model.safetensors").stat().st_size < 8_000_000
    settings = PretrainSettings(**record["settings"]).model_copy(
        update={"seed": 2, "held_out": 20}  # maps of another seed
    )
    results = evaluate_reading(MapReader(folder, (6, 8)), settings)
    for kind in ("stop", "pair", "place", "interchange", "TorF1", "TorF2", "Counting2"):
        recorded = record["held_out"][kind]["greedy"]
        # Four standard errors of a share, of both samples.
        tolerance = (
            4 * (0.25 / results[kind]["tasks"] + 0.25 / record["held_out"][kind]["tasks"]) ** 0.5
        )
        assert abs(results[kind]["greedy"] - recorded) < tolerance, kind
    with pytest.raises(ConfigError, match="existing"):
        copy_pocket_model(folder)


def test_one_process_works_on_an_output(tmp_path: Path) -> None:
    work = tmp_path / ".model.pretraining"
    work.mkdir()
    with exclusive_lock(work), pytest.raises(DataError, match="Another process is writing"):
        pretrain(tmp_path / "model")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / RECORD).write_text("{}")
    with pytest.raises(ConfigError, match="existing path"):
        pretrain(tmp_path / "model")
    assert not work.exists(), "left by a run that was killed after it had written its output"
