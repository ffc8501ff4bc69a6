"""The vision tower looks once at a map that stands in a micro-batch several times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rewardmap_verl.cpu.shared_maps import first_of_each, share_maps
from rewardmap_verl.tiny_model.build import (
    TinyModelSize,
    make_config,
    make_model,
    make_processor,
    train_tokenizer,
)

SIZES = torch.tensor([[1, 4, 6], [1, 8, 4], [1, 4, 6]])
ORDER = [0, 0, 1, 2, 0, 1, 1, 2]
"""Which of three maps each answer is about; the first and the last are of one size."""


@pytest.fixture
def model() -> Any:
    processor = make_processor(train_tokenizer(["One map and one answer."], 300))
    return make_model(make_config(processor, TinyModelSize()), seed=4)


def micro_batch(order: list[int] = ORDER) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels and sizes of the maps of some answers."""
    numbers = torch.Generator().manual_seed(1)
    pixels = [torch.randn(int(size.prod()), 1176, generator=numbers) for size in SIZES]
    return torch.cat([pixels[map_] for map_ in order]), SIZES[order]


def look(model: Any) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Features of all maps, last hidden states, and gradients of the tower's weights."""
    pixels, grid = micro_batch()
    seen = model.model.visual(pixels, grid_thw=grid)
    wanted = torch.linspace(-1, 1, seen.pooler_output.numel()).reshape(seen.pooler_output.shape)
    model.zero_grad()
    (seen.pooler_output * wanted).sum().backward()
    gradients = {
        name: weight.grad.clone()
        for name, weight in model.model.visual.named_parameters()
        if weight.grad is not None
    }
    return seen.pooler_output.detach(), seen.last_hidden_state.detach(), gradients


def test_features_and_gradients_are_the_same(model: Any) -> None:
    features, states, gradients = look(model)
    assert share_maps(model)
    shared_features, shared_states, shared_gradients = look(model)
    torch.testing.assert_close(shared_features, features)
    torch.testing.assert_close(shared_states, states)
    assert gradients.keys() == shared_gradients.keys()
    assert gradients
    for name, gradient in gradients.items():
        torch.testing.assert_close(shared_gradients[name], gradient, rtol=1e-4, atol=1e-5)


def test_the_tower_gets_each_map_once(model: Any) -> None:
    share_maps(model)
    patches: list[int] = []
    model.model.visual.patch_embed.register_forward_pre_hook(
        lambda _, arguments: patches.append(len(arguments[0]))
    )
    pixels, grid = micro_batch()
    model.model.visual(pixels, grid_thw=grid)
    assert patches == [int(SIZES.prod(-1).sum())]


def test_different_maps_go_through_as_they_are(model: Any) -> None:
    pixels, grid = micro_batch([2, 0, 1])
    before = model.model.visual(pixels, grid_thw=grid).pooler_output
    share_maps(model)
    assert torch.equal(model.model.visual(pixels, grid_thw=grid).pooler_output, before)
    again, sizes = micro_batch()  # a shared batch before leaves nothing behind
    model.model.visual(again, grid_thw=sizes)
    assert torch.equal(model.model.visual(pixels, grid_thw=grid).pooler_output, before)


def test_alike_is_not_equal() -> None:
    one = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    other = one.flip(0)  # the same sum
    assert first_of_each([one, other, one.clone()], [[1, 1, 2]] * 3) == [0, 1, 0]
    assert first_of_each([one, one], [[1, 1, 2], [1, 2, 1]]) == [0, 1]


def test_a_model_without_such_a_tower_is_left_alone() -> None:
    assert not share_maps(SimpleNamespace(model=torch.nn.Linear(1, 1)))
    assert not share_maps(torch.nn.Linear(1, 1))
