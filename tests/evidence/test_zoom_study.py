"""The zoom study: the page shows what the results say."""

from __future__ import annotations

from benchmarks.zoom_study.table import MARKS, PAGE, RESULTS, tables


def test_the_page_has_the_tables_of_the_results() -> None:
    shown = PAGE.read_text(encoding="utf-8").split(MARKS[0])[1].split(MARKS[1])[0]
    assert shown == tables(RESULTS)
    assert "| Counting2 |" in shown
