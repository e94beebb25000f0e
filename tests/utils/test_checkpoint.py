"""Checkpointed parts give the gradients of plain ones, and keep nothing in between."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import numgrad
import numgrad.nn as nn
from numgrad.utils.checkpoint import checkpoint, checkpoint_sequential


def gradients(run: Any, model: nn.Module, x: Any) -> list[np.ndarray]:
    numgrad.manual_seed(1)
    model.zero_grad()
    x = x.clone().requires_grad_()
    run(x).pow(2).sum().backward()
    return [x.grad.numpy(), *(p.grad.numpy().copy() for p in model.parameters())]


def network() -> nn.Sequential:
    numgrad.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.4), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))


def test_gradients_and_dropout_are_those_of_the_plain_function() -> None:
    model, x = network(), numgrad.randn(5, 4)
    plain = gradients(model, model, x)
    for run in (lambda x: checkpoint(model, x, use_reentrant=False), lambda x: checkpoint_sequential(model, 3, x)):
        for a, b in zip(gradients(run, model, x), plain, strict=True):
            np.testing.assert_array_equal(a, b)


def test_parameters_get_gradients_though_no_argument_needs_one() -> None:
    model = network()
    checkpoint(model, numgrad.randn(5, 4)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_intermediate_results_are_let_go() -> None:
    seen = []

    def function(x: Any) -> Any:
        middle = x.exp()
        seen.append(weakref.ref(middle._data))
        return (middle * middle).sin()

    x = numgrad.ones(3, requires_grad=True)
    y = checkpoint(function, x)
    gc.collect()
    assert seen[0]() is None
    y.sum().backward()
    e = np.exp(np.float32(1))
    np.testing.assert_allclose(x.grad.numpy(), 2 * e * e * np.cos(e * e) * np.ones(3), rtol=1e-5)


def test_several_results_and_gradients_of_gradients() -> None:
    x = numgrad.tensor([0.5, 2.0], dtype=numgrad.float64, requires_grad=True)
    square, cube = checkpoint(lambda x: (x**2, x**3), x)
    (slope,) = numgrad.autograd.grad((square + cube).sum(), x, create_graph=True)
    (curve,) = numgrad.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(curve.numpy(), 2 + 6 * np.array([0.5, 2.0]))
    square, _ = checkpoint(lambda x: (x**2, x**3), x)
    square.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [1.0, 4.0])


def test_a_second_backward_needs_retain_graph() -> None:
    x = numgrad.ones(2, requires_grad=True)
    y = checkpoint(lambda x: x * x, x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_bad_segments() -> None:
    with pytest.raises(ValueError, match="segments must be between 1 and 6"):
        checkpoint_sequential(network(), 7, numgrad.randn(1, 4))
