"""The maps and questions of a protocol, prepared as ``rewardmap prepare synthetic`` does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.evidence.protocol import World
from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import Manifest, read_manifest
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import SIZES, PrepareSettings
from rewardmap_verl.questions.sampling import Quotas

__all__ = ["content_digest", "prepare_maps"]


def prepare_maps(world: World, prompt_tokens: int, out: Path, workers: int = 0) -> Manifest:
    """Prepare the pocket maps and questions of a protocol; an up-to-date folder is kept.

    Args:
        world: Numbers of maps and questions.
        prompt_tokens: Longest prompt, image and text together.
        out: The folder to write.
        workers: Processes; 0 takes one per core.

    Raises:
        DataError: A prompt is too long, or the folder cannot be written.
    """
    size = SIZES["pocket"]
    return prepare(
        PrepareSettings(
            source="synthetic",
            out=out,
            seed=world.seed,
            quotas=_quotas(world),
            brief=size.brief,
            budget=PixelBudget(max_pixels=size.max_pixels, min_pixels=size.min_pixels),
            max_prompt_length=prompt_tokens,
            train_maps=world.train_maps,
            test_maps=world.test_maps,
            networks=size.networks,
            style=size.style,
            workers=workers,
        )
    )


def content_digest(folder: Path) -> str:
    """Return a hash of the questions, images and networks of a prepared folder.

    Results are comparable if it is equal. The fingerprint in the manifest also covers the code and
    the packages that wrote the folder, so it changes more often.

    Raises:
        DataError: The folder has no valid manifest, or a file is missing or unreadable.
    """
    manifest = read_manifest(folder)
    digest = hashlib.sha256()
    try:
        for split in sorted(manifest.rows):
            # Rows name images by a hash of their pixels.
            rows = pq.read_table(folder / f"{split}.parquet").to_pylist()
            digest.update(json.dumps([split, rows], sort_keys=True).encode())
        for path in sorted({one.network for one in manifest.maps}):
            digest.update(json.dumps([path, (folder / path).read_text(encoding="utf-8")]).encode())
    except (OSError, ValueError) as error:  # pyarrow raises subclasses of both
        raise DataError(folder, found=str(error), hint="Delete it.") from error
    return digest.hexdigest()


def _quotas(world: World) -> Quotas:
    none = dict.fromkeys(("torf1", "torf2", "counting1", "counting2", "counting3", "planning"), 0)
    chosen = {kind.lower(): count for kind, count in world.questions.items()}
    return Quotas(**{**none, **chosen}, forms=("short",))
