"""Checks of the model that a run starts from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from rewardmap_verl.preflight.checks.values import Check, select
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_family", "check_model", "is_local"]


def check_model(key: str) -> Check:
    """Return the check for a missing model folder, whose path is at ``key``."""

    def check(config: DictConfig) -> Iterator[Diagnostic]:
        name = str(select(config, key, ""))
        path = Path(name).expanduser()
        if not name or (is_local(name) and not (path / "config.json").is_file()):
            yield Diagnostic(
                key,
                "There is no model in this folder (no config.json). Give the folder or the name "
                "of a Hugging Face model, such as Qwen/Qwen2.5-VL-7B-Instruct; `make train` builds "
                "a tiny one.",
                name,
            )

    return check


def check_family(config: DictConfig) -> Iterator[Diagnostic]:
    """Warn about models that verl 0.9.1 supports by name and this package has not run."""
    name = str(select(config, "actor_rollout_ref.model.path", ""))
    if "kimi" in name.lower():
        yield Diagnostic(
            "actor_rollout_ref.model.path",
            "transformers 5.9 has no Kimi-VL; its code comes with the weights "
            "(actor_rollout_ref.model.trust_remote_code=True), and verl 0.9.1 patches a class of "
            "an older version of it. This combination is untested. The closest model that is "
            "tested is '+recipe/rewardmap=[qwen3_vl_8b]'.",
            name,
            stops=False,
        )


def is_local(model: str) -> bool:
    """Return whether a model name is a folder rather than a Hub name (``owner/name``)."""
    path = Path(model).expanduser()
    return model.startswith(("/", ".", "~")) or len(path.parts) != 2 or Path(path.parts[0]).is_dir()
