"""The initial weights implement the circuit before any training."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForImageTextToText

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.tiny_model.build import (
    TinyModelSize,
    make_config,
    make_model,
    make_processor,
    train_tokenizer,
)
from rewardmap_verl.tiny_model.induction_init import COPY_STRENGTH, DISTANCES

LENGTH = 60


@pytest.fixture(scope="module")
def model() -> AutoModelForImageTextToText:
    processor = make_processor(train_tokenizer(["Are Cato and Juno on one line?"] * 2, 1000))
    config = make_config(processor, TinyModelSize())
    config._attn_implementation = "eager"
    return make_model(config, seed=1)


@pytest.mark.parametrize(("head", "distance"), list(enumerate(DISTANCES)))
def test_first_heads_look_back_independent_of_content(model, head: int, distance: int) -> None:
    tokens = torch.randint(7, 200, (1, LENGTH), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        seen = model(input_ids=tokens, output_attentions=True).attentions[0][0, head]
    positions = torch.arange(10, LENGTH)
    assert torch.equal(seen[10:].argmax(-1), positions - distance)
    assert seen[10:].gather(1, (positions - distance)[:, None]).min() > 0.5


def test_second_layer_copies_the_attended_token(model) -> None:
    attention = model.model.language_model.layers[1].self_attn
    seen = torch.randn(4, attention.v_proj.weight.shape[1])
    repeated = seen @ attention.v_proj.weight.T @ attention.o_proj.weight.T
    assert torch.allclose(repeated, COPY_STRENGTH * seen, atol=1e-5)


def test_one_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="two layers"):
        TinyModelSize(text_layers=1)
