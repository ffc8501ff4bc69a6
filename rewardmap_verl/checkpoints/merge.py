"""Convert a verl checkpoint into a Hugging Face model folder.

verl's merger (``verl.model_merger``, 0.9.1) joins the shards and rounds all weights to bfloat16. If
adapters were trained, it writes the base model and the adapters separately (``lora_adapter``), and
verl cannot start another training from that. This module keeps the float32 weights of a run with
float32 rollouts and folds adapters into the weights, so the result is an ordinary model that
answers like the trained one.

A checkpoint may come from a stranger: all of its files are checked before verl's merger reads them,
and no code from it is executed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewardmap_verl.checkpoints.folders import TRACKER, latest_step
from rewardmap_verl.checkpoints.fsdp_checkpoint import check_safe, join_shards, shard_files
from rewardmap_verl.checkpoints.run_metadata import METADATA_NAME
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.inputs.parsing import parse_json, parse_yaml
from rewardmap_verl.preparation.atomic import disk_errors, staging_folder
from rewardmap_verl.reaper import no_orphans

__all__ = [
    "DTYPES",
    "find_shards",
    "fold",
    "load_model",
    "merge",
    "rollout_dtype",
    "split_adapters",
]

DTYPES = ("auto", "bfloat16", "float32")
"""Data types of a merged model."""

ADAPTER = "lora_adapter"
CARD = "README.md"
_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


def merge(
    checkpoint: Path,
    output: Path,
    timeout: float = 3600.0,
    dtype: str = "auto",
    replace: bool = False,
) -> Path:
    """Merge a checkpoint into a Hugging Face folder, including adapters.

    Args:
        checkpoint: Checkpoint folder of a run (its latest checkpoint is used), a ``global_step_N``
            in it, or the folder with the shards.
        output: Folder to write. It changes in one step at the end; until then, and after a failure
            or a kill, it has its previous content.
        timeout: Seconds after which verl's merger is stopped.
        dtype: One of ``DTYPES``; ``auto`` is the result of ``rollout_dtype``.
        replace: Whether to replace a model in ``output``; its model card is kept.

    Returns:
        ``output``.

    Raises:
        ConfigError: There is no checkpoint, ``output`` exists and must not be replaced, or verl's
            merger failed.
        DataError: Shards are missing, or a file contains more than tensors and plain data.
    """
    shards = find_shards(checkpoint)
    if output.exists() and not (replace and (output / "config.json").is_file()):
        raise ConfigError(output, hint="It exists already. Choose another folder.")
    check_safe(shard_files(shards))
    output.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(output), staging_folder(output, "config.json") as staging:
        run_merger(shards, staging, timeout)
        if (rollout_dtype(shards) if dtype == "auto" else dtype) == "float32":
            restore(staging, join_shards(shard_files(shards)))
        elif (staging / ADAPTER).is_dir():
            fold_into(staging)
        if (output / CARD).is_file():
            shutil.copy2(output / CARD, staging / CARD)
    return output


def rollout_dtype(shards: Path) -> str:
    """Return the data type of a run's rollouts from its metadata; another one changes answers.

    Without metadata (supervised fine-tuning) it is float32, the data type of checkpoints.
    """
    note = next((path for up in shards.parents[:2] if (path := up / METADATA_NAME).is_file()), None)
    if note is None:
        return "float32"
    try:
        config: Any = parse_yaml(note.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        hint = "The metadata of the run cannot be read. Name the data type with --dtype."
        raise DataError(note, found=str(error), hint=hint) from None
    for key in ("actor_rollout_ref", "rollout", "dtype"):
        config = config.get(key) if isinstance(config, Mapping) else None
    return "float32" if str(config) in ("float32", "fp32", "float") else "bfloat16"


def find_shards(checkpoint: Path) -> Path:
    """Return the folder that verl's merger reads.

    Raises:
        ConfigError: There is none.
    """
    if (checkpoint / TRACKER).is_file():
        checkpoint = checkpoint / f"global_step_{latest_step(checkpoint)}"
    for folder in (checkpoint / "actor", checkpoint):
        if (folder / "huggingface" / "config.json").is_file():
            return folder
    raise ConfigError(
        checkpoint,
        hint="There is no verl checkpoint here. Give the checkpoint folder of a run, or a "
        "global_step_N in it.",
    )


def fold(weights: Mapping[str, Any], adapter: Mapping[str, Any], scale: float) -> list[str]:
    """Add adapters to their weights in place: ``W += scale · up · down``.

    Args:
        weights: Tensors by their name in the model.
        adapter: Tensors by their name in PEFT.
        scale: alpha / rank.

    Returns:
        The names of the changed weights.

    Raises:
        ConfigError: An adapter belongs to no weight. No weight has changed then.
    """
    stems = sorted(name.removesuffix(_DOWN) for name in adapter if name.endswith(_DOWN))
    targets = {stem: stem.removeprefix(_PREFIX) + ".weight" for stem in stems}
    for stem, target in targets.items():
        if target not in weights:
            raise ConfigError(
                stem, hint="The model has no such layer. Is the adapter of another model?"
            )
    for stem, target in targets.items():
        change = adapter[stem + _UP].float() @ adapter[stem + _DOWN].float() * scale
        weights[target].copy_((weights[target].float() + change).to(weights[target].dtype))
    return list(targets.values())


def restore(folder: Path, trained: Mapping[str, Any]) -> None:
    """Replace the rounded weights from verl's merger by those of the checkpoint, with adapters.

    Args:
        folder: Output of verl's merger.
        trained: Tensors of the checkpoint.

    Raises:
        DataError: The checkpoint lacks a tensor of the model, or has it in another shape.
    """
    import torch

    scale = adapter_scale(folder) if (folder / ADAPTER).is_dir() else 1.0
    model = load_model(folder, torch.float32)
    weights, adapter = split_adapters(trained)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name not in weights or weights[name].shape != tensor.shape:
                hint = "The checkpoint has no such tensor of this shape."
                raise DataError(folder, name, tuple(tensor.shape), hint)
            tensor.copy_(weights[name])
        fold(dict(model.named_parameters()), adapter, scale)
    model.save_pretrained(folder)
    shutil.rmtree(folder / ADAPTER, ignore_errors=True)


def split_adapters(trained: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a checkpoint into weights, named as in the model, and adapters, named as in PEFT."""
    weights, adapter = {}, {}
    for name, tensor in trained.items():
        if "lora_" in name:
            adapter[name.replace(".default.weight", ".weight")] = tensor
        else:
            weights[name.replace(_PREFIX, "").replace(".base_layer.", ".")] = tensor
    return weights, adapter


