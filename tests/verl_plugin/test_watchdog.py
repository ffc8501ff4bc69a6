"""A run that hangs is stopped, and says why."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import verl  # noqa: F401  first: its plugins are loaded at its end

from rewardmap_verl.errors import RunStoppedError
from rewardmap_verl.verl_plugin import replay_buffer
from rewardmap_verl.verl_plugin.replay_buffer import RewardMapReplayBuffer
from rewardmap_verl.verl_plugin.watchdog import (
    Deadline,
    RolloutCounts,
    StallDetector,
    failed_groups,
)


class Clock:
    """Seconds that a test moves on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def counts(**changes: int) -> RolloutCounts:
    return RolloutCounts(**{"finished": 3, "failed": 0, "waiting": 5, "answers": 30, **changes})


def test_a_stall_stops_the_run() -> None:
    clock = Clock()
    stall = StallDetector(60, clock)
    stall.check(counts())
    clock.now = 59
    stall.check(counts())
    clock.now = 60
    with pytest.raises(RunStoppedError, match=r"no answer for 60 s: 3 groups finished, 5 waiting"):
        stall.check(counts())


def test_every_answer_restarts_the_wait() -> None:
    clock = Clock()
    stall = StallDetector(60, clock)
    for answers in range(10):
        clock.now += 59
        stall.check(counts(answers=answers))


def test_the_message_of_a_failure_says_how_to_resume() -> None:
    text = str(failed_groups(7, counts(failed=1)))
    assert "1 of 9 groups of step 7" in text
    assert "Start the same command again" in text


def test_a_step_that_hangs_ends_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    codes: list[int] = []
    deadline = Deadline(lambda code: (codes.append(code), ended.set()), linger=0)
    deadline.restart("step 3, after its rollouts,", 0.05, "step_seconds")
    assert ended.wait(20)
    assert codes == [70]
    text = capfd.readouterr().err
    assert "step 3, after its rollouts, did not finish within 0.05 s" in text
    assert "raise trainer.v1.sampler.sampler_kwargs.step_seconds" in text
    assert "test_a_step_that_hangs" in text, "where the main thread stands"


def test_a_step_that_ends_in_time_is_left_alone() -> None:
    codes: list[int] = []
    deadline = Deadline(end=codes.append)
    deadline.restart("one", 0.2, "step_seconds")
    deadline.restart("two", 0.2, "step_seconds")
    deadline.cancel()
    threading.Event().wait(0.4)
    assert codes == []


class Queue:
    """Stands for the transfer queue: groups and their states."""

    def __init__(self, **states: str) -> None:
        self.states = states

    def kv_list(self) -> dict[str, Any]:
        tags = {
            uid: {"is_prompt": True, "status": status, "global_steps": 1}
            for uid, status in self.states.items()
        }
        return {"train": tags}


@pytest.fixture
def buffer(tmp_path: Path) -> Any:
    settings = {"poll_interval": 0.01, "stall_seconds": 0.1}
    made = RewardMapReplayBuffer(
        trainer_mode="sync",
        trainer_config={},
        max_off_policy_threshold=None,
        max_off_policy_strategy="drop",
        sampler_kwargs=settings,
    )
    yield made
    made._deadline.cancel()


def test_rollouts_that_never_end(buffer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock verl waits here without end."""
    monkeypatch.setattr("verl.trainer.ppo.v1.replay_buffer.tq", Queue(a="finished", b="running"))
    with pytest.raises(RunStoppedError, match="1 groups finished, 1 waiting"):
        buffer.sample(global_steps=1, partition_id="train", batch_size=2)


def test_groups_that_failed(buffer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock verl trains on what is left of them, filled up with sequences without an image."""
    monkeypatch.setattr("verl.trainer.ppo.v1.replay_buffer.tq", Queue(a="failure", b="running"))
    with pytest.raises(RunStoppedError, match="1 of 2 groups of step 4"):
        buffer.sample(global_steps=4, partition_id="train", batch_size=2)


def test_a_validation_without_an_answer(buffer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock verl says "Received an empty list as keys"."""

    class Failed(Queue):
        def kv_list(self) -> dict[str, Any]:
            return {"val": super().kv_list()["train"]}

        def kv_clear(self, **_: Any) -> None:
            """verl clears the groups that it has taken."""

    failed = Failed(a="failure", b="failure")
    monkeypatch.setattr("verl.trainer.ppo.v1.replay_buffer.tq", failed)
    with pytest.raises(
        RunStoppedError, match="none of the 2 questions of a validation was answered"
    ):
        buffer.sample(global_steps=0, partition_id="val", batch_size=2)


def test_overridden_methods_are_those_that_verl_calls() -> None:
    stock = replay_buffer.ReplayBuffer
    assert {"_sync_metadata_from_transfer_queue", "_wait_for_next_poll"} <= set(vars(stock))
