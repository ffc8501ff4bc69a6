"""Checks of sizes that follow from the model: GPU memory, fused kernels, the weight-sync bucket.

The model is read from its folder, or from the local cache of the Hugging Face Hub. A model that is
not there yet is known by its name, as far as the name tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.preflight.checks.model import is_local
from rewardmap_verl.preflight.checks.values import gpu_count, require_int, select
from rewardmap_verl.preflight.diagnostics import Diagnostic
from rewardmap_verl.preflight.nvidia import query

__all__ = ["ModelFacts", "check_bucket", "check_fused_kernels", "check_memory", "read_model_facts"]

_ROLE = "actor_rollout_ref."
_TOKENS = _ROLE + "actor.ppo_max_token_len_per_gpu"
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

FULL_TRAINING_BYTES = 16
"""Bytes per parameter in fp32: weights 4, gradients 4, the two moments of Adam 8."""

LARGE_MODEL = 1e9
"""Parameters from which the memory of a micro-batch is estimated."""

ACTIVATION_BYTES = 500_000
"""Bytes per token of a micro-batch with recomputed activations: the inputs of all layers, one layer
of the language model and one of the vision tower. Computed for Qwen2.5-VL-3B and 7B."""

LOGIT_BYTES = 300_000
"""Bytes per token of the logits in bf16, for a vocabulary of 152,000."""

COMFORTABLE = 0.9
"""Share of a GPU's memory that an estimate may reach; fragmentation and CUDA take the rest."""

USUAL_GPU_BYTES = 85e9
"""Memory of a GPU with 80 GiB, assumed where no GPU can be asked."""

_KNOWN = {
    "qwen2.5-vl-3b": (3.75e9, True),
    "qwen2.5-vl-7b": (8.29e9, False),
    "qwen2.5-vl-32b": (33.5e9, False),
    "qwen2.5-vl-72b": (73.4e9, False),
    "qwen3-vl-8b": (8.77e9, False),
}
"""Parameters and tied embeddings of models that are usually named and not yet downloaded."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the checks need to know of a model; ``None`` for what is unknown."""

    parameters: float | None = None
    tied: bool | None = None
    """Whether input and output embeddings are one tensor."""
    embedding_elements: int | None = None
    """Elements of the largest tensor, the embedding."""


def read_model_facts(name: str) -> ModelFacts:
    """Return what is known of a model without downloading it.

    Args:
        name: A folder, or a name on the Hugging Face Hub.
    """
    folder = Path(name).expanduser() if is_local(name) else _cached_folder(name)
    if folder is not None and (folder / "config.json").is_file():
        return _facts_of_folder(folder)
    lower = name.lower()
    for part, (parameters, tied) in _KNOWN.items():
        if part in lower:
            return ModelFacts(parameters, tied)
    return ModelFacts(_parameters_in_name(lower))


def _parameters_in_name(name: str) -> float | None:
    match = re.search(r"(\d+(?:\.\d+)?)b\b", name)
    return float(match[1]) * 1e9 if match else None


