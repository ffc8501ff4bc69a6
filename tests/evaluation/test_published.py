"""Published metrics, and the weights that they were computed with."""

from __future__ import annotations

import itertools

import pytest

from rewardmap_verl.evaluation.benchmarks import benchmark_columns
from rewardmap_verl.evaluation.published import PublishedModel, published_metrics
from rewardmap_verl.evaluation.tables import COLUMNS, published_rows
from rewardmap_verl.evaluation.weights import load_weights
from rewardmap_verl.transit.difficulty import LEVELS

TEST_QUESTIONS = {
    ("easy", "easy"): 55,
    ("easy", "middle"): 46,
    ("easy", "hard"): 80,
    ("middle", "easy"): 28,
    ("middle", "middle"): 23,
    ("middle", "hard"): 57,
    ("hard", "easy"): 7,
    ("hard", "middle"): 1,
    ("hard", "hard"): 15,
}
"""ReasonMap, arXiv 2505.18675, figure A1: by level of the question and of the map."""

UNIT = 0.5
TOTAL = 576.0


def model(name: str) -> PublishedModel:
    (found,) = (one for one in published_metrics().models if one.name == name)
    return found


def test_the_nine_weights_of_the_paper() -> None:
    weights = load_weights().reasonmap
    pairs = {
        (question, level): getattr(getattr(weights, question), level)
        for question, level in itertools.product(LEVELS, LEVELS)
    }
    assert pairs["easy", "easy"] == 1.0 and pairs["hard", "hard"] == 3.0
    assert pairs["hard", "easy"] == pairs["middle", "middle"] == pairs["easy", "hard"] == 2.0
    assert sum(TEST_QUESTIONS.values()) == 312 == published_metrics().questions["short"]
    assert sum(pairs[pair] * count for pair, count in TEST_QUESTIONS.items()) == TOTAL


@pytest.mark.parametrize("kind", ["short", "long"])
def test_published_accuracies_are_sums_of_these_weights(kind: str) -> None:
    """A typing error in a value would break this."""
    steps = TOTAL / UNIT
    for one in published_metrics().models:
        if (accuracy := one.metric(kind, "accuracy")) is not None:
            nearest = 100 * round(accuracy * steps / 100) / steps
            assert accuracy == pytest.approx(nearest, abs=0.00501), one.name


def test_rewardmaps_main_row() -> None:
    row = model("Qwen2.5-VL-7B, RewardMap (P, R)")
    shown = {
        (c.section, c.name): cell
        for c, cell in zip(
            COLUMNS,
            published_rows(published_metrics(), ["short", "long", "plus"])[
                [one.name for one in published_metrics().models].index(row.name)
            ].cells,
            strict=True,
        )
    }
    assert shown["short", "accuracy"] == 31.51 and shown["long", "accuracy"] == 31.77
    assert shown["short", "map_score"] == 6.21 and shown["long", "map_score"] == 11.22
    assert shown["plus", "accuracy"] == 74.25
    assert (shown["plus", "accuracy/count"], shown["plus", "accuracy/true_false"]) == (72.18, 76.42)
    assert shown["short", "tokens"] is None


def test_rows_without_a_metric_of_a_section_are_omitted() -> None:
    everything = published_metrics().models
    plus = published_rows(published_metrics(), ["plus"])
    assert 0 < len(plus) < len(everything)
    assert "InternVL3-78B" not in {row.name for row in plus}
    assert all(row.cells[0] is None for row in plus), "no accuracy of routes was asked for"


def test_means_of_table_2() -> None:
    rows = published_rows(published_metrics(), ["benchmarks"], benchmark_columns())
    whole = [row for row in rows if row.cells[-1] is not None]
    assert len(rows) == 8 and len(whole) == 6
    for row in whole:
        cells = [cell for cell in row.cells if cell is not None]
        assert cells[-1] == pytest.approx(sum(cells[:-1]) / 6, abs=0.006), row.name


def test_sources_are_named() -> None:
    assert "2505.18675" in published_metrics().source and "2510.02240" in published_metrics().source
