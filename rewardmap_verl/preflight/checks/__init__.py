"""What must hold between the settings of a run; each check is one function to diagnostics.

Most are about behaviors of verl 0.9.1 that fail late, in the middle of a step, or never.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.checkpoints.resume import check_resume, fall_back_step
from rewardmap_verl.checkpoints.retention import room_shortage
from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.curriculum.config import check_run, file_names, read_curriculum
from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum, read_columns
from rewardmap_verl.curriculum.rows import Files
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preflight.diagnostics import Diagnostic
from rewardmap_verl.rewards.config import RewardConfig

__all__ = ["CHECKS", "Check", "is_ours"]

Check = Callable[[DictConfig], Iterator[Diagnostic]]

OUR_MANAGER = "pkg://rewardmap_verl.verl_plugin.reward_manager"
OUR_DATASET = "pkg://rewardmap_verl.verl_plugin.dataset"


def pick(config: DictConfig, key: str, default: Any = None) -> Any:
    """The value at a dotted key; ``default`` where there is none or it is null."""
    found = OmegaConf.select(config, key, default=None)
    return default if found is None else found


def is_ours(config: DictConfig) -> bool:
    """Whether the run reads its rows in the order of a curriculum."""
    return bool(pick(config, "data.custom_cls.path") == OUR_DATASET)


def whole(config: DictConfig, key: str, default: int | None = None, least: int = 1) -> int:
    """The whole number at a dotted key.

    Raises:
        ConfigError: There is none, or it is below ``least``.
    """
    found = pick(config, key, default)
    if not isinstance(found, int) or isinstance(found, bool) or found < least:
        raise ConfigError(key, found=found, hint=f"Give a whole number of at least {least}.")
    return found


def sequence_parallel(config: DictConfig) -> int:
    """GPUs that share one sequence (Ulysses)."""
    keys = ("ulysses_sequence_parallel_size", "fsdp_config.ulysses_sequence_parallel_size")
    return max(whole(config, f"actor_rollout_ref.actor.{key}", 1) for key in keys)


def gpus(config: DictConfig) -> int:
    """Devices of the run, over all nodes."""
    return whole(config, "trainer.n_gpus_per_node") * whole(config, "trainer.nnodes")


def check_ignored_keys(config: DictConfig) -> Iterator[Diagnostic]:
    """Keys that verl 0.9.1 still accepts and no longer reads."""
    for old, new in (
        ("custom_reward_function.path", "reward.custom_reward_function.path"),
        ("reward_model.reward_manager", "reward.reward_manager"),
        ("reward_model.reward_loop_module_path", "reward.reward_manager.module.path"),
        ("reward_model.enable", "reward.reward_model.enable"),
        ("reward_model.model.path", "reward.reward_model.model_path"),
        ("reward_model.num_workers", "reward.num_workers"),
    ):
        if (found := pick(config, old)) is not None:
            yield Diagnostic(old, f"verl 0.9.1 ignores this key. Use {new}.", found)
    if (found := pick(config, "data.sampler")) is not None:
        yield Diagnostic(
            "data.sampler", "verl has had no samplers since 0.8. Use data.curriculum.", found
        )
    if pick(config, "data.mm_processor_kwargs.max_pixels") is not None:
        yield Diagnostic(
            "data.mm_processor_kwargs.max_pixels",
            "transformers 5.9 ignores it. Prepare the data with another pixel budget instead: "
            "rewardmap prepare --help.",
        )
    if pick(config, "actor_rollout_ref.actor.freeze_vision_tower", False):
        yield Diagnostic(
            "actor_rollout_ref.actor.freeze_vision_tower",
            "Nothing in verl 0.9.1 reads it. To spare the vision tower, train adapters of the "
            "rest: '+recipe/rewardmap=[lora]'.",
        )


_BROKEN_ESTIMATORS = {
    "remax": "reinforce_plus_plus, rloo or grpo",
    "gdpo": "grpo",
}


def check_estimator(config: DictConfig) -> Iterator[Diagnostic]:
    """Advantage estimators that fail in verl's current trainer, or undo the difficulty weight."""
    key = "algorithm.adv_estimator"
    name = str(pick(config, key, ""))
    if name in _BROKEN_ESTIMATORS and pick(config, "trainer.use_v1", True):
        yield Diagnostic(
            key, f"It fails in verl 0.9.1's trainer. Use {_BROKEN_ESTIMATORS[name]}.", name
        )
    if name == "grpo_vectorized" and not divided_by_deviation(config):
        yield Diagnostic(
            key,
            "It ignores norm_adv_by_std_in_grpo=False and divides all the same. Use grpo.",
            name,
        )
    if name.startswith(("grpo", "rloo")) and whole(config, "actor_rollout_ref.rollout.n") == 1:
        yield Diagnostic(
            "actor_rollout_ref.rollout.n", f"A group of one has no signal for {name}. Use 8.", 1
        )


