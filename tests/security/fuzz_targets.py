"""Every reader of outside files as a fuzz target: a valid file, how to damage it, how to read it.

A target passes if its reader returns, or raises one of the package's own errors.
"""

from __future__ import annotations

import base64
import io
import json
import math
import random
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from openai._models import construct_type
from openai.types.chat import ChatCompletion
from PIL import Image

import rewardmap_verl.evaluation
from rewardmap_verl.checkpoints.folders import find_damage
from rewardmap_verl.checkpoints.fsdp_checkpoint import read_plain
from rewardmap_verl.checkpoints.merge import adapter_scale, rollout_dtype
from rewardmap_verl.checkpoints.run_metadata import METADATA_NAME
from rewardmap_verl.commands.reward_options import load_settings
from rewardmap_verl.drawing.line_geometry import read_line_geometry
from rewardmap_verl.evaluation.answer_log import AnswerLog
from rewardmap_verl.evaluation.benchmarks import read_results as benchmark_results
from rewardmap_verl.evaluation.endpoint import read_reply
from rewardmap_verl.evaluation.saved import read_saved
from rewardmap_verl.evaluation.weights import load_weights
from rewardmap_verl.inputs.parquet import parquet_rows
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.preflight.checks.memory import read_model_facts
from rewardmap_verl.preparation.images import PixelBudget, read_map
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.preparation.sources.gtfs import locate_feed, place_network
from rewardmap_verl.preparation.sources.published_pictures import figure_of, find_picture
from rewardmap_verl.preparation.sources.published_rows import find_network, questions_of
from rewardmap_verl.reports.evaluations import FORMAT, read_evaluation
from rewardmap_verl.reports.logs import read_curves
from rewardmap_verl.reports.rollouts import read_groups
from rewardmap_verl.reports.runs import read_metadata, read_run
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.rows import read_json_lines
from rewardmap_verl.rewards.score import RewardConfig, score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import network_to_json, parse_network, read_network
from rewardmap_verl.zoom.crops import Crop, original_size, read_crop
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.tool import answer_call

LISTS = {"Line 1": ["Airport", "Harbor", "Old Town"], "Line 2": ["Harbor", "Museum"]}
TRUTH = {
    "type": "planning",
    "country": "testland",
    "city": "one",
    "station_1": "Airport",
    "station_2": "Museum",
    "difficulty_city": "easy",
    "question_transfer_count": 1,
    "answer": -1,
}
ANSWER = "Route Name: Line 1\nDeparture Stop: Airport\nArrival Stop: Harbor"

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, math.inf, -math.inf, math.nan, 10**400, "", " ", "\x00", "\ud800"),
    *("../../etc/passwd", "/etc/passwd", "a" * 5000, "\u202eabc", "<script>", "1\n2", "{}", "=1+1"),
    *([], {}, [[]], [None] * 50, {"": None}, {"a": {"a": {"a": []}}}, "9" * 5000, "1e999", "ａ"),
)
"""Values that no field expects."""


@dataclass(frozen=True)
class Target:
    """One reader."""

    name: str
    """Name of the file, which selects the reader in several commands."""
    valid: Callable[[], bytes]
    """A valid file."""
    read: Callable[[Path], object]
    """Reads the file at a path to the end."""
    parse: Callable[[bytes], Any] | None = None
    """For structured formats: the content as JSON values, which are damaged one by one."""
    write: Callable[[Any], bytes] | None = None
    """The inverse of ``parse``."""


def damaged(target: Target, seed: int) -> bytes:
    """Return a damaged version of a target's valid file; a function of the seed."""
    rng = random.Random(seed)
    content = target.valid()
    if target.parse is not None and target.write is not None and rng.random() < 0.6:
        value = target.parse(content)
        for _ in range(rng.randint(1, 3)):
            value = damage_value(value, rng)
        return target.write(value)
    return damage_bytes(content, rng)


def damage_value(value: Any, rng: random.Random) -> Any:
    """Replace, remove, add or duplicate one part of a JSON value."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        result = dict(value)
        action = rng.random()
        if action < 0.15:
            del result[key]
        elif action < 0.3:
            result[str(rng.choice(ODD))] = result.pop(key)
        else:
            result[key] = damage_value(result[key], rng)
        return result
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        result_list = list(value)
        action = rng.random()
        if action < 0.15:
            del result_list[at]
        elif action < 0.3:
            result_list.insert(at, value[rng.randrange(len(value))])
        else:
            result_list[at] = damage_value(value[at], rng)
        return result_list
    return rng.choice(ODD)


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cut, flip, insert, repeat or replace bytes."""
    result = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(result) + 1)
        action = rng.randrange(6)
        if action == 0:
            del result[at:]
        elif action == 1:
            del result[at : at + rng.randint(1, 16)]
        elif action == 2:
            result[at:at] = rng.randbytes(rng.randint(1, 8))
        elif action == 3 and at < len(result):
            result[at] ^= 1 << rng.randrange(8)
        elif action == 4:
            result[at:at] = result[: rng.randint(1, 64)] * rng.randint(1, 8)
        else:
            word = rng.choice(
                [b"NaN", b"-1", b"1e999", b"\xff\xfe", b'"', b"[" * 3000, b"\n\n", b","]
            )
            result[at:at] = word
    return bytes(result)


