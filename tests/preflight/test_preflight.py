"""Preflight checks: a bad run is stopped before Ray starts, with a message that says what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_module
from hydra._internal.callbacks import Callbacks
from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.checkpoints.resume import current_fingerprint
from rewardmap_verl.preflight import plugin_state
from rewardmap_verl.preflight.callback import PreflightCallback, examine
from rewardmap_verl.preflight.checks.checkpoints import check_disk, check_pickles
from rewardmap_verl.preflight.checks.model import is_local
from rewardmap_verl.preflight.diagnostics import Diagnostic
from rewardmap_verl.preflight.overrides import mistakes
from rewardmap_verl.preflight.unknown_keys import reference_keys, unknown_keys

VARIABLES = (
    *("VERL_PLATFORM", "RAY_ADDRESS", "RANK", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
)


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    """The GPU recipe, composed as verl's trainer does."""
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", ["+recipe=rewardmap"], return_hydra_config=True)
    OmegaConf.set_struct(config, False)
    used = ["callbacks", "job", "mode", "overrides"]  # the rest is long, and copied for each test
    config.hydra = OmegaConf.masked_copy(config.hydra, used)
    return config


@pytest.fixture
def config(
    composed: DictConfig, complete_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DictConfig]:
    """A correct configuration: data and model exist."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("rewardmap_verl.preflight.checks.cluster.core_count", lambda: 64)
    monkeypatch.setattr("rewardmap_verl.preflight.checks.memory.smallest_gpu", lambda: 85e9)
    monkeypatch.setattr("rewardmap_verl.preflight.checks.attention.has_flash_attn", lambda: True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # whatever runs on this machine
    copy = composed.copy()
    OmegaConf.set_struct(copy, False)
    shutil.copytree(complete_folder, tmp_path, dirs_exist_ok=True)
    copy.data.folder = str(tmp_path)
    yield copy


def found(config: DictConfig) -> dict[str, Diagnostic]:
    """The diagnostics of a configuration, by key."""
    return {one.key: one for one in examine(config)}


def test_recipe_itself_passes(config: DictConfig) -> None:
    assert found(config) == {}


CASES: list[tuple[str, Any, str, str]] = [
    ("reward.rewardmap.alhpa", 0.4, "reward.rewardmap.alhpa", "Did you mean 'alpha'"),
    ("reward.rewardmap.items.lines", 1.0, "reward.rewardmap.items.lines", "Did you mean 'line'"),
    ("reward.rewardmap.alpha", 5.0, "reward.rewardmap", "a wrong answer could earn"),
    ("reward.rewardmap.alpha", "half", "reward.rewardmap.alpha", "number"),
    ("data.curriculum.sed", 1, "data.curriculum.sed", "Did you mean 'seed'"),
    (
        "data.curriculum.stages",
        [{"name": "all", "types": ["planning"], "epoch": 2}],
        "data.curriculum.stages[0].epoch",
        "'epochs'",
    ),
    ("data.curriculum.stages", "stagd", "data.curriculum.stages", "staged"),
    ("data.curriculum.stages", [], "data.curriculum.stages", "give at least one stage"),
    ("data.curriculum.stages", 4, "data.curriculum.stages", "give a list of stages"),
    (
        "data.curriculum.stages",
        [{"name": "one", "types": ["planning"]}, {"name": "one", "types": ["TorF1"]}],
        "data.curriculum",
        "two stages are called 'one'",
    ),
    (
        "data.curriculum.stages",
        [{"name": "one", "mixture": [{"types": ["planning"], "weight": 0}]}],
        "data.curriculum.stages[0].mixture[0].weight",
        "above 0",
    ),
    (
        "data.curriculum.stages",
        [{"name": "one", "mixture": [{"types": [], "weight": 1}]}],
        "data.curriculum.stages[0].mixture[0].types",
        "at least one question type",
    ),
    (
        "data.curriculum.stages",
        [{"name": "one", "types": ["Counting9"]}],
        "data.curriculum.stages[0].types",
        "No training row has this type",
    ),
    (
        "data.curriculum.stages",
        [{"name": "one", "types": ["planning"], "where": {"city": "atlantis"}}],
        "data.curriculum.stages[0].where.city",
        "The data have one",
    ),
    (
        "data.curriculum.stages",
        [{"name": "one", "types": ["planning"]}],
        "data.curriculum.stages",
        "no stage for",
    ),
    (
        "data.train_batch_size",
        96,
        "data.curriculum.stages[2] (choice)",
        "fewer than one batch of 96",
    ),
    (
        "data.curriculum.stages",
        [{"name": "one", "types": ["planning"], "rollouts": 12}],
        "data.curriculum.stages[0].rollouts",
        "Choose a multiple of 8",
    ),
    ("data.max_prompt_length", 20, "data.max_prompt_length", "Raise it to 30"),
    ("data.shuffle", True, "data.shuffle", "data.shuffle=false"),
    ("trainer.total_epochs", 3, "trainer.total_epochs", "trainer.total_epochs=1"),
    ("data.truncatoin", "left", "data.truncatoin", "Did you mean 'truncation'"),
    ("recip", {"a": 1}, "recip", "Neither verl nor"),
    ("actor_rollout_ref.rollout.temprature", 1, "actor_rollout_ref.rollout.temprature", "reject"),
    ("actor_rollout_ref.actor.optim.lrr", 1, "actor_rollout_ref.actor.optim.lrr", "reject"),
    ("custom_reward_function.path", "a.py", "custom_reward_function.path", "ignores this key"),
    ("reward_model.reward_manager", "x", "reward_model.reward_manager", "reward.reward_manager"),
    ("data.sampler", {"class_path": "x"}, "data.sampler", "no custom samplers since 0.8"),
    (
        "data.mm_processor_kwargs.max_pixels",
        1,
        "data.mm_processor_kwargs.max_pixels",
        "another pixel budget",
    ),
    (
        "actor_rollout_ref.actor.freeze_vision_tower",
        True,
        "actor_rollout_ref.actor.freeze_vision_tower",
        "[frozen_vision]",
    ),
    ("algorithm.adv_estimator", "remax", "algorithm.adv_estimator", "reinforce_plus_plus"),
    ("algorithm.adv_estimator", "gdpo", "algorithm.adv_estimator", "Use grpo"),
    ("algorithm.adv_estimator", "grpo_vectorized", "algorithm.adv_estimator", "Use grpo"),
    ("actor_rollout_ref.rollout.n", 1, "actor_rollout_ref.rollout.n", "no signal"),
    ("actor_rollout_ref.rollout.n", "8x", "actor_rollout_ref.rollout.n", "integer of at least 1"),
    (
        "actor_rollout_ref.actor.ppo_mini_batch_size",
        256,
        "actor_rollout_ref.actor.ppo_mini_batch_size",
        "pads 128 sequences to 2048",
    ),
    ("data.gen_batch_size", 4, "data.gen_batch_size", "Leave it null"),
    ("trainer.n_gpus_per_node", 6, "actor_rollout_ref.actor.ppo_mini_batch_size", "multiple of 3"),
    (
        "trainer.n_gpus_per_node",
        1,
        "actor_rollout_ref.rollout.tensor_model_parallel_size",
        "must divide",
    ),
    (
        "actor_rollout_ref.actor.ulysses_sequence_parallel_size",
        3,
        "actor_rollout_ref.actor.ulysses_sequence_parallel_size",
        "divide the number of GPUs, 8",
    ),
    (
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu",
        16384,
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu",
        "22048 tokens",
    ),
    (
        "actor_rollout_ref.rollout.max_model_len",
        20000,
        "actor_rollout_ref.rollout.max_model_len",
        "22048 tokens",
    ),
    ("data.train_files", "no/such.parquet", "data.train_files", "set data.folder"),
    ("data.val_files", [], "data.val_files", "at least one parquet file"),
    ("data.train_files", "${data.foldr}/a.parquet", "data.train_files", "foldr"),
    ("actor_rollout_ref.model.path", "./nowhere", "actor_rollout_ref.model.path", "config.json"),
    ("trainer.device", "cpu", "trainer.device", "set VERL_PLATFORM=cpu"),
    ("trainer.use_v1", False, "trainer.use_v1", "Set it to True"),
    ("data.image_key", "image", "data.image_key", "have the column 'images'"),
    ("data.prompt_key", "question", "data.prompt_key", "have the column 'prompt'"),
    (
        "actor_rollout_ref.model.use_fused_kernels",
        True,
        "actor_rollout_ref.model.use_fused_kernels",
        "lm_head is separate",
    ),
]


@pytest.mark.parametrize(("key", "value", "where", "says"), CASES)
def test_problem_is_reported(
    config: DictConfig, key: str, value: Any, where: str, says: str
) -> None:
    OmegaConf.update(config, key, value, force_add=True)
    texts = [str(one) for one in examine(config)]
    assert any(where in text and says in text for text in texts), texts


def test_cancelled_weights_are_a_warning(config: DictConfig) -> None:
    config.algorithm.norm_adv_by_std_in_grpo = True
    (diagnostic,) = found(config).values()
    assert diagnostic.key == "algorithm.norm_adv_by_std_in_grpo"
    assert not diagnostic.stops
    config.reward.rewardmap.use_difficulty = False
    assert found(config) == {}


def fixed_micro_batches(config: DictConfig, size: int) -> None:
    """Set fixed micro-batches of ``size`` sequences."""
    role = config.actor_rollout_ref
    role.actor.use_dynamic_bsz = role.ref.log_prob_use_dynamic_bsz = False
    role.rollout.log_prob_use_dynamic_bsz = False
    role.actor.ppo_micro_batch_size_per_gpu = role.ref.log_prob_micro_batch_size_per_gpu = size
    role.rollout.log_prob_micro_batch_size_per_gpu = size


def test_micro_batches_must_divide_what_a_rank_computes(config: DictConfig) -> None:
    fixed_micro_batches(config, 16)  # 16 prompts × 8 rollouts / 8 GPUs
    assert found(config) == {}
    fixed_micro_batches(config, 12)
    assert set(found(config)) == {
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu",
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu",
    }
    assert all("divisor of 16" in one.hint for one in found(config).values())


def test_micro_batches_with_more_rollouts_in_a_stage(config: DictConfig) -> None:
    planning = {"name": "plan", "types": ["planning"], "rollouts": 24}
    config.data.curriculum.stages = [{"name": "see", "types": ["TorF1"]}, planning]
    config.data.curriculum.leave_out = ["TorF2", "Counting1", "Counting2", "Counting3"]
    fixed_micro_batches(config, 16)
    assert found(config) == {}
    fixed_micro_batches(
        config, 48
    )  # divides 24 rollouts × 16 / 8, but not those of the first stage
    assert (
        "16 or 48 sequences"
        in found(config)["actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu"].hint
    )


def test_overlong_prompt_is_reported(config: DictConfig, row_of: Any) -> None:
    row = row_of("planning", 0, "test")
    row["extra_info"]["prompt_tokens"] = 30_000
    path = Path(config.data.folder) / "test.parquet"
    rows = [row_of("TorF1", 1, "test"), row]
    pq.write_table(pa.Table.from_pylist(rows), path)
    diagnostic = found(config)["data.max_prompt_length"]
    assert f"{path}, row 1 has a prompt of 30000 tokens, and 1 of 2" in diagnostic.hint
    assert diagnostic.stops


def test_truncated_parquet_file(config: DictConfig) -> None:
    path = Path(config.data.folder) / "train.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    assert "Not a complete parquet file" in str(found(config)[str(path)])


def test_damaged_checkpoint_falls_back_with_a_warning(
    config: DictConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """verl itself would fail after loading the model, on every attempt."""
    import torch

    config.trainer.default_local_dir = str(tmp_path)
    position = {"dataset_state": {"fingerprint": current_fingerprint(config.data)}}
    for step in (1, 2):
        actor = tmp_path / f"global_step_{step}" / "actor"
        actor.mkdir(parents=True)
        torch.save({}, actor / "model_world_size_1_rank_0.pt")
        torch.save(position, actor.parent / "data.pt")
    newest = tmp_path / "latest_checkpointed_iteration.txt"
    newest.write_text("2")
    cut = tmp_path / "global_step_2" / "data.pt"
    cut.write_bytes(cut.read_bytes()[:100])
    PreflightCallback().on_run_start(config)
    assert "damaged (data.pt is truncated); the run resumes from step 1" in capsys.readouterr().err
    assert newest.read_text() == "1"


class Attack:
    """Creates a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("name", ["data.pt", "actor/optim_world_size_1_rank_0.pt"])
