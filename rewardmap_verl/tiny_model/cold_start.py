"""Supervised start that teaches the tiny model the answer formats.

Without it every answer of a randomly initialized model scores zero, and reinforcement learning has
no signal. RewardMap starts from an instruction-tuned model that already knows the formats; this
step replaces the instruction tuning. It runs verl's SFT trainer (``verl.trainer.sft_trainer``).
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rewardmap_verl.cpu.environment import cpu_environment
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.inputs.followed_file import FollowedFile
from rewardmap_verl.preparation.atomic import disk_errors, staging_file, staging_folder
from rewardmap_verl.reaper import no_orphans
from rewardmap_verl.tiny_model.conversations import Conversation

__all__ = ["Progress", "cold_start", "log_of", "trainer_command", "write_conversations"]

_WORK = ".work"
"""Folder of the trainer inside the staging folder, removed before the model is put into place."""

_START_SECONDS = 600.0
_STEP_SECONDS = 3.0
"""Ten times the duration of start-up and of a step on two idle cores."""

_STEP = re.compile(r"step:(\d+) - ")
"""What verl's console logger writes after a step."""
_POLL = 0.5
"""Seconds between two reads of the trainer's output."""

Progress = Callable[[int, Sequence[str]], object]
"""Called regularly with the number of finished steps and the new lines of the trainer's output."""


def write_conversations(conversations: Iterable[Conversation], path: Path) -> int:
    """Write conversations as rows of verl's SFT trainer: ``messages`` and ``images``.

    Returns:
        The number of rows.

    Raises:
        DataError: There is no conversation.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "messages": [
                {"role": "user", "content": conversation.prompt},
                {"role": "assistant", "content": conversation.answer},
            ],
            "images": [
                {"image": str(conversation.image), "max_pixels": conversation.max_pixels},
            ],
        }
        for conversation in conversations
    ]
    if not rows:
        raise DataError(path, found=rows, hint="Prepare a data folder with training rows.")
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    with staging_file(path) as file:
        file.write_bytes(buffer.getvalue())
    return len(rows)


def cold_start(
    model: Path,
    conversations: Iterable[Conversation] | Path,
    output: Path,
    steps: int = 100,
    overrides: Sequence[str] = (),
    timeout: float | None = None,
    progress: Progress = lambda step, lines: None,
) -> Path:
    """Train ``model`` on gold answers for a few steps and save it as a Hugging Face folder.

    Args:
        model: Model folder from ``rewardmap_verl.tiny_model.build.build_tiny_model``.
        conversations: Training data, or a parquet file of ``rewardmap export … verl``.
        output: Folder to write; it appears only when complete, and must not exist.
        steps: Updates of the weights; few, so that the model learns little beyond the formats.
        overrides: Overrides of ``recipe/cold_start`` for verl's SFT trainer, as ``key=value``.
        timeout: Seconds after which the trainer is stopped; by default ten times the expected
            duration of ``steps``.
        progress: See ``Progress``.

    The trainer's output is appended to the file ``log_of(output)``.

    Returns:
        ``output``.

    Raises:
        ConfigError: ``output`` exists, ``model`` does not, or the trainer failed. In the last case
            the message ends with the last lines of its output.
        DataError: There is no conversation.
    """
    if output.exists():
        raise ConfigError(output, found="an existing path", hint="Remove it or choose another one.")
    if not (model / "config.json").is_file():
        raise ConfigError(
            model, found="no config.json", hint="Build it with `rewardmap tiny-model`."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    limit = _START_SECONDS + _STEP_SECONDS * steps if timeout is None else timeout
    with disk_errors(output), staging_folder(output, "config.json") as staging:
        work = staging / _WORK
        work.mkdir()
        if isinstance(conversations, Path):
            shutil.copyfile(conversations, work / "train.parquet")
        else:
            write_conversations(conversations, work / "train.parquet")
        command = trainer_command(model.resolve(), work, steps, overrides)
        failure = _run(command, work, log_of(output), limit, progress)
        trained = work / f"global_step_{steps}" / "huggingface"
        if not failure and not (trained / "config.json").is_file():
            failure = "no model saved"
        if failure:
            hint = _last_lines(log_of(output))
            raise ConfigError("verl's SFT trainer", found=failure, hint=hint)
        _complete(trained, model)
        for path in trained.iterdir():
            path.rename(staging / path.name)
        shutil.rmtree(work)
    return output


def log_of(output: Path) -> Path:
    """Return the file with the trainer's output, beside the folder of the model."""
    return output.with_name(f"{output.name}-sft.log")


def trainer_command(model: Path, work: Path, steps: int, overrides: Sequence[str]) -> list[str]:
    """Return the command line of verl's SFT trainer for one worker."""
    return [
        sys.executable,
        "-m",
        "verl.trainer.sft_trainer",
        "+recipe=cold_start",
        f"model.path={model}",
        f"data.train_files={work / 'train.parquet'}",
        f"trainer.default_local_dir={work}",
        f"trainer.total_training_steps={steps}",
        f"hydra.run.dir={work / 'hydra'}",
        *overrides,
    ]


@no_orphans()
def _run(command: Sequence[str], work: Path, log: Path, timeout: float, progress: Progress) -> str:
    """Run the trainer as a single worker; return what went wrong, or an empty text."""
    environment = {**os.environ, "VERL_PLATFORM": "cpu"}
    environment.update(cpu_environment(environment))
    # The variables that torchrun sets for one worker. The rendezvous uses a file: a port may be
    # in use; verl still reads the address.
    environment.update(
        RANK="0",
        LOCAL_RANK="0",
        WORLD_SIZE="1",
        MASTER_ADDR="localhost",
        MASTER_PORT="0",
        DIST_INIT_METHOD=f"file://{work / 'rendezvous'}",
        GLOO_SOCKET_IFNAME="lo",  # it listens on the interface of the host's name otherwise
    )
    followed = FollowedFile(log, log.stat().st_size if log.is_file() else 0)
    with log.open("ab") as file:
        program = subprocess.Popen(command, env=environment, cwd=work, stdout=file, stderr=file)
        try:
            return _wait(program, followed, timeout, progress)
        finally:
            program.kill()
            program.wait()


def _wait(
    program: subprocess.Popen[bytes], log: FollowedFile, timeout: float, progress: Progress
) -> str:
    """Wait for the trainer; return what went wrong, or an empty text."""
    end = time.monotonic() + timeout
    step = 0
    while program.poll() is None:
        if time.monotonic() > end:
            return f"timeout after {timeout:g} s"
        time.sleep(_POLL)
        lines = log.read()
        finished = [int(found[1]) for line in lines if (found := _STEP.match(line))]
        step = finished[-1] if finished else step
        progress(step, lines)
    progress(step, log.read())
    return f"exit status {program.returncode}" if program.returncode else ""


def _last_lines(log: Path, count: int = 25) -> str:
    """Return the last lines of the trainer's output."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([f"Last lines of {log}:", *lines[-count:]])


def _complete(trained: Path, model: Path) -> None:
    """Copy the files that verl does not write, such as the chat template, to ``trained``."""
    for path in sorted(model.iterdir()):
        if path.is_file() and not (trained / path.name).exists():
            shutil.copyfile(path, trained / path.name)
