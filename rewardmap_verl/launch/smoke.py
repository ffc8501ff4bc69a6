"""The smoke run: a step, a save, a resume, another step and a validation, judged in one line.

The option ``smoke`` of the recipe registers ``SmokeCallback``. It starts the same command twice as
programs of their own, since only a new process proves that a checkpoint can be resumed, and judges
them by the metrics that verl's console logger prints.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.launch.log_text import cause_of_failure

__all__ = ["LEAST_CORRELATION", "Pass", "SmokeCallback", "faults", "read_metrics", "smoke"]

LEAST_CORRELATION = 0.99
"""Least Pearson correlation of the token probabilities of vLLM and the actor. In fp32 it is above
0.9999; in bf16, different kernels cost some digits."""

_CHILD = "REWARDMAP_SMOKE"
_CORRELATION = "training/rollout_actor_probs_pearson_corr"
_PAIR = re.compile(r"([\w./@-]+):(?:np\.\w+\()?(-?[\d.]+(?:e[-+]?\d+)?|nan)")
_TAIL = 25
"""Lines of the log to show after a failure without a known cause."""


@dataclass(frozen=True)
class Pass:
    """One of the two programs of a smoke run."""

    code: int
    """Exit code."""
    steps: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Metrics by training step."""


class SmokeCallback(Callback):
    """Callback that replaces a run by its smoke run. The two programs of it run as usual."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Run the smoke run and end this program.

        Raises:
            SystemExit: With code 0 if everything worked, and 1 otherwise.
        """
        if not os.environ.get(_CHILD):
            base = Path(OmegaConf.select(config, "trainer.default_local_dir"))
            folder = base / f"{datetime.now():%Y%m%d-%H%M%S}"
            raise SystemExit(smoke([sys.executable, *sys.orig_argv[1:]], folder))


def smoke(command: Sequence[str], folder: Path) -> int:
    """Run a training command for a step, resume it for another, and report in one line.

    Args:
        command: The command of the run.
        folder: New folder for log and checkpoints. Its checkpoints are deleted after a success.

    Returns:
        The exit code: 0 if everything worked.
    """
    folder.mkdir(parents=True)
    log = folder / "smoke.log"
    say(f"smoke: two steps, with a resume in between; log: {log}")
    common = [*command, f"trainer.default_local_dir={folder}"]
    passes = [run_pass([*common, "trainer.total_training_steps=1", "trainer.test_freq=-1"], log)]
    if not passes[0].code:
        passes.append(run_pass([*common, "trainer.total_training_steps=2"], log))
    found = list(faults(passes))
    if found:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        shown = cause_of_failure(lines) or lines[-_TAIL:]
        say("\n".join([*shown, f"smoke: FAILED: {'; '.join(found)}; log: {log}"]))
        return 1
    for checkpoint in folder.glob("global_step_*"):
        shutil.rmtree(checkpoint)
    say(f"smoke: passed: {summary(passes)}")
    return 0


def run_pass(command: Sequence[str], log: Path) -> Pass:
    """Run one program to its end; its output goes to the end of the log."""
    start = log.stat().st_size if log.exists() else 0
    with log.open("ab") as file:
        environment = {**os.environ, _CHILD: "1"}
        code = subprocess.run(command, stdout=file, stderr=file, env=environment).returncode
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(start)
        return Pass(code, read_metrics(file))


def read_metrics(lines: Iterator[str]) -> dict[int, dict[str, float]]:
    """Read what verl's console logger prints: ``step:3 - key:0.5 - …``, by training step."""
    steps: dict[int, dict[str, float]] = {}
    for line in lines:
        if match := re.search(r"step:(\d+) - ", line):
            pairs = _PAIR.findall(line[match.end() :])
            steps.setdefault(int(match[1]), {}).update({key: float(value) for key, value in pairs})
    return steps


def faults(passes: Sequence[Pass]) -> Iterator[str]:
    """Yield what did not work in the programs of a smoke run."""
    for number, one in enumerate(passes, 1):
        if one.code:
            yield f"run {number} of 2 ended with exit code {one.code}"
        elif number not in one.steps:
            yield f"run {number} of 2 did not report step {number}"
        elif not correlation(one, number) >= LEAST_CORRELATION:
            yield (
                f"rollout and actor disagree in step {number}: the correlation of their token "
                f"probabilities is {correlation(one, number):.4f}, below {LEAST_CORRELATION}"
            )
    if len(passes) == 2 and not any(one.code for one in passes):
        if 1 in passes[1].steps:
            yield "the second run did not resume the first"
        if not validated(passes[1]):
            yield "there was no validation"


def correlation(one: Pass, step: int) -> float:
    """Return the agreement of rollout and actor in a step; NaN if it was not reported."""
    return one.steps.get(step, {}).get(_CORRELATION, float("nan"))


def validated(one: Pass) -> bool:
    """Return whether a program reported a validation."""
    return any(key.startswith("val-") for values in one.steps.values() for key in values)


def summary(passes: Sequence[Pass]) -> str:
    """Return the line that reports a success."""
    steps = [one.steps[number] for number, one in enumerate(passes, 1)]
    parts = [
        "2 steps, 1 validation, saved and resumed",
        f"rollout and actor agree ({min(step[_CORRELATION] for step in steps):.5f})",
        f"{steps[-1].get('timing_s/step', float('nan')):.0f} s for step 2",
    ]
    if peak := max(step.get("perf/max_memory_allocated_gb", 0.0) for step in steps):
        parts.append(f"{peak:.0f} GB of GPU memory at most")
    return ", ".join(parts)


def say(text: str) -> None:
    """Write a line for the user."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