def adapter_scale(folder: Path) -> float:
    """Return the factor of a model's adapters: alpha / rank.

    Raises:
        ConfigError: The checkpoint does not contain it.
        DataError: The configuration of the adapters cannot be read.
    """
    path = folder / ADAPTER / "adapter_config.json"
    try:
        settings = parse_json(path.read_text(encoding="utf-8"))
        scale = float(settings["lora_alpha"]) / float(settings["r"])
    except (OSError, ArithmeticError, KeyError, TypeError, ValueError) as error:
        hint = "It has no valid lora_alpha and r."
        raise DataError(path, found=f"{type(error).__name__}: {error}", hint=hint) from None
    if not scale:
        raise ConfigError(
            folder / ADAPTER, "lora_alpha", 0, "The checkpoint has no scale for its adapters."
        )
    return scale


def fold_into(folder: Path) -> None:
    """Fold the adapters in a model folder into its weights and remove them."""
    import torch
    from safetensors.torch import load_file

    scale = adapter_scale(folder)
    adapter = load_file(folder / ADAPTER / "adapter_model.safetensors")
    model = load_model(folder, "auto")
    with torch.no_grad():
        fold(dict(model.named_parameters()), adapter, scale)
    model.save_pretrained(folder)
    shutil.rmtree(folder / ADAPTER)


def load_model(folder: Path, dtype: Any) -> Any:
    """Load a model without custom code.

    Raises:
        ConfigError: transformers cannot load it.
    """
    from transformers import AutoModelForImageTextToText

    try:
        return AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, trust_remote_code=False
        )
    except Exception as error:  # a hostile configuration makes transformers raise anything
        hint = "transformers cannot load this model."
        raise ConfigError(folder, found=str(error), hint=hint) from None


@no_orphans()
def run_merger(shards: Path, target: Path, timeout: float) -> None:
    """Run verl's merger in a process that loads tensors only.

    Args:
        shards: Folder with the shards.
        target: Folder to write.
        timeout: Seconds after which it is stopped.

    Raises:
        ConfigError: It failed; the message ends with the last lines of its output.
    """
    command = [
        *(sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"),
        *("--local_dir", str(shards), "--target_dir", str(target)),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            # torch then ignores the merger's weights_only=False.
            env={**os.environ, "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"},
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            "verl.model_merger", hint=f"It was stopped after {timeout:g} s."
        ) from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise ConfigError("verl.model_merger", found=shards, hint=f"Its last lines:\n{last}")
