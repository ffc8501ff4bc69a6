"""Curves that verl logged to TensorBoard: response length, KL, entropy, gradients.

TensorBoard's folder is named after project and experiment, so several runs may share one. A point
belongs to a run if it was logged right after the run's record of that step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import is_folder
from rewardmap_verl.preparation.paths import inside

__all__ = ["CURVES", "Curve", "find_logs", "match", "read_curves"]

Curve = tuple[tuple[int, float], ...]
"""(step, value) in order of steps."""

CURVES = (
    "response_length/mean",
    "response_length/clip_ratio",
    "actor/kl_loss",
    "actor/ppo_kl",
    "actor/entropy",
    "actor/grad_norm",
)
"""Metric names of verl 0.9.1."""

_EVENTS = "events.out.tfevents.*"
_LEAST_WAIT = 120.0  # seconds from a step's rollouts to its log line, at least
_WAIT_STEPS = 5  # … and in steps


def find_logs(folder: Path, config: Mapping[str, Any], extra: Iterable[Path] = ()) -> list[Path]:
    """Return a run's TensorBoard files: below its folder, below ``extra``, and in verl's folder."""
    trainer = config.get("trainer") or {}
    places = [folder, *extra, *_usual(trainer)]
    found = {
        path.resolve() for place in places if is_folder(place) for path in place.rglob(_EVENTS)
    }
    return sorted(found)


def _usual(trainer: Mapping[str, Any]) -> Iterator[Path]:
    """Yield verl's folder of a run, unless a stranger's names lead somewhere else."""
    project, experiment = trainer.get("project_name"), trainer.get("experiment_name")
    names = (str(project), str(experiment)) if project and experiment else ()
    with suppress(DataError):
        yield inside(Path("tensorboard_log"), "/".join((".", *names)))


def read_curves(files: Sequence[Path], times: Mapping[int, float]) -> dict[str, Curve]:
    """Read the curves that a report shows.

    Args:
        files: TensorBoard's files, of this run and possibly of others.
        times: Time at which the rollouts of each step were complete, in seconds since 1970.
    """
    if not files:
        return {}
    # Imported here: it takes a second, and few callers need it.
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    points: defaultdict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for file in files:
        events = EventAccumulator(str(file), size_guidance={"scalars": 0}).Reload()
        for name in set(events.Tags()["scalars"]).intersection(CURVES):
            points[name] += [(one.step, one.wall_time, one.value) for one in events.Scalars(name)]
    matched = {name: match(points[name], times) for name in CURVES if name in points}
    return {name: curve for name, curve in matched.items() if curve}


def match(points: Sequence[tuple[int, float, float]], times: Mapping[int, float]) -> Curve:
    """Select the points of one run: per step the first one logged after its rollouts.

    Args:
        points: (step, seconds since 1970, value).
        times: Time at which the rollouts of each step were complete.
    """
    ordered = sorted(times.values())
    pace = median([b - a for a, b in pairwise(ordered)] or [0.0])
    wait = max(_LEAST_WAIT, _WAIT_STEPS * pace)
    chosen: dict[int, tuple[float, float]] = {}
    for step, time, value in points:
        after = time - times[step] if step in times else -1.0
        if 0 <= after <= wait and after < chosen.get(step, (wait + 1, 0.0))[0]:
            chosen[step] = (after, value)
    return tuple((step, value) for step, (_, value) in sorted(chosen.items()))
