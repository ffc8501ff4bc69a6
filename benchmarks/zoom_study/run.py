"""Run the zoom study from scratch: maps, two supervised starts, and RL with and without the tool.

``python -m benchmarks.zoom_study.run WORK`` writes ``WORK/results``. It skips what exists, so after
a break it continues with the first unfinished run.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.evidence.subprocesses import rewardmap_command, run_subprocess
from rewardmap_verl.curriculum.groups import Group, group_metrics
from rewardmap_verl.curriculum.record import RECORD_NAME, read_record
from rewardmap_verl.preparation.atomic import remove_folder, write_bytes

ARMS = ("zoom", "overview")
SEEDS = (1, 2, 3)
TYPES = ("Counting2", "TorF1", "TorF2")
TRAINED = ("Counting2",)
"""Type of reinforcement learning. The supervised start has seen all types; all are held out."""
LEFT_OUT = tuple(kind for kind in TYPES if kind not in TRAINED)
SUPERVISED_STEPS = (300, 400)
"""Updates of 16 conversations each; the second part starts where the first has ended."""
STEPS = 6
"""Updates of reinforcement learning."""
PROMPTS = 8
"""Prompts of an update, with 8 answers each."""
RATE = 1e-4
"""Learning rate of reinforcement learning: a third of the option cpu's, which broke the calls."""

WORLD = (
    *("--size", "pocket", "--seed", "0", "--train-maps", "600", "--test-maps", "40"),
    *("--keep-originals", "--max-pixels", "9408", "--min-pixels", "3136"),
    *(word for kind in TYPES for word in ("--quota", f"{kind}=2")),
    *("--quota", "Counting1=0", "--quota", "Counting3=0", "--quota", "planning=0"),
)
"""Pocket maps of 224 x 168 pixels as originals; the model sees them at 112 x 84."""
TOOL = ("max_calls=2", "max_pixels=18816", "min_pixels=3136", "describe=false")
"""Two calls; half of an original has 112 x 168 pixels, so it is shown at full size."""
SUPERVISED = ("data.max_length=1024", "optim.lr=1e-3")

CORRELATION = "training/rollout_actor_probs_pearson_corr"
_STEP = re.compile(r"step:(\d+) - ")
_LIMIT = 3600.0


def main() -> None:
    """Run what is missing, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder for maps, models and runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    results = work / "results"
    results.mkdir(exist_ok=True)
    make_starts(work)
    for seed in options.seeds:
        for arm in options.arms:
            result = results / f"{arm}-{seed}.json"
            if not result.exists():
                seconds = train(work, arm, seed)
                content = json.dumps(collect(work, arm, seed, seconds)) + "\n"
                write_bytes(result, content.encode())


def make_starts(work: Path) -> None:
    """Prepare the maps, and teach the pretrained model each arm's conversations."""
    data, pocket = work / "data", work / "pocket"
    command(work, data, "prepare", "synthetic", *WORLD, "--out", data)
    command(work, pocket, "pocket-model", "--out", pocket)
    tool = [word for setting in TOOL for word in ("--zoom", setting)]
    settings = [word for setting in SUPERVISED for word in ("--override", setting)]
    for arm, reasoning in zip(ARMS, (["zoom", "--by-parts", *tool], ["none"]), strict=True):
        traces, model = work / f"traces-{arm}", pocket
        command(work, traces, "export", data, "verl", "--reasoning", *reasoning, "--out", traces)
        for part, steps in enumerate(SUPERVISED_STEPS, 1):
            start = work / f"start-{arm}-{part}"
            rows = ("--traces", traces / "train.parquet", "--steps", steps)
            command(work, start, "cold-start", model, data, *rows, *settings, "--out", start)
            model = start


def command(work: Path, output: Path, *words: object) -> None:
    """Run ``rewardmap`` unless its output exists."""
    if not output.exists():
        print(f"making {output.name}", flush=True)
        run_subprocess(rewardmap_command(*map(str, words)), work / f"{output.name}.log", _LIMIT)


