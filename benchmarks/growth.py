r"""How costs grow with rows, stops of a network, legs of an answer and rollouts of a prompt.

    make prep-data
    python benchmarks/growth.py data/synthetic --out benchmarks/records/growth.json \
        --plot docs/images/growth.png

Seconds are CPU seconds of this process. The exponent is the slope between the two largest sizes on
logarithmic axes: 1 is linear.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import pickle
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

Curve = list[tuple[int, float]]

STOPS = (20, 60, 200, 600, 2000)
LEGS = (1, 3, 10, 30, 100)
ROLLOUTS = (2, 4, 8, 16, 32)
STOPS_PER_LINE = 20


def main() -> None:
    """Measure all curves, print their exponents, and write record and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="prepared folder whose rows are repeated")
    parser.add_argument("--rows", type=int, default=100_000, help="maximum number of rows")
    parser.add_argument("--maps", type=int, default=40, help="maximum number of maps to prepare")
    parser.add_argument("--only", nargs="*", default=list(MEASURES), choices=list(MEASURES))
    parser.add_argument("--out", type=Path, help="JSON file to write the record to")
    parser.add_argument("--plot", type=Path, help="image file to write the figure to")
    arguments = parser.parse_args()
    curves: dict[str, Curve] = {}
    for name in arguments.only:
        curves |= MEASURES[name](arguments)
        print(name, {key: curves[key] for key in list(curves)[-3:]}, flush=True)
    show(curves)
    if arguments.out:
        record = {
            name: {"points": curve, "exponent": exponent(curve)} for name, curve in curves.items()
        }
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if arguments.plot:
        plot(curves, arguments.plot)


def seconds(work: Callable[[], object], least: float = 0.05) -> float:
    """Return CPU seconds per call: the fastest of three runs of at least ``least`` seconds."""
    gc.collect()
    start = time.process_time()
    work()
    best = once = time.process_time() - start
    if once > 2:
        return once
    repeats = max(1, int(least / max(once, 1e-7)))
    for _ in range(3):
        start = time.process_time()
        for _ in range(repeats):
            work()
        best = min(best, (time.process_time() - start) / repeats)
    return best


def growth_of_rows(arguments: argparse.Namespace) -> dict[str, Curve]:
    """Measure building the training set, reading a row, and resuming at a position."""
    names = ("start: seconds for rows", "one row: seconds with rows", "resume: seconds for rows")
    curves: dict[str, Curve] = {name: [] for name in names}
    sizes = [10**power for power in range(2, 8) if 10**power <= arguments.rows]
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            data = repeated(arguments.data, Path(folder) / str(size), size)
            for name, value in zip(names, rows_once(data), strict=True):
                curves[name].append((size, value))
            shutil.rmtree(data)
    return curves


