"""Collect the result of a finished run from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from benchmarks.evidence.result import Answers, Question, Result, StepPoint, Validation
from benchmarks.evidence.reward_hacking import hacking_indicators
from benchmarks.evidence.study import Study, Trial, digest
from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.curriculum.groups import EVERY_TYPE, Group, group_metrics
from rewardmap_verl.curriculum.record import RECORD_NAME, Entry, read_record
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.gather import gather
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet, read_questions
from rewardmap_verl.evaluation.saved import SavedAnswers, read_saved
from rewardmap_verl.preflight.compose import compose_run
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.score import score_answer

__all__ = ["HeldOut", "collect", "is_finished", "judge_texts", "read_held_out"]

_PACKAGES = ("rewardmap-verl", "verl", "torch", "transformers")
_CURVE = (
    "groups",
    "rollouts",
    "score",
    "acc",
    "detail",
    "unreadable",
    "no_signal",
    "no_signal_binary",
)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The test questions with maps and with blank images, in the same order."""

    map: EvalSet
    blank: EvalSet


def read_held_out(study: Study) -> HeldOut:
    """Read the test questions of a study.

    Raises:
        DataError: They are not prepared, or the control does not match the test split.
    """
    found = HeldOut(read_questions(study.data), read_questions(study.blank))
    if [one.prompt for one in found.map.items] != [one.prompt for one in found.blank.items]:
        raise DataError(study.blank, hint="It holds other questions. Delete it and run again.")
    return found


def is_finished(study: Study, trial: Trial, questions: int) -> bool:
    """Return whether a run is complete: every step recorded, the last validation fully dumped."""
    folder = study.run_folder(trial)
    last = study.steps(trial.arm)
    dump = folder / "validation" / f"{last}.jsonl"
    if not dump.is_file() or not (folder / RECORD_NAME).is_file():
        return False
    with dump.open("rb") as file:
        complete = sum(line.endswith(b"\n") for line in file) == 2 * questions
    steps = {one.step for one in read_record(folder / RECORD_NAME) if one.part == "train"}
    return complete and steps == set(range(1, last + 1))


def collect(study: Study, trial: Trial, data: str, started: float, seconds: float) -> Result:
    """Collect the result of a run.

    Args:
        study: The study of the run.
        trial: The run.
        data: Fingerprint of the prepared folder.
        started: Start time, in seconds since the epoch.
        seconds: Duration.

    Raises:
        DataError: An output of a finished run is missing.
    """
    folder, held_out = study.run_folder(trial), read_held_out(study)
    texts = dict(_validated(folder / "validation", held_out))
    entries = read_record(folder / RECORD_NAME)
    first, last = min(texts), max(texts)
    own = _own_reward(study, trial)
    settings = study.settings(trial, data)
    return Result(
        arm=trial.arm,
        seed=trial.seed,
        budget=study.budget_name,
        fingerprint=digest(settings),
        settings=settings,
        claims=study.claims_digest,
        questions=tuple(_question(asked) for asked in held_out.map.items),
        validations=tuple(
            Validation(
                step=step,
                map=judge_texts(held_out.map.items, seen, step == last),
                blank=judge_texts(held_out.blank.items, blank, step == last),
            )
            for step, (seen, blank) in sorted(texts.items())
        ),
        curve=tuple(_curve(entries, started)),
        rollouts=sum(group.size for one in entries if one.part == "train" for group in one.groups),
        seconds=round(seconds, 1),
        reward_hacking={
            name: hacking_indicators(held_out.map.items, *texts[step], own)
            for name, step in (("before", first), ("after", last))
        },
        versions={name: version(name) for name in _PACKAGES},
    )


def _own_reward(study: Study, trial: Trial) -> RewardConfig:
    """Return the reward configuration of the run."""
    words = [word for word in study.overrides(trial) if not word.startswith("hydra.")]
    return read_block(RewardConfig, compose_run(words).reward.rewardmap, "reward.rewardmap")


def _question(asked: EvalQuestion) -> Question:
    truth = asked.truth
    return Question(
        key=asked.key,
        type=str(truth.type),
        place=f"{truth.country}/{truth.city}",
        transfers=truth.question_transfer_count,
    )


def _validated(
    folder: Path, held_out: HeldOut
) -> Iterator[tuple[int, tuple[list[str], list[str]]]]:
    """Yield (step, (answers, answers to blank images)) of each validation."""
    dumps = [path for path in folder.glob("*.jsonl") if path.stem.isdecimal()]
    if not dumps:
        raise DataError(folder, found="no validation dump", hint="Delete the folder and run again.")
    for path in dumps:
        saved = read_saved(path)
        yield int(path.stem), (_texts(saved, held_out.map), _texts(saved, held_out.blank))


def _texts(saved: SavedAnswers, questions: EvalSet) -> list[str]:
    golds = {asked.gold for asked in questions.items}
    mine = replace(saved, rows=tuple(row for row in saved.rows if row.gold in golds))
    answers = gather(mine, questions).answers
    missing = [asked.index for asked in questions.items if asked.key not in answers]
    if missing:
        hint = "The validation is incomplete. Delete the run folder and run again."
        raise DataError(saved.path, found=f"no answer to question {missing[0]}", hint=hint)
    return [str(answers[asked.key][0].response or "") for asked in questions.items]


def judge_texts(items: Sequence[EvalQuestion], texts: Sequence[str], keep: bool = False) -> Answers:
    """Score answers with the full reward, so that all arms are comparable."""
    config = RewardConfig()
    scores = [
        score_answer(text, asked.truth, asked.network, config)
        for asked, text in zip(items, texts, strict=True)
    ]
    return Answers(
        right=tuple(one.acc for one in scores),
        detail=tuple(None if one.detail is None else round(one.detail, 6) for one in scores),
        reward=tuple(round(one.score, 6) for one in scores),
        readable=tuple(one.readable for one in scores),
        text=tuple(texts) if keep else (),
    )


def _curve(entries: Sequence[Entry], started: float) -> Iterator[StepPoint]:
    for one in sorted((one for one in entries if one.part == "train"), key=lambda one: one.step):
        yield StepPoint(
            step=one.step,
            stage=one.groups[0].stage,
            seconds=round(one.time - started, 1),
            kinds=_metrics(one.groups),
        )


def _metrics(groups: Sequence[Group]) -> dict[str, dict[str, float]]:
    kinds = dict.fromkeys(group.kind for group in groups)
    chosen: Mapping[str, Sequence[Group]] = {
        EVERY_TYPE: groups,
        **{kind: [group for group in groups if group.kind == kind] for kind in kinds},
    }
    return {
        name: {key: round(value, 6) for key, value in group_metrics(some).items() if key in _CURVE}
        for name, some in chosen.items()
    }
