"""The metadata block of a model card: base model, data sets, and scores as ``model-index``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.reports.evaluations import read_results
from rewardmap_verl.reports.runs import Run

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

__all__ = ["front_matter", "hub_base_model"]

_TAGS: Final = ("rewardmap", "transit-maps", "route-planning", "grpo", "verl")
_TASK: Final = "image-text-to-text"
_SECTIONS: Final = {
    "short": "routes, short form",
    "long": "routes, long form",
    "plus": "reading the map",
    "further": "further types",
}
_PERCENT: Final = {"accuracy": 100.0, "map_score": 1.0}
"""Metrics of the index, with the factor that turns them into the unit of the table."""


def hub_base_model(run: Run) -> str:
    """Return the run's base model if it is a name of the hub, else ""."""
    base = str(run.setting("actor_rollout_ref.model.path") or "")
    on_hub = base.count("/") == 1 and not base.startswith((".", "/", "~"))
    return base if on_hub and not Path(base).exists() else ""


def front_matter(
    license: str, name: str, base_model: str, datasets: Sequence[str], evaluation: Path | None
) -> str:
    """Return the metadata as YAML, in the format that the hub reads.

    Args:
        license: Identifier of the license.
        name: Name of the model.
        base_model: Name of the base model on the hub, or "".
        datasets: Names of the training data on the hub.
        evaluation: Folder written by ``rewardmap evaluate``; its metrics and their intervals
            become the ``model-index``.

    Raises:
        DataError: The evaluation cannot be read.
    """
    from huggingface_hub import ModelCardData

    results = list(_eval_results(evaluation, datasets)) if evaluation is not None else []
    data = ModelCardData(
        license=license,
        library_name="transformers",
        pipeline_tag=_TASK,
        tags=list(_TAGS),
        base_model=base_model or None,
        datasets=list(datasets) or None,
        model_name=name,
        eval_results=results or None,
    )
    if not results:
        data.pop("model_name")
    return data.to_yaml().strip()


def _eval_results(evaluation: Path, datasets: Sequence[str]) -> Iterator[EvalResult]:
    """Yield accuracy and map score of every section of the evaluated model."""
    from huggingface_hub import EvalResult

    found = read_results(evaluation)
    try:
        (model, *_), questions = found["models"], found["questions"]
        # The name starts with the path of the folder on the machine of the evaluation.
        title = PurePath(str(questions["name"])).name
        for metric in filter(_is_indexed, model["metrics"]):
            yield EvalResult(
                task_type=_TASK,
                dataset_type=datasets[0] if datasets else "transit-maps",
                dataset_name=title,
                metric_type=metric["metric"],
                metric_name=_metric_name(metric),
                **_value(metric),
            )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        hint = "Evaluate again with `rewardmap evaluate`."
        raise DataError(evaluation / "results.json", found=repr(error), hint=hint) from None


def _is_indexed(metric: Mapping[str, Any]) -> bool:
    weighted = metric["section"] != "further"
    known = metric["section"] in _SECTIONS and metric["metric"] in _PERCENT
    return known and metric["weighted"] is weighted


def _metric_name(metric: Mapping[str, Any]) -> str:
    weighted = ", weighted by difficulty" if metric["weighted"] else ""
    kind = metric["metric"].replace("_", " ").capitalize()
    return f"{kind} ({_SECTIONS[metric['section']]}){weighted}"


def _value(metric: Mapping[str, Any]) -> dict[str, Any]:
    factor = _PERCENT[metric["metric"]]
    mean, low, high = (round(factor * float(metric[key]), 2) for key in ("mean", "low", "high"))
    return {
        "metric_value": mean,
        "metric_args": {"interval_95": [low, high], "questions": int(metric["count"])},
    }
