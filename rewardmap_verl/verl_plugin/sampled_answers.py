"""The answers of a batch that verl's replay buffer has sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import transfer_queue as tq
from transfer_queue import KVBatchMeta

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.metrics import final_keys, make_groups

__all__ = ["Answers", "fetch_answers", "plain_values"]


@dataclass(frozen=True)
class Answers:
    """The last output of every rollout of a sampled batch."""

    partition: str
    keys: list[str]
    infos: list[dict[str, Any]]
    """``extra_info`` of each answer."""
    fields: list[dict[str, Any]]
    """``extra_fields`` of each answer."""
    lengths: dict[str, int]
    """Tokens of each answer."""

    def groups(self) -> list[Group]:
        """Return the scores of the answers in training order."""
        return make_groups(self.keys, self.infos, self.fields, self.lengths)


def fetch_answers(batch: KVBatchMeta) -> Answers:
    """Read the scores of a sampled batch's rollouts."""
    keys = final_keys(batch.keys, batch.tags)
    lengths = {
        key: tag["response_len"]
        for key, tag in zip(batch.keys, batch.tags, strict=True)
        if "response_len" in tag
    }
    if not keys:
        return Answers(batch.partition_id, [], [], [], {})
    data = tq.kv_batch_get(
        keys=keys, partition_id=batch.partition_id, select_fields=["extra_info", "extra_fields"]
    )
    infos, fields = (list(plain_values(data[name])) for name in ("extra_info", "extra_fields"))
    return Answers(batch.partition_id, keys, infos, fields, lengths)


def plain_values(column: Any) -> Iterator[Any]:
    """Yield the items of a column; some backends of the transfer queue wrap non-tensors."""
    for item in column.tolist() if hasattr(column, "tolist") else column:
        yield getattr(item, "data", item)
