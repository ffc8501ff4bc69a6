"""The six other benchmarks of RewardMap's table 2, measured by VLMEvalKit.

VLMEvalKit provides the data and the scoring. ``write_entry`` writes its configuration for a
trained model, and ``read_results`` reads its results as a row of the paper's table. Names of
data sets, classes and result files are those of VLMEvalKit at commit e8e78f0.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.tables import Column, TableRow
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.preparation.atomic import disk_errors, staging_file

__all__ = ["BENCHMARKS", "Benchmark", "benchmark_columns", "read_results", "write_entry"]

_Table = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One data set of VLMEvalKit and the metric that the paper reports for it."""

    name: str
    """VLMEvalKit's name of the data set."""
    key: str
    """Its name in ``published.yaml``."""
    head: str
    """The paper's heading."""
    dataset_class: str
    """VLMEvalKit's class."""
    metric: Callable[[_Table, Path], float]
    """Returns the metric, in percent, from the rows of the result file."""


def _number(row: Mapping[str, str], column: str, path: Path, scale: float) -> float:
    found = {name.strip().casefold(): name for name in row if name}
    name = found.get(column.casefold())
    if name is None:
        hint = f"The columns are {', '.join(row)}. Is it a result file of VLMEvalKit?"
        raise DataError(path, column, "no such column", hint)
    try:
        value = scale * float(row[name])
    except (OverflowError, TypeError, ValueError):
        raise DataError(path, column, row[name], "It must be a number.") from None
    if not 0.0 <= value <= 100.0:
        raise DataError(path, column, row[name], "It must be between 0 and 100 percent.")
    return value


def _share(column: str) -> Callable[[_Table, Path], float]:
    """Return a reader of a share, 0 to 1 in the file."""
    return lambda rows, path: _number(rows[0], column, path, 100.0)


def _percent(column: str) -> Callable[[_Table, Path], float]:
    """Return a reader of a metric that is in percent in the file."""
    return lambda rows, path: _number(rows[0], column, path, 1.0)


def _hr_bench(rows: _Table, path: Path) -> float:
    """Return HRBench's accuracy: the mean over the four orders of the options."""
    for row in rows:
        if (row.get("cycle"), row.get("type")) == ("Average", "all"):
            return _number(row, "accuracy", path, 100.0)
    hint = "Expected a row with the cycle Average and the type all."
    raise DataError(path, "cycle", sorted({str(row.get("cycle")) for row in rows}), hint)


BENCHMARKS: Final = (
    Benchmark(
        "SEEDBench2_Plus",
        "seed_bench_2_plus",
        "SEED-Bench-2-Plus (map)",
        "ImageMCQDataset",
        _share("map"),
    ),
    Benchmark("SpatialEval", "spatial_eval", "SpatialEval", "ImageMCQDataset", _share("Overall")),
    Benchmark("VStarBench", "v_star", "V*", "ImageMCQDataset", _share("Overall")),
    Benchmark("HRBench4K", "hr_bench", "HRBench", "HRBenchDataset", _hr_bench),
    Benchmark("ChartQA_TEST", "chart_qa", "ChartQA", "ImageVQADataset", _percent("Overall")),
    Benchmark("MMStar", "mmstar", "MMStar", "ImageMCQDataset", _share("Overall")),
)

_MODEL_CLASS: Final = "Qwen2VLChat"
_MIN_PIXELS: Final = 1280 * 28 * 28
_MAX_PIXELS: Final = 16384 * 28 * 28
"""The range of image sizes of RewardMap's own evaluation."""


def benchmark_columns() -> tuple[Column, ...]:
    """Return the columns of the paper's table 2, the mean last."""
    heads = [*((one.key, one.head) for one in BENCHMARKS), ("mean", "mean")]
    return tuple(Column("benchmarks", key, head, percent=False) for key, head in heads)


def entry(name: str, model: Path) -> dict[str, Any]:
    """Return VLMEvalKit's configuration for one model on the six data sets."""
    return {
        "model": {
            name: {
                "class": _MODEL_CLASS,
                "model_path": str(model),
                "min_pixels": _MIN_PIXELS,
                "max_pixels": _MAX_PIXELS,
                "use_custom_prompt": False,
            }
        },
        "data": {one.name: {"class": one.dataset_class, "dataset": one.name} for one in BENCHMARKS},
    }


_SCRIPT: Final = """\
#!/usr/bin/env bash
# Measures {name} on the six benchmarks with VLMEvalKit (github.com/open-compass/VLMEvalKit).
# VLMEVALKIT is its folder, LMUData the folder of its data sets, GPUS the number of processes.
# Afterwards: rewardmap benchmarks results {work_dir}
set -euo pipefail
: "${{VLMEVALKIT:?Set VLMEVALKIT to the folder of VLMEvalKit.}}"
export LMUData="${{LMUData:-$HOME/LMUData}}"
torchrun --nproc-per-node="${{GPUS:-1}}" "$VLMEVALKIT/run.py" \\
  --config {config} --work-dir {work_dir} --reuse "$@"
"""


