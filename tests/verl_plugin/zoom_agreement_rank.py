"""One of two ranks of ``test_zoom_agreement``: verl's FSDP2 engine on trajectories with crops.

    python zoom_agreement_rank.py FOLDER RANK

Each rank has every other trajectory. Writes their log-probabilities, from the padded engine and
from the packed one (flash-attn is computed by torch), to FOLDER/RANK.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import flash_attention
import torch
from packed_engine import Answer, build_engine, log_probs, make_batch, process_group

RANKS = 2


def main() -> None:
    """Run this rank."""
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    flash_attention.install()
    import verl  # noqa: F401  (loads the plugin)

    with process_group(folder, rank, RANKS):
        saved = torch.load(folder / "trajectories.pt", weights_only=False)
        share = [Answer(**one) for one in saved][rank::RANKS]
        found = {}
        for name, packed in (("padded", False), ("packed", True)):
            engine = build_engine(folder / "model", packed=packed)
            values = log_probs(engine, make_batch(share, packed=packed))
            found[name] = [one.tolist() for one in values]
        (folder / f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
