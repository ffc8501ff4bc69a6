"""The protocol: validation, and whether its arms are comparable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from benchmarks.evidence.protocol import Protocol, StageShare, read_protocol, stage_steps
from benchmarks.evidence.study import Study, Trial, arguments
from rewardmap_verl.curriculum.config import read_curriculum
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preflight.compose import compose_run
from rewardmap_verl.rewards.config import RewardConfig

Write = Callable[[dict[str, Any]], Path]
ARMS = (
    "planning_only",
    "rl_baseline",
    "reward_only",
    "curriculum_only",
    "rewardmap",
    "sft_then_rl",
)


def test_the_package_protocol_has_the_arms_of_the_paper(package_protocol: Protocol) -> None:
    assert tuple(package_protocol.arms) == ARMS
    assert package_protocol.budgets["small"].seeds >= 3
    assert len(package_protocol.budgets["glimpse"].arms) == 2
    assert package_protocol.budgets["glimpse"].seeds == 1


@pytest.mark.parametrize("budget", ["small", "large"])
def test_every_arm_has_the_same_rollouts(
    package_protocol: Protocol, budget: str, tmp_path: Path
) -> None:
    study = Study(package_protocol, budget, tmp_path, tmp_path)
    rollouts, batches = set(), set()
    for arm in study.arms:
        config = composed(study, arm)
        steps = sum(stage.steps or 0 for stage in read_curriculum(config.data).stages)
        answers = config.actor_rollout_ref.rollout.n
        assert not any(stage.rollouts for stage in read_curriculum(config.data).stages)
        assert config.actor_rollout_ref.actor.ppo_mini_batch_size == config.data.train_batch_size
        batches.add(config.data.train_batch_size)
        rollouts.add(steps * config.data.train_batch_size * answers)
    training = package_protocol.training
    steps = package_protocol.budgets[budget].steps
    assert rollouts == {steps * training.prompts * training.rollouts}
    assert len(batches) == 1


def composed(study: Study, arm: str) -> Any:
    words = study.overrides(Trial(arm, 1))
    return compose_run([word for word in words if not word.startswith("hydra.")])


def test_arms_differ_only_in_reward_and_order(package_protocol: Protocol, tmp_path: Path) -> None:
    study = Study(package_protocol, "small", tmp_path, tmp_path)
    configs = {arm: composed(study, arm) for arm in study.arms}
    reward = {
        arm: (config.reward.rewardmap.use_detail, config.reward.rewardmap.use_difficulty)
        for arm, config in configs.items()
    }
    binary, both = (False, False), (True, True)
    assert reward == {
        **dict.fromkeys(ARMS, binary),
        **dict.fromkeys(("reward_only", "rewardmap"), both),
    }
    for config in configs.values():
        config.reward.rewardmap.use_detail = config.reward.rewardmap.use_difficulty = True
        del config.data.curriculum, config.trainer
    rest = {
        arm: str(one)
        .replace(str(study.model(Trial(arm, 1)).resolve()), "MODEL")
        .replace(f"/{arm}/", "/ARM/")
        for arm, one in configs.items()
    }
    assert len(set(rest.values())) == 1


def test_flat_arms_train_the_types_in_the_shares_of_the_curriculum(
    package_protocol: Protocol, tmp_path: Path
) -> None:
    study = Study(package_protocol, "small", tmp_path, tmp_path)
    staged, (flat,) = study.stages("rewardmap"), study.stages("rl_baseline")
    assert [stage["types"] for stage in staged] == [part["types"] for part in flat["mixture"]]
    shares = [stage["steps"] / study.budget.steps for stage in staged]
    assert [part["weight"] for part in flat["mixture"]] == pytest.approx(shares)
    (only,) = study.stages("planning_only")
    assert only["types"] == ["planning"]
    assert set(study.left_out("planning_only")) | {"planning"} == set(package_protocol.types)


def test_recipe_reward_equals_the_evaluation_reward(
    package_protocol: Protocol, tmp_path: Path
) -> None:
    config = composed(Study(package_protocol, "small", tmp_path, tmp_path), "rewardmap")
    assert (
        RewardConfig.model_validate(OmegaConf.to_container(config.reward.rewardmap))
        == RewardConfig()
    )


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=8).flatmap(
        lambda shares: st.tuples(st.just(shares), st.integers(len(shares), 500))
    )
)
def test_stage_steps_add_up(case: tuple[list[float], int]) -> None:
    shares, steps = case
    stages = tuple(
        StageShare(name=f"s{i}", types=(f"t{i}",), share=share) for i, share in enumerate(shares)
    )
    given_ = stage_steps(stages, steps)
    assert sum(given_) == steps
    assert min(given_) >= 1


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda v: v["budgets"]["small"].update(seeds=0), ("budgets.small.seeds", "0")),
        (lambda v: v["budgets"]["small"].update(arms=["best"]), ("budgets.small.arms", "'best'")),
        (lambda v: v["budgets"]["small"].update(steps=2), ("budgets.small.steps", "3 stages")),
        (lambda v: v["training"].update(rollout=8), ("training.rollout", "rollouts")),
        (lambda v: v["training"].update(settings=["trainer"]), ("training.settings", "key=value")),
        (lambda v: v["arms"]["rewardmap"].update(order="random"), ("arms.rewardmap.order",)),
        (lambda v: v["claims"][1]["first"].update(arm="best"), ("claims.rewardmap", "'best'")),
        (lambda v: v["claims"][1].update(metric="luck"), ("claims.rewardmap.metric", "'luck'")),
        (
            lambda v: v["claims"][1].update(at_least=1, at_most=2),
            ("claims[1]", "at_least or at_most"),
        ),
        (lambda v: v["claims"][1].update(second=None), ("claims[1]", "set second, or a bound")),
        (lambda v: v["claims"][1].update(second={}), ("claims[1].second", "arm or baseline")),
        (lambda v: v["model"].update(tiny_model="--out 'x"), ("model.tiny_model", "command line")),
        (lambda v: v["world"].update(questions={"TorF9": 1}), ("world.questions", "TorF1")),
        (lambda v: v["stages"].append(v["stages"][0]), ("stages: two stages have the same name",)),
    ],
)
def test_errors_name_file_key_and_fix(
    change: Callable[[Any], None],
    names: tuple[str, ...],
    protocol_values: dict[str, Any],
    write_protocol: Write,
) -> None:
    change(protocol_values)
    path = write_protocol(protocol_values)
    with pytest.raises(ConfigError) as caught:
        read_protocol(path)
    assert all(name in str(caught.value) for name in (str(path), *names)), str(caught.value)


def test_a_stage_takes_the_rows_that_its_filter_allows(
    protocol_values: dict[str, Any], tmp_path: Path
) -> None:
    """Staged and flat arms use the same rows in the same shares."""
    direct = {"question_transfer_count": [0]}
    protocol_values["stages"] = [
        {"name": "direct", "types": ["planning"], "where": direct, "share": 1},
        {"name": "all", "types": ["planning"], "share": 2},
    ]
    for claim in protocol_values["claims"]:
        claim["metric"] = "planning"
    study = Study(Protocol.model_validate(protocol_values), "small", tmp_path, tmp_path)
    assert study.stages("rewardmap") == [
        {"name": "direct", "types": ["planning"], "where": direct, "steps": 2},
        {"name": "all", "types": ["planning"], "steps": 4},
    ]
    (flat,) = study.stages("rl_baseline")
    assert [(one.get("where"), one["weight"]) for one in flat["mixture"]] == [
        (direct, pytest.approx(1 / 3)),
        (None, pytest.approx(2 / 3)),
    ]
    order = next(
        one for one in study.overrides(Trial("rewardmap", 1)) if "curriculum.stages" in one
    )
    assert "where:{question_transfer_count:[0]}" in order


@pytest.mark.parametrize("text", ["- a list", "a: [", "\x00", ""])
def test_invalid_protocol_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "protocol.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"protocol\.yaml"):
        read_protocol(path)
    with pytest.raises(ConfigError, match="absent"):
        read_protocol(tmp_path / "absent.yaml")


def test_command_lines_fit_the_commands(package_protocol: Protocol) -> None:
    """The options in the protocol exist in the installed commands."""
    from typer.main import get_command

    from rewardmap_verl.commands.main import app

    commands: Any = get_command(app)
    model, arms = package_protocol.model, package_protocol.arms.values()
    cold_starts = [*model.cold_start, *(arm.sft for arm in arms if arm.sft is not None)]
    lines = [("tiny-model", ["data", "--out", "out"], model.tiny_model)]
    lines += [("cold-start", ["model", "data", "--out", "out"], line) for line in cold_starts]
    for name, folders, line in lines:
        command = commands.get_command(None, name)
        context = command.make_context(name, [*folders, *arguments(line, 1)])
        assert context.params["seed"] == 1


def test_unknown_names_are_refused(study: Study) -> None:
    with pytest.raises(ConfigError, match="best"):
        study.trials(("best",))
    with pytest.raises(ConfigError, match="at least 1"):
        study.trials(seeds=0)
    with pytest.raises(ConfigError, match=r"huge.*small"):
        study.protocol.budget("huge")


def test_trials_are_ordered_by_seed(study: Study) -> None:
    trials = study.trials(("rewardmap", "rl_baseline"))
    assert [one.seed for one in trials] == [1, 1, 2, 2, 3, 3]
    assert {one.arm for one in trials} == {"rewardmap", "rl_baseline"}
