"""Users of old keys and class paths are given the new names."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.preflight.checks.keys import check_moved
from rewardmap_verl.preflight.moved import MOVED_PATHS, moved_path
from rewardmap_verl.preflight.overrides import mistakes

OLD_RECIPE = {
    "hydra": {
        "callbacks": {"rewardmap_guard": {"_target_": "rewardmap_verl.training.guard.Guard"}}
    },
    "data": {"custom_cls": {"path": "pkg://rewardmap_verl.training.curriculum"}},
    "reward": {
        "reward_manager": {"module": {"path": "pkg://rewardmap_verl.training.reward_manager"}}
    },
    "actor_rollout_ref": {
        "rollout": {
            "agent": {
                "agent_loop_manager_class": (
                    "rewardmap_verl.training.images.agent_loop_worker.MapAgentLoopManager"
                )
            }
        }
    },
    "trainer": {
        "v1": {
            "sampler": {"custom_sampler": {"path": "pkg://rewardmap_verl.training.replay_buffer"}}
        }
    },
}
NEW_NAMES = {
    "hydra.callbacks.rewardmap_guard": "Use hydra.callbacks.rewardmap_preflight.",
    "hydra.callbacks.rewardmap_guard._target_": (
        "Use rewardmap_verl.preflight.callback.PreflightCallback."
    ),
    "data.custom_cls.path": "Use pkg://rewardmap_verl.verl_plugin.dataset.",
    "reward.reward_manager.module.path": "Use pkg://rewardmap_verl.verl_plugin.reward_manager.",
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class": "Set the key to null.",
    "trainer.v1.sampler.custom_sampler.path": "Use pkg://rewardmap_verl.verl_plugin.replay_buffer.",
}


def old_recipe() -> DictConfig:
    return OmegaConf.create(OLD_RECIPE)


def test_every_old_name_of_a_recipe_gets_its_new_one() -> None:
    found = {one.key: one for one in check_moved(old_recipe())}
    assert found.keys() == NEW_NAMES.keys()
    assert all(found[key].hint.endswith(text) for key, text in NEW_NAMES.items())
    assert all(one.stops for one in found.values())


@pytest.mark.parametrize("path", sorted(filter(None, MOVED_PATHS.values())))
def test_new_paths_exist(path: str) -> None:
    try:
        importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", sorted(MOVED_PATHS))
def test_old_paths_are_gone(path: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(path)


def test_a_module_without_a_successor_points_to_the_architecture_page() -> None:
    found = moved_path("pkg://rewardmap_verl.training.layout")
    assert found is not None
    assert "docs/architecture.md" in found.hint


@pytest.mark.parametrize(
    "text", ["pkg://rewardmap_verl.verl_plugin.dataset", "rewardmap_verl.trainings", "training"]
)
def test_other_values_are_accepted(text: str) -> None:
    assert moved_path(text) is None


@pytest.mark.parametrize(
    ("word", "new"),
    [
        ("~hydra.callbacks.rewardmap_guard", "hydra.callbacks.rewardmap_preflight"),
        (
            "hydra.callbacks.rewardmap_guard.program=sft",
            "hydra.callbacks.rewardmap_preflight.program",
        ),
        (
            "+hydra.callbacks.mine._target_=rewardmap_verl.training.guard.Guard",
            "rewardmap_verl.preflight.callback.PreflightCallback",
        ),
        (
            "data.custom_cls.path=pkg://rewardmap_verl.training.curriculum",
            "pkg://rewardmap_verl.verl_plugin.dataset",
        ),
    ],
)
def test_old_names_on_the_command_line(word: str, new: str) -> None:
    """Hydra imports callbacks before any check runs, so the words themselves are checked."""
    (found,) = mistakes(["+recipe=rewardmap", word])
    assert found.key == word
    assert found.hint.endswith(f"Use {new}.")


def test_hydra_stops_at_an_old_callback_with_the_new_name() -> None:
    program = (
        "import hydra\n"
        "@hydra.main(version_base=None, config_path=None)\n"
        "def main(config): print('trained')\n"
        "main()\n"
    )
    word = "+hydra.callbacks.mine={_target_: rewardmap_verl.training.guard.Guard}"
    command = [sys.executable, "-c", program]
    done = subprocess.run([*command, word], capture_output=True, text=True)
    assert "trained" not in done.stdout
    assert "Use rewardmap_verl.preflight.callback.PreflightCallback." in done.stderr
