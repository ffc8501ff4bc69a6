"""Groups and metrics of a training step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rewardmap_verl.curriculum.groups import Group, metrics_by_type, without_repeats

__all__ = ["PREFIX", "final_keys", "make_groups", "named_metrics", "training_metrics"]

PREFIX = "rewardmap"


def training_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """Return the metrics of one training step, named ``rewardmap/<stage>/<type>/<metric>``.

    Repeated rows that fill the last batch of a stage are trained but not counted. Two more metrics
    are ``rewardmap/slot``, the position of the step's first row in the training order, and
    ``rewardmap/repeats``, the number of rows that are not counted.
    """
    metrics = named_metrics(groups)
    due = without_repeats(groups)
    if groups:
        metrics[f"{PREFIX}/slot"] = float(min(group.slot for group in groups))
    metrics[f"{PREFIX}/repeats"] = float(len(groups) - len(due))
    return metrics


def named_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """Return the metrics of each stage and type by their names in the loggers."""
    return {
        f"{PREFIX}/{stage}/{kind}/{name}": value
        for stage, kind, values in metrics_by_type(without_repeats(groups))
        for name, value in values.items()
    }


def final_keys(keys: Sequence[str], tags: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys of the last output of every rollout, without verl's padding.

    Keys are ``{uid}_{rollout}_{output}``. All outputs of a rollout have the same reward.
    """
    last: dict[str, tuple[int, str]] = {}
    for key, tag in zip(keys, tags, strict=True):
        if tag.get("is_padding", False):
            continue
        rollout, _, output = key.rpartition("_")
        last[rollout] = max(last.get(rollout, (-1, "")), (int(output), key))
    return [key for _, key in last.values()]


def make_groups(
    keys: Iterable[str],
    infos: Iterable[Mapping[str, Any]],
    fields: Iterable[Mapping[str, Any]],
    lengths: Mapping[str, int] | None = None,
) -> list[Group]:
    """Collect rollouts into groups, sorted by their position in the training order.

    Args:
        keys: ``{uid}_{rollout}_{output}`` of each rollout.
        infos: ``extra_info`` of each rollout, as ``CurriculumDataset`` completes it.
        fields: ``extra_fields`` of each rollout, which contain the ``reward_extra_info`` of the
            reward manager.
        lengths: Tokens of each answer by its key; they become the score ``length``.
    """
    members: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for key, info, field in zip(keys, infos, fields, strict=True):
        uid = key.split("_", 1)[0]
        scores = dict(field.get("reward_extra_info") or {})
        if lengths and key in lengths:
            scores["length"] = lengths[key]
        members.setdefault(uid, []).append((info, scores))
    groups = [_make_group(rollouts) for rollouts in members.values()]
    return sorted(groups, key=lambda group: group.slot)


def _make_group(rollouts: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Group:
    info = rollouts[0][0]
    names = dict.fromkeys(name for _, scores in rollouts for name in scores)
    return Group(
        stage=str(info.get("stage", "none")),
        kind=str(info.get("type", "none")),
        row=int(info.get("row", info.get("index", 0))),
        slot=int(info.get("slot", 0)),
        epoch=int(info.get("stage_epoch", 0)),
        repeat=bool(info.get("repeat", False)),
        scores={name: tuple(_number(scores.get(name)) for _, scores in rollouts) for name in names},
        replay=bool(info.get("replay", False)),
        place="/".join(str(info[name]) for name in ("country", "city") if info.get(name)),
        transfers=info.get("question_transfer_count") if info.get("type") == "planning" else None,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