def json_bytes(value: Any) -> bytes:
    """Write JSON, with the numbers that strict JSON lacks."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


def json_lines(values: Any) -> bytes:
    """Write a list as JSON Lines."""
    return b"\n".join(map(json_bytes, values if isinstance(values, list) else [values])) + b"\n"


def read_lines(content: bytes) -> list[Any]:
    """Read JSON Lines."""
    return [json.loads(line) for line in content.splitlines()]


@cache
def network() -> Network:
    """Return the network that the questions are about."""
    return parse_network(LISTS, "testland", "one")


@cache
def image_bytes(format: str) -> bytes:
    """Return a small map in a raster format."""
    file = io.BytesIO()
    Image.effect_noise((96, 64), 60).convert("RGB").save(file, format)
    return file.getvalue()


@cache
def original_bytes() -> bytes:
    """Return an original map as preparation stores it: a tiled pyramid."""
    with tempfile.TemporaryDirectory() as folder:
        name = store_original(Image.new("RGB", (600, 400), "navy"), "images/1.png", Path(folder))
        return (Path(folder) / name).read_bytes()


@cache
def event_bytes() -> bytes:
    """Return a log of TensorBoard."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    file.close = lambda: None  # type: ignore[method-assign]
    writer = RecordWriter(file)
    for step in range(3):
        value = Summary.Value(tag="actor/kl_loss", simple_value=0.5)
        event = Event(step=step, wall_time=1.0 + step, summary=Summary(value=[value]))
        writer.write(event.SerializeToString())
    return file.getvalue()


@cache
def workbook_bytes() -> bytes:
    """Return a table of answers as VLMEvalKit writes it."""
    import pandas as pd

    file = io.BytesIO()
    pd.DataFrame({"index": [1, 2], "prediction": ["yes", "no"]}).to_excel(file, index=False)
    return file.getvalue()


@cache
def parquet_bytes() -> bytes:
    """Return a parquet file with nested columns."""
    rows = [{"prompt": [{"role": "user", "content": "x"}], "extra_info": TRUTH}] * 3
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


@cache
def checkpoint_bytes() -> bytes:
    """Return a file of tensors as torch writes it."""
    file = io.BytesIO()
    torch.save({"weight": torch.zeros(2, 3), "step": 3}, file)
    return file.getvalue()


FEED: Mapping[str, list[list[str]]] = {
    "agency": [["agency_id", "agency_name"], ["1", "Rail"]],
    "routes": [
        ["route_id", "route_short_name", "route_type", "route_color"],
        ["r", "A", "1", "cc0000"],
    ],
    "stops": [
        ["stop_id", "stop_name", "stop_lat", "stop_lon"],
        *[[f"s{i}", f"Stop {i}", f"{52 + i / 50}", f"{4 + i / 70}"] for i in range(4)],
    ],
    "trips": [["route_id", "trip_id"], ["r", "t"]],
    "stop_times": [
        ["trip_id", "stop_id", "stop_sequence"],
        *[["t", f"s{i}", str(i)] for i in range(4)],
    ],
}


def feed_bytes(tables: Any) -> bytes:
    """Write tables as a zipped GTFS feed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in (tables if isinstance(tables, dict) else {}).items():
            cells = [
                r if isinstance(r, list) else [r]
                for r in (rows if isinstance(rows, list) else [rows])
            ]
            text = "\n".join(",".join(map(str, row)) for row in cells)
            safe = str(name).replace("\x00", "0").encode("utf-8", "replace").decode()[:80]
            archive.writestr(
                f"table {safe}.txt" if "/" in safe else f"{safe}.txt",
                text.encode("utf-8", "surrogatepass"),
            )
    return file.getvalue()


def read_feed_tables(content: bytes) -> dict[str, list[list[str]]]:
    """Read the tables that ``feed_bytes`` wrote."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            name.removesuffix(".txt"): [
                row.split(",") for row in archive.read(name).decode().split("\n")
            ]
            for name in archive.namelist()
        }


def _score(path: Path) -> object:
    truth = GroundTruth.from_row(TRUTH, "test")
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    score = score_answer(text, truth, network(), RewardConfig()).as_dict()
    assert math.isfinite(score["score"])
    return score


