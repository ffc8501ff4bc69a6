"""Where the time of a run on the CPU goes: to the first step, in a step, in each process.

    make prep-data && make train        # once: data and a model
    python benchmarks/step_time.py --steps 6 --out benchmarks/records/step_time.json

It starts a short training run in a folder of its own, looks at its processes four times a second,
and reads what verl's console logger prints. CPU seconds are shown beside seconds of the clock: on a
machine that does other work too, they are the ones to compare. Unset PYTHONDONTWRITEBYTECODE and
run it twice, or it measures how long Python takes to compile. Arguments after ``--`` go to verl.
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
class Seen:
    """One process of the run; times in seconds since the run began, memory in bytes."""

    name: str
    started: float
    cpu: float = 0.0
    cpu_in_step: dict[int, float] = field(default_factory=dict)  # at the last look during a step
    peak_memory: int = 0

    def cpu_until(self, step: int) -> float:
        """CPU seconds until the end of a step; all of them if the process ended before."""
        return max((cpu for at, cpu in self.cpu_in_step.items() if at <= step), default=0.0)


@dataclass
class Watched:
    """What was seen of a run."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    processes: dict[int, Seen] = field(default_factory=dict)
    seconds: float = 0.0
    code: int | None = None
    peak_memory: int = 0
    steps: int = 0


def main() -> None:
    """Run, watch, print, and keep the record."""
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        watched = watch(command(arguments, Path(folder)), Path(folder), arguments.timeout)
    if watched.code != 0:
        sys.stderr.write("\n".join(line for _, line in watched.lines[-60:]) + "\n")
        raise SystemExit(f"The run ended with {watched.code}.")
    if arguments.keep_log:
        text = "\n".join(f"{at:.2f} {line}" for at, line in watched.lines)
        arguments.keep_log.write_text(text, encoding="utf-8")
    record = summarize(watched)
    show(record)
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/synthetic"))
    parser.add_argument("--model", type=Path, default=Path("runs/synthetic/model"))
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--timeout", type=float, default=600, help="seconds")
    parser.add_argument("--out", type=Path, help="where the record goes, as JSON")
    parser.add_argument("--keep-log", type=Path, help="where the output goes, with times")
    parser.add_argument("overrides", nargs="*", help="arguments of verl")
    return parser.parse_args()


def command(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """The command of a short run that leaves nothing behind."""
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


def watch(arguments: list[str], folder: Path, timeout: float) -> Watched:
    """Run a program to its end, noting when each line came and what each process used."""
    watched, log = Watched(), folder / "log.txt"
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
                look(program.pid, watched, begin)
                watched.lines += [(time.time() - begin, line) for line in new_lines(back)]
                time.sleep(INTERVAL)
        finally:
            end(program)
        watched.lines += [(time.time() - begin, line) for line in new_lines(back)]
    watched.seconds, watched.code = time.time() - begin, program.returncode
    return watched


def new_lines(file: Iterable[str]) -> Iterator[str]:
    """Lines written since the last call."""
    for text in file:
        yield from text.replace("\r", "\n").splitlines()


def look(pid: int, watched: Watched, begin: float) -> None:
    """Note what the processes of the run have used until now."""
    try:
        root = psutil.Process(pid)
        running = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    watched.steps = max([watched.steps, *steps_in(line for _, line in watched.lines[-20:])])
    total = 0
    for process in running:
        try:
            with process.oneshot():
                name, started = name_of(process), process.create_time() - begin
                times, memory = process.cpu_times(), process.memory_info()
        except psutil.Error:
            continue
        seen = watched.processes.setdefault(process.pid, Seen(name, started))
        seen.name = name
        seen.cpu = times.user + times.system
        seen.cpu_in_step[watched.steps + 1] = seen.cpu
        own = memory.rss - memory.shared
        seen.peak_memory = max(seen.peak_memory, own)
        total += own
    watched.peak_memory = max(watched.peak_memory, total)


def steps_in(lines: Iterable[str]) -> Iterator[int]:
    """Numbers of the steps whose metrics stand in ``lines``."""
    return (int(found[1]) for line in lines if (found := STEP.search(line)))


def name_of(process: psutil.Process) -> str:
    """A process as its program calls itself: ``ray::TaskRunner``, ``raylet``, ``python -m …``."""
    arguments = process.cmdline()
    title = arguments[0] if arguments else process.name()
    if title.startswith(("ray::", "VLLM")):
        return re.split(r"[.(\s]", title)[0]
    if "verl.trainer.main_ppo" in arguments:
        return "main_ppo"
    scripts = [Path(part).name for part in arguments[1:3] if part.endswith(".py")]
    return scripts[0] if scripts else Path(title.split()[0]).name


def end(program: subprocess.Popen[bytes]) -> None:
    """End the run and its descendants, if they have not ended."""
    if program.poll() is not None:
        return
    descendants = psutil.Process(program.pid).children(recursive=True)
    program.kill()
    for process in descendants:
        if process.is_running():
            process.kill()
    program.wait()


def summarize(watched: Watched) -> dict[str, object]:
    """What is printed and kept."""
    milestones = {
        name: round(next((at for at, line in watched.lines if mark in line), -1), 2)
        for name, mark in MILESTONES
    }
    processes = sorted(watched.processes.values(), key=lambda one: one.started)
    timings: dict[str, list[float]] = defaultdict(list)
    for _, line in watched.lines:
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
        "seconds": round(watched.seconds, 2),
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
        "cpu_seconds_of_a_step": round(sum(of_a_step(one, watched.steps) for one in processes), 2),
        "peak_own_memory_bytes": watched.peak_memory,
        "processes": [
            {
                "name": one.name,
                "started": round(one.started, 2),
                "cpu": round(one.cpu, 2),
                "cpu_until_first_step": round(one.cpu_until(1), 2),
                "cpu_of_a_step": round(of_a_step(one, watched.steps), 3),
                "peak_memory": one.peak_memory,
            }
            for one in processes
        ],
    }


def of_a_step(process: Seen, steps: int) -> float:
    """CPU seconds of one step: the mean of those after the warm-up and before the last, which
    saves and validates as well; 0 if the run had no such step."""
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
        "own memory MB",
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
        f"in all {record['seconds']} s, {record['cpu_seconds']} CPU s, "
        f"{record['cpu_seconds_before_the_first_step_ends']} of them before the first step's end; "
        f"peak memory of its own {record['peak_own_memory_bytes'] / 1e9:.1f} GB"  # type: ignore
    )


if __name__ == "__main__":
    main()
