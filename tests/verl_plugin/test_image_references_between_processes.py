"""A pixel reference of one process is resolved in another."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from rewardmap_verl.tiny_model.build import make_processor
from rewardmap_verl.verl_plugin.agent_loop import prepared_images
from rewardmap_verl.verl_plugin.image_references.processor import refer_to_pixels

RESOLVE = """
import pathlib, pickle, sys
import torch
reference = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
torch.save(torch.cat([reference, reference]), sys.argv[2])  # as verl assembles a micro-batch
"""


def resolve(sent: Path, out: Path, root: Path) -> subprocess.CompletedProcess[str]:
    """Resolve a reference in a new process and another folder, as on another node."""
    root.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", RESOLVE, str(sent), str(out)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_another_process_resolves_it_or_reports_a_changed_file(
    processor: Any, tmp_path: Path
) -> None:
    picture = tmp_path / "map.png"
    pixels = np.random.default_rng(0).integers(0, 256, (56, 84, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(picture)
    ours = make_processor(processor.tokenizer.backend_tokenizer)
    refer_to_pixels(ours)
    message = {"role": "user", "content": [{"type": "image", "image": str(picture)}]}
    images = prepared_images([message], 14, 2**20)
    reference = ours.image_processor(images, return_tensors="pt")["pixel_values"]
    sent = tmp_path / "sent.pickle"
    sent.write_bytes(pickle.dumps(reference))
    assert len(sent.read_bytes()) < 4096 < reference.tensor().nbytes

    done = resolve(sent, tmp_path / "there.pt", tmp_path / "node")
    assert done.returncode == 0, done.stderr
    there = torch.load(tmp_path / "there.pt")
    assert torch.equal(there, torch.cat([reference.tensor()] * 2))

    Image.fromarray(255 - pixels).save(picture)
    done = resolve(sent, tmp_path / "other.pt", tmp_path / "node")
    assert done.returncode != 0
    assert not (tmp_path / "other.pt").exists()
    assert "DataError" in done.stderr and str(picture) in done.stderr
