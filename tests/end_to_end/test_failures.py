"""What goes wrong in long runs, done to real processes: the run stops, says why, and goes on.

One run in one folder: a vLLM engine hangs, then the machine goes down and leaves a checkpoint cut
off, and the next attempt trains to the end. More of the kind is in ``test_more_failures.py``.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.checkpoints.folders import find_damage, latest_step
from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum
from rewardmap_verl.curriculum.record import RECORD_NAME, read_record, rows_by_step
from rewardmap_verl.preflight.compose import compose_run

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1800)]

STEPS = 4
STALL, STEP = 30, 60
"""Seconds without an answer, and from one step's answers to the next step: many times what they
take, and short for a test."""


@pytest.fixture(scope="module")
def command(small: Any) -> list[str]:
    """A run that saves every step and does not wait long for what does not come."""
    watch = "trainer.v1.sampler.sampler_kwargs"
    times = [f"{watch}.stall_seconds={STALL}", f"{watch}.step_seconds={STEP}"]
    settings: list[str] = small("run", STEPS, "trainer.save_freq=1", *times)
    return settings


@pytest.fixture(scope="module")
def engine_stopped(stack: Any, command: list[str]) -> Any:
    """The first attempt: while step 2 is trained, vLLM's engine stops; it neither answers nor
    ends."""
    hang = stack.strike("EngineCore", lambda engine: engine.send_signal(signal.SIGSTOP))
    return stack.train(*command, stop_when=stack.after("run", 2, hang))


@pytest.fixture(scope="module")
def resumed(engine_stopped: Any, stack: Any, command: list[str]) -> Any:
    """The second one, which trains to the end; before it, the last checkpoint is cut off."""
    cut_off(stack.folder / "run" / "global_step_2")
    return stack.train(*command)


def cut_off(checkpoint: Path) -> None:
    """Leave half of the weights, as a machine does that goes down while they are written."""
    weights = checkpoint / "actor" / "model_world_size_1_rank_0.pt"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def test_an_engine_that_hangs_stops_the_run(engine_stopped: Any, stack: Any) -> None:
    """While it is handed weights, or while it should answer."""
    assert engine_stopped.code not in (0, None), engine_stopped.output[-4000:]
    says = (f"no answer for {STALL} s", f"did not finish within {STEP} s")
    assert any(text in engine_stopped.output for text in says), engine_stopped.output[-4000:]
    assert "Start the same command again" in engine_stopped.output
    assert set(engine_stopped.steps) <= {1, 2}


def test_a_checkpoint_cut_off_gives_way_to_the_one_before(resumed: Any) -> None:
    assert "the run resumes from step 1" in resumed.output, resumed.output[:4000]
    assert "model_world_size_1_rank_0.pt is truncated" in resumed.output
    assert min(resumed.steps) == 2


def test_the_run_ends_as_if_nothing_had_happened(
    resumed: Any, stack: Any, command: list[str]
) -> None:
    assert resumed.code == 0, resumed.output[-6000:]
    assert sorted(resumed.steps) == [2, 3, 4]
    plan = plan_curriculum(
        compose_run(["+recipe=rewardmap", "+recipe/rewardmap=[cpu]", *command]).data
    )
    trained = rows_by_step(read_record(stack.folder / "run" / RECORD_NAME))
    due = plan.schedule.rows_by_step()
    assert sorted(trained) == list(range(1, STEPS + 1))
    assert all(sorted(rows) == sorted(due[step]) for step, rows in trained.items())


def test_as_many_checkpoints_are_left_as_asked(resumed: Any, stack: Any) -> None:
    """Two, also of several attempts; verl knows only those that the same process wrote."""
    run = stack.folder / "run"
    assert latest_step(run) == STEPS
    weights = {step for step in range(1, STEPS + 1) if (run / f"global_step_{step}/actor").is_dir()}
    assert weights == {STEPS - 1, STEPS}
    assert [find_damage(run / f"global_step_{step}") for step in sorted(weights)] == ["", ""]
