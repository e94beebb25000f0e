"""Embedding bags by hand, and the CTC loss beyond what brute force over alignments reaches."""

import math

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

TABLE = numgrad.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])


@pytest.mark.parametrize("mode, expected", [
    ("sum", [[3, 30], [0, 0], [9, 90]]), ("mean", [[1.5, 15], [0, 0], [3, 30]]), ("max", [[2, 20], [0, 0], [4, 40]]),
])  # fmt: skip
def test_bags(mode, expected):
    index, offsets = numgrad.tensor([0, 1, 2, 0, 2]), numgrad.tensor([0, 2, 2])
    assert F.embedding_bag(index, TABLE, offsets, mode=mode).tolist() == expected
    ends = numgrad.tensor([0, 2, 2, 5])
    assert F.embedding_bag(index, TABLE, ends, mode=mode, include_last_offset=True).tolist() == expected


def test_bags_of_one_size_and_padding():
    layer = nn.EmbeddingBag.from_pretrained(TABLE, freeze=False, padding_idx=-1)
    found = layer(numgrad.tensor([[0, 1], [0, 2], [2, 2]]))
    assert found.tolist() == [[1.5, 15], [1, 10], [0, 0]]
    found.sum().backward()
    assert layer.weight.grad.tolist() == [[1.5, 1.5], [0.5, 0.5], [0, 0]]
    factors = numgrad.tensor([[2.0, -1.0]], requires_grad=True)
    weighted = F.embedding_bag(numgrad.tensor([[1, 2]]), TABLE, mode="sum", per_sample_weights=factors)
    assert weighted.tolist() == [[0, 0]]
    assert numgrad.autograd.grad(weighted.sum(), factors)[0].tolist() == [[22, 44]]


@pytest.mark.parametrize("args, kwargs, kind, words", [
    ((numgrad.tensor([0, 1]),), {}, ValueError, "got None"),
    ((numgrad.tensor([[0, 1]]), numgrad.tensor([0])), {}, ValueError, "offsets has to be None"),
    ((numgrad.tensor([0, 1]), numgrad.tensor([1])), {}, ValueError, "However, got 1"),
    ((numgrad.tensor([0, 1]), numgrad.tensor([0, 3])), {}, ValueError, "length 2"),
    ((numgrad.tensor([[0, 1]]),), {"mode": "mean", "per_sample_weights": numgrad.ones(1, 2)}, NotImplementedError, "mode='sum'"),
    ((numgrad.tensor([[0, 1]]),), {"mode": "median"}, ValueError, "sum, mean or max"),
])  # fmt: skip
def test_bags_errors(args, kwargs, kind, words):
    with pytest.raises(kind, match=words):
        F.embedding_bag(args[0], TABLE, *args[1:], **kwargs)


def test_ctc_counts_alignments():
    """With equal probabilities each of C^T paths is as likely, and C(T + L, 2 L) of them give a target without repeats."""
    steps, classes, target = 20, 5, [1, 2, 3, 4, 1]
    x = numgrad.full((steps, 1, classes), -math.log(classes), requires_grad=True)
    loss = nn.CTCLoss(reduction="sum")(x, numgrad.tensor([target]), (steps,), (5,))
    assert loss.item() == pytest.approx(steps * math.log(classes) - math.log(math.comb(steps + 5, 10)), rel=1e-5)
    loss.backward()
    np.testing.assert_allclose(x.grad.sum(2).numpy(), -1, rtol=1e-4)  # at each step every alignment has one label


def test_ctc_of_targets_that_do_not_fit():
    x = numgrad.zeros(2, 1, 3, requires_grad=True)
    target = numgrad.tensor([[1, 1]])  # needs a blank between
    assert F.ctc_loss(x, target, (2,), (2,)).item() == math.inf
    loss = F.ctc_loss(x, target, (2,), (2,), zero_infinity=True)
    loss.backward()
    assert loss.item() == 0 and not x.grad.any()