def divided_by_deviation(config: DictConfig) -> bool:
    """Whether GRPO divides advantages by the deviation of their group."""
    return bool(pick(config, "algorithm.norm_adv_by_std_in_grpo", True))


def check_batch(config: DictConfig) -> Iterator[Diagnostic]:
    """Batches that verl would pad: its padding has no image, and Qwen2.5-VL crashes on it."""
    batch = whole(config, "data.train_batch_size")
    answers = whole(config, "actor_rollout_ref.rollout.n")
    update = whole(config, "actor_rollout_ref.actor.ppo_mini_batch_size")
    ranks = gpus(config) // sequence_parallel(config)
    if ranks * sequence_parallel(config) != gpus(config):
        yield Diagnostic(
            "actor_rollout_ref.actor.ulysses_sequence_parallel_size",
            f"It must divide the number of GPUs, {gpus(config)}.",
            sequence_parallel(config),
        )
        return
    if update * answers % ranks:
        yield Diagnostic(
            "actor_rollout_ref.actor.ppo_mini_batch_size",
            f"{update} prompts × {answers} answers cannot be shared out to {ranks} ranks. "
            f"Choose a multiple of {ranks // math.gcd(ranks, answers)}.",
            update,
        )
    elif batch % update:
        yield Diagnostic(
            "actor_rollout_ref.actor.ppo_mini_batch_size",
            f"It must divide data.train_batch_size={batch}, or verl pads {batch * answers} "
            f"sequences to {-(-batch // update) * update * answers}, and padding without an image "
            f"crashes Qwen2.5-VL. Set it to {batch}.",
            update,
        )
    fetched = pick(config, "data.gen_batch_size", batch)
    if fetched != batch:
        yield Diagnostic(
            "data.gen_batch_size",
            f"Leave it null, or stages end inside a step of {batch}.",
            fetched,
        )