def write_entry(model: Path, target: Path, name: str) -> list[Path]:
    """Write VLMEvalKit's configuration and the script that runs it.

    Returns:
        The two files.

    Raises:
        DataError: The folder holds no model, the name cannot be a folder name, or the target
            cannot be written.
    """
    if not (model / "config.json").is_file():
        hint = "Give the folder of a merged model, with a config.json (make merge RUN=…)."
        raise DataError(model, found="no config.json", hint=hint)
    if not name or "/" in name or name.startswith(".") or not name.isprintable():
        raise DataError("--name", found=name, hint="VLMEvalKit creates a folder of this name.")
    config, script = target / f"{name}.json", target / f"{name}.sh"
    text = json.dumps(entry(name, model.resolve()), indent=2) + "\n"
    lines = _SCRIPT.format(
        name=name,
        config=shlex.quote(str(config.resolve())),
        work_dir=shlex.quote(str((target / "outputs").resolve())),
    )
    with disk_errors(target):
        with staging_file(config) as file:
            file.write_bytes(text.encode())
        with staging_file(script) as file:
            file.write_bytes(lines.encode())
            file.chmod(0o755)
    return [config, script]


def read_results(work_dir: Path, names: Sequence[str] = ()) -> tuple[list[TableRow], list[str]]:
    """Read VLMEvalKit's results, ``<work dir>/<model>/…/<model>_<data set>_acc.csv``.

    Args:
        work_dir: VLMEvalKit's ``--work-dir``, or the folder of one model in it.
        names: Models to read; empty for all.

    Returns:
        A row per model, and notes about missing results.

    Raises:
        DataError: There is no result, or a file is not in VLMEvalKit's format.
    """
    folders = _model_folders(work_dir, names)
    rows, notes = [], []
    for folder in folders:
        found = [_metric(folder, one) for one in BENCHMARKS]
        known = [value for value in found if value is not None]
        absent = [one.name for one, value in zip(BENCHMARKS, found, strict=True) if value is None]
        if absent:
            notes.append(f"{folder.name}: no result of {', '.join(absent)}, so no mean.")
        mean = None if absent else sum(known) / len(known)
        rows.append(TableRow(folder.name, (*found, mean)))
    return rows, notes


def _model_folders(work_dir: Path, names: Sequence[str]) -> list[Path]:
    if not work_dir.is_dir():
        raise DataError(work_dir, hint="Give VLMEvalKit's --work-dir; there is no such folder.")
    if _has_results(work_dir, work_dir.name):
        found = [work_dir]
    else:
        found = [p for p in sorted(work_dir.iterdir()) if p.is_dir() and _has_results(p, p.name)]
    chosen = [folder for folder in found if not names or folder.name in names]
    if missing := sorted(set(names) - {folder.name for folder in chosen}):
        hint = f"It has results of {', '.join(f.name for f in found) or 'no model'}."
        raise DataError(work_dir, "--name", missing, hint)
    if not chosen:
        known = ", ".join(one.name for one in BENCHMARKS)
        hint = f"Expected <model>/<model>_<data set>_acc.csv for one of {known}."
        raise DataError(work_dir, found="no result of VLMEvalKit", hint=hint)
    return chosen


def _has_results(folder: Path, model: str) -> bool:
    return any(_result_file(folder, model, one.name) for one in BENCHMARKS)


def _result_file(folder: Path, model: str, dataset: str) -> Path | None:
    """Return the newest result: VLMEvalKit's link beside the runs, else the newest run's file."""
    pattern = f"{model}_{dataset}_acc"
    direct = [p for suffix in (".csv", ".json") if (p := folder / f"{pattern}{suffix}").is_file()]
    runs = sorted(p for suffix in (".csv", ".json") for p in folder.glob(f"*/{pattern}{suffix}"))
    found = direct or runs[-1:]
    return found[0] if found else None


def _metric(folder: Path, benchmark: Benchmark) -> float | None:
    path = _result_file(folder, folder.name, benchmark.name)
    return None if path is None else benchmark.metric(_rows(path), path)


def _rows(path: Path) -> _Table:
    """Return the rows of a result file as texts; the JSON is by rows or by columns."""
    import pandas as pd

    try:
        if path.suffix == ".json":
            table = pd.DataFrame(parse_json(path.read_text(encoding="utf-8-sig")))
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, TypeError, ValueError) as error:
        raise DataError(path, found=repr(error), hint="Is the file complete?") from None
    if table.empty:
        raise DataError(path, found="no row", hint="VLMEvalKit has not finished this data set.")
    return [{str(k): str(x) for k, x in row.items()} for row in table.to_dict("records")]
