"""Training metrics per stage and question type, which stock verl 0.9.1 does not report.

verl reports the parts of a reward (``reward_extra_info``) in validation only. Its replay buffer is
where a complete batch is available together with them: ``PPOTrainer._step_once`` adds the metrics
that ``sample()`` returns to those of the step, which go to every logger of ``trainer.logger``. A
custom replay buffer (``trainer.v1.sampler.custom_sampler``) is therefore sufficient.

The replay buffer is also where verl's trainer waits for rollouts, without a timeout: see
``rewardmap_verl.verl_plugin.watchdog``. And it is called before each checkpoint, when old
checkpoints are removed: see ``rewardmap_verl.checkpoints.retention``. It sees every validation and
warns of forgotten question types: see ``rewardmap_verl.curriculum.forgetting``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer, ReplayBufferAsync

from rewardmap_verl.checkpoints.retention import save_policy
from rewardmap_verl.checkpoints.run_metadata import write_run_metadata
from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.curriculum.forgetting import ForgettingMonitor
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.metrics import PREFIX, training_metrics
from rewardmap_verl.curriculum.record import RecordWriter, stream_record
from rewardmap_verl.errors import DataError
from rewardmap_verl.verl_plugin.dataset import CurriculumDataset
from rewardmap_verl.verl_plugin.forgetting_warning import warn_of_falls
from rewardmap_verl.verl_plugin.policy_metrics import deferred_metrics, policy_scores
from rewardmap_verl.verl_plugin.sampled_answers import Answers, fetch_answers
from rewardmap_verl.verl_plugin.watchdog import (
    Deadline,
    RolloutCounts,
    StallDetector,
    failed_groups,
    failed_validation,
)

__all__ = ["RewardMapReplayBuffer", "RewardMapReplayBufferAsync", "SamplerSettings"]


class SamplerSettings(BaseModel):
    """The block ``trainer.v1.sampler.sampler_kwargs``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll_interval: float = Field(default=2.0, gt=0)
    """Seconds between two polls for finished rollouts. verl's 2 s are most of a step on a CPU."""
    record: Path | None = None
    """File for the scores of every group of every step; ``None`` writes none."""
    stall_seconds: float = Field(default=1800.0, gt=0)
    """Seconds without a new answer after which the run is stopped."""
    step_seconds: float = Field(default=7200.0, gt=0)
    """Seconds between the rollouts of two steps after which the run is stopped."""
    start_seconds: float = Field(default=7200.0, gt=0)
    """Seconds until the first rollouts are requested after which the run is stopped."""


