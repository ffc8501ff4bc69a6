"""Model cards in the hub's format: data, recipe, scores and license."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.markdown import code_span, escape
from rewardmap_verl.preparation.atomic import disk_errors, write_files
from rewardmap_verl.preparation.manifest import Manifest, read_manifest
from rewardmap_verl.reports.card_metadata import front_matter, hub_base_model
from rewardmap_verl.reports.evaluations import read_evaluation
from rewardmap_verl.reports.learning_curve import visits
from rewardmap_verl.reports.prepared import data_folders, prompt_of_a_test_question
from rewardmap_verl.reports.run_summary import summarize
from rewardmap_verl.reports.runs import Run, read_run

__all__ = ["CARD_NAME", "CardOptions", "write_card"]

CARD_NAME = "README.md"

_MARK = "<!-- written by rewardmap card -->"

_UNKNOWN_LICENSE = "other"

_PUBLISHED_DATA = ("FSCCS/ReasonMap-Train", "FSCCS/ReasonMap-Plus", "FSCCS/ReasonMap")

_SETTINGS = (
    "algorithm.adv_estimator",
    "algorithm.norm_adv_by_std_in_grpo",
    "data.train_batch_size",
    "data.curriculum",
    "actor_rollout_ref.rollout.n",
    "actor_rollout_ref.rollout.temperature",
    "actor_rollout_ref.actor.optim.lr",
    "actor_rollout_ref.actor.kl_loss_coef",
    "actor_rollout_ref.actor.kl_loss_type",
    "reward.rewardmap",
)
"""Configuration keys shown in the card."""


@dataclass(frozen=True, slots=True)
class CardOptions:
    """What a card says beyond the run."""

    license: str = _UNKNOWN_LICENSE
    """The hub's identifier of a license, such as ``apache-2.0``."""
    name: str = ""
    """Name of the model; by default the run's name."""
    evaluation: Path | None = None
    """Folder written by ``rewardmap evaluate``: its table, and its metrics for the metadata."""
    location: str = ""
    """What the code of the card loads: a name of the hub; by default the model's folder."""
    base_model: str = ""
    """Name of the base model on the hub; by default the run's, if it was loaded from there."""
    datasets: Sequence[str] = ()
    """Names of the data on the hub; by default the published ones, if the run used them."""


def write_card(run: Path, model: Path, options: CardOptions | None = None) -> Path:
    """Write the card of a run's model into the model's folder.

    Args:
        run: The run.
        model: The merged model, a folder with a ``config.json``.
        options: License, name, evaluation and references.

    Raises:
        DataError: A folder has the wrong contents, or the model has a card that was written by
            hand.
    """
    if not (model / "config.json").is_file():
        raise DataError(model, found="no config.json", hint="Give the merged model's folder.")
    target = model / CARD_NAME
    if target.is_file() and _MARK not in target.read_text(encoding="utf-8", errors="replace"):
        raise DataError(target, hint="This command did not write it. Move it away first.")
    card = render_card(read_run(run), model, options or CardOptions())
    with disk_errors(target):
        write_files(model, {CARD_NAME: card.encode("utf-8", "backslashreplace")})
    return target


def render_card(run: Run, model: Path, options: CardOptions) -> str:
    """Return the card as Markdown."""
    summary = summarize(run.entries)
    folders = data_folders(run.config)
    manifests = [read_manifest(folder) for folder in folders]
    name, base = options.name or run.name, options.base_model or hub_base_model(run)
    published = _PUBLISHED_DATA if any(one.source == "reasonmap" for one in manifests) else ()
    datasets = options.datasets or published
    return _template().render(
        mark=_MARK,
        front=front_matter(options.license, name, base, datasets, options.evaluation),
        name=name,
        base=base or run.base_model,
        location=options.location or str(model),
        prompt=prompt_of_a_test_question(folders),
        versions={
            "rewardmap_verl": run.setting("rewardmap_run.rewardmap_verl")
            or version("rewardmap-verl"),
            "verl": run.setting("rewardmap_run.verl") or version("verl"),
        },
        validation=summary.validation,
        twice=bool(summary.validation)
        and summary.validation[0].first_step != summary.validation[0].last_step,
        percent=_percent,
        evaluation=_table(options.evaluation),
        data=[_data(manifest) for manifest in manifests],
        test_cities=", ".join(_test_cities(manifests)),
        stages=list(_stages(run)),
        steps=summary.steps,
        settings=list(_settings(run)),
        license_text=_license_text(options.license),
    )


def _template() -> jinja2.Template:
    """Return the card's template; its filters escape names for Markdown and for Python."""
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    environment.filters |= {
        "md": lambda value: escape(str(value)),
        "code": lambda value: code_span(str(value)),
        "string": _python_string,
    }
    return environment.from_string(
        (files(__package__) / "page" / "model_card.txt").read_text("utf-8")
    )


def _python_string(value: object) -> str:
    """Return a text as a Python literal that cannot end a block of code in Markdown."""
    return json.dumps(str(value), ensure_ascii=False).replace("`", "\\u0060")


def _license_text(license: str) -> str:
    if license == _UNKNOWN_LICENSE:
        return "Not stated yet. The license of the base model and the terms of the maps apply."
    return f"{license}. The terms of the base model and of the maps apply as well."


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _data(manifest: Manifest) -> dict[str, Any]:
    rows = ", ".join(f"{count:,} {split} questions" for split, count in manifest.rows.items())
    return {
        "source": manifest.source,
        "seed": manifest.seed,
        "maps": len(manifest.maps),
        "rows": rows,
        "fingerprint": manifest.fingerprint[:16],
    }


def _test_cities(manifests: Sequence[Manifest]) -> Iterator[str]:
    for manifest in manifests:
        yield from (
            f"{record.country}/{record.city}"
            for record in manifest.maps
            if set(record.splits) == {"test"}
        )


def _stages(run: Run) -> Iterator[tuple[str, int, int, str]]:
    types: dict[str, dict[str, None]] = {}
    for entry in run.entries:
        for group in entry.groups:
            types.setdefault(group.stage, {})[group.kind] = None
    for stage, first, last in visits(run.entries):
        yield stage, first, last, ", ".join(types[stage])


def _settings(run: Run) -> Iterator[tuple[str, str]]:
    for key in _SETTINGS:
        for name, value in _flat(key, run.setting(key)):
            yield name, str(value)


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    elif value is not None:
        yield key, value


def _table(evaluation: Path | None) -> str:
    if evaluation is None:
        return ""
    table = read_evaluation(evaluation)
    lines = [table.head, ["---"] * len(table.head), *table.rows]
    rows = "\n".join(f"| {' | '.join(map(escape, line))} |" for line in lines)
    return f"{rows}\n\nWeighted by difficulty, with 95% bootstrap intervals."
