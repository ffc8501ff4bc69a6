"""Log-probabilities on the CPU are verl's."""

import pytest
import torch
from verl.utils import torch_functional

from rewardmap_verl.cpu import log_probs
from rewardmap_verl.patching import apply

SHAPES = [(7, 11), (3, 5, 11), (1, 11), (0, 11)]


@pytest.fixture
def verls(monkeypatch):
    """verl's own function, whatever has been applied in this process."""
    import importlib.util

    spec = importlib.util.find_spec("verl.utils.torch_functional")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.logprobs_from_logits_v2


def example(shape, kind, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(shape, generator=generator) * 8).to(kind)
    labels = torch.randint(0, shape[-1], shape[:-1], generator=generator)
    return logits.requires_grad_(), labels


@pytest.mark.parametrize("shape", SHAPES[:-1])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_gradients_are_verls(verls, shape, kind):
    (ours, labels), (theirs, _) = example(shape, kind), example(shape, kind)
    found, expected = log_probs.logprobs_from_logits(ours, labels), verls(theirs, labels)
    assert found.shape == labels.shape
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_do_not_change_values(monkeypatch, shape):
    logits, labels = example(shape, torch.float32)
    whole = log_probs.logprobs_from_logits(logits, labels)
    monkeypatch.setattr(log_probs, "BLOCK_SIZE", 22)  # two rows
    torch.testing.assert_close(log_probs.logprobs_from_logits(logits, labels), whole)


def test_the_graph_does_not_grow_with_the_tokens():
    logits, labels = example((500, 11), torch.float32)
    seen, nodes = set(), [log_probs.logprobs_from_logits(logits, labels).grad_fn]
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [following for following, _ in node.next_functions]
    assert len(seen) < 20


def test_verl_calls_the_patched_function(monkeypatch, verls):
    monkeypatch.setattr(torch_functional, "logprobs_from_logits_v2", verls)
    monkeypatch.setattr(torch_functional, "FLAH_ATTN_CROSS_ENTROPY_LOSS_AVAILABLE", False)
    apply(log_probs.PATCH)
    logits, labels = example((4, 11), torch.float32)
    expected = torch.log_softmax(logits, -1).gather(-1, labels[:, None])[:, 0]
    torch.testing.assert_close(torch_functional.logprobs_from_logits(logits, labels), expected)
