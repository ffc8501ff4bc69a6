"""What the terminal shows of a run."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import Entry, RecordWriter
from rewardmap_verl.inputs.followed_file import FollowedFile
from rewardmap_verl.launch.display import Display
from rewardmap_verl.launch.follow import FollowedRecord
from rewardmap_verl.launch.log_text import cause_of_failure, clean, ended_phase, notes_in
from rewardmap_verl.launch.run_plan import RunPlan
from rewardmap_verl.launch.step_lines import StepLines, clock, seconds_text
from rewardmap_verl.launch.training import run_training


def group(kind: str, row: int, right: tuple[float, ...], stage: str = "counting") -> Group:
    scores = {"acc": right, "score": tuple(11 * value for value in right)}
    return Group(stage, kind, row, row, 0, False, scores)


STEP = (group("Counting2", 0, (1.0, 0.0)), group("Counting3", 1, (0.0, 0.0)))
VALIDATION = (group("TorF1", 0, (1.0,)), group("planning", 1, (0.0,)))


# Steps and validations


def lines_of(*entries: Entry) -> list[str]:
    lines = StepLines(33, ["judgment", "counting"], every=1)
    return [text for entry in entries for text in lines.add(entry)]


def test_a_step_is_one_line() -> None:
    first, second = lines_of(Entry("train", 11, 100.0, STEP), Entry("train", 12, 104.1, STEP))
    assert first == "11/33 counting  reward  2.75  acc  25%  signal  50%"
    assert second == "12/33 counting  reward  2.75  acc  25%  signal  50%   4.1 s  eta 1:26"


def test_several_steps_can_share_a_line() -> None:
    lines = StepLines(5, ["counting"], every=2)
    entries = [Entry("train", step, 4.0 * step, STEP) for step in range(1, 6)]
    shown = [text for entry in entries for text in lines.add(entry)]
    assert [text.split()[0] for text in shown] == ["2/5", "4/5", "5/5"]
    assert shown[1] == "4/5 counting  reward  2.75  acc  25%  signal  50%   4.0 s  eta 0:04"


def test_short_steps_share_a_line_within_a_stage() -> None:
    judgment = (group("TorF1", 0, (1.0,), "judgment"),)
    steps = [(1, judgment), (2, judgment), (3, STEP), (4, STEP), (5, STEP), (6, STEP)]
    lines = StepLines(6, ["judgment", "counting"])
    entries = [Entry("train", step, 6.0 * step, groups) for step, groups in steps]
    shown = [text.split()[:2] for entry in entries for text in lines.add(entry)]
    assert shown == [
        ["1/6", "judgment"],
        ["2/6", "judgment"],
        ["4/6", "counting"],
        ["6/6", "counting"],
    ]


def test_a_validation_is_a_table_with_the_first_one_beside_it() -> None:
    right = (group("TorF1", 0, (1.0,)), group("planning", 1, (1.0,)))
    found = lines_of(
        Entry("val", 0, 90.0, VALIDATION[:1]),
        Entry("val", 0, 91.0, VALIDATION[1:]),
        Entry("train", 1, 100.0, STEP),
        Entry("val", 1, 110.0, right),
        Entry("train", 2, 120.0, STEP),
    )
    assert found[0] == "validation after 0 steps, 2 questions"
    assert found[1].split() == ["TorF1", "planning", "all"]
    assert found[2].split() == ["accuracy", "100%", "0%", "50%"]
    assert found[6].split() == ["accuracy", "100%", "100%", "100%"]
    assert found[7].split() == ["at", "first", "100%", "0%", "50%"]
    assert {len(line) for line in found[5:8]} == {len(found[5])}, "columns are aligned"


def test_durations() -> None:
    assert [clock(9.6), clock(100), clock(7300)] == ["0:10", "1:40", "2:01:40"]
    assert [seconds_text(4.12), seconds_text(130.4)] == ["4.1 s", "130 s"]


# Files that grow


def test_only_complete_new_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    followed = FollowedFile(path)
    assert followed.read() == []
    path.write_bytes(b"one\ntw")
    assert followed.read() == ["one"]
    with path.open("ab") as file:
        file.write("o\ndrei \N{BLACK CIRCLE}\n".encode())
    assert followed.read() == ["two", "drei \N{BLACK CIRCLE}"]


def test_a_resumed_record_gives_new_entries_only(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    times = iter([10.0, 11.0, 12.0, 13.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rewardmap_verl.curriculum.record.time.time", lambda: next(times))
        RecordWriter(path).write("train", 1, STEP)
        RecordWriter(path).write("train", 2, STEP)
        followed = FollowedRecord(path)
        writer = RecordWriter(path)
        writer.write("train", 2, STEP)  # returns to step 2: the record is rewritten
        assert [entry.step for entry in followed.read()] == [2]
        writer.write("train", 3, STEP)
    assert [entry.step for entry in followed.read()] == [3]


# The output of a run

REFUSED = """rewardmap: the run was stopped before it started:
  1. data.folder (found 'data/x'): There is no such file.