def _cached_folder(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def _facts_of_folder(folder: Path) -> ModelFacts:
    try:
        config: Any = parse_json((folder / "config.json").read_text(encoding="utf-8"))
        text = {**config, **(config.get("text_config") or {})}
        dtype = str(text.get("dtype") or text.get("torch_dtype") or "float32")
        size = _weight_bytes(folder)
        return ModelFacts(
            parameters=size / _BYTES.get(dtype, 4) if size else None,
            tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
            embedding_elements=int(text["vocab_size"]) * int(text["hidden_size"]),
        )
    except (OSError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return ModelFacts()  # other checks, and transformers, report what is wrong with it


def _weight_bytes(folder: Path) -> int:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return int(parse_json(index.read_text(encoding="utf-8"))["metadata"]["total_size"])
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def check_memory(config: DictConfig) -> Iterator[Diagnostic]:
    """Report states that do not fit on the GPUs; warn if a micro-batch may not fit beside them."""
    settings = "actor_rollout_ref.actor.fsdp_config."
    name = str(select(config, _ROLE + "model.path", ""))
    parameters = read_model_facts(name).parameters
    if _on_cpu(config) or parameters is None or select(config, settings + "offload_policy", False):
        return
    ranks = int(select(config, settings + "fsdp_size", -1))
    ranks = gpu_count(config) if ranks <= 0 else ranks
    states = parameters * _training_bytes(config) / ranks
    working = _micro_batch_bytes(config) if parameters >= LARGE_MODEL else 0
    available = smallest_gpu()
    if states > available:
        yield Diagnostic(
            _ROLE + "model.path",
            f"{parameters / 1e9:.3g} billion parameters take {states / 1e9:.0f} GB on each of "
            f"{ranks} GPUs in fp32 ({_training_bytes(config)} bytes each for weights, gradients "
            f"and optimizer), and a GPU has {available / 1e9:.0f} GB. Train adapters "
            "('+recipe/rewardmap=[lora,…]'), a smaller model or on more GPUs; or keep them in host "
            f"memory with {settings}offload_policy=True, which is slower.",
            name,
        )
    elif states + working > COMFORTABLE * available:
        yield Diagnostic(
            _TOKENS,
            f"A micro-batch takes about {working / 1e9:.0f} GB beside {states / 1e9:.0f} GB of "
            f"weights, gradients and optimizer, and a GPU has {available / 1e9:.0f} GB. If the "
            f"update runs out of memory, set {settings}offload_policy=True, which is slower, or "
            "prepare smaller maps and lower this.",
            require_int(config, _TOKENS),
            stops=False,
        )


def _micro_batch_bytes(config: DictConfig) -> float:
    """Return the estimated memory of an update's largest micro-batch on a GPU."""
    fused = select(config, _ROLE + "model.use_fused_kernels", False)
    per_token = ACTIVATION_BYTES + (0 if fused else LOGIT_BYTES)
    return float(require_int(config, _TOKENS) * per_token)


def _training_bytes(config: DictConfig) -> int:
    """Return bytes per parameter while the actor trains; adapters are small beside the weights."""
    if not select(config, _ROLE + "model.lora_rank", 0):
        return FULL_TRAINING_BYTES
    dtype = str(select(config, _ROLE + "actor.fsdp_config.model_dtype", "fp32"))
    return 4 if dtype in ("fp32", "float32") else 2


def _on_cpu(config: DictConfig) -> bool:
    return select(config, "trainer.device") == "cpu"


def smallest_gpu() -> float:
    """Return the memory in bytes of the smallest GPU here; ``USUAL_GPU_BYTES`` without one."""
    try:
        return min(float(value) for value in query("memory.total")) * 2**20
    except ValueError:
        return USUAL_GPU_BYTES


def check_fused_kernels(config: DictConfig) -> Iterator[Diagnostic]:
    """Report fused kernels on a model with a separate output embedding.

    verl 0.9.1 then mixes tensors and sharded tensors in one operation, which fails under FSDP2.
    """
    key = _ROLE + "model.use_fused_kernels"
    name = str(select(config, _ROLE + "model.path", ""))
    if not select(config, key, False) or select(config, _ROLE + "actor.strategy") != "fsdp2":
        return
    tied = read_model_facts(name).tied
    if tied is not True:
        reason = "" if tied is False else " Whether this model has one is not known yet."
        yield Diagnostic(
            key,
            "Under FSDP2 it fails in the first update of a model whose lm_head is separate from "
            f"its embeddings (tie_word_embeddings: false, as in Qwen2.5-VL-7B).{reason} Set it to "
            "False; to save memory, lower actor_rollout_ref.actor.ppo_max_token_len_per_gpu or use "
            "'+recipe/rewardmap=[lora]'.",
            True,
            stops=tied is False,
        )


def check_bucket(config: DictConfig) -> Iterator[Diagnostic]:
    """Report a weight-sync bucket that is smaller than the largest tensor, the embedding."""
    key = _ROLE + "rollout.checkpoint_engine.update_weights_bucket_megabytes"
    elements = read_model_facts(str(select(config, _ROLE + "model.path", ""))).embedding_elements
    if elements is None or select(config, key) is None:
        return
    needed = -(-elements * 4 // 2**20)
    found = require_int(config, key)
    if found < needed:
        yield Diagnostic(
            key,
            f"Weights are handed to vLLM in fp32, and the embedding alone takes {needed} MiB. "
            f"Set it to at least {needed}.",
            found,
        )
