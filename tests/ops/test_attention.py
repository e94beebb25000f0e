"""Attention over several blocks of queries and keys, where the tiles' running sums and the causal edge matter."""

import math

import numpy as np
import pytest

import numgrad
from numgrad.nn import functional as F
from numgrad.ops.attention import in_ops

rng = np.random.default_rng(0)


def tensors(*shapes):
    return [numgrad.tensor(rng.normal(size=s).astype(np.float32), requires_grad=True) for s in shapes]


@pytest.mark.parametrize("queries, keys, heads, form", [(130, 150, 1, "none"), (70, 130, 3, "float"), (130, 130, 2, "causal"), (70, 130, 1, "bool")])
def test_blocks(queries, keys, heads, form):
    q, k, v = tensors((1, heads, queries, 20), (1, heads, keys, 20), (1, heads, keys, 7))
    visible = np.tril(np.ones((queries, keys), bool)) if form == "causal" else rng.random((queries, keys)) < 0.7
    visible[3] = form == "causal"  # a query that sees nothing, or too much
    visible[3, 4:] = False
    added = np.where(visible, 0, -np.inf).astype(np.float32) if form != "none" else np.zeros((queries, keys), np.float32)
    mask = {"bool": numgrad.tensor(visible), "float": numgrad.tensor(added)}.get(form)
    found = F.scaled_dot_product_attention(q, k, v, mask, is_causal=form == "causal")
    expected = in_ops(q, k, v, numgrad.tensor(added), 0.0, False, 1 / math.sqrt(20))
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=2e-5)
    weights = numgrad.tensor(rng.normal(size=tuple(found.shape)).astype(np.float32))
    pairs = zip(*(numgrad.autograd.grad(y, (q, k, v), weights) for y in (found, expected)), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=5e-5)
    if form in ("bool", "float"):
        assert not found[0, 0, 3].any()


@pytest.mark.interpreted
def test_mask_that_is_trained_gets_its_gradient():
    q, k, v, mask = tensors((2, 3, 4), (2, 5, 4), (2, 5, 4), (3, 5))
    F.scaled_dot_product_attention(q, k, v, mask).sum().backward()
    scores = q @ k.transpose(1, 2) / 2 + mask
    expected = numgrad.autograd.grad((scores.softmax(-1) @ v).sum(), mask)[0]
    np.testing.assert_allclose(mask.grad.numpy(), expected.numpy(), atol=1e-5)


@pytest.mark.interpreted
def test_dropout_is_of_weights():
    v = numgrad.ones(1, 64, 3)
    found = F.scaled_dot_product_attention(numgrad.zeros(1, 50, 2), numgrad.zeros(1, 64, 2), v, dropout_p=0.5)
    assert 0.8 < found.mean().item() < 1.2 and found.std().item() > 0.05