def test_checkpoint_that_runs_code_is_refused(
    config: DictConfig, tmp_path: Path, name: str, linked: bool
) -> None:
    """verl unpickles all files of the checkpoint that it resumes, also behind a link."""
    import torch

    config.trainer.default_local_dir = str(tmp_path)
    actor = tmp_path / "global_step_1" / "actor"
    actor.mkdir(parents=True)
    if linked:
        actor.rmdir()
        (tmp_path / "elsewhere").mkdir()
        actor.symlink_to("../elsewhere")
    torch.save({}, actor / "model_world_size_1_rank_0.pt")
    position = {"dataset_state": {"fingerprint": current_fingerprint(config.data)}}
    torch.save(position, actor.parent / "data.pt")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("1")
    assert found(config) == {}
    path = actor.parent / name
    torch.save({"state": Attack(tmp_path / "owned")}, path)
    diagnostic = found(config)[str(path)]
    assert diagnostic.stops
    assert "Only tensors and plain data are read" in diagnostic.hint
    assert not (tmp_path / "owned").exists()


def test_pickled_queue_of_an_asynchronous_run_is_refused(
    config: DictConfig, tmp_path: Path
) -> None:
    config.trainer.default_local_dir = str(tmp_path)
    queue = tmp_path / "global_step_1" / "transfer_queue"
    queue.mkdir(parents=True)
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("1")
    assert list(check_pickles(config)) == [], "the mode sync ignores the folder"
    OmegaConf.update(config, "trainer.v1.trainer_mode", "colocate_async", force_add=True)
    (refusal,) = check_pickles(config)
    assert refusal.key == str(queue) and refusal.stops
    assert "which can run code" in refusal.hint
    assert "set trainer.allow_pickled_prompts=True" in refusal.hint


