"""vLLM's CPU layers keep their weights on a CPU run, and only there."""

from __future__ import annotations

import pytest
import torch

from rewardmap_verl.cpu import vllm_plugin


def linear_layer(weight: torch.Tensor) -> torch.nn.Module:
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    return layer


@pytest.mark.parametrize("remove_weight", [True, False])
def test_linear_layers_compute_and_keep_their_weight(remove_weight: bool) -> None:
    layer = linear_layer(torch.randn(3, 2))
    vllm_plugin.keep_weight(layer, remove_weight)
    inputs, bias = torch.randn(5, 2), torch.randn(3)
    expected = inputs @ layer.weight.T + bias
    assert torch.allclose(layer.cpu_linear(inputs, layer.weight, bias), expected)
    layer.weight.data.copy_(torch.zeros(3, 2))
    assert torch.equal(layer.cpu_linear(inputs, layer.weight, None), torch.zeros(5, 3))


def test_other_layers_are_left_alone() -> None:
    convolution = linear_layer(torch.randn(3, 1, 4))
    vllm_plugin.keep_weight(convolution, remove_weight=True)
    assert not hasattr(convolution, "cpu_linear")


def test_plugin_is_inert_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It returns before it imports anything of vLLM."""
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "vllm.platforms", None)
    vllm_plugin.register()


@pytest.mark.timeout(180)
def test_plugin_replaces_vllms_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vllm")
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    from vllm.model_executor.layers import utils
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        pytest.skip("vLLM is built for another platform")
    monkeypatch.setattr(utils, "dispatch_cpu_unquantized_gemm", utils.dispatch_cpu_unquantized_gemm)
    vllm_plugin.register()
    vllm_plugin.register()
    assert utils.dispatch_cpu_unquantized_gemm is vllm_plugin.keep_weight