def check_micro_batches(config: DictConfig) -> Iterator[Diagnostic]:
    """Fixed micro-batches that do not divide what a rank computes: verl's engine asserts late."""
    ranks = max(1, gpus(config) // sequence_parallel(config))
    batch = whole(config, "data.train_batch_size")
    update = whole(config, "actor_rollout_ref.actor.ppo_mini_batch_size")
    for key, fixed_unless, prompts in (
        ("actor.ppo_micro_batch_size_per_gpu", "actor.use_dynamic_bsz", update),
        ("ref.log_prob_micro_batch_size_per_gpu", "ref.log_prob_use_dynamic_bsz", batch),
        ("rollout.log_prob_micro_batch_size_per_gpu", "rollout.log_prob_use_dynamic_bsz", batch),
    ):
        key = f"actor_rollout_ref.{key}"
        micro = pick(config, key)
        if pick(config, f"actor_rollout_ref.{fixed_unless}") or not isinstance(micro, int):
            continue
        shares = {prompts * answers // ranks for answers in answers_of_stages(config)}
        if any(share % micro for share in shares):
            yield Diagnostic(
                key,
                f"A rank computes {' or '.join(map(str, sorted(shares)))} sequences at a time. "
                f"Choose a divisor of {math.gcd(*shares)}, or set "
                f"actor_rollout_ref.{fixed_unless}=True.",
                micro,
            )


def answers_of_stages(config: DictConfig) -> set[int]:
    """Answers per prompt: those of the run, and those of stages that want another number."""
    usual = whole(config, "actor_rollout_ref.rollout.n")
    if not is_ours(config):
        return {usual}
    return {stage.rollouts or usual for stage in read_curriculum(config.data).stages}


def check_tokens(config: DictConfig) -> Iterator[Diagnostic]:
    """Token budgets below the longest prompt with its answer."""
    longest = whole(config, "data.max_prompt_length") + whole(config, "data.max_response_length")
    shared = longest // sequence_parallel(config)
    role = "actor_rollout_ref."
    for key, needed, used in (
        ("actor.ppo_max_token_len_per_gpu", shared, "actor.use_dynamic_bsz"),
        ("ref.log_prob_max_token_len_per_gpu", shared, "ref.log_prob_use_dynamic_bsz"),
        ("rollout.log_prob_max_token_len_per_gpu", shared, "rollout.log_prob_use_dynamic_bsz"),
        ("rollout.max_model_len", longest, "rollout.name"),
    ):
        found = pick(config, role + key)
        if pick(config, role + used) and isinstance(found, int) and found < needed:
            yield Diagnostic(
                role + key,
                f"The longest prompt with its answer has {needed} tokens "
                "(data.max_prompt_length + data.max_response_length). Raise this, or lower those.",
                found,
            )


def check_replicas(config: DictConfig) -> Iterator[Diagnostic]:
    """VLLM engines that do not fill the devices evenly."""
    key = "actor_rollout_ref.rollout.tensor_model_parallel_size"
    size = whole(config, key, 1)
    if whole(config, "trainer.n_gpus_per_node") % size:
        yield Diagnostic(
            key,
            "It must divide trainer.n_gpus_per_node="
            f"{pick(config, 'trainer.n_gpus_per_node')}: an engine does not span nodes.",
            size,
        )


def check_files(config: DictConfig) -> Iterator[Diagnostic]:
    """Data that is not there, or not whole."""
    for key in ("data.train_files", "data.val_files"):
        found = pick(config, key)
        names = [found] if isinstance(found, str) else list(found or ())
        if not names:
            yield Diagnostic(key, "Name at least one parquet file, or set data.folder.", found)
        for name in names:
            yield from _check_file(key, str(name))


def _check_file(key: str, name: str) -> Iterator[Diagnostic]:
    if "://" in name:
        return
    path = Path(name).expanduser()
    if not path.is_file():
        yield Diagnostic(
            key,
            f"There is no such file, looked for from {Path.cwd()}. Prepare the data (make "
            "prep-data, or rewardmap prepare --help) and set data.folder to the folder it wrote.",
            name,
        )
    elif not (path.parent / "manifest.json").is_file():
        yield Diagnostic(
            key,
            f"{path.parent} has no manifest.json, so its preparation did not come to its end. "
            "Prepare the data again.",
            name,
        )


def check_model(key: str) -> Check:
    """The check for a model folder that is not there; ``key`` holds its path."""

    def check(config: DictConfig) -> Iterator[Diagnostic]:
        name = str(pick(config, key, ""))
        path = Path(name).expanduser()
        if not name or (is_local(name) and not (path / "config.json").is_file()):
            yield Diagnostic(
                key,
                "There is no model in this folder (no config.json). Give the folder of a Hugging "
                "Face model or its name, such as Qwen/Qwen2.5-VL-7B-Instruct; `make train` builds "
                "a tiny one.",
                name,
            )

    return check


def check_family(config: DictConfig) -> Iterator[Diagnostic]:
    """Models that verl 0.9.1 knows by name and this stack has not run."""
    name = str(pick(config, "actor_rollout_ref.model.path", ""))
    if "kimi" in name.lower():
        yield Diagnostic(
            "actor_rollout_ref.model.path",
            "transformers 5.9 has no Kimi-VL; its code comes with the weights "
            "(actor_rollout_ref.model.trust_remote_code=True), and verl 0.9.1 replaces a class of "
            "an older version of it. Nobody has run that here. The nearest that runs is "
            "'+recipe/rewardmap=[qwen3_vl_8b]'.",
            name,
            stops=False,
        )


def is_local(model: str) -> bool:
    """Whether a model is named by a folder, not by its name on a hub (``owner/name``)."""
    path = Path(model).expanduser()
    return model.startswith(("/", ".", "~")) or len(path.parts) != 2 or Path(path.parts[0]).is_dir()


def check_device(config: DictConfig) -> Iterator[Diagnostic]:
    """The platform of verl and the device of the trainer must be the same."""
    device = str(pick(config, "trainer.device", "cuda"))
    platform = os.environ.get("VERL_PLATFORM", "").strip().lower()
    if device == "cpu" and platform != "cpu":
        yield Diagnostic(
            "trainer.device",
            "verl chooses its platform when it is imported, so set VERL_PLATFORM=cpu in the "
            "environment.",
            device,
        )
    if platform == "cpu" and device != "cpu":
        yield Diagnostic(
            "trainer.device",
            "VERL_PLATFORM=cpu is set. Add '+recipe/rewardmap=[cpu]', or unset the variable.",
            device,
        )


def check_managers(config: DictConfig) -> Iterator[Diagnostic]:
    """Our settings without the classes that read them."""
    for key, ours, block in (
        ("reward.reward_manager.module.path", OUR_MANAGER, "reward.rewardmap"),
        ("data.custom_cls.path", OUR_DATASET, "data.curriculum"),
    ):
        found = pick(config, key)
        if found != ours and pick(config, block) is not None:
            yield Diagnostic(
                key, f"{block} is read by {ours} only and has no effect here.", found, stops=False
            )


def check_weights(config: DictConfig) -> Iterator[Diagnostic]:
    """Difficulty weights, which are the same for a whole group, and what cancels them."""
    settings = read_block(RewardConfig, pick(config, "reward.rewardmap"), "reward.rewardmap")
    name = str(pick(config, "algorithm.adv_estimator", ""))
    if name == "grpo" and divided_by_deviation(config) and weights_differ(settings):
        yield Diagnostic(
            "algorithm.norm_adv_by_std_in_grpo",
            "Difficulty weights are on, and dividing advantages by the deviation of their group "
            "cancels them. Set it to False, or reward.rewardmap.use_difficulty=False.",
            True,
            stops=False,
        )


def weights_differ(settings: RewardConfig) -> bool:
    """Whether the reward weighs some questions more than others."""
    maps, questions = settings.map_weights, settings.question_weights
    values = {maps.easy, maps.middle, maps.hard}
    return settings.use_difficulty and (len(values) > 1 or questions.direct != questions.transfers)


def check_curriculum(config: DictConfig) -> Iterator[Diagnostic]:
    """The block of the curriculum, and the settings under which it holds."""
    if is_ours(config):
        read_curriculum(config.data)
        check_run(config)
    yield from ()


def check_stages(config: DictConfig) -> Iterator[Diagnostic]:
    """Stages that the data cannot fill."""
    if is_ours(config) and not list(check_files(config)):
        plan_curriculum(config.data)
    yield from ()


def check_prompts(config: DictConfig) -> Iterator[Diagnostic]:
    """Prompts that are too long: verl fails their whole group, in the middle of a step."""
    if not is_ours(config) or list(check_files(config)):
        return
    limit = whole(config, "data.max_prompt_length")
    for key in ("data.train_files", "data.val_files"):
        files = Files.from_names(file_names(pick(config, key)))
        lengths = prompt_lengths(files)
        longest = max(lengths, default=0)
        if longest > limit:
            row = lengths.index(longest)
            too_long = sum(length > limit for length in lengths)
            yield Diagnostic(
                "data.max_prompt_length",
                f"{files.name_row(row)} has a prompt of {longest} tokens, and {too_long} of "
                f"{len(lengths)} prompts are too long. Raise it to {longest}, or prepare the data "
                "with a smaller pixel budget (rewardmap prepare --help).",
                limit,
            )


def prompt_lengths(files: Files) -> list[int]:
    """Tokens of every prompt as preparation measured them; nothing for data without them."""
    try:
        lengths = read_columns(files, ["prompt_tokens"])["prompt_tokens"]
    except ConfigError:
        return []
    return [length if isinstance(length, int) else 0 for length in lengths]


def check_position(config: DictConfig) -> Iterator[Diagnostic]:
    """A checkpoint that the run would resume: damaged, or written with other rows."""
    if not is_ours(config) or list(check_files(config)):
        return
    if (found := fall_back_step(config)) is not None:
        step, wrong = found
        yield Diagnostic(
            "trainer.default_local_dir",
            f"The last checkpoint is damaged ({wrong}); the run goes on from step {step}.",
            str(pick(config, "trainer.default_local_dir")),
            stops=False,
        )
    check_resume(config)


def check_disk(config: DictConfig) -> Iterator[Diagnostic]:
    """A disk that the next checkpoint does not fit on: training would go on up to it, in vain."""
    root = pick(config, "trainer.default_local_dir")
    saves = (pick(config, "trainer.save_freq") or 0) > 0
    if not root or not saves or pick(config, "trainer.resume_mode") != "auto":
        return
    lack = room_shortage(Path(str(root)), pick(config, "trainer.max_actor_ckpt_to_keep"))
    if lack:
        yield Diagnostic("trainer.default_local_dir", lack, stops=False)


def check_nodes(config: DictConfig) -> Iterator[Diagnostic]:
    """Relative paths, which lead to another folder on each node."""
    if whole(config, "trainer.nnodes") == 1:
        return
    for key in ("data.folder", "trainer.default_local_dir"):
        found = str(pick(config, key, ""))
        if found and "://" not in found and not Path(found).is_absolute():
            yield Diagnostic(
                key,
                "Several nodes take part. Give an absolute path that leads to the same folder on "
                "each of them.",
                found,
                stops=False,
            )


def check_cluster(config: DictConfig) -> Iterator[Diagnostic]:
    """Ray refuses to be told how large a running cluster is, and looks for one that is gone."""
    named = os.environ.get("RAY_ADDRESS", "")
    address = named or last_cluster()
    if address in ("", "local"):
        return
    if not named and not answers(address):
        yield Diagnostic(
            str(ray_folder() / CURRENT),
            f"A cluster was started here with `ray start` and is gone ({address}), and Ray would "
            "look for it. Remove this file, or set RAY_ADDRESS=local.",
        )
        return
    for name in ("num_cpus", "num_gpus", "object_store_memory"):
        key = f"ray_kwargs.ray_init.{name}"
        if (found := pick(config, key)) is not None:
            yield Diagnostic(
                key,
                f"The cluster at {address} runs already and knows this. Add "
                f"'+recipe/rewardmap=[multi_node]' as the last option, or set {key}=null; or set "
                "RAY_ADDRESS=local for a cluster of the run's own.",
                found,
            )


CURRENT = Path("ray") / "ray_current_cluster"
"""Where ``ray start`` writes the address of its cluster, below Ray's temporary folder."""


def ray_folder() -> Path:
    """The folder for temporary files that Ray uses."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")


def last_cluster() -> str:
    """The cluster that ``ray.init()`` would join without being told; empty when there is none."""
    path = ray_folder() / CURRENT
    return path.read_text().strip() if path.is_file() else ""


def answers(address: str) -> bool:
    """Whether anybody listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            return True
    except (OSError, ValueError):
        return False


def check_rows_of_sft(config: DictConfig) -> Iterator[Diagnostic]:
    """Conversations that are not there, and a budget below the longest of them."""
    key = "data.train_files"
    found = str(pick(config, key, ""))
    if not Path(found).is_file():
        yield Diagnostic(
            key,
            f"There is no such file, looked for from {Path.cwd()}. Write it: "
            f"rewardmap sft-rows {pick(config, 'data.folder', 'FOLDER')}.",
            found,
        )
    budget = whole(config, "data.max_token_len_per_gpu")
    longest = whole(config, "data.max_length")
    if pick(config, "data.use_dynamic_bsz") and budget < longest:
        yield Diagnostic(
            "data.max_token_len_per_gpu",
            f"The longest conversation has data.max_length={longest} tokens. Raise this.",
            budget,
        )


def check_batch_of_sft(config: DictConfig) -> Iterator[Diagnostic]:
    """A batch that the GPUs cannot share."""
    batch = whole(config, "data.train_batch_size")
    if batch % gpus(config):
        yield Diagnostic(
            "data.train_batch_size", f"Choose a multiple of the {gpus(config)} GPUs.", batch
        )


CHECKS: Mapping[str, tuple[Check, ...]] = {
    "ppo": (
        check_weights,
        check_curriculum,
        check_ignored_keys,
        check_estimator,
        check_batch,
        check_micro_batches,
        check_tokens,
        check_replicas,
        check_managers,
        check_device,
        check_nodes,
        check_cluster,
        check_model("actor_rollout_ref.model.path"),
        check_family,
        check_files,
        check_stages,
        check_prompts,
        check_position,
        check_disk,
    ),
    "sft": (
        check_batch_of_sft,
        check_device,
        check_model("model.path"),
        check_rows_of_sft,
    ),
}
"""By program; see :class:`rewardmap_verl.preflight.callback.PreflightCallback`."""