@pytest.mark.parametrize(("allowed", "refusals"), [(True, 0), (False, 1), ("yes", 1), (1, 1)])
def test_pickled_queue_is_resumed_only_with_the_explicit_key(
    config: DictConfig, tmp_path: Path, allowed: object, refusals: int
) -> None:
    config.trainer.resume_mode = "resume_path"
    config.trainer.resume_from_path = str(tmp_path / "global_step_1")
    (tmp_path / "global_step_1" / "transfer_queue").mkdir(parents=True)
    OmegaConf.update(config, "trainer.v1.trainer_mode", "separate_async", force_add=True)
    config.trainer.allow_pickled_prompts = allowed
    assert sum(one.stops for one in check_pickles(config)) == refusals


def test_full_disk_is_a_warning(
    config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "global_step_3" / "actor" / "model_world_size_1_rank_0.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(5000))
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("3")
    config.trainer.default_local_dir = str(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4000))
    (warning,) = list(check_disk(config))
    assert not warning.stops and "Free some space" in warning.hint
    config.trainer.save_freq = -1
    assert list(check_disk(config)) == []


def test_same_error_is_reported_once(config: DictConfig) -> None:
    config.data.curriculum.stages = "stagd"
    assert len(list(examine(config))) == 1


def test_sequence_parallelism_shares_the_token_budget(config: DictConfig) -> None:
    config.actor_rollout_ref.actor.ulysses_sequence_parallel_size = 2
    config.actor_rollout_ref.actor.ppo_max_token_len_per_gpu = 12288
    assert found(config) == {}


