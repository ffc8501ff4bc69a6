"""Model folders run no code: no command trusts code beside weights, and none asks whether to."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoConfig

PACKAGE = Path(__file__).resolve().parents[2] / "rewardmap_verl"


def loading_calls() -> Iterator[tuple[str, ast.Call]]:
    """Calls of ``Auto….from_pretrained`` and ``torch.load`` in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if (
                    name.startswith("Auto") and name.endswith("from_pretrained")
                ) or name == "torch.load":
                    yield f"{path.relative_to(PACKAGE)}: {name}", node


def test_every_loading_call_is_restricted() -> None:
    """Left out, transformers asks on the terminal; torch.load has changed its default before."""
    calls = list(loading_calls())
    assert len(calls) >= 5
    for where, call in calls:
        given = {one.arg: ast.unparse(one.value) for one in call.keywords}
        if where.endswith("torch.load"):
            assert given.get("weights_only") == "True", where
        else:
            assert given.get("trust_remote_code") == "False", where


def test_what_that_setting_does(tmp_path: Path) -> None:
    """The installed transformers refuses such a folder, without asking and without running it."""
    names = {"AutoConfig": "code.Config"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": names}))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    with pytest.raises(ValueError, match="trust_remote_code"):
        AutoConfig.from_pretrained(tmp_path, trust_remote_code=False)
    assert not (tmp_path / "owned").exists()
