"""An evaluation from its questions to the files that are written: JSON, Markdown, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.evaluation.published import published_metrics
from rewardmap_verl.evaluation.questions import EvalSet
from rewardmap_verl.evaluation.statistics import PairedComparison
from rewardmap_verl.evaluation.summary import MetricSummary, summarize
from rewardmap_verl.evaluation.tables import (
    Column,
    TableRow,
    latex_table,
    markdown_comparison,
    markdown_table,
    published_rows,
    summary_row,
)
from rewardmap_verl.evaluation.verdicts import Answer, Verdict, judge_answers
from rewardmap_verl.evaluation.weights import Weights
from rewardmap_verl.preparation.atomic import disk_errors, write_bytes
from rewardmap_verl.rewards.config import RewardConfig

__all__ = [
    "FORMAT",
    "Evaluation",
    "evaluate_answers",
    "result_rows",
    "write_results",
    "write_table",
]

FORMAT: Final = 2
"""Version of ``results.json``."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model (or baseline) on one data set."""

    name: str
    questions: EvalSet
    verdicts: tuple[Verdict, ...]
    """One for each question, in order."""
    summary: MetricSummary
    notes: tuple[str, ...] = ()


def evaluate_answers(
    name: str,
    answers: Mapping[str, Sequence[Answer]],
    questions: EvalSet,
    weights: Weights,
    config: RewardConfig,
    seed: int = 0,
    notes: tuple[str, ...] = (),
    breakdown: bool = True,
) -> Evaluation:
    """Judge the answers to all questions and compute every figure; see :func:`summarize`."""
    verdicts = tuple(
        judge_answers(question, answers.get(question.key, ()), weights, config)
        for question in questions.items
    )
    return Evaluation(name, questions, verdicts, summarize(verdicts, seed, breakdown), notes)


def result_rows(
    evaluations: Sequence[Evaluation], baselines: Sequence[Evaluation], published: bool
) -> list[TableRow]:
    """Return the rows of the table: models, baselines, and what was published."""
    rows = [summary_row(one.name, one.summary) for one in evaluations]
    rows += [summary_row(f"baseline: {one.name}", one.summary) for one in baselines]
    sections = {name for one in evaluations for name in one.summary.sections}
    return rows + (published_rows(published_metrics(), sections) if published else [])


def _metrics(summary: MetricSummary) -> list[dict[str, Any]]:
    return [
        {"section": section, "metric": name, "weighted": weighted, **asdict(one)}
        for (section, name, weighted), one in summary.metrics.items()
    ]


def _evaluation(one: Evaluation, verdicts: bool) -> dict[str, Any]:
    found = {
        "name": one.name,
        "sections": list(one.summary.sections),
        "metrics": _metrics(one.summary),
        "accuracy_by_data_source": one.summary.by_data_source,
        "reward": one.summary.reward,
        "notes": list(one.notes),
    }
    return found | ({"questions": [asdict(v) for v in one.verdicts]} if verdicts else {})


def write_results(
    folder: Path,
    evaluations: Sequence[Evaluation],
    baselines: Sequence[Evaluation],
    compared: Mapping[tuple[str, str], PairedComparison],
    published: bool,
    seed: int,
) -> list[Path]:
    """Write ``results.json``, ``table.md`` and ``table.tex``; each is whole or not there.

    Returns:
        The files.

    Raises:
        DataError: The folder cannot be written.
    """
    questions = evaluations[0].questions
    rows = result_rows(evaluations, baselines, published)
    found = {
        "rewardmap_results": FORMAT,
        "questions": {"name": questions.name, "fingerprint": questions.fingerprint},
        "seed": seed,
        "models": [_evaluation(one, verdicts=True) for one in evaluations],
        "baselines": [_evaluation(one, verdicts=False) for one in baselines],
        "comparison": [
            {"section": section, "metric": name, **asdict(one)}
            for (section, name), one in compared.items()
        ],
        "published": published_metrics().model_dump(mode="json") if published else None,
    }
    contents = {
        "results.json": json.dumps(found, ensure_ascii=False, indent=1) + "\n",
        "table.md": _markdown(rows, evaluations, compared, published),
        "table.tex": latex_table(rows),
    }
    with disk_errors(folder):
        for name, text in contents.items():
            write_bytes(folder / name, text.encode("utf-8", "backslashreplace"))
    return [folder / name for name in contents]


def _markdown(
    rows: Sequence[TableRow],
    evaluations: Sequence[Evaluation],
    compared: Mapping[tuple[str, str], PairedComparison],
    published: bool,
) -> str:
    parts = [markdown_table(rows), "Weighted by difficulty, with 95% bootstrap intervals.\n"]
    if published:
        parts.append(f"In italics: {published_metrics().source}.\n")
    for one in evaluations:
        parts += [f"- {one.name}: {note}\n" for note in one.notes]
    if compared:
        first, second = evaluations[0].name, evaluations[1].name
        parts.append(f"\n{first} minus {second}:\n\n{markdown_comparison(compared)}")
    return "\n".join(parts[:2]) + "".join(["\n", *parts[2:]])


def write_table(
    folder: Path, name: str, rows: Sequence[TableRow], columns: Sequence[Column]
) -> list[Path]:
    """Write a table as Markdown, LaTeX and JSON.

    Returns:
        The files.

    Raises:
        DataError: The folder cannot be written.
    """
    heads = [column.head for column in columns]
    values = [{"model": row.name, **dict(zip(heads, row.cells, strict=True))} for row in rows]
    contents = {
        f"{name}.md": markdown_table(rows, columns),
        f"{name}.tex": latex_table(rows, columns),
        f"{name}.json": json.dumps(values, ensure_ascii=False, indent=1) + "\n",
    }
    with disk_errors(folder):
        for file, text in contents.items():
            write_bytes(folder / file, text.encode())
    return [folder / file for file in contents]