def train(work: Path, arm: str, seed: int) -> float:
    """Train one arm with one seed from the first step; return the seconds it took."""
    remove_folder(work / f"run-{arm}-{seed}")
    print(f"training {arm}, seed {seed}", flush=True)
    words = [sys.executable, "-m", "verl.trainer.main_ppo", *overrides(work, arm, seed)]
    log = work / f"run-{arm}-{seed}.log"
    return run_subprocess(words, log, _LIMIT, {"VERL_PLATFORM": "cpu"})


def overrides(work: Path, arm: str, seed: int) -> list[str]:
    """Return the Hydra overrides of a run of ``python -m verl.trainer.main_ppo``."""
    zoom = ["data.max_response_length=480", *(f"data.zoom.{one}" for one in TOOL)]
    folder = work / f"run-{arm}-{seed}"
    return [
        "+recipe=rewardmap",
        f"+recipe/rewardmap=[{'cpu,zoom_cpu' if arm == 'zoom' else 'cpu'}]",
        *(zoom if arm == "zoom" else ()),
        f"data.folder={work / 'data'}",
        f"actor_rollout_ref.model.path={work / f'start-{arm}-{len(SUPERVISED_STEPS)}'}",
        f"data.train_batch_size={PROMPTS}",
        f"data.curriculum.stages=[{{name:reading,types:[{','.join(TRAINED)}],steps:{STEPS}}}]",
        f"data.curriculum.leave_out=[{','.join(LEFT_OUT)}]",
        f"actor_rollout_ref.actor.optim.lr={RATE}",
        "data.curriculum.replay=0",
        f"data.curriculum.seed={seed}",
        f"actor_rollout_ref.rollout.seed={seed}",
        f"trainer.test_freq={STEPS}",
        "trainer.save_freq=-1",
        "trainer.logger=[console]",
        f"trainer.default_local_dir={folder}",
        f"hydra.run.dir={folder / 'hydra'}",
    ]


def collect(work: Path, arm: str, seed: int, seconds: float) -> dict[str, Any]:
    """Return the result of a finished run: held-out answers before and after, and every step."""
    entries = read_record(work / f"run-{arm}-{seed}" / RECORD_NAME)
    held_out = {
        name: sorted(groups_of(entries, "val", step), key=lambda group: group.row)
        for name, step in (("before", 0), ("after", STEPS))
    }
    agreement = correlations(work / f"run-{arm}-{seed}.log")
    steps = [
        {"step": step, "correlation": agreement[step], **metrics(groups_of(entries, "train", step))}
        for step in range(1, STEPS + 1)
    ]
    return {
        "arm": arm,
        "seed": seed,
        "seconds": round(seconds),
        "questions": [[group.kind, group.place] for group in held_out["before"]],
        **{name: answers(groups) for name, groups in held_out.items()},
        "steps": steps,
    }


def groups_of(entries: Iterable[Any], part: str, step: int) -> list[Group]:
    """Return the groups of a training step or a validation."""
    return [g for one in entries if (one.part, one.step) == (part, step) for g in one.groups]


def answers(groups: Iterable[Group]) -> dict[str, list[float]]:
    """Return whether each held-out answer is right and readable, and its calls."""
    return {
        name: [fmean(value or 0.0 for value in group.scores.get(name, (0.0,))) for group in groups]
        for name in ("acc", "readable", "zoom_calls", "zoom_used")
    }


def metrics(groups: list[Group]) -> dict[str, float]:
    """Return the metrics of a training step."""
    chosen = ("acc", "no_signal", "unreadable", "zoom_used", "zoom_calls", "kl")
    found = group_metrics(groups)
    return {name: round(found[name], 5) for name in chosen if name in found}


def correlations(log: Path) -> dict[int, float]:
    """Return the correlation of the token probabilities of vLLM and the actor, by step."""
    found = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        step, value = _STEP.search(line), re.search(rf"{CORRELATION}:([0-9.e+-]+)", line)
        if step and value:
            found[int(step[1])] = float(value[1])
    return found


if __name__ == "__main__":
    main()
