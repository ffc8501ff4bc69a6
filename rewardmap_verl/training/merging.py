"""From a checkpoint of verl to a model folder that anything can load.

verl's own merger (``verl.model_merger``, 0.9.1) joins the shards. Where adapters were trained it
writes the model without them and the adapters beside it (``lora_adapter``), and verl starts no
second training from that. Here the adapters are folded into the weights, so that the result of
fine-tuning is a model like any other.
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

from rewardmap_verl.errors import ConfigError

__all__ = ["find_shards", "fold", "merge"]

TRACKER = "latest_checkpointed_iteration.txt"
ADAPTER = "lora_adapter"
_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


def merge(checkpoint: Path, output: Path, timeout: float = 3600.0) -> Path:
    """Merge a checkpoint into a Hugging Face folder, adapters included.

    Args:
        checkpoint: A run's folder (its newest checkpoint is taken), a ``global_step_N`` in it, or
            the folder with the shards.
        output: The folder to write; it appears whole or not at all, and must not exist.
        timeout: Seconds after which verl's merger is stopped.

    Returns:
        ``output``.

    Raises:
        ConfigError: There is no checkpoint, ``output`` exists, or verl's merger failed.
    """
    shards = find_shards(checkpoint)
    if output.exists():
        raise ConfigError(output, mend="It exists already. Choose another folder.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as name:
        merged = Path(name) / "model"
        _run_merger(shards, merged, timeout)
        if (merged / ADAPTER).is_dir():
            fold_into(merged)
        merged.rename(output)
    return output


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
        mend="There is no checkpoint of verl here. Give a run's folder, or a global_step_N in it.",
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
            raise ConfigError(stem, mend="The model has no such layer; is it another model's?")
    for stem, target in targets.items():
        change = adapter[stem + _UP].float() @ adapter[stem + _DOWN].float() * scale
        weights[target].copy_((weights[target].float() + change).to(weights[target].dtype))
    return list(targets.values())


def fold_into(folder: Path) -> None:
    """Fold the adapters that lie in a model's folder into its weights and remove them."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    settings = json.loads((folder / ADAPTER / "adapter_config.json").read_text(encoding="utf-8"))
    scale = settings["lora_alpha"] / settings["r"]
    if not scale:
        raise ConfigError(
            folder / ADAPTER, "lora_alpha", 0, "The checkpoint does not say how adapters scale."
        )
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
        raise ConfigError("verl.model_merger", mend=f"No end after {timeout:g} s.") from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise ConfigError("verl.model_merger", found=shards, mend=f"Its last lines:\n{last}")