def _feed(path: Path) -> object:
    return place_network(locate_feed(path))


def _answer_log(path: Path) -> object:
    with AnswerLog(path, {"questions": "q", "model": {"name": "m"}, "settings": {}}) as log:
        return log.known


def _reply(path: Path) -> object:
    """What the chat client makes of any JSON, as an answer."""
    try:
        values = parse_json(path.read_bytes())
        return read_reply(QUESTION, construct_type(value=values, type_=ChatCompletion))
    except ValueError:  # a fault of the server, with which the evaluation ends
        return None


def _zoom(path: Path) -> object:
    try:
        arguments = parse_json(path.read_bytes())
    except ValueError:  # verl passes on what is JSON only
        return None
    return answer_call(arguments, 0, (1200, 800), ZoomSettings(), 28)


def _original(path: Path) -> object:
    width, height = original_size(str(path))
    return read_crop(str(path), Crop((0, 0, min(width, 64), min(height, 64)), (28, 28)))


def _published(path: Path) -> object:
    try:
        row = parse_json(path.read_bytes())
    except ValueError:
        return None
    if not isinstance(row, dict):  # a row of a table always is one
        return None
    find_network(row, [path.parent], "row 1")
    find_picture(figure_of(row, "row 1"), [path.parent], "row 1")
    return list(questions_of(row, ("short", "long_count", "long_via"), "row 1"))


def _vlmevalkit(path: Path) -> object:
    folder = path.parent / "m"
    folder.mkdir(exist_ok=True)
    (folder / "m_MMStar_acc").with_suffix(path.suffix).write_bytes(path.read_bytes())
    return benchmark_results(folder)


def _adapter(path: Path) -> object:
    folder = path.parent / "lora_adapter"
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_bytes(path.read_bytes())
    return adapter_scale(path.parent)


def _metadata(path: Path) -> object:
    (path.parent / "global_step_1").mkdir(exist_ok=True)
    return read_metadata(path), rollout_dtype(path.parent / "global_step_1")


def _checkpoint(path: Path) -> object:
    step = path.parent / "global_step_1"
    step.mkdir(exist_ok=True)
    (step / "data.pt").write_bytes(path.read_bytes())
    return find_damage(step), read_plain(path)


QUESTION: Any = SimpleNamespace(key="k", index=0)
REPLY = {
    "choices": [{"message": {"content": "yes", "refusal": None}, "finish_reason": "stop"}],
    "usage": {"completion_tokens": 3, "prompt_tokens": 90},
}
PUBLISHED = {
    "country": "testland",
    "city": "one",
    "type": "TorF1",
    "question": "Is there a line?",
    "station_1": "Airport",
    "station_2": "Museum",
    "answer": 1,
    "difficulty_city": "easy",
    "json": LISTS,
    "routes": {"0": [{"route_name": "Line 1", "departure_stop": "A", "arrival_stop": "B"}]},
    "figure": base64.b64encode(b"not a picture").decode(),
}
GEOMETRY = {
    "stops": [[1, 2]] * 4,
    "calls": [{"Line 1": [1, 2]}] * 4,
    "curves": [[[[1, 2], [3, 4]]], [[[1, 2], [3, 4]]]],
    "colors": ["red", "blue"],
}
MODEL = {"vocab_size": 500, "hidden_size": 64, "dtype": "float32", "text_config": {}}
SCORES = "accuracy,Overall,cycle,type\n0.5,0.5,Average,all\n"
RUN = "rewardmap_run: {format: 1}\nactor_rollout_ref: {rollout: {dtype: float32}}\n"
ANSWERS = [{"id": i, "type": "TorF1", "response": ANSWER, "question": "q"} for i in range(3)]
DUMP = [
    {
        "uid": f"q_{i}_0",
        "step": 1,
        "gts": json.dumps(TRUTH),
        "input": "x",
        "output": ANSWER,
        "score": 1.0,
    }
    for i in range(3)
]
GROUP = {
    "stage": "s",
    "type": "planning",
    "row": 1,
    "slot": 1,
    "epoch": 0,
    "repeat": False,
    "scores": {"score": [1.0, None], "acc": [1.0, 0.0]},
}
WEIGHTS = Path(rewardmap_verl.evaluation.__file__).with_name("weights.yaml")
COUNTS: dict[str, dict[str, int]] = {"train": {"TorF1": 3}}
MANIFEST = {
    "source": "local",
    "seed": 1,
    "fingerprint": "f",
    "settings": {},
    "versions": {"pillow": "12"},
    "rows": {"train": 3},
    "rows_by_type": COUNTS,
    "rows_by_difficulty": COUNTS,
    "rows_by_city": COUNTS,
    "longest_prompt": {"train": 100},
    "maps": [],
    "files": {"train.parquet": {"bytes": 1, "sha256": "0"}},
}
RECORD = [{"part": "train", "step": 1, "time": 2.0, "groups": [GROUP]}]