def repeated(data: Path, folder: Path, rows: int) -> Path:
    """Write a prepared folder whose training file has a given number of rows."""
    folder.mkdir(parents=True)
    for part in ("images", "networks"):
        # Copied, since paths in rows must not leave the folder through a link.
        shutil.copytree(data / part, folder / part)
    table = pq.read_table(data / "train.parquet")
    copies = pa.concat_tables([table] * (rows // table.num_rows + 1)).slice(0, rows)
    pq.write_table(copies, folder / "train.parquet")
    shutil.copy(data / "test.parquet", folder)
    return folder


def rows_once(folder: Path) -> tuple[float, float, float]:
    """Return seconds to build the dataset, to read a row, and to restore a loader halfway."""
    from torchdata.stateful_dataloader import StatefulDataLoader
    from verl.utils.dataset.rl_dataset import collate_fn

    from rewardmap_verl.tiny_model import build as tiny_model
    from rewardmap_verl.verl_plugin.dataset import CurriculumDataset

    path = str(folder / "train.parquet")
    data = {
        "train_files": path,
        "val_files": str(folder / "test.parquet"),
        "train_batch_size": 8,
        "shuffle": False,
        "seed": None,
        "filter_overlong_prompts": False,
        "max_prompt_length": 20000,
        "cache_dir": str(folder / "cache"),
        "curriculum": {"seed": 3},
    }
    config: Any = OmegaConf.create({"data": data, "trainer": {"total_epochs": 1}})
    processor = tiny_model.make_processor(tiny_model.train_tokenizer(["Question"] * 8, 400))
    built: list[Any] = []
    start = seconds(
        lambda: built.append(
            CurriculumDataset(path, processor.tokenizer, config.data, processor, -1)
        ),
        least=0,
    )
    dataset = built[0]

    def loader() -> Any:
        return StatefulDataLoader(dataset, batch_size=8, drop_last=True, collate_fn=collate_fn)

    first = loader()
    next(iter(first))
    state = first.state_dict()
    state = pickle.loads(pickle.dumps(state))  # as restored from a checkpoint
    steps = len(dataset) // 16
    state["_num_yielded"] = state["_sampler_iter_yielded"] = steps
    state["_sampler_iter_state"]["samples_yielded"] = 8 * steps

    def resume() -> None:
        again = loader()
        again.load_state_dict(state)
        batch = next(iter(again))
        assert batch["extra_info"][0]["slot"] == 8 * steps

    return start, seconds(lambda: dataset[len(dataset) // 2]), seconds(resume, least=0)


def growth_of_maps(arguments: argparse.Namespace) -> dict[str, Curve]:
    """Measure the preparation of generated maps, from nothing to rows on disk.

    Once as the embedded data, and once with as many questions as possible about larger networks,
    which gives more rows than could be drawn as maps.
    """
    curves: dict[str, Curve] = {}
    for kind, counts in (
        ("embedded data", (5, 20, 80, 320)),
        ("2,600 questions a map", (1, 4, 12, 140, 450)),
    ):
        time_curve, memory_curve = [], []
        for maps in (count for count in counts if count <= arguments.maps):
            rows, seconds_taken, peak = apart(prepared_once, maps, kind == "embedded data")
            print(f"{kind}: {rows} rows, {seconds_taken:.1f} s, {peak / 1e6:.0f} MB", flush=True)
            time_curve.append((rows, seconds_taken))
            memory_curve.append((rows, peak))
        curves[f"preparation, {kind}: seconds for rows"] = time_curve
        curves[f"preparation, {kind}: peak bytes for rows"] = memory_curve
    return curves


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process, so that its memory and CPU time are separate."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def prepared_once(maps: int, embedded: bool) -> tuple[int, float, float]:
    """Prepare maps; return rows, CPU seconds and peak memory in bytes."""
    from rewardmap_verl.preparation.images import PixelBudget
    from rewardmap_verl.preparation.prepare import prepare
    from rewardmap_verl.preparation.settings import SIZES, PrepareSettings
    from rewardmap_verl.questions.sampling import Quotas
    from rewardmap_verl.transit.synthetic import standard_settings

    tiny = SIZES["tiny"]
    many = Quotas(*[1000] * 6, forms=tiny.quotas.forms)
    with tempfile.TemporaryDirectory() as folder:
        settings = PrepareSettings(
            source="synthetic",
            seed=1,
            train_maps=maps,
            test_maps=1,
            out=Path(folder) / "data",
            quotas=tiny.quotas if embedded else many,
            brief=tiny.brief,
            budget=PixelBudget(max_pixels=tiny.max_pixels, min_pixels=tiny.min_pixels),
            networks=tiny.networks if embedded else standard_settings(),
            style=tiny.style,
            workers=1,
        )
        start = time.process_time()
        manifest = prepare(settings)
        spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return sum(manifest.rows.values()), spent, float(peak)


def city(stops: int) -> Any:
    """Return a grid-like network: lines of 20 stops, each crossing the next ones."""
    from rewardmap_verl.transit.reader import parse_network

    lines: dict[str, list[str]] = {}
    count = max(1, round(stops / STOPS_PER_LINE))
    for line in range(count):
        own = [f"Stop {line} {place}" for place in range(STOPS_PER_LINE)]
        if line:  # meets the line before and one long before
            own[3] = f"Stop {line - 1} 12"
            own[9] = f"Stop {line // 2} 15" if line // 2 != line - 1 else own[9]
        lines[f"Line {line + 1}"] = own
    return parse_network(lines, "testland", f"city{stops}")


def growth_of_stops(arguments: argparse.Namespace) -> dict[str, Curve]:
    """Measure reading a network, planning a route, and scoring an answer."""
    from rewardmap_verl.rewards.config import RewardConfig
    from rewardmap_verl.rewards.score import score_answer
    from rewardmap_verl.transit.planner import Planner

    reading, planning, scoring = [], [], []
    for stops in STOPS:
        network = city(stops)
        reading.append((stops, seconds(lambda stops=stops: city(stops))))
        last = len(network.stops) - 1
        plans = Planner(network).best_plans(0, last)
        planner = Planner(network)

        def plan_again(planner: Any = planner, last: int = last) -> None:
            planner._from.clear()
            planner.best_plans(0, last)

        planning.append((stops, seconds(plan_again)))
        truth, text = question(network, plans[0])
        score = partial(score_answer, text, truth, network, RewardConfig())
        score()  # fills the caches of the network
        scoring.append((stops, seconds(score)))
    return {
        "network: seconds to read stops": reading,
        "planner: seconds for a route among stops": planning,
        "reward: seconds for an answer among stops": scoring,
    }


def question(network: Any, plan: Any) -> tuple[Any, str]:
    """Return a planning question with a plan as its gold answer, and that answer as text."""
    from rewardmap_verl.questions.types import QuestionType
    from rewardmap_verl.rewards.ground_truth import GroundTruth

    names = network.stops
    legs = [
        {
            "route_name": leg.line,
            "departure_stop": names[leg.departure].name,
            "arrival_stop": names[leg.arrival].name,
        }
        for leg in plan.legs
    ]
    truth = GroundTruth(
        type=QuestionType.PLANNING,
        country=network.country,
        city=network.city,
        station_1=legs[0]["departure_stop"],
        station_2=legs[-1]["arrival_stop"],
        answer=-1,
        question_transfer_count=min(len(legs) - 1, 50),
        difficulty_city="middle",
        form="short",
        plans=(tuple(legs),),
    )
    return truth, written(legs)


def written(legs: list[dict[str, str]]) -> str:
    """Format a route as ReasonMap requires it."""
    parts = [
        f"Route Name: {leg['route_name']}\n"
        f"Departure Stop: {leg['departure_stop']}\nArrival Stop: {leg['arrival_stop']}"
        for leg in legs
    ]
    return "\n--\n".join(parts)


def growth_of_legs(arguments: argparse.Namespace) -> dict[str, Curve]:
    """Measure scoring of answers with increasing numbers of valid legs."""
    from rewardmap_verl.rewards.config import RewardConfig
    from rewardmap_verl.rewards.score import score_answer
    from rewardmap_verl.transit.planner import Planner

    network = city(600)
    truth, _ = question(network, Planner(network).best_plans(0, 5)[0])
    legs = [
        {
            "route_name": "Line 1",
            "departure_stop": network.stops[place % 5].name,
            "arrival_stop": network.stops[place % 5 + 1].name,
        }
        for place in range(max(LEGS))
    ]
    curve = []
    for count in LEGS:
        text = written(legs[:count])
        curve.append(
            (count, seconds(lambda text=text: score_answer(text, truth, network, RewardConfig())))
        )
    return {"reward: seconds for legs": curve}


def growth_of_rollouts(arguments: argparse.Namespace) -> dict[str, Curve]:
    """Measure bytes per prompt in verl's queue, with verl's agent loop and with ours."""
    import step_images

    row = step_images.largest_row(arguments.data)
    curves: dict[str, Curve] = {}
    for loop, name in (("single_turn_agent", "verl's loop"), ("rewardmap", "ours")):
        curve = []
        for rollouts in ROLLOUTS:
            costs, _ = step_images.measure(loop, row, rollouts, 64)
            curve.append((rollouts, float(costs.bytes["trajectory in the queue"])))
        curves[f"queue, {name}: bytes for rollouts"] = curve
    return curves


MEASURES: dict[str, Callable[[argparse.Namespace], dict[str, Curve]]] = {
    "stops": growth_of_stops,
    "legs": growth_of_legs,
    "rollouts": growth_of_rollouts,
    "maps": growth_of_maps,
    "rows": growth_of_rows,
}


def exponent(curve: Curve) -> float:
    """Return the slope between the two largest sizes on logarithmic axes."""
    (size, cost), (larger, more) = curve[-2:]
    return round(math.log(max(more, 1e-9) / max(cost, 1e-9)) / math.log(larger / size), 2)


def show(curves: dict[str, Curve]) -> None:
    """Print the first point, the last point and the exponent of every curve."""
    table = Table("curve", "smallest", "largest", "exponent")
    for name, curve in curves.items():
        ends = [f"{size:,}: {cost:.4g}" for size, cost in (curve[0], curve[-1])]
        table.add_row(name, *ends, f"{exponent(curve):.2f}")
    Console().print(table)


def plot(curves: dict[str, Curve], path: Path) -> None:
    """Draw all curves on logarithmic axes, with a line of slope 1."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    columns = 3
    lines = math.ceil(len(curves) / columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4 * columns, 2.6 * lines))
    for axis in axes.flat:
        axis.set_visible(False)
    for axis, (name, curve) in zip(axes.flat, curves.items(), strict=False):
        sizes, costs = zip(*curve, strict=True)
        axis.set_visible(True)
        axis.loglog(sizes, costs, "o-", label="measured")
        axis.loglog(
            sizes,
            [costs[-1] * size / sizes[-1] for size in sizes],
            "--",
            color="0.7",
            label="linear",
        )
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=7)
        for side in (axis.xaxis, axis.yaxis):
            side.set_minor_formatter(NullFormatter())
    axes.flat[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
