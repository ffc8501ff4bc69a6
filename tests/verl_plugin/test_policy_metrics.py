"""KL and entropy per type, read when verl's trainer aggregates the metrics of a step."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import verl  # noqa: F401  first: its plugins are loaded at its end
from omegaconf import OmegaConf
from verl.trainer.ppo.v1.utils import MetricsAggregator

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.metrics import make_groups
from rewardmap_verl.curriculum.record import RecordWriter, parse_entry, read_record
from rewardmap_verl.verl_plugin import policy_metrics
from rewardmap_verl.verl_plugin.policy_metrics import (
    DeferredMetric,
    deferred_metrics,
    policy_scores,
    scores_of_answers,
)

KEYS = ["a_0_0", "a_1_0", "b_0_0"]
INFOS = [
    {"stage": "counting", "type": kind, "row": row, "slot": row}
    for kind, row in (("Counting2", 0), ("Counting2", 0), ("TorF1", 1))
]


def ragged(*rows: list[float]) -> torch.Tensor:
    return torch.nested.nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged)


def stored() -> dict[str, torch.Tensor]:
    """Tokens of three answers; the last token of the first one is from a tool."""
    return {
        "response_mask": ragged([1, 1, 0], [1], [1, 1]),
        "entropy": ragged([1.0, 2.0, 9.0], [0.5], [0.0, 0.2]),
        "old_log_probs": ragged([-1.0, -1.0, -9.0], [-1.0], [-2.0, -1.0]),
        "ref_log_prob": ragged([-1.0, -2.0, -1.0], [-1.0], [-2.0, -1.0]),
    }


def test_scores_are_means_over_the_tokens_of_the_policy() -> None:
    first, second, third = scores_of_answers(stored(), ("entropy", "kl"))
    assert first == {"entropy": 1.5, "kl": pytest.approx(math.exp(-1) / 2, abs=1e-6)}
    assert second == {"entropy": 0.5, "kl": 0.0} and third["entropy"] == pytest.approx(0.1)
    assert list(scores_of_answers(stored(), ())) == [{}, {}, {}]


def test_verl_computes_the_metrics_at_the_end_of_the_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    available: dict[str, Any] = {}
    monkeypatch.setattr(policy_metrics, "fetch", lambda keys, partition, names: available)
    writer = RecordWriter(tmp_path / "record.jsonl")
    writer.write("train", 3, make_groups(KEYS, INFOS, [{}] * 3, dict.fromkeys(KEYS, 4)))

    def record(groups: list[Group]) -> None:
        writer.write_policy(3, groups)

    metrics = deferred_metrics(KEYS, INFOS, ("entropy", "kl"), "train", record)
    assert set(metrics) == {
        f"rewardmap/counting/{kind}/{name}"
        for kind in ("Counting2", "TorF1", "all")
        for name in ("entropy", "kl")
    }
    available |= stored()  # verl computes log-probabilities after the batch was sampled
    aggregator = MetricsAggregator()
    aggregator.add_step_metrics(metrics, sample_count=3)
    found = aggregator.get_aggregated_metrics()
    assert found["rewardmap/counting/Counting2/entropy"] == pytest.approx(1.0)
    assert found["rewardmap/counting/TorF1/kl"] == 0.0
    (entry,) = read_record(tmp_path / "record.jsonl")
    assert entry.groups[0].scores["entropy"] == (1.5, 0.5)
    assert entry.groups[0].scores["length"] == (4.0, 4.0)
    lines = (tmp_path / "record.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 2 and parse_entry(lines[1], tmp_path) is None


def test_a_deferred_metric_is_not_computed_before_it_is_converted() -> None:
    def fail() -> float:
        raise AssertionError("computed too early")

    assert math.isnan(DeferredMetric(fail) + 0.0)
    assert float(DeferredMetric(lambda: 2.5)) == 2.5


@pytest.mark.parametrize(
    ("bypass", "reference", "names"),
    [(False, True, ("entropy", "kl")), (False, False, ("entropy",)), (True, True, ("kl",))],
)
def test_only_what_verl_computes_is_reported(
    bypass: bool, reference: bool, names: tuple[str, ...]
) -> None:
    algorithm = {"algorithm": {"rollout_correction": {"bypass_mode": bypass}}}
    trainer = SimpleNamespace(config=OmegaConf.create(algorithm), use_reference_policy=reference)
    assert policy_scores(trainer) == names
