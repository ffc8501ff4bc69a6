"""Results of an evaluation, and the files they are written to: JSON, Markdown, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.evaluation.markdown import escape
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
    text_table,
)
from rewardmap_verl.evaluation.verdicts import Answer, Verdict, judge_answers
from rewardmap_verl.evaluation.weights import Weights
from rewardmap_verl.preparation.atomic import disk_errors, write_files
from rewardmap_verl.rewards.config import RewardConfig

__all__ = ["FORMAT", "Evaluation", "Results", "evaluate_answers", "write_results", "write_table"]

FORMAT: Final = 3
"""Version of ``results.json``."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model (or baseline) on one data set."""

    name: str
    questions: EvalSet
    verdicts: tuple[Verdict, ...]
    """One per question, in order."""
    summary: MetricSummary
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that an evaluation shows and writes."""

    evaluations: Sequence[Evaluation]
    """The source, and the source that it is compared with if there is one."""
    baselines: Sequence[Evaluation] = ()
    compared: Mapping[tuple[str, str], PairedComparison] = field(default_factory=dict)
    """First minus second, by section and metric."""
    published: bool = False
    """Whether rows of published metrics are shown."""
    seed: int = 0
    masked: Sequence[Evaluation] = ()
    """The first source again, with its maps masked."""

    def rows(self) -> list[TableRow]:
        """Return the rows of the table: models, baselines, published models."""
        shown = (*self.evaluations[:1], *self.masked, *self.evaluations[1:])
        rows = [summary_row(one.name, one.summary) for one in shown]
        rows += [summary_row(f"baseline: {one.name}", one.summary) for one in self.baselines]
        sections = {name for one in self.evaluations for name in one.summary.sections}
        return rows + (published_rows(published_metrics(), sections) if self.published else [])

    def notes(self) -> list[str]:
        """Return what a reader needs to compare the rows: the questions behind each metric."""
        questions = self.evaluations[0].questions
        notes = [f"Questions: {_counted(questions.counts)}."]
        if self.published:
            theirs = published_metrics()
            notes.append(
                f"Published rows: {theirs.source}; on {_counted(theirs.questions)} questions."
            )
            notes += _differing(questions.counts, theirs.questions)
        if questions.dropped:
            reasons = ", ".join(f"{count:,} {why}" for why, count in questions.dropped.items())
            notes.append(
                f"{sum(questions.dropped.values()):,} {questions.split_name} questions of the "
                f"source are not in the data: {reasons}. The folder's manifest.json names them."
            )
        return notes


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {section}" for section, count in counts.items())


def _differing(ours: Mapping[str, int], theirs: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence if our metrics are means over other numbers of questions."""
    other = {s: n for s, n in ours.items() if s in theirs and n != theirs[s]}
    if other:
        yield (
            f"Yours are on {_counted(other)} questions, so they are not means over the same "
            "questions as the published ones."
        )


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
    """Judge the answers to all questions and compute every metric; see ``summarize``."""
    verdicts = tuple(
        judge_answers(question, answers.get(question.key, ()), weights, config)
        for question in questions.items
    )
    return Evaluation(name, questions, verdicts, summarize(verdicts, seed, breakdown), notes)


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


def _as_json(results: Results) -> dict[str, Any]:
    questions = results.evaluations[0].questions
    return {
        "rewardmap_results": FORMAT,
        "questions": {
            "name": questions.name,
            "fingerprint": questions.fingerprint,
            "counts": questions.counts,
            "dropped": dict(questions.dropped),
        },
        "seed": results.seed,
        "table": text_table(results.rows()),
        "models": [_evaluation(one, verdicts=True) for one in results.evaluations],
        "masked": [_evaluation(one, verdicts=True) for one in results.masked],
        "baselines": [_evaluation(one, verdicts=False) for one in results.baselines],
        "comparison": [
            {"section": section, "metric": name, **asdict(one)}
            for (section, name), one in results.compared.items()
        ],
        "published": published_metrics().model_dump(mode="json") if results.published else None,
    }


def _as_markdown(results: Results) -> str:
    parts = [
        markdown_table(results.rows()),
        "\nWeighted by difficulty, with 95% bootstrap intervals. Published rows: in italics.\n\n",
    ]
    parts += [f"- {escape(note)}\n" for note in results.notes()]
    for one in (*results.evaluations, *results.masked):
        parts += [f"- {escape(one.name)}: {escape(note)}\n" for note in one.notes]
    if results.compared:
        first, second = (escape(one.name) for one in results.evaluations)
        parts.append(f"\n{first} minus {second}:\n\n{markdown_comparison(results.compared)}")
    return "".join(parts)


def write_results(folder: Path, results: Results) -> list[Path]:
    """Write ``results.json``, ``table.md`` and ``table.tex``, each atomically.

    Returns:
        The files.

    Raises:
        DataError: The folder cannot be written.
    """
    contents = {
        "results.json": json.dumps(_as_json(results), ensure_ascii=False, indent=1) + "\n",
        "table.md": _as_markdown(results),
        "table.tex": latex_table(results.rows()),
    }
    return _write_files(folder, contents)


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
    return _write_files(folder, contents)


def _write_files(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    encoded = {name: text.encode("utf-8", "backslashreplace") for name, text in contents.items()}
    with disk_errors(folder):
        return write_files(folder, encoded)