class _RecordingMixin:
    """Part that both replay buffers share: metrics and record of what they sample."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = read_block(
            SamplerSettings, kwargs.get("sampler_kwargs"), "trainer.v1.sampler.sampler_kwargs"
        )
        super().__init__(*args, **{"poll_interval": settings.poll_interval, **kwargs})
        self._record = RecordWriter(settings.record.absolute()) if settings.record else None
        if settings.record:
            write_run_metadata(settings.record.absolute().parent, kwargs.get("sampler_kwargs"))
        self._stall_seconds = settings.stall_seconds
        self._stall = StallDetector(settings.stall_seconds, time.monotonic)
        self._step_seconds = settings.step_seconds
        self._deadline = Deadline()
        self._deadline.restart("the start of the run", settings.start_seconds, "start_seconds")
        self._step = 0
        self._forgetting = resumed_monitor(settings.record)

    refill_fn: Any
    finished_keys: Any
    failure_keys: Any
    pending_keys: Any
    running_keys: Any
    partitions: Any

    def sample(
        self, global_steps: int, partition_id: str, batch_size: int
    ) -> tuple[KVBatchMeta, dict[str, Any]]:
        """Return verl's batch and metrics; a training step gets this package's metrics as well.

        Raises:
            RunStoppedError: An answer failed (in a validation: all answers), no answer arrives any
                more, or the disk cannot hold the checkpoint of this step.
        """
        self._deadline.cancel()
        self._step = global_steps
        is_validation = partition_id == "val"
        self._stall = StallDetector(self._stall_seconds, time.monotonic)
        batch, metrics = super().sample(  # type: ignore[misc]
            global_steps=global_steps, partition_id=partition_id, batch_size=batch_size
        )
        if is_validation and not batch.keys:
            raise failed_validation(batch_size)
        # Only now: while answers may still fail, no checkpoint is removed.
        saving = save_policy(getattr(self.refill_fn, "__self__", None))
        if saving is not None and not is_validation:
            saving.prepare(global_steps)
        answers = fetch_answers(batch)
        groups = answers.groups()
        phase = f"step {global_steps}, after its rollouts,"
        self._deadline.restart(phase, self._step_seconds, "step_seconds")
        if self._record is not None:
            self._record.write("val" if is_validation else "train", global_steps, groups)
        if is_validation:
            self._check_forgetting(global_steps, groups)
            return batch, metrics
        self._forgetting.trained(global_steps, groups)
        return batch, {
            **metrics,
            **training_metrics(groups),
            **observe_step(self.refill_fn, global_steps, groups),
            **self._policy_metrics(global_steps, answers),
        }

    def _policy_metrics(self, step: int, answers: Answers) -> dict[str, float]:
        if not answers.keys:
            return {}

        def record(groups: list[Group]) -> None:
            if self._record is not None:
                self._record.write_policy(step, groups)

        names = policy_scores(getattr(self.refill_fn, "__self__", None))
        return deferred_metrics(answers.keys, answers.infos, names, answers.partition, record)

    def _check_forgetting(self, step: int, groups: Sequence[Group]) -> None:
        """Warn of falls when the last batch of a validation is complete."""
        trainer = getattr(self.refill_fn, "__self__", None)
        rows = self._forgetting.validated(step, groups)
        if rows and trainer is not None and rows >= len(trainer.val_dataset):
            warn_of_falls(self._forgetting.falls(), trainer.config)

    def _wait_for_next_poll(self, partition_id: str, last_debug_time: float) -> float:
        self._stall.check(self._counts(partition_id))
        waited: float = super()._wait_for_next_poll(  # type: ignore[misc]
            partition_id, last_debug_time
        )
        return waited

    def _counts(self, partition_id: str) -> RolloutCounts:
        return RolloutCounts(
            finished=len(self.finished_keys[partition_id]),
            failed=len(self.failure_keys[partition_id]),
            waiting=len(self.pending_keys[partition_id]) + len(self.running_keys[partition_id]),
            answers=len(self.partitions[partition_id]),
        )


class RewardMapReplayBuffer(_RecordingMixin, ReplayBuffer):
    """verl's replay buffer of synchronous training, with training metrics and a record."""

    def _sync_metadata_from_transfer_queue(self) -> None:
        """Read the queue's metadata as verl does, and stop the run on failures.

        verl decides afterwards whether it has a full batch, so no failed group is trained.
        """
        super()._sync_metadata_from_transfer_queue()
        counts = self._counts("train")
        if counts.failed:
            raise failed_groups(self._step, counts)


class RewardMapReplayBufferAsync(_RecordingMixin, ReplayBufferAsync):
    """verl's replay buffer of asynchronous training, with training metrics and a record."""


def observe_step(refill: Any, step: int, groups: Sequence[Group]) -> dict[str, float]:
    """Pass a step's scores to the training data, whose order may depend on them.

    Args:
        refill: The function that verl's trainer passes to its replay buffer. It is a method of the
            trainer (``PPOTrainer._build_replay_buffer``), and so gives access to its
            ``train_dataset``.
        step: The training step.
        groups: The scores of the step.

    Returns:
        ``rewardmap/stage``: the number of the stage that the step trained, from 1, and, if the
        curriculum has one, ``rewardmap/target_difficulty`` of the step. The stage shows
        promotions in every logger. Warnings would not: importing vLLM's server sets the root
        logger's level to ERROR (verl 0.9.1, workers/rollout/vllm_rollout/vllm_async_server.py).
    """
    dataset = getattr(getattr(refill, "__self__", None), "train_dataset", None)
    if not isinstance(dataset, CurriculumDataset) or not groups:
        return {}
    target = {} if dataset.target is None else {f"{PREFIX}/target_difficulty": dataset.target}
    dataset.observe(step, groups)
    return {f"{PREFIX}/stage": float(dataset.stage_number(groups[0].stage)), **target}


def resumed_monitor(record: Path | None) -> ForgettingMonitor:
    """Return a monitor that knows the earlier attempts of a run, if their record is readable."""
    try:
        return ForgettingMonitor(stream_record(record) if record else ())
    except DataError:
        return ForgettingMonitor()