def _structured(
    name: str, value: Any, read: Callable[[Path], object], lines: bool = False
) -> Target:
    parse, write = (read_lines, json_lines) if lines else (json.loads, json_bytes)
    return Target(name, lambda: write(value), read, parse, write)


TARGETS: Mapping[str, Target] = {
    "station lists": _structured("one.json", LISTS, read_network),
    "exact network": _structured("exact.json", network_to_json(network()), read_network),
    "saved answers": _structured("answers.jsonl", ANSWERS, read_saved, lines=True),
    "rollout dump as answers": _structured("1.jsonl", DUMP, read_saved, lines=True),
    "rollout dump": _structured("1.jsonl", DUMP, lambda path: list(read_groups(path)), lines=True),
    "record of a run": _structured(
        "rewardmap_record.jsonl", RECORD, lambda path: read_run(path.parent), lines=True
    ),
    "json lines": _structured("x.jsonl", ANSWERS, lambda p: list(read_json_lines(p)), lines=True),
    "ground truth": _structured(
        "truth.json",
        TRUTH,
        lambda p: GroundTruth.from_json(p.read_bytes().decode("utf-8", "replace")),
    ),
    "answer table": Target("a.csv", lambda: b"index,prediction\n1,yes\n2,no\n", read_saved),
    "answer tsv": Target("a.tsv", lambda: b"index\tprediction\n1\tyes\n2\tno\n", read_saved),
    "answer json": _structured("a.json", [{"index": 1, "prediction": "yes"}], read_saved),
    "answer log": _structured(
        "log.jsonl",
        [
            {"rewardmap_answers": 1, "questions": "q", "model": {"name": "m"}, "settings": {}},
            *ANSWERS,
        ],
        _answer_log,
        lines=True,
    ),
    "manifest": _structured("manifest.json", MANIFEST, lambda p: read_manifest(p.parent)),
    "weights": Target("weights.yaml", WEIGHTS.read_bytes, load_weights),
    "reward settings": Target(
        "reward.yaml",
        lambda: b"reward:\n  rewardmap:\n    alpha: 0.5\n    map_weights: {easy: 1.0}\n",
        lambda path: load_settings(path, None),
    ),
    "parquet": Target("rows.parquet", parquet_bytes, lambda path: list(parquet_rows(path))),
    "png map": Target("map.png", lambda: image_bytes("PNG"), lambda p: read_map(p, PixelBudget())),
    "jpeg map": Target(
        "map.jpg", lambda: image_bytes("JPEG"), lambda p: read_map(p, PixelBudget())
    ),
    "webp map": Target(
        "map.webp", lambda: image_bytes("WEBP"), lambda p: read_map(p, PixelBudget())
    ),
    "checkpoint": Target("model.pt", checkpoint_bytes, _checkpoint),
    "GTFS feed": Target("feed.zip", lambda: feed_bytes(FEED), _feed, read_feed_tables, feed_bytes),
    "reply of a server": _structured("reply.json", REPLY, _reply),
    "call of the zoom tool": _structured("call.json", {"box": [0, 10, 500, 900]}, _zoom),
    "original map": Target("original.tif", original_bytes, _original),
    "published row": _structured("row.json", PUBLISHED, _published),
    "results": _structured(
        "results.json",
        {"rewardmap_results": FORMAT, "models": [], "table": [["a", "b"], ["1", "2"]]},
        lambda p: read_evaluation(p.parent),
    ),
    "VLMEvalKit csv": Target("r.csv", SCORES.encode, _vlmevalkit),
    "VLMEvalKit json": _structured("r.json", {"Overall": {"0": 0.5}, "b": {"0": 1}}, _vlmevalkit),
    "model configuration": _structured(
        "config.json", MODEL, lambda p: read_model_facts(str(p.parent))
    ),
    "adapter settings": _structured("a.json", {"lora_alpha": 16, "r": 8}, _adapter),
    "line geometry": _structured("g.json", GEOMETRY, lambda p: read_line_geometry(p, network())),
    "run metadata": Target(METADATA_NAME, RUN.encode, _metadata),
    "TensorBoard log": Target(
        "events.out.tfevents.1", event_bytes, lambda p: read_curves([p], {1: 0.5})
    ),
    "workbook": Target("a.xlsx", workbook_bytes, read_saved),
    "answer text": Target("answer.txt", ANSWER.encode, _score),
}
"""By name."""