def test_unfinished_preparation(config: DictConfig, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").unlink()
    assert "Prepare the data again" in str(found(config)["data.train_files"])


def test_platform_without_the_option(config: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert "'+recipe/rewardmap=[cpu]'" in str(found(config)["trainer.device"])


def test_other_reward_manager_is_a_warning(config: DictConfig) -> None:
    config.reward.reward_manager.module.path = "pkg://somebody.else"
    diagnostic = found(config)["reward.reward_manager.module.path"]
    assert not diagnostic.stops
    assert "has no effect" in diagnostic.hint


def test_key_added_on_purpose_is_a_warning() -> None:
    known = {"data": {"shuffle": True}}
    (typed,) = unknown_keys({"data": {"shufle": True}}, known, ["data.shufle"])
    (silent,) = unknown_keys({"data": {"shufle": True}}, known)
    assert silent.stops
    assert not typed.stops


@pytest.mark.parametrize("program", ["ppo_trainer", "ppo_megatron_trainer", "sft_trainer_engine"])
def test_reference_of_verl_knows_itself(program: str) -> None:
    known = reference_keys(program)
    assert known is not None
    assert list(unknown_keys(known, known)) == []


def test_plugin_that_verl_did_not_load(config: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, plugin_state.MODULE, None)
    monkeypatch.delitem(sys.modules, plugin_state.MODULE)
    monkeypatch.setenv("VERL_USE_EXTERNAL_PLUGINS", "none")
    diagnostic = found(config)["verl's plugin rewardmap"]
    assert "VERL_USE_EXTERNAL_PLUGINS=none" in diagnostic.hint


def test_plugin_that_failed_while_it_was_loaded(
    config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rewardmap_verl.verl_plugin.plugin as plugin

    monkeypatch.setattr(plugin, "PROBLEM", "ImportError: no torch")
    assert "ImportError: no torch" in str(found(config)["verl's plugin rewardmap"])


def test_plugin_reports_its_own_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import rewardmap_verl.verl_plugin.plugin as plugin
    from rewardmap_verl import cpu

    def fail() -> bool:
        raise RuntimeError("platform is odd")

    monkeypatch.setattr(cpu, "activate", fail)
    assert plugin.load() == "RuntimeError: platform is odd"
    assert "platform is odd" in caplog.text
    assert caplog.records[0].levelname == "ERROR"


def test_hydra_lets_the_callback_stop_the_run(config: DictConfig) -> None:
    """Hydra turns exceptions of callbacks into warnings; SystemExit must go through."""
    config.data.shuffle = True
    callbacks = Callbacks(config)
    with pytest.raises(SystemExit) as stop:
        callbacks.on_run_start(config=config, config_name="ppo_trainer")
    text = str(stop.value)
    assert "stopped before it started" in text
    assert "1. data.shuffle (found True)" in text
    assert "rewardmap doctor" in text


def test_failing_check_stops_the_run(config: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a check must not start an unchecked run."""

    def fail(_config: DictConfig) -> Iterator[Diagnostic]:
        raise RuntimeError("odd")

    monkeypatch.setattr("rewardmap_verl.preflight.callback.CHECKS", {"ppo": (fail,)})
    with pytest.raises(SystemExit, match="RuntimeError: odd"):
        PreflightCallback().on_run_start(config)


def test_warnings_do_not_stop_the_run(
    config: DictConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config.algorithm.norm_adv_by_std_in_grpo = True
    PreflightCallback().on_run_start(config)
    assert "warning: algorithm.norm_adv_by_std_in_grpo" in capsys.readouterr().err


def test_runs_of_a_sweep_are_checked_one_by_one(config: DictConfig) -> None:
    config.data.shuffle = True
    PreflightCallback().on_job_start(config)
    config.hydra.mode = "MULTIRUN"
    with pytest.raises(SystemExit):
        PreflightCallback().on_job_start(config)


def test_recipe_for_another_program(config: DictConfig) -> None:
    config.hydra.job.config_name = "sft_trainer_engine"
    (diagnostic,) = examine(config)
    assert "python -m verl.trainer.main_ppo" in diagnostic.hint


def test_only_rank_zero_prints(config: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config.data.shuffle = True
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(SystemExit) as stop:
        PreflightCallback().on_run_start(config)
    assert stop.value.code == 1


def test_resources_of_a_running_cluster(
    config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.ray_kwargs.ray_init.num_cpus = 64
    assert found(config) == {}
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert "set ray_kwargs.ray_init.num_cpus=null" in str(
        found(config)["ray_kwargs.ray_init.num_cpus"]
    )


def test_cluster_that_no_longer_runs(config: DictConfig, tmp_path: Path) -> None:
    """`ray start` leaves its address behind when it is killed, and ray.init() would use it."""
    path = tmp_path / "ray" / "ray_current_cluster"
    path.parent.mkdir()
    path.write_text("127.0.0.1:1")
    diagnostic = found(config)[str(path)]
    assert "RAY_ADDRESS=local" in diagnostic.hint
    assert diagnostic.stops


def test_cluster_that_runs_here(config: DictConfig, tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        path = tmp_path / "ray" / "ray_current_cluster"
        path.parent.mkdir()
        path.write_text(f"127.0.0.1:{one.getsockname()[1]}")
        assert found(config) == {}
        config.ray_kwargs.ray_init.num_cpus = 8
        assert "RAY_ADDRESS=local" in found(config)["ray_kwargs.ray_init.num_cpus"].hint


def test_untested_model_family_is_a_warning(config: DictConfig) -> None:
    config.actor_rollout_ref.model.path = "moonshotai/Kimi-VL-A3B-Instruct"
    diagnostic = found(config)["actor_rollout_ref.model.path"]
    assert "qwen3_vl_8b" in diagnostic.hint
    assert not diagnostic.stops


def test_relative_paths_on_several_nodes(config: DictConfig) -> None:
    config.trainer.nnodes = 2
    diagnostic = found(config)["trainer.default_local_dir"]
    assert "absolute path" in diagnostic.hint
    assert not diagnostic.stops


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", False),
        ("runs/embedded/model", True),
        ("/models/qwen", True),
        ("~/qwen", True),
        ("../qwen", True),
        ("qwen", True),
    ],
)
def test_local_model_names(name: str, local: bool) -> None:
    assert is_local(name) is local


@pytest.mark.parametrize(
    "words",
    [
        ["+recip=rewardmap"],
        ["+recipes=rewardmap"],
        ["++recip=RewardMap"],
        ["+recipe/rewardmp=[no_detail]"],
        ["+recipie/rewardmap=[cpu]"],
        ["+recip=reward_map"],
        ["+recipe/rewardmap=[cpu]"],
        ["+recipe/rewardmap=[cpu]", "+recipe=rewardmap"],
        ["+recipe/rewardmap_sft=[cpu]"],
        ["+recipe=rewardmap_sft", "+recipe/rewardmap_stf=[cpu]"],
    ],
)
def test_overrides_that_would_train_something_else(words: list[str]) -> None:
    assert [one.stops for one in mistakes(words)] == [True]


@pytest.mark.parametrize(
    "words",
    [
        ["+recipe=rewardmap"],
        ["+recipe=rewardmap", "+recipe/rewardmap=[cpu,lora]", "--cfg", "job"],
        ["+recipe=mine", "+recipe/rewardmap=[cpu]"],
        ["+recipe=rewardmap_sft", "+recipe/rewardmap_sft=[cpu]"],
        ["+recipe=rewardmap", "reward.rewardmap.alpha=0.3", "+data.curriculum.x=rewardmap"],
        ["trainer.project_name=rewardmap", "data.folder=data/rewardmap"],
        ["-m", "tests", "--reward=map"],
        ["~recipe"],
    ],
)
def test_correct_overrides(words: list[str]) -> None:
    assert list(mistakes(words)) == []


def test_search_path_plugin_imports_neither_verl_nor_torch() -> None:
    """It runs in every program that uses Hydra."""
    code = (
        "import sys, hydra_plugins.rewardmap_recipes; "
        "print([name for name in ('verl', 'torch', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


TURNS = "actor_rollout_ref.rollout.multi_turn"
ZOOM_CASES: list[tuple[str, Any, str, str]] = [
    ("actor_rollout_ref.rollout.limit_images", 1, "actor_rollout_ref.rollout.limit_images", "5"),
    (f"{TURNS}.max_assistant_turns", 3, f"{TURNS}.max_assistant_turns", "need 5 turns"),
    (f"{TURNS}.max_assistant_turns", None, f"{TURNS}.max_assistant_turns", "Set it to 6"),
    (f"{TURNS}.max_parallel_calls", 2, f"{TURNS}.max_parallel_calls", "Set it to 1"),
    ("data.max_response_length", 4480, "data.max_response_length", "4 calls take up to 4480"),
    ("data.zoom.max_cals", 3, "data.zoom.max_cals", "Did you mean 'max_calls'"),
]


@pytest.mark.parametrize(("key", "value", "where", "hint"), ZOOM_CASES)
def test_budgets_of_the_zoom_tool(
    config: DictConfig, key: str, value: Any, where: str, hint: str
) -> None:
    OmegaConf.update(config, TURNS, {"max_assistant_turns": 6}, merge=True)
    config.actor_rollout_ref.rollout.limit_images = 5
    config.data.max_response_length = 6528
    config.actor_rollout_ref.actor.ppo_max_token_len_per_gpu = 28672
    config.actor_rollout_ref.rollout.max_model_len = 27648
    config.data.zoom = {"max_calls": 4}
    assert found(config) == {}
    OmegaConf.update(config, key, value, force_add=True)
    assert hint in found(config)[where].hint


def test_zoom_without_originals_is_refused(config: DictConfig) -> None:
    manifest = Path(config.data.folder) / "manifest.json"
    manifest.write_text('{"settings": {"keep_originals": false}}')
    config.data.zoom = {"max_calls": 1}
    assert "--keep-originals" in found(config)["data.train_files"].hint


def test_a_stage_without_the_tool_needs_the_tool(config: DictConfig) -> None:
    config.data.curriculum.stages = [
        {"name": "one", "types": ["TorF1", "TorF2", "Counting1"], "zoom": False},
        {"name": "two", "types": ["Counting2", "Counting3", "planning"]},
    ]
    assert "data.zoom" in found(config)["data.curriculum.stages[0].zoom"].hint
