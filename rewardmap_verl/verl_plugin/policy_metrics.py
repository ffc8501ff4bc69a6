"""KL and entropy of the answers of a training step, per stage and question type.

verl 0.9.1 computes them for every token, stores them in the transfer queue and reports their means
over the whole batch (``actor/entropy``, ``actor/kl_loss``). Nothing of this package is called
between that and the end of the step, when the queue is cleared. But ``PPOTrainer.step`` converts
the metrics that the replay buffer has returned to ``float`` after the update and before the queue
is cleared, so a ``DeferredMetric`` reads the queue then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import transfer_queue as tq
from verl.trainer.ppo.core_algos import kl_penalty

from rewardmap_verl.curriculum.groups import Group, metrics_by_type, without_repeats
from rewardmap_verl.curriculum.metrics import PREFIX, make_groups, named_metrics

__all__ = ["DeferredMetric", "deferred_metrics", "policy_scores", "scores_of_answers"]

DIGITS = 6
"""Digits in the record."""


class DeferredMetric(float):
    """Metric whose value is computed when it is converted with ``float``; NaN before."""

    _compute: Callable[[], float]

    def __new__(cls, compute: Callable[[], float]) -> DeferredMetric:
        """Create the metric without computing it."""
        metric = super().__new__(cls, math.nan)
        metric._compute = compute
        return metric

    def __float__(self) -> float:
        return self._compute()


def policy_scores(trainer: Any) -> tuple[str, ...]:
    """Return which of ``entropy`` and ``kl`` a verl trainer computes for every answer.

    There is no KL without a reference policy, and no entropy if the log-probabilities of the
    rollout are not recomputed (``algorithm.rollout_correction.bypass_mode``).
    """
    config = getattr(trainer, "config", None)
    if config is None:
        return ()
    correction = config.algorithm.get("rollout_correction") or {}
    entropy = () if correction.get("bypass_mode") else ("entropy",)
    return (*entropy, "kl") if getattr(trainer, "use_reference_policy", False) else entropy


def deferred_metrics(
    keys: Sequence[str],
    infos: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    partition: str,
    record: Callable[[list[Group]], None],
) -> dict[str, float]:
    """Return ``rewardmap/<stage>/<type>/<name>`` of a step, to be computed at its end.

    Args:
        keys: Keys of the answers in the transfer queue.
        infos: ``extra_info`` of each answer.
        names: The result of ``policy_scores``.
        partition: Partition of the queue.
        record: Called once with groups that hold the scores of every answer.
    """

    @cache
    def values() -> dict[str, float]:
        scores = scores_of_answers(fetch(keys, partition, names), names)
        groups = make_groups(keys, infos, ({"reward_extra_info": one} for one in scores))
        record(groups)
        return named_metrics(groups)

    def metric(key: str) -> DeferredMetric:
        return DeferredMetric(lambda: values().get(key, math.nan))

    due = without_repeats(make_groups(keys, infos, [{}] * len(keys)))
    types = [f"{PREFIX}/{stage}/{kind}" for stage, kind, _ in metrics_by_type(due)]
    return {f"{kind}/{name}": metric(f"{kind}/{name}") for kind in types for name in names}


def fetch(keys: Sequence[str], partition: str, names: Sequence[str]) -> Any:
    """Return mask, entropy and log-probabilities of answers: ragged, ``[answers, tokens]``."""
    needed = {"entropy": ["entropy"], "kl": ["old_log_probs", "ref_log_prob"]}
    fields = ["response_mask", *(field for name in names for field in needed[name])]
    return tq.kv_batch_get(keys=list(keys), partition_id=partition, select_fields=fields)


def scores_of_answers(data: Any, names: Sequence[str]) -> Iterator[dict[str, float]]:
    """Yield the means over the tokens of each answer.

    ``entropy`` is that of the policy that answered, in nats per token. ``kl`` is the estimate of
    its divergence from the reference policy that verl calls ``low_var_kl`` (Schulman's k3).
    """
    masks = data["response_mask"].unbind()
    for number, mask in enumerate(masks):
        chosen = mask.bool()
        found = {}
        if "entropy" in names:
            found["entropy"] = data["entropy"][number][chosen]
        if "kl" in names:
            own, other = (data[name][number][chosen] for name in ("old_log_probs", "ref_log_prob"))
            found["kl"] = kl_penalty(own, other, "low_var_kl")
        yield {
            name: round(float(tokens.float().mean()), DIGITS)
            for name, tokens in found.items()
            if tokens.numel()
        }