`rewardmap doctor` checks the installation."""

STOPPED = """\x1b[36m(TaskRunnerV1 pid=7)\x1b[0m Error executing job
Traceback (most recent call last):
  File "main_ppo.py", line 90, in run_ppo
ray.exceptions.RayTaskError(RunStoppedError): \x1b[36mray::TaskRunnerV1.run()\x1b[39m (pid=7)
  File "replay_buffer.py", line 97, in sample
rewardmap_verl.errors.RunStoppedError: rewardmap: 1 of 8 groups of step 3 have a failed answer."""

FOREIGN = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
torch.OutOfMemoryError: no memory
Shutting down"""


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        (REFUSED, REFUSED.removeprefix("rewardmap: ").splitlines()),
        (STOPPED, ["1 of 8 groups of step 3 have a failed answer."]),
        (FOREIGN, ["torch.OutOfMemoryError: no memory"]),
        ("hello", []),
    ],
)
def test_the_cause_of_a_failure(output: str, cause: list[str]) -> None:
    assert cause_of_failure(output.splitlines()) == cause


def test_lines_of_other_processes() -> None:
    text = "INFO:actor and ref model engine initialized"
    line = f"\x1b[36m(TaskRunnerV1 pid=7, ip=10.0.0.1)\x1b[0m {text}"
    assert clean(line) == text
    assert ended_phase(line) == "actor and reference model are loaded"
    warning = "  warning: data.train_batch_size: It is small."
    assert list(notes_in([warning, "other", "smoke: passed"])) == [warning.strip(), "smoke: passed"]


# A program that writes what verl writes

PROGRAM = """
import json, pathlib, sys, time
print("rewardmap:\\n  warning: a: b.\\n  warning: a: b.")
print("Started a local Ray instance.")
print("x" * 5000)
record = pathlib.Path(sys.argv[1])
record.parent.mkdir(parents=True, exist_ok=True)
with record.open("a") as file:
    for line in json.loads(sys.argv[2]):
        file.write(json.dumps({**line, "time": time.time()}) + "\\n")
        file.flush()
        time.sleep(0.01)
print("rewardmap: something broke.\\n  fix it")
sys.exit(int(sys.argv[3]))
"""


def run(folder: Path, code: int, verbose: bool = False) -> tuple[int, str]:
    record = folder / "checkpoints" / "record.jsonl"
    groups = {"val": VALIDATION, "train": STEP}
    lines = [
        {"part": part, "step": step, "groups": [one.as_json() for one in groups[part]]}
        for part, step in (("val", 0), ("train", 1), ("train", 2), ("val", 2))
    ]
    words = (str(record), json.dumps(lines), str(code))
    script = folder / "program.py"
    script.write_text(PROGRAM)
    program = (sys.executable, "-S", str(script))
    plan = RunPlan(folder, words, {}, record, 2, ("counting",), program)
    console = Console(file=io.StringIO(), width=80)
    with Display(console) as display:
        ended = run_training(plan, display, verbose, every=1)
    assert isinstance(console.file, io.StringIO)
    return ended, console.file.getvalue()


def test_a_run_shows_phases_steps_and_validations_only(tmp_path: Path) -> None:
    code, shown = run(tmp_path, 0)
    lines = shown.splitlines()
    assert code == 0
    assert lines[0] == "warning: a: b."
    assert lines[1].endswith("  Ray is running")
    assert [line[:27].strip() for line in lines[2:]] == [
        "validation after 0 steps, 2",
        "TorF1  planning",
        "accuracy   100%        0%",
        "1/2 counting  reward  2.75",
        "2/2 counting  reward  2.75",
        "validation after 2 steps, 2",
        "TorF1  planning",
        "accuracy   100%        0%",
        "at first   100%        0%",
    ]
    assert "x" * 5000 in (tmp_path / "train.log").read_text()


def test_output_cannot_control_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=80)
    Display(console).line("a\x1b]0;title\x07b\u009bc [bold]")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "a]0;titlebc [bold]\n"


def test_a_failed_run_shows_its_cause_and_the_end_of_its_log(tmp_path: Path) -> None:
    code, shown = run(tmp_path, 7)
    assert code == 7
    assert "exit code 7.\nsomething broke.\n  fix it\nLast lines of" in shown


def test_verbose_shows_everything(tmp_path: Path) -> None:
    _, shown = run(tmp_path, 0, verbose=True)
    assert "x" * 5000 in shown and "1/2 counting" in shown
