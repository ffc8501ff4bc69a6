"""torch.distributed starts on the CPU through verl's own functions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("verl")

JOIN_AND_LEAVE = """
import os, sys
import torch.distributed
import verl
from rewardmap_verl.cpu import activate
activate()
from verl.utils import distributed
for function in ("initialize_global_process_group", "initialize_global_process_group_ray"):
    os.environ["DIST_INIT_METHOD"] = f"file://{sys.argv[1]}/{function}"
    print(getattr(distributed, function)())
    total = torch.ones(1)
    torch.distributed.all_reduce(total)
    assert total.item() == 1.0
    torch.distributed.destroy_process_group()
"""


def test_process_group_starts_on_gloo(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", JOIN_AND_LEAVE, str(tmp_path)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VERL_PLATFORM": "cpu",
            "LOCAL_RANK": "0",
            "RANK": "0",
            "WORLD_SIZE": "1",
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    assert result.stdout.strip().splitlines()[-2:] == ["(0, 0, 1)", "None"]
