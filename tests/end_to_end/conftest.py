"""Runs of the real stack: every program with an outer time-out, nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from rewardmap_verl.curriculum.record import RECORD_NAME, read_record
from rewardmap_verl.errors import DataError


@dataclass
class Finished:
    """A program that has ended, of itself or stopped by us."""

    code: int | None
    output: str
    steps: dict[int, dict[str, float]] = field(default_factory=dict)
    """Metrics that verl printed, by training step."""


class Stack:
    """Starts programs of the stack in a folder and stops whatever they leave running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peak_bytes = 0
        self._started: dict[int, psutil.Process] = {}

    def start(
        self, *command: str, log: Path, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program that runs beside the test; ``stop_all`` ends it."""
        with log.open("wb") as file:
            program = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._see(psutil.Process(program.pid))
        return program

    def run(
        self,
        *command: str,
        timeout: float,
        stop_when: Callable[[], bool] | None = None,
        environment: dict[str, str] | None = None,
        keep: bool = False,
    ) -> Finished:
        """Run a program until it ends, or is killed because ``stop_when`` says so.

        What ran before goes on where ``keep`` says so, and is ended otherwise.

        Raises:
            pytest.fail: It did not end in time.
        """
        log = self.folder / f"log-{len(list(self.folder.glob('log-*')))}.txt"
        program = self.start(*command, log=log, environment=environment)
        beside = {one.pid for one in self.running()} - {program.pid} if keep else set()
        try:
            in_time = self._watch(program, timeout, stop_when)
        finally:
            self.stop_all(but=beside)
        output = log.read_text(encoding="utf-8", errors="replace")
        if not in_time:
            pytest.fail(f"no end after {timeout:g} s: {' '.join(command)}\n{output[-6000:]}")
        return Finished(program.returncode, output, printed_steps(output))

    def start_training(self, *overrides: str, log: Path) -> subprocess.Popen[bytes]:
        """Start verl's trainer with the recipe and its CPU option, beside the test."""
        command = (sys.executable, "-m", "verl.trainer.main_ppo", "+recipe=rewardmap")
        return self.start(
            *command,
            "+recipe/rewardmap=[cpu]",
            *overrides,
            log=log,
            environment={"VERL_PLATFORM": "cpu"},
        )

    def observe(self) -> None:
        """Look for new descendants of what was started here."""
        for process in self.running():
            self._see(process)

    def train(
        self, *overrides: str, recipe: str = "cpu", timeout: float = 600, **options: object
    ) -> Finished:
        """Run verl's trainer with the recipe and its CPU option, or with those of ``recipe``."""
        return self.run(
            sys.executable,
            *("-m", "verl.trainer.main_ppo", "+recipe=rewardmap"),
            f"+recipe/rewardmap=[{recipe}]",
            *overrides,
            timeout=timeout,
            environment={"VERL_PLATFORM": "cpu"},
            **options,  # type: ignore[arg-type]
        )

    def rewardmap(self, *arguments: str, timeout: float = 300) -> Finished:
        """Run a command of ours, which must succeed."""
        done = self.run(
            sys.executable,
            *("-c", "from rewardmap_verl.commands.main import app; app()"),
            *arguments,
            timeout=timeout,
        )
        assert done.code == 0, done.output
        return done

    def running(self) -> list[psutil.Process]:
        """Processes that were started here and still run."""
        return [process for process in self._started.values() if process.is_running()]

    def descendants(self, name: str) -> list[psutil.Process]:
        """Processes that were started here, or by one of those, and whose name has this in it."""
        for process in self.running():
            self._see(process)
        return [process for process in self.running() if name in name_of(process)]

    def strike(self, name: str, act: Callable[[psutil.Process], object]) -> Callable[[], bool]:
        """What does something to every process of a name, and says whether there was one."""

        def struck() -> bool:
            found = self.descendants(name)
            for process in found:
                act(process)
            return bool(found)

        return struck

    def after(self, run: str, step: int, act: Callable[[], bool]) -> Callable[[], bool]:
        """For ``stop_when``: does something once, in the middle of a step that this attempt begins,
        when its answers are there; it never stops the program itself."""
        record = self.folder / run / RECORD_NAME
        began = time.time()
        left = [act]

        def look() -> bool:
            if left and step in steps_since(record, began) and act():
                left.clear()
            return False

        return look

    def stop_all(self, but: Collection[int] = ()) -> None:
        """End every process that was started here, and every descendant seen of it."""
        for process in self.running():
            self._see(process)
        kept = {pid for process in self.running() if process.pid in but for pid in tree(process)}
        ending = [process for process in self.running() if process.pid not in kept]
        for process in ending:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(ending, timeout=20)

    def _watch(
        self,
        program: subprocess.Popen[bytes],
        timeout: float,
        stop_when: Callable[[], bool] | None,
    ) -> bool:
        end = time.monotonic() + timeout
        while program.poll() is None:
            try:
                self._see(psutil.Process(program.pid))
            except psutil.NoSuchProcess:
                break
            if stop_when is not None and stop_when():
                return True
            if time.monotonic() > end:
                return False
            time.sleep(0.5)
        return True

    def _see(self, process: psutil.Process) -> None:
        try:
            seen = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        self._started |= {one.pid: one for one in seen if one.pid not in self._started}
        self.peak_bytes = max(self.peak_bytes, sum(map(memory_of, seen)))


def steps_since(record: Path, began: float) -> list[int]:
    """Training steps that a record has of an attempt, while it is being written."""
    try:
        return [one.step for one in read_record(record) if one.time > began and one.part == "train"]
    except (DataError, FileNotFoundError):
        return []


def tree(process: psutil.Process) -> set[int]:
    """A process and all that it has started, as ids."""
    try:
        return {process.pid, *(child.pid for child in process.children(recursive=True))}
    except psutil.NoSuchProcess:
        return set()


def name_of(process: psutil.Process) -> str:
    """What a process calls itself; empty for one that has just ended."""
    try:
        return " ".join(process.cmdline()) or str(process.name())
    except psutil.Error:
        return ""


def memory_of(process: psutil.Process) -> int:
    """Resident memory in bytes; 0 for a process that has just ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def printed_steps(output: str) -> dict[int, dict[str, float]]:
    """Read the lines that verl's console logger prints: ``step:3 - key:0.5 - …``."""
    steps: dict[int, dict[str, float]] = {}
    for line in output.splitlines():
        at = line.find("step:")
        if at < 0 or " - " not in line[at:]:
            continue
        pairs = [part.rpartition(":") for part in line[at:].split(" - ")]
        try:
            values = {name.strip(): float(plain(value)) for name, _, value in pairs}
        except ValueError:
            continue
        steps.setdefault(int(values.pop("step")), {}).update(values)
    return steps


def plain(value: str) -> str:
    """``np.float64(0.5)`` → ``0.5``."""
    value = value.strip()
    return value[value.index("(") + 1 : -1] if value.startswith("np.") else value


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once for all tests: ``data`` of four maps, ``data-sft.parquet`` of it, a tiny model
    (``untrained``), and the same one that has seen the answer formats (``model``)."""
    maker = Stack(tmp_path_factory.mktemp("prepared"))
    maker.rewardmap(
        *("prepare", "synthetic", "--size", "tiny", "--seed", "3"),
        *("--train-maps", "4", "--test-maps", "3", "--quota", "Counting1=4", "--out", "data"),
    )
    maker.rewardmap("sft-rows", "data")
    maker.rewardmap("tiny-model", "data", "--out", "untrained")
    maker.rewardmap("cold-start", "untrained", "data", "--out", "model", "--steps", "40")
    return maker.folder


@pytest.fixture(scope="session")
def small(prepared: Path) -> Callable[..., list[str]]:
    """Settings of a run as short as can be: four prompts a step, no validation."""

    def settings(run: str, steps: int, *more: str, model: Path | None = None) -> list[str]:
        return [
            f"data.folder={prepared / 'data'}",
            f"actor_rollout_ref.model.path={model or prepared / 'model'}",
            f"trainer.default_local_dir={run}",
            "data.train_batch_size=4",
            "actor_rollout_ref.rollout.n=4",
            "data.curriculum.replay=0",
            f"trainer.total_training_steps={steps}",
            "trainer.val_before_train=False",
            "trainer.test_freq=-1",
            "trainer.logger=[console]",
            *more,
        ]

    return settings


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own folder; afterwards nothing of it runs."""
    started = Stack(tmp_path_factory.mktemp("stack"))
    yield started
    started.stop_all()
    assert started.running() == []


@pytest.fixture(scope="module")
def cities(stack: Stack, shared_data: Path) -> Callable[[Collection[str]], Path]:
    """Copies maps and networks of real cities into a folder that ``prepare local`` reads."""

    def copy(places: Collection[str]) -> Path:
        folder = stack.folder / "cities"
        for place in places:
            for name in (f"maps/{place}.png", f"stations/{place}.json"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(shared_data / name, folder / name)
        return folder

    return copy
