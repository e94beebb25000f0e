"""Embeddings where the generic test does not look: padding, frequencies, repeated rows, checks."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad import ops


def test_repeated_rows_add_up() -> None:
    rng = np.random.default_rng(0)
    index, g = rng.integers(0, 50, (40, 30)), rng.normal(size=(40, 30, 70))
    weight = ng.zeros(50, 70, dtype=ng.float64, requires_grad=True)
    ops.embedding(ng.tensor(index), weight).backward(ng.tensor(g))
    expected = np.zeros((50, 70))
    np.add.at(expected, index, g)
    np.testing.assert_allclose(weight.grad.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_padding_has_values_but_no_gradient() -> None:
    weight = ng.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    y = ops.embedding(ng.tensor([2, 0, 2]), weight, padding_idx=-1)
    assert y.tolist() == [[3], [1], [3]]
    y.sum().backward()
    assert weight.grad.tolist() == [[1], [0], [0]]


def test_scaled_by_frequency() -> None:
    weight = ng.ones(3, 2, requires_grad=True)
    ops.embedding(ng.tensor([1, 1, 1, 2]), weight, scale_grad_by_freq=True).sum().backward()
    assert weight.grad.tolist() == [[0, 0], [1, 1], [1, 1]]


def test_gradients_can_be_differentiated() -> None:
    weight = ng.ones(3, 2, dtype=ng.float64, requires_grad=True)
    (first,) = ng.autograd.grad((ops.embedding(ng.tensor([1, 1, 2]), weight, 2) ** 3).sum(), weight, create_graph=True)
    assert first.tolist() == [[0, 0], [6, 6], [0, 0]]
    (second,) = ng.autograd.grad(first.sum(), weight)
    assert second.tolist() == [[0, 0], [12, 12], [0, 0]]


def test_shapes_and_dtypes() -> None:
    weight = ng.ones(3, 2)
    assert ops.embedding(ng.tensor(1), weight).shape == (2,)
    assert ops.embedding(ng.zeros(0, 4, dtype=ng.int64), weight).shape == (0, 4, 2)
    assert ops.embedding(ng.tensor([1], dtype=ng.int32), weight.to(ng.int64)).dtype == ng.int64
    with pytest.raises(IndexError, match="index out of range in self"):
        ops.embedding(ng.tensor([0, 3]), weight)


@pytest.mark.parametrize("columns", [1, 8, 11, 33])
def test_rows_of_any_length_are_copied(columns: int) -> None:
    table, index = np.random.default_rng(0).normal(size=(5, columns)), np.arange(150) % 5
    rows = ng.nn.functional.embedding(ng.tensor(index), ng.tensor(table)).numpy()
    assert np.array_equal(rows, table[index])
