"""Every recipe that ships: composed as verl composes it, then checked by verl, without GPUs."""

from __future__ import annotations

import math
import pickle
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.curriculum.config import CurriculumConfig, read_curriculum
from rewardmap_verl.preflight.callback import examine
from rewardmap_verl.preflight.checks import attention
from rewardmap_verl.preflight.checks.model import is_local
from rewardmap_verl.preflight.checks.values import rollout_counts
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.tiny_model.pocket_model import copy_pocket_model

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "recipe"
OPTIONS = sorted(path.stem for path in (RECIPES / "rewardmap").glob("*.yaml"))
FILES = sorted(path.relative_to(RECIPES).as_posix() for path in RECIPES.rglob("*.yaml"))
EXAMPLES = RECIPES.parents[1] / "examples"
EXPERIMENTS = sorted((EXAMPLES / "experiment").glob("*.yaml"))
TEXTS = [*(RECIPES / name for name in FILES), *EXPERIMENTS]


@pytest.fixture(scope="module")
def hydra() -> Iterator[None]:
    """Hydra looking at verl's configuration, as verl's trainer does."""
    with initialize_config_module("verl.trainer.config", version_base=None):
        yield


def composed(options: Sequence[str] = (), *words: str) -> DictConfig:
    """The recipe with options, as ``+recipe=rewardmap '+recipe/rewardmap=[…]'`` gives it."""
    more = [f"+recipe/rewardmap=[{','.join(options)}]"] if options else []
    return compose("ppo_trainer", ["+recipe=rewardmap", *more, *words], return_hydra_config=True)


def composed_example(name: str) -> DictConfig:
    """An example, as ``--config-dir examples +experiment=NAME`` gives it."""
    words = [f"hydra.searchpath=[file://{EXAMPLES}]", f"+experiment={name}"]
    return compose("ppo_trainer", words, return_hydra_config=True)


COMBINED = ["lora,one_gpu", "qwen2_5_vl_3b,one_gpu", "cpu,zoom_cpu", "lora,one_gpu,zoom"]
ALONE = [name for name in OPTIONS if name not in ("one_gpu", "zoom_cpu", "pocket")]
"""Options that work without another: the 7B model does not fit on one GPU, and the embedded model's
zoom tool and curriculum need the option cpu."""


@pytest.fixture(
    scope="module",
    params=["", *ALONE, *COMBINED, *EXPERIMENTS],
    ids=lambda one: one.stem if isinstance(one, Path) else one,
)
def configuration(request: pytest.FixtureRequest, hydra: None, complete_folder: Path) -> DictConfig:
    """The recipe without options, with each and with some combined, and the examples.

    Data and model exist.
    """
    if isinstance(request.param, Path):
        config = composed_example(request.param.stem)
    else:
        config = composed([request.param] if request.param else [])
    OmegaConf.set_struct(config, False)
    config.data.folder = str(complete_folder)
    config.trainer.default_local_dir = str(complete_folder)
    if is_local(config.actor_rollout_ref.model.path):
        config.actor_rollout_ref.model.path = str(complete_folder)
    return config


@pytest.fixture
def config(configuration: DictConfig, monkeypatch: pytest.MonkeyPatch) -> DictConfig:
    """That configuration, on its platform."""
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setattr("rewardmap_verl.preflight.checks.cluster.core_count", lambda: 64)
    monkeypatch.setattr("rewardmap_verl.preflight.checks.memory.smallest_gpu", lambda: 85e9)
    monkeypatch.setattr("rewardmap_verl.preflight.checks.attention.has_flash_attn", lambda: True)
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    if configuration.trainer.device == "cpu":
        monkeypatch.setenv("VERL_PLATFORM", "cpu")
    return configuration


def test_preflight_reports_nothing(config: DictConfig) -> None:
    """Unknown keys, arithmetic, token budgets and traps of every recipe."""
    found = [str(one) for one in examine(config)]
    if config.trainer.experiment_name == "released":  # it divides, which the paper does not
        assert "cancels them" in found.pop()
    assert found == []


