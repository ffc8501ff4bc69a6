"""Sizes of the model and the machine: what does not fit is refused before Ray starts."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.preflight.checks import cluster, memory
from rewardmap_verl.preflight.checks.cluster import check_cores
from rewardmap_verl.preflight.checks.data import check_cities
from rewardmap_verl.preflight.checks.environment import check_allocator, check_visible_devices
from rewardmap_verl.preflight.checks.memory import (
    ModelFacts,
    check_bucket,
    check_fused_kernels,
    check_memory,
    read_model_facts,
)

GIB = 2**30


@pytest.fixture(scope="module")
def hydra() -> Iterator[None]:
    with initialize_config_module("verl.trainer.config", version_base=None):
        yield


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One 80 GB GPU, no Ray cluster, nothing downloaded."""
    monkeypatch.setattr(memory, "smallest_gpu", lambda: 85e9)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def composed(options: Sequence[str] = (), *words: str) -> DictConfig:
    """The recipe with options and overrides; composing takes a second, copying does not."""
    return copy.deepcopy(composed_once(tuple(options), words))


@cache
def composed_once(options: tuple[str, ...], words: tuple[str, ...]) -> DictConfig:
    more = [f"+recipe/rewardmap=[{','.join(options)}]"] if options else []
    return compose("ppo_trainer", ["+recipe=rewardmap", *more, *words])


def model_folder(folder: Path, tied: bool = True, vocabulary: int = 1000, width: int = 64) -> Path:
    folder.mkdir(exist_ok=True)
    config = {"tie_word_embeddings": tied, "dtype": "bfloat16"}
    text = {"vocab_size": vocabulary, "hidden_size": width}
    (folder / "config.json").write_text(json.dumps({**config, "text_config": text}))
    (folder / "model.safetensors").write_bytes(bytes(2000))
    return folder


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ((), True),  # 16.6 GB on each of 8 GPUs
        (("one_gpu",), False),  # 133 GB
        (("lora", "one_gpu"), True),  # 33 GB
        (("qwen2_5_vl_3b", "one_gpu"), True),  # 60 GB, and 12 for a micro-batch
        (("qwen3_vl_8b", "one_gpu"), False),
        (("cpu",), True),
    ],
)
def test_states_of_the_optimizer_must_fit(hydra: None, options: Sequence[str], fits: bool) -> None:
    found = list(check_memory(composed(options)))
    assert (found == []) is fits
    assert all(one.stops for one in found)


def test_the_sum_is_in_the_message(hydra: None) -> None:
    (found,) = check_memory(composed(["one_gpu"]))
    assert "8.29 billion parameters take 133 GB on each of 1 GPUs" in found.hint
    assert "a GPU has 85 GB" in found.hint
    offloaded = "actor_rollout_ref.actor.fsdp_config.offload_policy=True"
    assert offloaded in found.hint
    assert list(check_memory(composed(["one_gpu"], offloaded))) == []


