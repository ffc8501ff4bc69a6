"""Published metrics, as data with their source (``published.yaml``)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict

__all__ = [
    "BenchmarkMetrics",
    "PlusMetrics",
    "Published",
    "PublishedModel",
    "RouteMetrics",
    "published_metrics",
]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RouteMetrics(_Block):
    """Metrics of ReasonMap's short or long questions."""

    accuracy: float
    """Weighted, in percent."""
    tokens: float | None = None
    """Mean tokens of an answer."""
    map_score: float
    """Weighted, of 20 (short) or 40 (long)."""


class PlusMetrics(_Block):
    """Weighted accuracies of ReasonMap-Plus, in percent."""

    accuracy: float
    count: float
    """Of the counting questions."""
    true_false: float


class BenchmarkMetrics(_Block):
    """The six other benchmarks of RewardMap's table 2 and their mean, in percent."""

    seed_bench_2_plus: float | None = None
    """Its maps."""
    spatial_eval: float | None = None
    v_star: float | None = None
    hr_bench: float | None = None
    chart_qa: float | None = None
    mmstar: float | None = None
    mean: float | None = None


class PublishedModel(_Block):
    """One model's rows of the published tables."""

    name: str
    short: RouteMetrics | None = None
    long: RouteMetrics | None = None
    plus: PlusMetrics | None = None
    benchmarks: BenchmarkMetrics | None = None

    def metric(self, section: str, name: str) -> float | None:
        """Return a metric by its name in our summaries; ``None`` if it was not published.

        ``accuracy/count`` is the accuracy of one kind of question in a section.
        """
        part = getattr(self, section, None)
        found: float | None = getattr(part, name.removeprefix("accuracy/"), None)
        return found


class Published(_Block):
    """Published tables."""

    sources: tuple[str, ...]
    questions: dict[str, int]
    """Test questions behind the metrics, by section."""
    models: tuple[PublishedModel, ...]

    @property
    def source(self) -> str:
        """The sources, as a sentence without its full stop."""
        return "; ".join(self.sources)


@cache
def published_metrics() -> Published:
    """Return the published metrics of ReasonMap and RewardMap."""
    file = files("rewardmap_verl.evaluation").joinpath("published.yaml")
    return Published.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
