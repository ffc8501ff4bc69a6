"""A short supervised start, after which the tiny model answers in the formats that are asked for.

Without it every answer of a randomly initialized model scores zero and reinforcement learning has
nothing to prefer. RewardMap starts from an instruction-tuned model, which knows formats already;
this step stands in for that and uses verl's own SFT trainer (``verl.trainer.sft_trainer``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from rewardmap_verl.cpu.environment import cpu_environment
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.tiny_model.conversations import Conversation

__all__ = ["cold_start", "trainer_command", "write_conversations"]

_START_SECONDS = 600.0
_STEP_SECONDS = 3.0
"""Ten times what a start and a step take on two idle cores."""


def write_conversations(conversations: Iterable[Conversation], path: Path) -> int:
    """Write conversations in the row format of verl's SFT trainer: ``messages`` and ``images``.

    Returns:
        The number of rows.

    Raises:
        DataError: there is no conversation.
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
    pq.write_table(pa.Table.from_pylist(rows), path)
    return len(rows)


def cold_start(
    model: Path,
    conversations: Iterable[Conversation],
    output: Path,
    steps: int = 100,
    overrides: Sequence[str] = (),
    timeout: float | None = None,
) -> Path:
    """Train ``model`` on perfect answers for a few steps and save it as a Hugging Face folder.

    Args:
        model: a model folder, as :func:`rewardmap_verl.tiny_model.build.build_tiny_model` makes.
        conversations: what to learn from.
        output: the folder to write; it appears whole or not at all, and must not exist.
        steps: updates of the weights; few, so that the model knows the formats and little else.
        overrides: more settings for verl's SFT trainer, ``key=value``, over ``recipe/cold_start``.
        timeout: seconds after which the trainer is stopped; a generous time for ``steps`` when left
            out.

    Returns:
        ``output``.

    Raises:
        ConfigError: ``output`` exists, ``model`` does not, or the trainer failed; the message ends
            with the trainer's last lines.
        DataError: there is no conversation.
    """
    if output.exists():
        raise ConfigError(output, found="an existing path", hint="Remove it or name another one.")
    if not (model / "config.json").is_file():
        raise ConfigError(model, found="no config.json", hint="Build it: `rewardmap tiny-model`.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as name:
        work = Path(name).resolve()
        write_conversations(conversations, work / "train.parquet")
        limit = _START_SECONDS + _STEP_SECONDS * steps if timeout is None else timeout
        _run(trainer_command(model.resolve(), work, steps, overrides), work, limit)
        trained = work / f"global_step_{steps}" / "huggingface"
        if not (trained / "config.json").is_file():
            raise ConfigError("verl's SFT trainer", found="no model saved", hint=_last_lines(work))
        _complete(trained, model)
        trained.rename(output)
    return output


def trainer_command(model: Path, work: Path, steps: int, overrides: Sequence[str]) -> list[str]:
    """The command line of verl's SFT trainer for one worker."""
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


def _run(command: Sequence[str], work: Path, timeout: float) -> None:
    """Run the trainer as the only worker, its output in a file under ``work``."""
    environment = {**os.environ, "VERL_PLATFORM": "cpu"}
    environment.update(cpu_environment(environment))
    # What torchrun would set for one worker. It meets itself at a file and not at a port, which may
    # be taken; verl reads the address all the same.
    environment.update(
        RANK="0",
        LOCAL_RANK="0",
        WORLD_SIZE="1",
        MASTER_ADDR="localhost",
        MASTER_PORT="0",
        DIST_INIT_METHOD=f"file://{work / 'rendezvous'}",
    )
    failure = ""
    with (work / "log.txt").open("wb") as log:
        try:
            done = subprocess.run(
                command, env=environment, cwd=work, stdout=log, stderr=log, timeout=timeout
            )
            failure = f"exit status {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            failure = f"no end after {timeout:g} s"
    if failure:
        raise ConfigError("verl's SFT trainer", found=failure, hint=_last_lines(work))


def _last_lines(work: Path, count: int = 25) -> str:
    """The end of the trainer's output."""
    lines = (work / "log.txt").read_text(errors="replace").splitlines()
    return "\n".join(["Its last lines:", *lines[-count:]])


def _complete(trained: Path, model: Path) -> None:
    """Add to ``trained`` the files of ``model`` that verl does not write, such as the template."""
    for path in sorted(model.iterdir()):
        if path.is_file() and not (trained / path.name).exists():
            shutil.copyfile(path, trained / path.name)
