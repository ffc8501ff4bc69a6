"""More that goes wrong, done to real processes: a reward worker that is killed, maps that are lost,
a full disk, SIGTERM in the middle of a step.

As in ``test_failures.py``: one run in one folder, over several attempts.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rewardmap_verl.checkpoints.folders import find_damage, latest_step

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(3000)]

LEFT = 1_000_000
"""Bytes left on the full disk: less than a checkpoint of the tiny model."""


@pytest.fixture(scope="module")
def run(stack: Any) -> Iterator[Path]:
    """The folder of the run, on a disk of its own."""
    folder: Path = stack.folder / "run"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def command(small: Any, stack: Any, prepared: Path, run: Path) -> list[str]:
    """A run on its own copy of the data; with two prompts a step, a step needs few of the maps."""
    shutil.copytree(prepared / "data", stack.folder / "own")
    watch = "trainer.v1.sampler.sampler_kwargs"
    times = [f"{watch}.stall_seconds=60", f"{watch}.step_seconds=120"]
    more = ["trainer.save_freq=1", "data.train_batch_size=2", "data.folder=own"]
    settings: list[str] = small("run", 8, *times, *more)
    return settings


def stopped_whole(done: Any, run: Path) -> int:
    """The step that a stopped run would go on from; its checkpoint is whole."""
    assert done.code not in (0, None), done.output[-4000:]
    last = latest_step(run)
    assert last is not None, done.output[-4000:]
    assert find_damage(run / f"global_step_{last}") == ""
    return last


def test_a_reward_worker_that_is_killed(stack: Any, command: list[str], run: Path) -> None:
    die = stack.strike("RewardLoopWorker", psutil.Process.kill)
    done = stack.train(*command, stop_when=stack.after("run", 1, die))
    assert stopped_whole(done, run) == 1
    assert sorted(done.steps) == [1], "nothing is trained on what is left"
    assert "groups of step 2 have a failed answer" in done.output, done.output[-4000:]


def test_maps_that_are_lost(stack: Any, command: list[str], run: Path) -> None:
    """A step fails as soon as a process needs a map that it has not seen: vLLM's server for its
    answers, or the actor for their probabilities."""
    images = stack.folder / "own" / "images"
    aside = stack.folder / "aside"

    def lose() -> bool:
        images.rename(aside)
        return True

    try:
        done = stack.train(*command, stop_when=stack.after("run", 2, lose))
    finally:
        aside.rename(images)
    assert 1 <= stopped_whole(done, run) < 8
    words = ("have a failed answer", "own/images/")
    assert any(word in done.output for word in words), done.output[-4000:]


def test_a_disk_that_is_full(stack: Any, command: list[str], run: Path) -> None:
    """In the middle of a checkpoint it is torch that fails; the next attempt says what it is, first
    as a warning, then where it ends: before the step, or at the first file that finds no room."""
    last = latest_step(run)
    assert last is not None
    first = stack.train(*command, stop_when=stack.after("run", last + 1, lambda: fill(run)))
    at = stopped_whole(first, run)
    second = stack.train(*command)
    (run / "filler").unlink()
    assert stopped_whole(second, run) == at
    assert "trainer.default_local_dir" in second.output.split("warning:")[1][:400]
    words = (f"too full for the checkpoint of step {at + 1}", "No space left on device")
    assert any(word in second.output for word in words), second.output[-4000:]


def fill(folder: Path) -> bool:
    """Leave next to nothing of a disk."""
    (folder / "filler").write_bytes(bytes(shutil.disk_usage(folder).free - LEFT))
    return True


def test_a_signal_to_end(stack: Any, command: list[str], run: Path) -> None:
    """SIGTERM in the middle of a step, as from a scheduler."""
    last = latest_step(run)
    assert last is not None
    end = stack.strike("verl.trainer.main_ppo", psutil.Process.terminate)
    done = stack.train(*command, stop_when=stack.after("run", last + 2, end))
    assert last + 1 <= stopped_whole(done, run) < 8
    assert min(done.steps) == last + 1