def test_smaller_gpus(hydra: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for gibibytes in (80, 40, 16, 12):  # states take 16.6 GB, a micro-batch 20
        monkeypatch.setattr(memory, "smallest_gpu", lambda size=gibibytes: size * 1.0 * GIB)
        found.append([one.stops for one in check_memory(composed())])
    assert found == [[], [], [False], [True]]


def test_a_micro_batch_must_fit_beside_the_states(hydra: None) -> None:
    """The 3B model on one GPU: 60 GB of states, 12 GB of activations, 7 GB of logits."""
    options = ["qwen2_5_vl_3b", "one_gpu"]
    assert list(check_memory(composed(options))) == []
    logits = composed(options, "actor_rollout_ref.model.use_fused_kernels=False")
    (found,) = check_memory(logits)
    assert not found.stops and "about 20 GB beside 60 GB" in found.hint


def test_size_of_a_gpu_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '81559\\n40960\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert memory.smallest_gpu() == 40960 * 2**20
    program.write_text("#!/bin/sh\nexit 9\n")
    assert memory.smallest_gpu() == memory.USUAL_GPU_BYTES


def test_facts_of_a_folder(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", tied=False)
    assert read_model_facts(str(folder)) == ModelFacts(1000, False, 64_000)
    index = {"metadata": {"total_size": 3_000_000}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_model_facts(str(folder)).parameters == 1_500_000


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"vocab_size": "many"}'])
def test_a_config_that_cannot_be_read_is_not_judged(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert read_model_facts(str(tmp_path)) == ModelFacts()


@pytest.mark.parametrize(
    ("name", "parameters", "tied"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8.29e9, False),
        ("Qwen/Qwen2.5-VL-3B-Instruct", 3.75e9, True),
        ("someone/other-14B-chat", 14e9, None),
        ("someone/unknown", None, None),
    ],
)
def test_facts_in_a_name(name: str, parameters: float | None, tied: bool | None) -> None:
    assert read_model_facts(name) == ModelFacts(parameters, tied)


@pytest.mark.parametrize(("tied", "stops"), [(True, []), (False, [True])])
def test_fused_kernels_need_tied_embeddings(
    hydra: None, tmp_path: Path, tied: bool, stops: list[bool]
) -> None:
    path = model_folder(tmp_path / "model", tied)
    fused = "actor_rollout_ref.model.use_fused_kernels=True"
    config = composed((), fused, f"actor_rollout_ref.model.path={path}")
    assert [one.stops for one in check_fused_kernels(config)] == stops


def test_fused_kernels_of_a_named_model(hydra: None) -> None:
    fused = "actor_rollout_ref.model.use_fused_kernels=True"
    assert list(check_fused_kernels(composed(["qwen2_5_vl_3b"], fused))) == []
    assert [one.stops for one in check_fused_kernels(composed([], fused))] == [True]
    unknown = composed([], fused, "actor_rollout_ref.model.path=someone/unknown")
    assert [one.stops for one in check_fused_kernels(unknown)] == [False], "only a warning"
    assert list(check_fused_kernels(composed())) == []


def test_the_bucket_holds_the_embedding(hydra: None, tmp_path: Path) -> None:
    """152,064 tokens × 3,584 features × 4 bytes are 2,079 MiB; verl's default is 2,048."""
    path = model_folder(tmp_path / "model", vocabulary=152_064, width=3584)
    config = composed((), f"actor_rollout_ref.model.path={path}")
    assert list(check_bucket(config)) == []
    config.actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes = 2048
    (found,) = check_bucket(config)
    assert "at least 2079" in found.hint and found.stops


@pytest.mark.parametrize(
    ("options", "cores", "waits"),
    [
        (("lora", "one_gpu"), 8, False),
        (("lora", "one_gpu"), 5, False),
        (("lora", "one_gpu"), 4, True),
        ((), 33, False),  # 3 × 8 + 1 + 8
        ((), 32, True),
        (("cpu",), 2, False),  # the recipe sets 8 slots
    ],
)
def test_cores_that_verl_reserves(
    hydra: None,
    monkeypatch: pytest.MonkeyPatch,
    options: Sequence[str],
    cores: int,
    waits: bool,
) -> None:
    monkeypatch.setattr(cluster, "core_count", lambda: cores)
    found = list(check_cores(composed(options)))
    assert bool(found) is waits
    assert all("the run would wait forever" in one.hint and one.stops for one in found)


def test_cores_of_a_cluster_are_not_counted(hydra: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "core_count", lambda: 2)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert list(check_cores(composed())) == []


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"ROCR_VISIBLE_DEVICES": "0,1", "CUDA_VISIBLE_DEVICES": "0,1"}, 1),
        ({"ROCR_VISIBLE_DEVICES": "0,1"}, 0),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, 0),
    ],
)
def test_devices_of_two_vendors(
    hydra: None, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], count: int
) -> None:
    for name in ("ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = list(check_visible_devices(composed()))
    assert [one.key for one in found] == ["ROCR_VISIBLE_DEVICES"] * count
    assert list(check_visible_devices(composed(["cpu"]))) == []


@pytest.mark.parametrize("name", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"])
def test_expandable_segments(hydra: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for one in ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"):
        monkeypatch.delenv(one, raising=False)
    assert list(check_allocator(composed())) == []
    monkeypatch.setenv(name, "max_split_size_mb:128,expandable_segments:True")
    assert [one.key for one in check_allocator(composed())] == [name]
    assert list(check_allocator(composed(["cpu"]))) == []


def test_validation_cities_that_are_trained(
    hydra: None, complete_folder: Path, tmp_path: Path, row_of: Any
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    config = composed([], f"data.folder={complete_folder}")
    assert list(check_cities(config)) == []
    config.data.val_files = str(complete_folder / "train.parquet")
    (found,) = check_cities(config)
    assert found.stops and found.key == "data.val_files"
    assert "1 of 1 validation cities are also trained (testland/one)" in found.hint
    config.data.allow_seen_cities = True
    assert list(check_cities(config)) == []

    (tmp_path / "manifest.json").touch()
    row = row_of("planning", 0, "test")
    row["extra_info"]["city"] = "ONE"  # the same city in another spelling
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "test.parquet")
    config = composed([], f"data.folder={complete_folder}")
    config.data.val_files = str(tmp_path / "test.parquet")
    assert len(list(check_cities(config))) == 1


def test_recipe_values_for_gpus(hydra: None) -> None:
    config = composed()
    role = config.actor_rollout_ref
    assert role.ref.fsdp_config.model_dtype == "bf16"
    assert role.rollout.checkpoint_engine.update_weights_bucket_megabytes == 2560
    assert role.actor.fsdp_config.use_no_sync_for_gradient_accumulation is False
    assert config.data.allow_seen_cities is False
    one = composed(["lora", "one_gpu"])
    assert one.transfer_queue.backend.SimpleStorage.num_data_storage_units == 1
    assert one.reward.num_workers == one.actor_rollout_ref.rollout.agent.num_workers == 2
    on_cpu = composed(["cpu"]).actor_rollout_ref
    assert on_cpu.ref.fsdp_config.model_dtype == "fp32"
    assert OmegaConf.select(on_cpu, "rollout.checkpoint_engine.update_weights_bucket_megabytes")
