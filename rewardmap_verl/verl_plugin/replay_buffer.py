"""Training metrics per stage and question type, which stock verl 0.9.1 does not report.

verl shows a reward's parts (``reward_extra_info``) in validation only. Its replay buffer is where a
whole batch lies together with them: ``PPOTrainer._step_once`` adds what ``sample()`` returns beside
the batch to the metrics of the step, which go to every logger of ``trainer.logger``. So a replay
buffer of one's own (``trainer.v1.sampler.custom_sampler``) is all that it takes.

It is also where verl's trainer waits for rollouts, without end: see
:mod:`rewardmap_verl.verl_plugin.watchdog`. And it is called before each checkpoint, when room is made for
it: see :mod:`rewardmap_verl.checkpoints.retention`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import transfer_queue as tq
from pydantic import BaseModel, ConfigDict, Field
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer, ReplayBufferAsync

from rewardmap_verl.checkpoints.retention import save_policy
from rewardmap_verl.checkpoints.run_metadata import write_run_metadata
from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.metrics import PREFIX, final_keys, make_groups, training_metrics
from rewardmap_verl.curriculum.record import RecordWriter
from rewardmap_verl.verl_plugin.dataset import CurriculumDataset
from rewardmap_verl.verl_plugin.watchdog import (
    Deadline,
    Progress,
    Stall,
    failed_groups,
    failed_validation,
)

__all__ = ["RewardMapReplayBuffer", "RewardMapReplayBufferAsync", "SamplerSettings"]


class SamplerSettings(BaseModel):
    """The block ``trainer.v1.sampler.sampler_kwargs``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll_interval: float = Field(default=2.0, gt=0)
    """Seconds between two looks for finished rollouts. verl's 2 s is most of a step on a CPU."""
    record: Path | None = None
    """Where to keep what each group of each step scored; nowhere when empty."""
    stall_seconds: float = Field(default=1800.0, gt=0)
    """The run is stopped when no answer comes for so long."""
    step_seconds: float = Field(default=7200.0, gt=0)
    """The run is stopped when so long passes between the rollouts of one step and of the next."""
    start_seconds: float = Field(default=7200.0, gt=0)
    """The run is stopped when its first rollouts are not asked for within so long."""


class _Recording:
    """What both replay buffers do: measure what they sample, and write it down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = read_block(
            SamplerSettings, kwargs.get("sampler_kwargs"), "trainer.v1.sampler.sampler_kwargs"
        )
        super().__init__(*args, **{"poll_interval": settings.poll_interval, **kwargs})
        self._record = RecordWriter(settings.record.absolute()) if settings.record else None
        if settings.record:
            write_run_metadata(settings.record.absolute().parent, kwargs.get("sampler_kwargs"))
        self._stall_seconds = settings.stall_seconds
        self._stall = Stall(settings.stall_seconds, time.monotonic)
        self._step_seconds = settings.step_seconds
        self._deadline = Deadline()
        self._deadline.push("the start of the run", settings.start_seconds, "start_seconds")
        self._step = 0

    refill_fn: Any
    finished_keys: Any
    failure_keys: Any
    pending_keys: Any
    running_keys: Any
    partitions: Any

    def sample(
        self, global_steps: int, partition_id: str, batch_size: int
    ) -> tuple[KVBatchMeta, dict[str, Any]]:
        """verl's batch and metrics, with ours added to those of a training step.

        Raises:
            RunStoppedError: Answers have failed (in a validation, all), or none come any more; or
                the disk is too full for the checkpoint of this step.
        """
        self._deadline.stop()
        self._step = global_steps
        is_validation = partition_id == "val"
        self._stall = Stall(self._stall_seconds, time.monotonic)
        batch, metrics = super().sample(  # type: ignore[misc]
            global_steps=global_steps, partition_id=partition_id, batch_size=batch_size
        )
        if is_validation and not batch.keys:
            raise failed_validation(batch_size)
        # Not before: while answers may still fail, every checkpoint stays that is there.
        saving = save_policy(getattr(self.refill_fn, "__self__", None))
        if saving is not None and not is_validation:
            saving.prepare(global_steps)
        groups = fetch_groups(batch)
        doing = f"step {global_steps}, after its answers were there,"
        self._deadline.push(doing, self._step_seconds, "step_seconds")
        if self._record is not None:
            self._record.write("val" if is_validation else "train", global_steps, groups)
        if is_validation:
            return batch, metrics
        return batch, {
            **metrics,
            **training_metrics(groups),
            **tell_curriculum(self.refill_fn, global_steps, groups),
        }

    def _wait_for_next_poll(self, partition_id: str, last_debug_time: float) -> float:
        self._stall.look(self._progress(partition_id))
        waited: float = super()._wait_for_next_poll(  # type: ignore[misc]
            partition_id, last_debug_time
        )
        return waited

    def _progress(self, partition_id: str) -> Progress:
        return Progress(
            finished=len(self.finished_keys[partition_id]),
            failed=len(self.failure_keys[partition_id]),
            waiting=len(self.pending_keys[partition_id]) + len(self.running_keys[partition_id]),
            answers=len(self.partitions[partition_id]),
        )


class RewardMapReplayBuffer(_Recording, ReplayBuffer):
    """verl's replay buffer of synchronous training, with training metrics and a record."""

    def _sync_metadata_from_transfer_queue(self) -> None:
        """verl's look at the queue, after which it decides whether it has enough; so failures are
        seen before they are trained on.
        """
        super()._sync_metadata_from_transfer_queue()
        now = self._progress("train")
        if now.failed:
            raise failed_groups(self._step, now)


class RewardMapReplayBufferAsync(_Recording, ReplayBufferAsync):
    """verl's replay buffer of asynchronous training, with training metrics and a record."""


def tell_curriculum(refill: Any, step: int, groups: Sequence[Group]) -> dict[str, float]:
    """Let the training data hear what was answered, where their order depends on it.

    Args:
        refill: The function that verl's trainer hands to its replay buffer, a method of the
            trainer (``PPOTrainer._build_replay_buffer``); the way to its ``train_dataset``.
        step: The training step.
        groups: What was answered.

    Returns:
        ``rewardmap/stage``, the number of the stage that the step trained, from 1. It shows
        promotions in every logger; warnings would not, for importing vLLM's server sets the root
        logger's level to ERROR (verl 0.9.1, workers/rollout/vllm_rollout/vllm_async_server.py).
    """
    dataset = getattr(getattr(refill, "__self__", None), "train_dataset", None)
    if isinstance(dataset, CurriculumDataset):
        dataset.observe(step, groups)
        if groups:
            return {f"{PREFIX}/stage": float(dataset.stage_number(groups[0].stage))}
    return {}


def fetch_groups(batch: KVBatchMeta) -> list[Group]:
    """Read what the rollouts of a sampled batch scored, in the training order."""
    keys = final_keys(batch.keys, batch.tags)
    if not keys:
        return []
    data = tq.kv_batch_get(
        keys=keys, partition_id=batch.partition_id, select_fields=["extra_info", "extra_fields"]
    )
    columns = (plain_values(data[name]) for name in ("extra_info", "extra_fields"))
    return make_groups(keys, *columns)


def plain_values(column: Any) -> Iterator[Any]:
    """Items of a column of the transfer queue, which wraps what is no tensor (by backend)."""
    for item in column.tolist() if hasattr(column, "tolist") else column:
        yield getattr(item, "data", item)
