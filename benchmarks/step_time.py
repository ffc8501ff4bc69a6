"""Time of a CPU run: until the first step, per step, and per process.

    make prep-data && make train        # once: data and a model
    python benchmarks/step_time.py --steps 6 --out benchmarks/records/step_time.json

The benchmark starts a short training run in a temporary folder, samples its processes four times a
second, and parses the output of verl's console logger. It reports CPU seconds and wall time; on a
machine that runs other work as well, compare CPU seconds. Unset PYTHONDONTWRITEBYTECODE and run it
twice, so that it does not measure the compilation of modules. Arguments after ``--`` go to verl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

INTERVAL = 0.25
WARM_UP = 2  # steps that still warm up
MILESTONES = (
    ("Ray is up", "Started a local Ray instance"),
    ("dataset is built", "dataset len:"),
    ("actor and reference model stand", "After Actor FSDP"),
    ("first step begins", "Training Progress:"),
    ("validated", "step:0 - "),
    ("first step is done", "step:1 - "),
)
STEP = re.compile(r"step:(\d+) - (.*)")
TIMING = re.compile(r"timing_s/([\w/]+):(?:np\.float64\()?([0-9.e+-]+)")


@dataclass
class ProcessUsage:
    """Usage of one process; times in seconds since the start of the run, memory in bytes."""

    name: str
    started: float
    cpu: float = 0.0
    cpu_in_step: dict[int, float] = field(default_factory=dict)  # at the last sample during a step
    peak_memory: int = 0

    def cpu_until(self, step: int) -> float:
        """Return CPU seconds until the end of a step; the total if the process ended before."""
        return max((cpu for at, cpu in self.cpu_in_step.items() if at <= step), default=0.0)


@dataclass
class RunUsage:
    """Output and processes of a run."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    processes: dict[int, ProcessUsage] = field(default_factory=dict)
    seconds: float = 0.0
    code: int | None = None
    peak_memory: int = 0
    steps: int = 0


def main() -> None:
    """Run, measure, print the result and write the record."""
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        usage = measure_run(command(arguments, Path(folder)), Path(folder), arguments.timeout)
    if usage.code != 0:
        sys.stderr.write("\n".join(line for _, line in usage.lines[-60:]) + "\n")
        raise SystemExit(f"The run ended with {usage.code}.")
    if arguments.keep_log:
        text = "\n".join(f"{at:.2f} {line}" for at, line in usage.lines)
        arguments.keep_log.write_text(text, encoding="utf-8")
    record = summarize(usage)
    show(record)
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/synthetic"))
    parser.add_argument("--model", type=Path, default=Path("runs/synthetic/model"))
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--timeout", type=float, default=600, help="seconds")
    parser.add_argument("--out", type=Path, help="file for the record, as JSON")
    parser.add_argument("--keep-log", type=Path, help="file for the output, with times")
    parser.add_argument("overrides", nargs="*", help="arguments of verl")
    return parser.parse_args()


