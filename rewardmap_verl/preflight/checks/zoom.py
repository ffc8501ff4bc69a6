"""Checks of the zoom tool: its budgets must fit into those of verl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from rewardmap_verl.curriculum.config import file_names, read_curriculum
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.preflight.checks.values import is_ours, require_int, select
from rewardmap_verl.preflight.diagnostics import Diagnostic
from rewardmap_verl.preparation.originals import ORIGINALS
from rewardmap_verl.zoom.dialogue import CALL_TOKENS
from rewardmap_verl.zoom.settings import BLOCK, ZoomSettings, read_zoom

__all__ = ["check_zoom"]

_ROLLOUT = "actor_rollout_ref.rollout."
_TURNS = f"{_ROLLOUT}multi_turn."


def check_zoom(config: DictConfig) -> Iterator[Diagnostic]:
    """Report budgets that calls of the zoom tool would exceed, and stages that name it in vain."""
    if not is_ours(config):
        return
    settings = read_zoom(config.data)
    if settings is None:
        yield from _named_in_vain(config)
        return
    yield from _images(config, settings)
    yield from _turns(config, settings)
    yield from _response(config, settings)
    yield from _originals(config)


def _named_in_vain(config: DictConfig) -> Iterator[Diagnostic]:
    for index, stage in enumerate(read_curriculum(config.data).stages):
        if not stage.zoom:
            yield Diagnostic(
                f"data.curriculum.stages[{index}].zoom",
                "No stage has the zoom tool, because data.zoom is not set. Add the option "
                "'+recipe/rewardmap=[…,zoom]', or remove this key.",
                False,
            )


def _images(config: DictConfig, settings: ZoomSettings) -> Iterator[Diagnostic]:
    """Report a limit below one map and a crop for each call: vLLM refuses the next turn."""
    key, needed = f"{_ROLLOUT}limit_images", 1 + settings.max_calls
    found = select(config, key)
    if not isinstance(found, int) or found < needed:
        yield Diagnostic(key, f"A map and {BLOCK}.max_calls crops need {needed}.", found)


def _turns(config: DictConfig, settings: ZoomSettings) -> Iterator[Diagnostic]:
    """Report turns that end before the answer, and several calls in one turn."""
    needed = settings.max_calls + 1
    for name in ("max_assistant_turns", "max_user_turns"):
        found = select(config, _TURNS + name)
        if isinstance(found, int) and found < needed:
            yield Diagnostic(
                _TURNS + name,
                f"{BLOCK}.max_calls={settings.max_calls} calls and the answer need {needed} turns.",
                found,
            )
    if select(config, _TURNS + "max_assistant_turns") is None:
        yield Diagnostic(
            _TURNS + "max_assistant_turns",
            "Without a limit, an answer that calls the tool forever ends only with its tokens. "
            f"Set it to {settings.max_calls + 2}.",
            None,
        )
    calls = select(config, _TURNS + "max_parallel_calls", 1)
    if calls != 1:
        yield Diagnostic(
            _TURNS + "max_parallel_calls",
            "Calls of one turn would run at once and exceed the budget. Set it to 1.",
            calls,
        )


def _response(config: DictConfig, settings: ZoomSettings) -> Iterator[Diagnostic]:
    """Report a response length that the calls alone would fill: crops are part of the response."""
    key = "data.max_response_length"
    crops = settings.max_calls * (settings.crop_tokens() + CALL_TOKENS)
    found = require_int(config, key)
    if found <= crops:
        yield Diagnostic(
            key,
            f"{settings.max_calls} calls take up to {crops} tokens ({settings.crop_tokens()} for a "
            f"crop, {CALL_TOKENS} for the texts around it), and the answer needs more. Raise it, "
            f"or lower {BLOCK}.max_calls or {BLOCK}.max_pixels.",
            found,
        )


def _originals(config: DictConfig) -> Iterator[Diagnostic]:
    """Report a prepared folder without originals."""
    for key in ("data.train_files", "data.val_files"):
        for name in file_names(select(config, key)):
            folder = Path(name).expanduser().parent
            manifest = folder / "manifest.json"
            if manifest.is_file() and not _keeps_originals(manifest):
                yield Diagnostic(
                    key,
                    f"{folder} has no {ORIGINALS}, which the zoom tool reads. Prepare the data "
                    "again with --keep-originals.",
                    name,
                )


def _keeps_originals(manifest: Path) -> bool:
    try:
        settings = parse_json(manifest.read_text(encoding="utf-8"))["settings"]
        return bool(settings.get("keep_originals", False))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True  # not a manifest; other checks report it
