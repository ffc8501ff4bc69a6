"""The protocol: validation, and whether its arms are comparable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from benchmarks.evidence.blank_image import write_blank
from benchmarks.evidence.maps import prepare_maps
from benchmarks.evidence.protocol import Protocol, StageShare, read_protocol, stage_steps
from benchmarks.evidence.study import Study, Trial, arguments
from rewardmap_verl.curriculum.config import read_curriculum
from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum
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
    "released",
    "target_difficulty",
)


def test_the_package_protocol_has_the_arms_of_the_paper(package_protocol: Protocol) -> None:
    assert tuple(package_protocol.arms) == ARMS
    assert package_protocol.budgets["small"].seeds >= 3
    assert len(package_protocol.budgets["glimpse"].arms) == 2
    assert package_protocol.budgets["glimpse"].seeds == 1


@pytest.mark.parametrize("budget", ["small", "large"])
def test_every_step_has_the_same_rollouts(
    package_protocol: Protocol, budget: str, tmp_path: Path
) -> None:
    study = Study(package_protocol, budget, tmp_path, tmp_path)
    training = package_protocol.training
    for arm in study.arms:
        config = composed(study, arm)
        steps = sum(stage.steps or 0 for stage in read_curriculum(config.data).stages)
        assert steps + study.sft_steps(arm) == study.budget.steps
        assert not any(stage.rollouts for stage in read_curriculum(config.data).stages)
        assert config.actor_rollout_ref.actor.ppo_mini_batch_size == config.data.train_batch_size
        answers = config.data.train_batch_size * config.actor_rollout_ref.rollout.n
        assert answers == training.prompts * training.rollouts
    assert study.sft_steps("sft_then_rl") == study.budget.steps // 2


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
        **dict.fromkeys(("reward_only", "rewardmap", "released", "target_difficulty"), both),
    }
    del configs["released"]
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
    """Exactly those that the staged arms draw, replayed rows included."""
    world = package_protocol.world.model_copy(update={"train_maps": 8, "test_maps": 1})
    protocol = package_protocol.model_copy(update={"world": world})
    study = Study(protocol, "small", tmp_path, tmp_path)
    prepare_maps(world, protocol.training.prompt_tokens, study.data, workers=1)
    write_blank(study.data, study.blank)
    staged, flat = (drawn_shares(study, arm) for arm in ("rewardmap", "rl_baseline"))
    assert set(staged) == set(package_protocol.types)
    assert flat == pytest.approx(staged, abs=0.01)
    (only,) = study.stages("planning_only")
    assert [part["types"] for part in only["mixture"]] == [["planning"]]
    assert set(study.left_out("planning_only")) | {"planning"} == set(package_protocol.types)


def drawn_shares(study: Study, arm: str) -> Counter[str]:
    """Return the share of each question type in the rows that a run trains."""
    schedule = (plan := plan_curriculum(composed(study, arm).data)).schedule
    kinds = [str(plan.columns["type"][slot.row]) for slot in schedule.slots]
    return Counter({kind: count / len(kinds) for kind, count in Counter(kinds).items()})


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
        (lambda v: v["model"].update(cold_start=["--n 'x"]), ("model.cold_start", "command line")),
        (lambda v: v["world"].update(questions={"TorF9": 1}), ("world.questions", "TorF1")),
        (
            lambda v: v["conditions"]["no_kl_no_replay"]["training"].update(prompts=4),
            ("conditions.no_kl_no_replay.training.prompts",),
        ),
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

    command = cast("Any", get_command(app)).get_command(None, "cold-start")

    def params(line: str) -> dict[str, Any]:
        words = ["model", "data", "--out", "out", *arguments(line, 1, 24)]
        found: dict[str, Any] = command.make_context("", words).params
        return found

    lines = [arm.sft for arm in package_protocol.arms.values() if arm.sft is not None]
    models = [one.model for one in package_protocol.conditions.values() if one.model is not None]
    starts = [line for one in (package_protocol.model, *models) for line in one.cold_start]
    assert all(params(line)["seed"] == 1 for line in (*starts, *lines))
    assert [params(line)["steps"] for line in lines] == [24] * len(lines)


def test_a_condition_replaces_only_its_settings(package_protocol: Protocol) -> None:
    assert package_protocol.conditions, "the study compares conditions"
    for name, condition in package_protocol.conditions.items():
        changed = package_protocol.under(name)
        assert changed != package_protocol
        if condition.model is None:
            assert changed.model == package_protocol.model
        wanted = {
            **package_protocol.training.model_dump(),
            **condition.training.model_dump(exclude_none=True),
        }
        assert changed.training.model_dump() == wanted
        parts = {"model", "training"}
        assert changed.model_dump(exclude=parts) == package_protocol.model_dump(exclude=parts)


def test_a_condition_may_train_some_trips_only(study: Study, package_protocol: Protocol) -> None:
    trial = Trial("rewardmap", 1)
    every = replace(study, protocol=package_protocol)
    some = replace(study, protocol=package_protocol.under("transfers_only"))
    parts = [part for stage in some.stages("rewardmap") for part in stage["mixture"]]
    filtered = [part["types"] for part in parts if "where" in part]
    assert filtered == [["planning"]]
    wanted = {"question_transfer_count": [1, 2, 3, 4]}
    assert [
        part["where"] for part in some.stages("rl_baseline")[0]["mixture"] if "where" in part
    ] == [wanted]
    assert not any("where" in part for part in every.stages("rl_baseline")[0]["mixture"])
    assert "transfers" not in every.settings(trial, "data")["training"]
    assert some.settings(trial, "data") != every.settings(trial, "data")


def test_unknown_names_are_refused(study: Study) -> None:
    with pytest.raises(ConfigError, match="best"):
        study.trials(("best",))
    with pytest.raises(ConfigError, match="at least 1"):
        study.trials(seeds=0)
    with pytest.raises(ConfigError, match=r"huge.*small"):
        study.protocol.budget("huge")
    with pytest.raises(ConfigError, match=r"dense.*no_kl_no_replay"):
        study.protocol.under("dense")


def test_trials_are_ordered_by_seed(study: Study) -> None:
    trials = study.trials(("rewardmap", "rl_baseline"))
    assert [one.seed for one in trials] == [1, 1, 2, 2, 3, 3]
    assert {one.arm for one in trials} == {"rewardmap", "rl_baseline"}
