"""The adaptive softmax against probabilities written out."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad
from numgrad import nn


def probabilities(layer: nn.Module, x: np.ndarray) -> np.ndarray:
    """P(class) = P(group) P(class | group), for groups [0, 3), [3, 5) and [5, 9)."""

    def softmax(scores: np.ndarray) -> np.ndarray:
        e = np.exp(scores)
        return e / e.sum(1, keepdims=True)

    head = softmax(x @ layer.head.weight.detach().numpy().T)
    tails = [softmax(x @ a.weight.detach().numpy().T @ b.weight.detach().numpy().T) for a, b in layer.tail]
    return np.concatenate([head[:, :3], *(tail * head[:, 3 + i, None] for i, tail in enumerate(tails))], 1)


def test_probabilities_of_targets_and_of_all_classes() -> None:
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 9, [3, 5], div_value=2.0, dtype=numgrad.float64)
    assert [tuple(p.shape) for p in layer.parameters()] == [(5, 8), (4, 8), (2, 4), (2, 8), (4, 2)]
    x, target = np.random.default_rng(0).normal(size=(6, 8)), np.array([0, 8, 4, 2, 5, 5])
    wanted, input = probabilities(layer, x), numgrad.tensor(x, requires_grad=True)
    output, loss = layer(input, numgrad.tensor(target))
    np.testing.assert_allclose(output.detach().numpy(), np.log(wanted[np.arange(6), target]), rtol=1e-12)
    assert loss.item() == pytest.approx(-output.mean().item())
    np.testing.assert_allclose(layer.log_prob(input).exp().detach().numpy(), wanted, rtol=1e-12)
    assert layer.predict(input).tolist() == wanted.argmax(1).tolist()
    (by_target,) = numgrad.autograd.grad(loss, input)
    (by_all,) = numgrad.autograd.grad(nn.functional.nll_loss(layer.log_prob(input), numgrad.tensor(target)), input)
    np.testing.assert_allclose(by_target.numpy(), by_all.numpy(), rtol=1e-10, atol=1e-14)
    assert layer(input[1], numgrad.tensor(8)).output.item() == pytest.approx(output[1].item())


def test_what_is_wrong() -> None:
    for cutoffs in ([], [0, 3], [3, 3], [5, 3], [9]):
        with pytest.raises(ValueError, match="cutoffs"):
            nn.AdaptiveLogSoftmaxWithLoss(8, 9, cutoffs)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 9, [3, 5], div_value=2.0)
    with pytest.raises(RuntimeError, match="Target values"):
        layer(numgrad.zeros(1, 8), numgrad.tensor([9]))
    with pytest.raises(RuntimeError, match="batch"):
        layer(numgrad.zeros(2, 8), numgrad.tensor([1]))