def test_verl_accepts_it(config: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """verl's own validation, which its trainer runs before Ray starts."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    # For adapters it asks vLLM for the ranks that it knows, and vLLM takes long to import.
    vllm_side = ModuleType("verl.workers.rollout.vllm_rollout.utils")
    vllm_side.get_vllm_max_lora_rank = {8: 8, 32: 32, 64: 64}.get
    monkeypatch.setitem(sys.modules, "verl.workers.rollout.vllm_rollout", ModuleType("stub"))
    monkeypatch.setitem(sys.modules, vllm_side.__name__, vllm_side)
    validate_config(config, need_reference_policy(config), need_critic(config))


def as_the_worker_reads(config: DictConfig, role: str) -> DictConfig:
    """The block of a role; verl's worker renames keys of the reference model first."""
    node = OmegaConf.create(OmegaConf.to_container(config.actor_rollout_ref, resolve=True))[role]
    for key in ("micro_batch_size", "micro_batch_size_per_gpu", "max_token_len_per_gpu"):
        if role == "ref":
            node[f"ppo_{key}"] = node.pop(f"log_prob_{key}")
    if role == "ref":
        node.use_dynamic_bsz = node.pop("log_prob_use_dynamic_bsz")
    return node


def test_verl_makes_its_dataclasses_of_it(
    config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.config import HFModelConfig

    # The model would be downloaded; its keys and their types are what is looked at here.
    monkeypatch.setattr(HFModelConfig, "__post_init__", lambda self: None)
    for role in ("actor", "ref", "rollout", "model"):
        node = as_the_worker_reads(config, role)
        made = omega_conf_to_dataclass(node)
        assert type(made).__name__ == node["_target_"].rpartition(".")[2]


def test_no_sequence_is_padded(config: DictConfig) -> None:
    """verl pads a batch to full updates; padding has no image and crashes Qwen2.5-VL."""
    role, trainer = config.actor_rollout_ref, config.trainer
    update = role.actor.ppo_mini_batch_size * role.rollout.n
    ranks = trainer.n_gpus_per_node * trainer.nnodes
    assert update % ranks == 0
    for answers in rollout_counts(config):
        batch = config.data.train_batch_size * answers
        assert batch % math.lcm(update, ranks) == 0
        for key in ("ref.log_prob_micro_batch_size_per_gpu", "actor.ppo_micro_batch_size_per_gpu"):
            micro = OmegaConf.select(role, key)
            assert micro is None or batch // ranks % micro == 0, "verl's engine asserts it"


def test_paper_settings(hydra: None) -> None:
    config = composed()
    role = config.actor_rollout_ref
    assert config.algorithm.adv_estimator == "grpo"
    assert config.algorithm.norm_adv_by_std_in_grpo is False
    assert config.algorithm.use_kl_in_reward is False
    assert (config.data.train_batch_size, role.rollout.n) == (16, 8)
    assert (config.data.max_prompt_length, config.data.max_response_length) == (20_000, 2_048)
    assert role.actor.optim.lr == 1e-6
    assert (role.actor.use_kl_loss, role.actor.kl_loss_coef) == (True, 1e-3)
    assert role.actor.kl_loss_type == "low_var_kl"
    assert role.model.path == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert config.trainer.n_gpus_per_node * config.trainer.nnodes == 8


def test_papers_settings_are_the_defaults(hydra: None) -> None:
    plain, paper = (OmegaConf.to_container(composed(one)) for one in ([], ["paper"]))
    for config in (plain, paper):
        del config["hydra"]
    assert paper == plain


def test_released_settings_differ_from_the_papers(hydra: None) -> None:
    def settings(*options: str) -> tuple[bool, float, str, int]:
        config = composed(options)
        role = config.actor_rollout_ref
        divides = config.algorithm.norm_adv_by_std_in_grpo
        return divides, role.actor.kl_loss_coef, role.actor.loss_agg_mode, role.rollout.n

    assert settings("paper") == (False, 1e-3, "token-mean", 8)
    assert settings("released") == (True, 1e-2, "seq-mean-token-mean", 4)


def test_flash_attn_or_sdpa(hydra: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "has_flash_attn", lambda: False)
    check = attention.check_attention("actor_rollout_ref.model", "recipe/rewardmap")
    (missing,) = check(composed())
    assert missing.stops
    assert "uv pip install" in missing.hint
    assert "[sdpa]" in missing.hint
    assert list(check(composed(["sdpa"]))) == []
    assert list(check(composed(["cpu"]))) == []


def test_options_for_experts(hydra: None) -> None:
    frozen = composed(["frozen_vision"]).actor_rollout_ref.model.override_config
    assert frozen.freeze_vision_tower is True
    correction = composed(["token_is"]).algorithm.rollout_correction
    assert (correction.rollout_is, correction.rollout_is_threshold) == ("token", 2.0)
    actor = composed(["dr_grpo"], "data.max_response_length=512").actor_rollout_ref.actor
    assert (actor.loss_agg_mode, actor.loss_scale_factor) == ("seq-mean-token-sum-norm", 512)


def test_reward_block_is_the_default_reward(hydra: None) -> None:
    """The recipe repeats the defaults for its readers; they must equal those of the code."""
    block = OmegaConf.to_container(composed().reward.rewardmap)
    assert block == RewardConfig().model_dump()


def test_curriculum_block_is_the_default_curriculum(hydra: None) -> None:
    assert read_curriculum(composed().data) == CurriculumConfig()


def test_classes_of_ours_can_be_loaded(hydra: None) -> None:
    from verl.utils.import_utils import load_extern_type

    config = composed()
    for place, name in (
        (config.data.custom_cls, config.data.custom_cls.name),
        (config.trainer.v1.sampler.custom_sampler, config.trainer.v1.sampler.custom_sampler.name),
        (config.reward.reward_manager.module, config.reward.reward_manager.name),
    ):
        assert isinstance(load_extern_type(place.path, name), type)


def test_ablations_change_what_they_name(hydra: None) -> None:
    def reward(*options: str) -> tuple[Any, ...]:
        config = composed(options)
        block = RewardConfig.model_validate(OmegaConf.to_container(config.reward.rewardmap))
        stages = [stage.name for stage in read_curriculum(config.data).stages]
        return block.detail_weight, block.use_difficulty, len(stages)

    assert reward() == (0.5, True, 4)
    assert reward("rl_baseline") == (0.0, False, 1)
    assert reward("reward_only") == (0.5, True, 1)
    assert reward("curriculum_only") == (0.0, False, 4)
    assert reward("no_detail") == (0.0, True, 4)
    assert reward("no_difficulty") == (0.5, False, 4)
    assert reward("gamma_flat") == reward("beta_0") == (0.5, True, 4)
    assert reward("alpha_0.3")[0] == 0.3
    assert reward("alpha_0.7")[0] == 0.7
    assert reward("planning_only") == (0.5, True, 1)
    assert (reward("coarse")[2], reward("fine")[2]) == (2, 6)
    assert reward("sft_then_rl") == (0.0, False, 1)


def test_the_weights_of_table_7_change_one_at_a_time(hydra: None) -> None:
    def weights(*options: str) -> tuple[dict[str, float], dict[str, float]]:
        block = composed(options).reward.rewardmap
        return dict(block.map_weights), dict(block.question_weights)

    maps, questions = weights()
    assert weights("gamma_flat") == ({"easy": 1.0, "middle": 1.0, "hard": 1.0}, questions)
    assert weights("gamma_steep") == ({"easy": 1.0, "middle": 1.5, "hard": 2.0}, questions)
    assert weights("beta_0") == (maps, {"direct": 0.0, "transfers": 0.0})
    assert weights("beta_1") == (maps, {"direct": 0.0, "transfers": 1.0})
    both = composed(["gamma_flat", "beta_1"]).reward.rewardmap
    assert (both.map_weights.hard, both.question_weights.transfers) == (1.0, 1.0)


def test_the_papers_comparisons_are_one_command_each(hydra: None) -> None:
    text = (RECIPES.parent / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\| \d \|", line)]
    shown = [words for line in lines for words in re.findall(r"`([^`]+)`", line)]
    assert len(shown) == len(set(shown)) == 17
    for words in shown:
        assert composed(words.split(",")).data.custom_cls.name == "CurriculumDataset"

    alone = composed(["rl_baseline", "planning_only", "reinforce_plus_plus"])
    assert [stage.name for stage in read_curriculum(alone.data).stages] == ["planning"]
    assert alone.reward.rewardmap.use_detail is False
    assert alone.algorithm.adv_estimator == "reinforce_plus_plus"


def test_options_can_be_combined(hydra: None) -> None:
    config = composed(["rl_baseline", "cpu"])
    assert config.reward.rewardmap.use_detail is False
    assert config.trainer.device == "cpu"


def test_every_option_is_in_the_list_for_users() -> None:
    text = (RECIPES.parent / "README.md").read_text(encoding="utf-8")
    assert [name for name in OPTIONS if f"`{name}`" not in text] == []


@pytest.fixture(
    params=[[], ["+recipe/rewardmap_sft=[sdpa]"], ["+recipe/rewardmap_sft=[cpu]"]],
    ids=["gpu", "sdpa", "cpu"],
)
def sft(
    request: pytest.FixtureRequest,
    hydra: None,
    complete_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> DictConfig:
    """The recipe of fine-tuning and its CPU option, with rows and a model."""
    words = ["+recipe=rewardmap_sft", *request.param, f"data.folder={tmp_path / 'maps'}"]
    installed = not any("sdpa" in word for word in words)
    monkeypatch.setattr(attention, "has_flash_attn", lambda: installed)
    if any("cpu" in word for word in words):
        words.append(f"model.path={complete_folder}")
        monkeypatch.setenv("VERL_PLATFORM", "cpu")
    (tmp_path / "maps-sft.parquet").touch()
    config = compose("sft_trainer_engine", words, return_hydra_config=True)
    OmegaConf.set_struct(config, False)
    return config


def test_preflight_reports_nothing_in_fine_tuning(sft: DictConfig) -> None:
    assert [str(one) for one in examine(sft, "sft")] == []


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("data.train_files", "nothing.parquet", "rewardmap sft-rows"),
        ("data.max_token_len_per_gpu", 8192, "data.max_length=22048"),
        ("trainer.n_gpus_per_node", 5, "multiple of the 5 GPUs"),
        ("model.lora_rnk", 8, "Did you mean 'lora_rank'"),
        ("engine.stratgy", "fsdp", "Did you mean 'strategy'"),
        ("trainer.total_epoch", 1, "Did you mean 'total_epochs'"),
    ],
)
def test_errors_of_fine_tuning_are_reported(
    sft: DictConfig, key: str, value: Any, says: str
) -> None:
    OmegaConf.update(sft, key, value, force_add=True)
    sft.data.use_dynamic_bsz, sft.data.max_length = True, 22048
    texts = [str(one) for one in examine(sft, "sft")]
    assert any(says in text for text in texts), texts


@pytest.mark.parametrize("mode", ["auto", "named"])
def test_checkpoint_of_fine_tuning_is_not_unpickled(
    sft: DictConfig, tmp_path: Path, mode: str
) -> None:
    folder = tmp_path / "run" / "global_step_1"
    folder.mkdir(parents=True)
    (folder / "data_0.pt").write_bytes(pickle.dumps(print))
    if mode == "auto":
        (tmp_path / "run" / "latest_checkpointed_iteration.txt").write_text("1")
        sft.trainer.default_local_dir = str(tmp_path / "run")
    else:
        sft.trainer.resume_from_path = str(folder)
    (text,) = [str(one) for one in examine(sft, "sft")]
    assert "data_0.pt" in text and "Only tensors and plain data" in text


def test_verl_makes_its_dataclasses_of_fine_tuning(
    sft: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.config import HFModelConfig

    monkeypatch.setattr(HFModelConfig, "__post_init__", lambda self: None)
    for block in ("model", "engine", "optim", "checkpoint", "profiler"):
        made = omega_conf_to_dataclass(sft[block])
        assert type(made).__name__ == sft[block]["_target_"].rpartition(".")[2]


def test_command_line_overrides_recipe_and_options(hydra: None) -> None:
    config = composed(["cpu"], "data.train_batch_size=4", "trainer.experiment_name=mine")
    assert config.data.train_batch_size == 4
    assert config.actor_rollout_ref.actor.ppo_mini_batch_size == 4
    assert config.trainer.experiment_name == "mine"


def test_recipes_of_users_build_on_ours(hydra: None, tmp_path: Path) -> None:
    folder = tmp_path / "recipe"
    folder.mkdir()
    text = "# @package _global_\ndefaults: [rewardmap, _self_]\ndata: {train_batch_size: 32}\n"
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    config = compose("ppo_trainer", ["+recipe=mine", f"hydra.searchpath=[file://{tmp_path}]"])
    assert config.data.train_batch_size == 32
    assert config.algorithm.norm_adv_by_std_in_grpo is False


@pytest.mark.parametrize(("name", "gpus"), [("one_gpu", 1), ("one_node", 8), ("eight_nodes", 64)])
def test_examples_are_for_1_8_and_64_gpus(hydra: None, name: str, gpus: int) -> None:
    trainer = composed_example(name).trainer
    assert trainer.n_gpus_per_node * trainer.nnodes == gpus
    assert name in {path.stem for path in EXPERIMENTS}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_key_has_a_comment_above(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    bare = [
        f"{path.name}:{number}: {line.strip()}"
        for number, (above, line) in enumerate(zip(["", *lines], lines, strict=False), 1)
        if re.match(r"\s*(- )?[\w./@-]+:( |$)", line) and not above.lstrip().startswith("#")
    ]
    assert bare == []


@pytest.mark.parametrize("name", FILES)
def test_recipes_are_read_from_the_package(name: str) -> None:
    """Hydra composes the files that are tested here."""
    shipped = files("rewardmap_verl.recipes").joinpath("recipe", *name.split("/"))
    assert shipped.read_text(encoding="utf-8") == (RECIPES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_duplicate_keys(path: Path) -> None:
    """With duplicate keys YAML silently uses the last one."""
    yaml.load(path.read_text(encoding="utf-8"), Loader=OneOfEach)


class OneOfEach(yaml.SafeLoader):
    """Refuses a mapping with a key that occurs twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Build a mapping and check its keys."""
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice: {sorted(keys)} {node.start_mark}"
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_curriculum_of_the_embedded_run_fits_its_maps(
    seed: int, hydra: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option filters by transfers, and a value that no row has is an error."""
    folder = tmp_path / "synthetic"
    words = ["prepare", "synthetic", "--out", str(folder), "--seed", str(seed)]
    assert CliRunner().invoke(app, words).exit_code == 0
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    config = composed(["cpu", "pocket"])
    OmegaConf.set_struct(config, False)
    config.data.folder = str(folder)
    config.actor_rollout_ref.model.path = str(copy_pocket_model(tmp_path / "model"))
    config.trainer.default_local_dir = str(tmp_path)
    assert [str(one) for one in examine(config)] == []
