"""A protocol with a budget and folders: the runs of a study and their command lines."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.evidence.protocol import SEED, STEPS, Arm, Budget, Protocol, StageShare, stage_steps
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.tiny_model.pocket_model import weights_digest

__all__ = ["Study", "Trial", "digest"]

FIRST_SEED = 1

_OUTPUT_SETTINGS = (
    "trainer.logger=[console]",
    "trainer.rollout_data_dir=null",
    "trainer.save_freq=1000000",  # a checkpoint of the last step only
    "trainer.experiment_name=evidence",
)
"""The collector reads validation dumps and the step record; a run writes no other outputs."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run: an arm with a seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"{self.arm}, seed {self.seed}"


@dataclass(frozen=True)
class Study:
    """A protocol, a budget, and the folders to work in."""

    protocol: Protocol
    budget_name: str
    work: Path
    """Data, models, runs and logs; may be deleted afterwards."""
    out: Path
    """Results, the source of all tables and figures."""

    @property
    def budget(self) -> Budget:
        """Number and length of the runs."""
        return self.protocol.budget(self.budget_name)

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that the budget runs."""
        return self.budget.arms or tuple(self.protocol.arms)

    def arm(self, name: str) -> Arm:
        """Return an arm by name.

        Raises:
            ConfigError: The budget has no such arm.
        """
        if name not in self.arms:
            hint = f"The budget {self.budget_name} runs {', '.join(self.arms)}."
            raise ConfigError("--arm", found=name, hint=hint)
        return self.protocol.arms[name]

    def trials(self, arms: tuple[str, ...] = (), seeds: int | None = None) -> tuple[Trial, ...]:
        """Return all runs, seed by seed, so that an early stop leaves complete comparisons.

        Raises:
            ConfigError: An arm is unknown, or ``seeds`` is below 1.
        """
        count = self.budget.seeds if seeds is None else seeds
        if count < 1:
            raise ConfigError("--seeds", found=count, hint="Pass at least 1.")
        for name in arms:
            self.arm(name)
        chosen = [name for name in self.arms if not arms or name in arms]
        return tuple(
            Trial(arm, seed) for seed in range(FIRST_SEED, FIRST_SEED + count) for arm in chosen
        )

    @property
    def data(self) -> Path:
        """The prepared folder."""
        return self.work / "data"

    @property
    def blank(self) -> Path:
        """The test questions with blank images."""
        return self.work / "blank"

    @property
    def start_model(self) -> Path:
        """The model that every arm starts from."""
        return self.work / "models" / "start"

    @property
    def starts(self) -> list[Path]:
        """The pretrained model, and the output of each cold start; the last is the start model."""
        before = range(len(self.protocol.model.cold_start))
        return [
            *(self.start_model.with_name(f"start-{number}") for number in before),
            self.start_model,
        ]

    def model(self, trial: Trial) -> Path:
        """Return the model that a run starts from: the shared one, or that one after SFT."""
        if self.protocol.arms[trial.arm].sft is None:
            return self.start_model
        return self.work / "models" / f"seed-{trial.seed}" / trial.arm

    def run_folder(self, trial: Trial) -> Path:
        """Return the output folder of a run."""
        return self.work / self.budget_name / trial.arm / f"seed-{trial.seed}"

    def result(self, trial: Trial) -> Path:
        """Return the result file of a run."""
        return self.out / trial.arm / f"seed-{trial.seed}.json"

    def sft_steps(self, arm: str) -> int:
        """Return the number of supervised steps of an arm."""
        return round(self.budget.steps * self.protocol.arms[arm].sft_share)

    def steps(self, arm: str) -> int:
        """Return the number of RL steps of an arm."""
        return self.budget.steps - self.sft_steps(arm)

    def stages(self, arm: str) -> list[dict[str, Any]]:
        """Return the curriculum of an arm as ``data.curriculum.stages``."""
        shares, steps = self.protocol.stages, self.steps(arm)
        order = self.protocol.arms[arm].order
        if order == "last":
            last = shares[-1]
            return [
                {"name": last.name, "mixture": self._mixture(self._asked(last)), "steps": steps}
            ]
        if order == "staged":
            return [
                {"name": stage.name, "mixture": self._mixture(self._asked(stage)), "steps": length}
                for stage, length in zip(shares, stage_steps(shares, steps), strict=True)
            ]
        return [{"name": "all", "mixture": self._mixture(self.type_shares), "steps": steps}]

    def _asked(self, stage: StageShare) -> dict[str, float]:
        """Return the share of each type in a stage: its share of the questions per map."""
        asked = {kind: self.protocol.world.questions[kind] for kind in stage.types}
        return {kind: count / sum(asked.values()) for kind, count in asked.items()}

    def _mixture(self, shares: Mapping[str, float]) -> list[dict[str, Any]]:
        """Return one part per question type, as in ``data.curriculum``."""
        transfers = self.protocol.training.transfers
        trips = {"where": {"question_transfer_count": list(transfers)}} if transfers else {}
        return [
            {"types": [kind], "weight": round(share, 6)}
            | (trips if kind == QuestionType.PLANNING else {})
            for kind, share in shares.items()
        ]

    @property
    def type_shares(self) -> dict[str, float]:
        """The share of each question type in the rows of a staged arm, replay included."""
        protocol, replay = self.protocol, self.protocol.training.replay
        shares = dict.fromkeys(protocol.types, 0.0)
        for stage, length in zip(
            protocol.stages, stage_steps(protocol.stages, self.budget.steps), strict=True
        ):
            others = [kind for kind in protocol.types if kind not in stage.types]
            again = replay if others else 0.0
            for kind, share in self._asked(stage).items():
                shares[kind] += length * (1 - again) * share
            for kind in others:
                shares[kind] += length * again / len(others)
        return {kind: share / self.budget.steps for kind, share in shares.items()}

    def left_out(self, arm: str) -> list[str]:
        """Return the question types that an arm does not train."""
        if self.protocol.arms[arm].order != "last":
            return []
        return [kind for kind in self.protocol.types if kind not in self.protocol.stages[-1].types]

    def overrides(self, trial: Trial) -> list[str]:
        """Return the Hydra overrides of a run of ``python -m verl.trainer.main_ppo``."""
        training, folder = self.protocol.training, self.run_folder(trial).resolve()
        arm, answers = self.protocol.arms[trial.arm], training.prompts * training.rollouts
        prompts = arm.prompts or training.prompts
        options = [*arm.recipe, "cpu"]
        tests = [self.data / "test.parquet", self.blank / "test.parquet"]
        longest = training.prompt_tokens + training.answer_tokens
        return [
            "+recipe=rewardmap",
            f"+recipe/rewardmap=[{','.join(options)}]",
            f"data.folder={self.data.resolve()}",
            f"data.val_files=[{','.join(str(path.resolve()) for path in tests)}]",
            f"data.train_batch_size={prompts}",
            f"data.max_prompt_length={training.prompt_tokens}",
            f"data.max_response_length={training.answer_tokens}",
            f"data.curriculum.seed={trial.seed}",
            f"data.curriculum.replay={training.replay if arm.order == 'staged' else 0}",
            f"data.curriculum.stages={hydra_value(self.stages(trial.arm))}",
            f"data.curriculum.leave_out={hydra_value(self.left_out(trial.arm))}",
            f"actor_rollout_ref.model.path={self.model(trial).resolve()}",
            f"actor_rollout_ref.actor.optim.lr={training.learning_rate}",
            f"actor_rollout_ref.actor.kl_loss_coef={training.kl}",
            f"actor_rollout_ref.rollout.n={answers // prompts}",
            f"actor_rollout_ref.rollout.max_model_len={longest}",
            f"actor_rollout_ref.rollout.seed={trial.seed}",
            f"actor_rollout_ref.rollout.val_kwargs.temperature={training.temperature}",
            f"actor_rollout_ref.rollout.val_kwargs.do_sample={training.temperature > 0}",
            f"trainer.test_freq={min(self.budget.validate_every, self.steps(trial.arm))}",
            f"trainer.default_local_dir={folder}",
            f"hydra.run.dir={folder / 'hydra'}",
            f"actor_rollout_ref.rollout.max_num_seqs={answers}",
            *_OUTPUT_SETTINGS,
            *training.settings,
        ]

    def settings(self, trial: Trial, data: str) -> dict[str, Any]:
        """Return all settings that influence a result.

        Args:
            trial: The run.
            data: The hash of the prepared folder's content.
        """
        values = self.protocol.model_dump(mode="json", by_alias=True)
        if self.protocol.training.transfers is None:
            del values["training"]["transfers"]  # results from before this setting stay valid
        return {
            "data": data,
            "pretrained": weights_digest(),
            **{name: values[name] for name in ("world", "model", "training", "stages")},
            "arm": {
                name: value for name, value in values["arms"][trial.arm].items() if name != "title"
            },
            "steps": self.budget.steps,
            "validate": self.budget.validate_every,
        }

    @property
    def claims_digest(self) -> str:
        """Hash of the claims, to detect changes after a run."""
        return digest([claim.model_dump(mode="json") for claim in self.protocol.claims])


def arguments(line: str, seed: int, steps: int = 0) -> list[str]:
    """Split a line of arguments and fill in the seed and the supervised steps."""
    return shlex.split(line.replace(SEED, str(seed)).replace(STEPS, str(steps)))


def hydra_value(value: Any) -> str:
    """Format a value in Hydra's override grammar; names need no quotes."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{hydra_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    return str(value)


def digest(value: Any) -> str:
    """Return a short hash of JSON-able data."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
