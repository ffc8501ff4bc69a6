"""The papers' results table, for the terminal, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from rewardmap_verl.evaluation.markdown import escape
from rewardmap_verl.evaluation.published import Published, PublishedModel
from rewardmap_verl.evaluation.statistics import Interval, PairedComparison
from rewardmap_verl.evaluation.summary import MetricSummary

__all__ = [
    "COLUMNS",
    "Column",
    "TableRow",
    "comparison_table",
    "detail_table",
    "latex_table",
    "main_table",
    "main_tables",
    "markdown_comparison",
    "markdown_table",
    "published_rows",
    "summary_row",
    "text_table",
]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a metric, its heading and its number format."""

    section: str
    name: str
    head: str
    weighted: bool = True
    percent: bool = True
    digits: int = 2


COLUMNS: Final = (
    Column("short", "accuracy", "Acc. (S.)"),
    Column("short", "tokens", "#Tokens (S.)", weighted=False, percent=False, digits=0),
    Column("long", "accuracy", "Acc. (L.)"),
    Column("long", "tokens", "#Tokens (L.)", weighted=False, percent=False, digits=0),
    Column("short", "map_score", "Map score (S.)", percent=False),
    Column("long", "map_score", "Map score (L.)", percent=False),
    Column("plus", "accuracy/count", "Plus count"),
    Column("plus", "accuracy/true_false", "Plus T/F"),
    Column("plus", "accuracy", "Plus"),
    Column("further", "accuracy", "Further", weighted=False),
)
"""ReasonMap's table and RewardMap's table 1, weighted by difficulty except for the tokens; and the
unweighted accuracy of types beyond the papers, if there are any."""

_GROUPS: Final = {
    "short": "ReasonMap",
    "long": "ReasonMap",
    "plus": "ReasonMap-Plus",
    "further": "further types",
}
_NAME_WIDTH: Final = 20
_CELL_WIDTH: Final = 12
"""Width in characters of a row's name, and of a metric with its interval."""
_ABSENT: Final = "–"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One model's cells; ``None`` for a missing metric."""

    name: str
    cells: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...] = ()
    published: bool = False
    """Whether the values were published by others."""


def _scaled(column: Column, value: float) -> float:
    return 100 * value if column.percent else value


def summary_row(name: str, summary: MetricSummary) -> TableRow:
    """Return the row of an evaluation."""
    found = [summary.get(c.section, c.name, c.weighted) for c in COLUMNS]
    pairs = list(zip(COLUMNS, found, strict=True))
    return TableRow(
        name,
        tuple(None if one is None else _scaled(c, one.mean) for c, one in pairs),
        tuple(
            None if one is None else (_scaled(c, one.low), _scaled(c, one.high)) for c, one in pairs
        ),
    )


def published_rows(
    published: Published, sections: Iterable[str], columns: Sequence[Column] = COLUMNS
) -> list[TableRow]:
    """Return the published rows with a metric in one of the sections."""
    wanted = set(sections)
    rows = [_published_row(model, wanted, columns) for model in published.models]
    return [row for row in rows if any(cell is not None for cell in row.cells)]


def _published_row(
    model: PublishedModel, sections: set[str], columns: Sequence[Column]
) -> TableRow:
    cells = (
        model.metric(column.section, column.name) if column.section in sections else None
        for column in columns
    )
    return TableRow(model.name, tuple(cells), published=True)


def _cell(column: Column, value: float | None) -> str:
    return _ABSENT if value is None else f"{value:.{column.digits}f}"


def _with_interval(column: Column, row: TableRow, i: int) -> str:
    text = _cell(column, row.cells[i])
    if row.intervals and (bounds := row.intervals[i]) is not None:
        low, high = (f"{bound:.{column.digits}f}" for bound in bounds)
        return f"{text} [{low}, {high}]"
    return text


def _lines(column: Column, row: TableRow, i: int) -> list[str]:
    """Return a cell for the terminal: the metric, and its interval below it."""
    lines = [_cell(column, row.cells[i])]
    if row.intervals and column.digits and (bounds := row.intervals[i]) is not None:
        digits = 0 if column.percent else max(0, column.digits - 1)
        lines.append("–".join(f"{bound:.{digits}f}" for bound in bounds))
    return lines


def _shown(rows: Sequence[TableRow], columns: Sequence[Column]) -> list[int]:
    """Return the columns that are not empty in every row."""
    return [i for i in range(len(columns)) if any(row.cells[i] is not None for row in rows)]


def main_tables(rows: Sequence[TableRow], title: str, width: int) -> list[Table]:
    """Return the table for a terminal of a given width.

    It is split by benchmark where it would be too wide, so that no number is broken.
    """
    shown = _shown(rows, COLUMNS)
    if width >= _NAME_WIDTH + _CELL_WIDTH * len(shown):
        return [main_table(rows, title)]
    parts = []
    for name in dict.fromkeys(_GROUPS.values()):
        chosen = [i for i in shown if _GROUPS[COLUMNS[i].section] == name]
        some = [_part(row, chosen) for row in rows]
        some = [row for row in some if any(cell is not None for cell in row.cells)]
        if some:
            columns = [COLUMNS[i] for i in chosen]
            parts.append(main_table(some, f"{title}, {name}", columns))
    return parts


