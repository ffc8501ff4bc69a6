"""Runtime patches: declared, listed, checked against the installed libraries, and nowhere else."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rewardmap_verl.patching import (
    Patch,
    PatchError,
    Platform,
    applied_patches,
    apply,
    find_owner,
    signature_of,
)
from rewardmap_verl.verl_plugin.patches import ALL_PATCHES, markdown_table

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rewardmap_verl"
PATCHED_LIBRARIES = {
    *("importlib", "ray", "sys", "tensordict", "torch", "transfer_queue", "transformers"),
    *("verl", "vllm"),
}


def greet(name: str, *, loud: bool = False) -> str:
    return f"Hello {name}{'!' if loud else '.'}"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("a_library")
    module.greet = greet  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_library", module)
    return module


def declare(**changes: Any) -> Patch:
    fields: dict[str, Any] = {
        "target": "a_library:greet",
        "signature": "(name, *, loud=False)",
        "replacement": lambda original: lambda name, *, loud=False: original(name, loud=True),
        "reason": "Greetings are too quiet.",
        "upstream": "a_library: raise its voice.",
        "seen_in": "a_library 1.0",
    }
    return Patch(**{**fields, **changes})


def test_a_patch_replaces_its_target_once(library: ModuleType) -> None:
    patch = declare()
    apply(patch)
    replaced = library.greet
    apply(patch)
    assert library.greet is replaced
    assert replaced("Ada") == "Hello Ada!"
    assert patch in applied_patches()


def test_a_declaration_changes_nothing(library: ModuleType) -> None:
    declare()
    assert library.greet is greet


@pytest.mark.parametrize("target", ["a_library:hello", "a_library:greet.loudly", "no_library:x"])
def test_a_missing_target_is_an_error(library: ModuleType, target: str) -> None:
    with pytest.raises(PatchError, match=r"written for a_library 1\.0"):
        apply(declare(target=target))
    assert library.greet is greet


def test_another_signature_is_an_error(library: ModuleType) -> None:
    expected = (
        r"cannot patch a_library\.greet: its signature is \(name, \*, loud=False\), not \(who\)"
    )
    with pytest.raises(PatchError, match=expected):
        apply(declare(signature="(who)"))
    assert library.greet is greet


def test_methods_can_be_patched(monkeypatch: pytest.MonkeyPatch, library: ModuleType) -> None:
    class Greeter:
        def greet(self, name: str) -> str:
            return name

    library.Greeter = Greeter  # type: ignore[attr-defined]
    apply(
        declare(
            target="a_library:Greeter.greet",
            signature="(self, name)",
            replacement=lambda _original: lambda self, name: name.upper(),
        )
    )
    assert Greeter().greet("Ada") == "ADA"


@pytest.mark.parametrize("patch", ALL_PATCHES, ids=lambda patch: patch.name)
def test_installed_targets_have_the_declared_signature(patch: Patch) -> None:
    """In a fresh interpreter: in this one the target may be replaced already."""
    pytest.importorskip(patch.target.split(":")[0].split(".")[0])
    program = (
        "import sys\n"
        "from rewardmap_verl.patching import find_owner, signature_of\n"
        "from rewardmap_verl.verl_plugin.patches import ALL_PATCHES\n"
        "patch = next(one for one in ALL_PATCHES if one.target == sys.argv[1])\n"
        "owner, name = find_owner(patch)\n"
        "target = getattr(owner, name)\n"
        "replaced = getattr(target, '__module__', '').startswith('rewardmap_verl')\n"
        "assert not replaced or patch.platform.value == 'every'\n"
        "original = signature_of(target)\n"
        "print(original, '|', signature_of(patch.replacement(target)), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, patch.target],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            # Deferred patches import vLLM; verl finds its CPU build on this platform only.
            "VERL_PLATFORM": "cpu" if patch.on_import else "",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines()[-1:] == [f"{patch.signature} | {patch.signature}"], done.stderr


def test_listing_patches_applies_none_and_imports_no_verl() -> None:
    program = (
        "import sys\n"
        "from rewardmap_verl.patching import applied_patches\n"
        "from rewardmap_verl.verl_plugin.patches import ALL_PATCHES, markdown_table\n"
        "assert ALL_PATCHES and markdown_table() and not applied_patches()\n"
        "assert not {'verl', 'vllm', 'torch', 'ray'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=60)


def test_every_patch_says_why_and_until_when() -> None:
    assert len({patch.target for patch in ALL_PATCHES}) == len(ALL_PATCHES)
    for patch in ALL_PATCHES:
        assert patch.module.startswith("rewardmap_verl.")
        assert patch.reason.endswith(".")
        assert patch.upstream
        assert patch.seen_in


def test_cpu_patches_are_in_the_cpu_room() -> None:
    for patch in ALL_PATCHES:
        in_cpu = patch.module.startswith("rewardmap_verl.cpu.")
        assert in_cpu == (patch.platform is Platform.CPU), patch.name


def test_the_architecture_page_lists_the_patches() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    listed = page.partition("<!-- patches:begin -->")[2].partition("<!-- patches:end -->")[0]
    assert listed.strip() == markdown_table().strip()


def foreign_names(tree: ast.Module) -> set[str]:
    """Names that a module binds to other libraries, at its top or inside functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, alias.asname or alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [(node.module, alias.asname or alias.name) for alias in node.names]
        else:
            continue
        names |= {name for module, name in found if module.split(".")[0] in PATCHED_LIBRARIES}
    return names


def replaced_names(tree: ast.Module) -> Iterator[str]:
    """Attributes of other libraries that a module assigns to."""
    foreign = foreign_names(tree)
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
            targets = [ast.Attribute(node.args[0], "", ast.Store())]
        for target in targets:
            root = target
            while isinstance(root, (ast.Attribute, ast.Subscript)):
                root = root.value
            if not (isinstance(target, ast.Attribute) and isinstance(root, ast.Name)):
                continue
            if root.id in foreign:
                yield ast.unparse(target)


SETTINGS_OF_THE_INTERPRETER = {"sys.pycache_prefix", "sys.dont_write_bytecode"}


def test_nothing_is_replaced_outside_of_patches() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in replaced_names(ast.parse(path.read_text(encoding="utf-8")))
        if name not in SETTINGS_OF_THE_INTERPRETER
    }
    assert not found


def test_the_search_for_replacements_finds_them() -> None:
    code = (
        "from verl.utils import fsdp_utils\n"
        "import torch.nn\n"
        "def f():\n"
        "    fsdp_utils.apply_fsdp2 = None\n"
        "    torch.nn.Linear.forward = None\n"
        "    setattr(torch, 'ones', None)\n"
        "    own = f\n"
        "    own.x = 1\n"
    )
    assert len(list(replaced_names(ast.parse(code)))) == 3


def test_signatures_leave_out_annotations() -> None:
    assert signature_of(greet) == "(name, *, loud=False)"
    assert signature_of([]) is None
    owner, name = find_owner(declare(target="os:path.join"))
    assert getattr(owner, name).__name__ == "join"