def command(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Return the command of a short run that writes to ``folder`` only."""
    return [
        *(sys.executable, "-m", "verl.trainer.main_ppo"),
        *("+recipe=rewardmap", "+recipe/rewardmap=[cpu]"),
        f"data.folder={arguments.data.resolve()}",
        f"actor_rollout_ref.model.path={arguments.model.resolve()}",
        f"trainer.default_local_dir={folder / 'checkpoints'}",
        f"trainer.total_training_steps={arguments.steps}",
        "trainer.logger=[console]",
        *arguments.overrides,
    ]


def measure_run(arguments: list[str], folder: Path, timeout: float) -> RunUsage:
    """Run a program to its end; record the time of each line and the usage of each process."""
    usage, log = RunUsage(), folder / "log.txt"
    begin = time.time()
    with log.open("wb") as out, log.open(encoding="utf-8", errors="replace") as back:
        program = subprocess.Popen(
            arguments,
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "VERL_PLATFORM": "cpu"},
        )
        try:
            while program.poll() is None and time.time() - begin < timeout:
                sample(program.pid, usage, begin)
                usage.lines += [(time.time() - begin, line) for line in new_lines(back)]
                time.sleep(INTERVAL)
        finally:
            end(program)
        usage.lines += [(time.time() - begin, line) for line in new_lines(back)]
    usage.seconds, usage.code = time.time() - begin, program.returncode
    return usage


def new_lines(file: Iterable[str]) -> Iterator[str]:
    """Yield the lines written since the last call."""
    for text in file:
        yield from text.replace("\r", "\n").splitlines()


def sample(pid: int, usage: RunUsage, begin: float) -> None:
    """Update the usage of the run's processes."""
    try:
        root = psutil.Process(pid)
        running = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    usage.steps = max([usage.steps, *steps_in(line for _, line in usage.lines[-20:])])
    total = 0
    for process in running:
        try:
            with process.oneshot():
                name, started = name_of(process), process.create_time() - begin
                times, memory = process.cpu_times(), process.memory_info()
        except psutil.Error:
            continue
        one = usage.processes.setdefault(process.pid, ProcessUsage(name, started))
        one.name = name
        one.cpu = times.user + times.system
        one.cpu_in_step[usage.steps + 1] = one.cpu
        own = memory.rss - memory.shared
        one.peak_memory = max(one.peak_memory, own)
        total += own
    usage.peak_memory = max(usage.peak_memory, total)


def steps_in(lines: Iterable[str]) -> Iterator[int]:
    """Return the numbers of the steps whose metrics are in ``lines``."""
    return (int(found[1]) for line in lines if (found := STEP.search(line)))


def name_of(process: psutil.Process) -> str:
    """Return a process's title, such as ``ray::TaskRunner`` or ``raylet``."""
    arguments = process.cmdline()
    title = arguments[0] if arguments else process.name()
    if title.startswith(("ray::", "VLLM")):
        return re.split(r"[.(\s]", title)[0]
    if "verl.trainer.main_ppo" in arguments:
        return "main_ppo"
    scripts = [Path(part).name for part in arguments[1:3] if part.endswith(".py")]
    return scripts[0] if scripts else Path(title.split()[0]).name


def end(program: subprocess.Popen[bytes]) -> None:
    """Kill the run and its descendants if they are still running."""
    if program.poll() is not None:
        return
    descendants = psutil.Process(program.pid).children(recursive=True)
    program.kill()
    for process in descendants:
        if process.is_running():
            process.kill()
    program.wait()


def summarize(usage: RunUsage) -> dict[str, object]:
    """Return the record of a run."""
    milestones = {
        name: round(next((at for at, line in usage.lines if mark in line), -1), 2)
        for name, mark in MILESTONES
    }
    processes = sorted(usage.processes.values(), key=lambda one: one.started)
    timings: dict[str, list[float]] = defaultdict(list)
    for _, line in usage.lines:
        match = STEP.search(line)
        if match and int(match[1]) > WARM_UP:
            for name, value in TIMING.findall(match[2]):
                timings[name].append(float(value))
    return {
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "keeps_compiled_modules": not sys.dont_write_bytecode,
        },
        "seconds": round(usage.seconds, 2),
        "seconds_until": milestones,
        "median_seconds_of_a_step": {
            name: round(median(values), 4)
            for name, values in sorted(timings.items())
            if "/" not in name
        },
        "cpu_seconds": round(sum(one.cpu for one in processes), 1),
        "cpu_seconds_before_the_first_step_ends": round(
            sum(one.cpu_until(1) for one in processes), 1
        ),
        "cpu_seconds_of_a_step": round(sum(of_a_step(one, usage.steps) for one in processes), 2),
        "peak_own_memory_bytes": usage.peak_memory,
        "processes": [
            {
                "name": one.name,
                "started": round(one.started, 2),
                "cpu": round(one.cpu, 2),
                "cpu_until_first_step": round(one.cpu_until(1), 2),
                "cpu_of_a_step": round(of_a_step(one, usage.steps), 3),
                "peak_memory": one.peak_memory,
            }
            for one in processes
        ],
    }


def of_a_step(process: ProcessUsage, steps: int) -> float:
    """Return CPU seconds per step; 0 if the run was too short.

    This is the mean over the steps between the warm-up and the last one, which also saves and
    validates.
    """
    between = steps - 1 - WARM_UP
    if between < 1:
        return 0.0
    return (process.cpu_until(steps - 1) - process.cpu_until(WARM_UP)) / between


def show(record: dict[str, object]) -> None:
    """Print the record as tables."""
    console = Console()
    for title in ("seconds_until", "median_seconds_of_a_step"):
        table = Table(title=title.replace("_", " "), title_justify="left")
        for column in ("", "seconds"):
            table.add_column(column)
        for name, value in record[title].items():  # type: ignore[attr-defined]
            table.add_row(name, f"{value:.2f}")
        console.print(table)
    table = Table(title="processes with more than 1 CPU second", title_justify="left")
    for column in (
        "process",
        "started at s",
        "CPU s",
        "until first step",
        "of a step",
        "private memory MB",
    ):
        table.add_column(column)
    for one in record["processes"]:  # type: ignore[attr-defined]
        if one["cpu"] > 1:
            table.add_row(
                *(one["name"], f"{one['started']:.1f}", f"{one['cpu']:.1f}"),
                *(f"{one['cpu_until_first_step']:.1f}", f"{one['cpu_of_a_step']:.2f}"),
                f"{one['peak_memory'] / 1e6:.0f}",
            )
    console.print(table)
    console.print(
        f"total {record['seconds']} s, {record['cpu_seconds']} CPU s, "
        f"{record['cpu_seconds_before_the_first_step_ends']} of them until step 1 ends; "
        f"peak private memory {record['peak_own_memory_bytes'] / 1e9:.1f} GB"  # type: ignore
    )


if __name__ == "__main__":
    main()