def _part(row: TableRow, chosen: Sequence[int]) -> TableRow:
    intervals = tuple(row.intervals[i] for i in chosen) if row.intervals else ()
    return replace(row, cells=tuple(row.cells[i] for i in chosen), intervals=intervals)


def main_table(rows: Sequence[TableRow], title: str, columns: Sequence[Column] = COLUMNS) -> Table:
    """Return the table for the terminal; intervals are below the metrics."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", overflow="fold", min_width=10)
    shown = _shown(rows, columns)
    for i in shown:
        table.add_column(columns[i].head, justify="right")
    for number, row in enumerate(rows):
        cells = ["\n".join(_lines(columns[i], row, i)) for i in shown]
        ends = number + 1 < len(rows) and rows[number + 1].published and not row.published
        style = "dim" if row.published else None
        table.add_row(Text(row.name), *cells, style=style, end_section=ends)
    return table


def text_table(rows: Sequence[TableRow], columns: Sequence[Column] = COLUMNS) -> list[list[str]]:
    """Return the table as cells, with intervals in them; the first row is the heading."""
    shown = _shown(rows, columns)
    body = [[row.name, *(_with_interval(columns[i], row, i) for i in shown)] for row in rows]
    return [["model", *(columns[i].head for i in shown)], *body]


def markdown_table(rows: Sequence[TableRow], columns: Sequence[Column] = COLUMNS) -> str:
    """Return the table in Markdown, with intervals in the cells."""
    heads, *body = text_table(rows, columns)
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row, (name, *cells) in zip(rows, body, strict=True):
        shown = f"*{escape(name)}*" if row.published else escape(name)
        lines.append("| " + " | ".join([shown, *cells]) + " |")
    return "\n".join(lines) + "\n"


_LATEX: Final = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "#": r"\#",
        "_": r"\_",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
    }
)


def latex_table(rows: Sequence[TableRow], columns: Sequence[Column] = COLUMNS) -> str:
    """Return the table in LaTeX (needs booktabs), published rows below a rule."""
    shown = _shown(rows, columns)
    names = groupby(_GROUPS.get(columns[i].section, "") for i in shown)
    groups = [(name, len(list(same))) for name, same in names]
    heads = [columns[i].head.translate(_LATEX) for i in shown]
    lines = [
        r"\begin{tabular}{l" + "r" * len(shown) + "}",
        r"\toprule",
        " & " + " & ".join(rf"\multicolumn{{{n}}}{{c}}{{{name}}}" for name, n in groups) + r" \\",
        "Model & " + " & ".join(heads) + r" \\",
        r"\midrule",
    ]
    for number, row in enumerate(rows):
        if number and row.published and not rows[number - 1].published:
            lines.append(r"\midrule")
        cells = [_cell(columns[i], row.cells[i]).replace(_ABSENT, "--") for i in shown]
        lines.append(" & ".join([row.name.translate(_LATEX), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


_NAMES: Final = {
    "short": "ReasonMap S.",
    "long": "ReasonMap L.",
    "plus": "ReasonMap-Plus",
    "further": "further types",
}


def _metric_table(title: str, heads: Sequence[str]) -> Table:
    """Return an empty table with a metric in each row; only the metric's name is wrapped."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for head in heads:
        table.add_column(
            head,
            justify="left" if head in ("section", "metric") else "right",
            no_wrap=head != "metric",
            overflow="fold",
            min_width=10 if head == "metric" else None,
        )
    return table


def detail_table(summary: MetricSummary) -> Table:
    """Return a table of every metric, its interval and its number of questions."""
    table = _metric_table("In detail", ("section", "metric", "mean", "95% interval", "questions"))
    last = ""
    for (section, name, weighted), one in summary.metrics.items():
        scale = _scale(name)
        shown = _NAMES[section] if section != last else ""
        last = section
        metric = f"{name}, weighted" if weighted else name
        bounds = f"{scale * one.low:.2f} … {scale * one.high:.2f}"
        table.add_row(shown, Text(metric), f"{scale * one.mean:.2f}", bounds, str(one.count))
    return table


def _scale(name: str) -> float:
    return 100.0 if name.startswith(("accuracy", "readable")) else 1.0


def _comparison_cells(
    compared: Mapping[tuple[str, str], PairedComparison],
) -> Iterable[tuple[str, str, str, str, str, str]]:
    for (section, name), one in compared.items():
        scale = _scale(name)
        apart: Interval = one.difference
        yield (
            _NAMES[section],
            name,
            f"{scale * apart.mean:+.2f}",
            f"{scale * apart.low:+.2f} … {scale * apart.high:+.2f}",
            f"{one.p:.4f}",
            f"{one.better} / {one.worse}",
        )


_COMPARED: Final = ("section", "metric", "difference", "95% interval", "p", "+ / −")


def comparison_table(
    first: str, second: str, compared: Mapping[tuple[str, str], PairedComparison]
) -> Table:
    """Return the comparison of two models for the terminal."""
    table = _metric_table(f"{first} minus {second}", _COMPARED)
    for cells in _comparison_cells(compared):
        table.add_row(*cells)
    return table


def markdown_comparison(compared: Mapping[tuple[str, str], PairedComparison]) -> str:
    """Return the comparison of two models in Markdown."""
    lines = ["| " + " | ".join(_COMPARED) + " |", "|---|---|" + "---:|" * 4]
    lines += ["| " + " | ".join(cells) + " |" for cells in _comparison_cells(compared)]
    return "\n".join(lines) + "\n"
