"""From a checkpoint of verl to a model folder that anything can load.

verl's own merger (``verl.model_merger``, 0.9.1) joins the shards and rounds every number to
bfloat16. Where adapters were trained it writes the model without them and the adapters beside it
(``lora_adapter``), and verl starts no second training from that. Here the numbers of a run whose
rollouts were computed in float32 are kept as they are, and adapters are folded into the weights, so
that the result is a model like any other and answers like the trained one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rewardmap_verl.checkpoints.folders import TRACKER
from rewardmap_verl.checkpoints.fsdp_checkpoint import join_shards, shard_files
from rewardmap_verl.checkpoints.run_metadata import METADATA_NAME
from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["DTYPES", "find_shards", "fold", "merge", "number_format"]

DTYPES = ("auto", "bfloat16", "float32")
"""Number formats of a merged model."""

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
    """Merge a checkpoint into a Hugging Face folder, adapters included.

    Args:
        checkpoint: A run's folder (its newest checkpoint is taken), a ``global_step_N`` in it, or
            the folder with the shards.
        output: The folder to write; it appears whole or not at all.
        timeout: Seconds after which verl's merger is stopped.
        dtype: One of :data:`DTYPES`; ``auto`` is what :func:`number_format` says.
        replace: Whether a model that lies in ``output`` gives way; its model card stays.

    Returns:
        ``output``.

    Raises:
        ConfigError: There is no checkpoint, ``output`` exists and may not give way, or verl's
            merger failed.
        DataError: Shards are missing.
    """
    shards = find_shards(checkpoint)
    if output.exists() and not (replace and (output / "config.json").is_file()):
        raise ConfigError(output, hint="It exists already. Choose another folder.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as name:
        merged = Path(name) / "model"
        _run_merger(shards, merged, timeout)
        if (number_format(shards) if dtype == "auto" else dtype) == "float32":
            restore(merged, join_shards(shard_files(shards)))
        elif (merged / ADAPTER).is_dir():
            fold_into(merged)
        if output.exists():
            if (output / CARD).is_file():
                shutil.copy2(output / CARD, merged / CARD)
            output.rename(Path(name) / "before")
        merged.rename(output)
    return output


def number_format(shards: Path) -> str:
    """The format in which a run's rollouts were computed, which its note says: a model in another
    one answers a little differently.

    Without a note (fine-tuning) float32, in which checkpoints are saved.
    """
    note = next((path for up in shards.parents[:2] if (path := up / METADATA_NAME).is_file()), None)
    if note is None:
        return "float32"
    config: Any = yaml.safe_load(note.read_text(encoding="utf-8"))
    for key in ("actor_rollout_ref", "rollout", "dtype"):
        config = config.get(key) if isinstance(config, Mapping) else None
    return "float32" if str(config) in ("float32", "fp32", "float") else "bfloat16"


def find_shards(checkpoint: Path) -> Path:
    """The folder that verl's merger reads.

    Raises:
        ConfigError: There is none.
    """
    newest = checkpoint / TRACKER
    if newest.is_file():
        return find_shards(checkpoint / f"global_step_{newest.read_text().strip()}")
    for folder in (checkpoint / "actor", checkpoint):
        if (folder / "huggingface" / "config.json").is_file():
            return folder
    raise ConfigError(
        checkpoint,
        hint="There is no checkpoint of verl here. Give a run's folder, or a global_step_N in it.",
    )


def fold(weights: Mapping[str, Any], adapter: Mapping[str, Any], scale: float) -> list[str]:
    """Add adapters to the weights that they belong to, in place: ``W += scale · up · down``.

    Args:
        weights: Tensors by the name that the model gives them.
        adapter: Tensors by the name that PEFT gives them.
        scale: alpha / rank.

    Returns:
        The names of the weights that changed.

    Raises:
        ConfigError: An adapter belongs to no weight. Nothing has changed then.
    """
    stems = sorted(name.removesuffix(_DOWN) for name in adapter if name.endswith(_DOWN))
    targets = {stem: stem.removeprefix(_PREFIX) + ".weight" for stem in stems}
    for stem, target in targets.items():
        if target not in weights:
            raise ConfigError(stem, hint="The model has no such layer; is it another model's?")
    for stem, target in targets.items():
        change = adapter[stem + _UP].float() @ adapter[stem + _DOWN].float() * scale
        weights[target].copy_((weights[target].float() + change).to(weights[target].dtype))
    return list(targets.values())


def restore(folder: Path, trained: Mapping[str, Any]) -> None:
    """Write a checkpoint's own numbers over those that verl's merger rounded, adapters included.

    Args:
        folder: What verl's merger wrote.
        trained: The checkpoint's tensors.

    Raises:
        DataError: The model has a tensor that the checkpoint has not.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    scale = adapter_scale(folder) if (folder / ADAPTER).is_dir() else 1.0
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    weights, adapter = apart(trained)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name not in weights:
                raise DataError(folder, found=f"{name}, which the checkpoint has not")
            tensor.copy_(weights[name])
        fold(dict(model.named_parameters()), adapter, scale)
    model.save_pretrained(folder)
    shutil.rmtree(folder / ADAPTER, ignore_errors=True)


def apart(trained: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A checkpoint's weights by the names that the model gives them, and its adapters by PEFT's."""
    weights, adapter = {}, {}
    for name, tensor in trained.items():
        if "lora_" in name:
            adapter[name.replace(".default.weight", ".weight")] = tensor
        else:
            weights[name.replace(_PREFIX, "").replace(".base_layer.", ".")] = tensor
    return weights, adapter


def adapter_scale(folder: Path) -> float:
    """What the product of a model's adapters is multiplied by: alpha / rank.

    Raises:
        ConfigError: The checkpoint does not say it.
    """
    settings = json.loads((folder / ADAPTER / "adapter_config.json").read_text(encoding="utf-8"))
    scale = settings["lora_alpha"] / settings["r"]
    if not scale:
        raise ConfigError(
            folder / ADAPTER, "lora_alpha", 0, "The checkpoint does not say how adapters scale."
        )
    return float(scale)


def fold_into(folder: Path) -> None:
    """Fold the adapters that lie in a model's folder into its weights and remove them."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    scale = adapter_scale(folder)
    adapter = load_file(folder / ADAPTER / "adapter_model.safetensors")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto")
    with torch.no_grad():
        fold(dict(model.named_parameters()), adapter, scale)
    model.save_pretrained(folder)
    shutil.rmtree(folder / ADAPTER)


def _run_merger(shards: Path, target: Path, timeout: float) -> None:
    command = [
        *(sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"),
        *("--local_dir", str(shards), "--target_dir", str(target)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise ConfigError("verl.model_merger", hint=f"No end after {timeout:g} s.") from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise ConfigError("verl.model_merger", found=shards, hint=f"Its last lines:\n{last}")
