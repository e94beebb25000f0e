"""softmax where the generic test does not look: infinities, large numbers, long and side-by-side rows, dtypes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numgrad as ng


def test_infinities() -> None:
    inf = math.inf
    assert ng.softmax(ng.tensor([0.0, -inf, 0.0]), 0).tolist() == [0.5, 0, 0.5]
    assert ng.log_softmax(ng.tensor([0.0, -inf]), 0).tolist() == [0, -inf]
    assert ng.tensor([-inf, -inf]).softmax(0).isnan().all()
    assert ng.tensor([[inf], [0.0]]).log_softmax(0).isnan().tolist() == [[True], [True]]


def test_large_numbers_do_not_overflow() -> None:
    x = ng.tensor([[1e4, 1e4 + 1, -1e4]])
    expected = [1 / (1 + math.e), math.e / (1 + math.e), 0]
    assert x.softmax(1)[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert x.t().softmax(0)[:, 0].tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(3, 9001), (2, 3, 700)])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_many_elements(shape: tuple[int, ...], dim: int) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    e = np.exp(x)
    expected = e / e.sum(dim, keepdims=True)
    np.testing.assert_allclose(ng.tensor(x).softmax(dim).numpy(), expected, rtol=1e-13)
    np.testing.assert_allclose(ng.tensor(x, dtype=ng.float32).log_softmax(dim).numpy(), np.log(expected), rtol=1e-5)


@pytest.mark.parametrize("columns", [1, 9, 32])
def test_short_rows_in_more_than_one_unit_of_work(columns: int) -> None:
    x = np.random.default_rng(0).normal(size=(2 * (1024 // columns) + 1, columns))
    g = np.random.default_rng(1).normal(size=x.shape)
    e = np.exp(x)
    expected = e / e.sum(1, keepdims=True)
    np.testing.assert_allclose(ng.tensor(x).softmax(1).numpy(), expected, rtol=1e-13)
    t = ng.tensor(x, requires_grad=True)
    y = t.log_softmax(1)
    np.testing.assert_allclose(y.detach().numpy(), np.log(expected), rtol=1e-13, atol=1e-15)
    y.backward(ng.tensor(g))
    np.testing.assert_allclose(t.grad.numpy(), g - expected * g.sum(1, keepdims=True), rtol=1e-12, atol=1e-13)


def test_gradient_is_that_of_the_jacobian() -> None:
    x = ng.tensor([0.3, -1.0, 2.0], dtype=ng.float64, requires_grad=True)
    p = x.softmax(0)
    (found,) = ng.autograd.grad(p[1], x)
    q = p.detach().numpy()
    np.testing.assert_allclose(found.numpy(), q[1] * (np.eye(3)[1] - q), rtol=1e-12)


def test_dtypes() -> None:
    assert ng.arange(3).softmax(0, dtype=ng.float64).dtype == ng.float64
    assert ng.log_softmax(ng.ones(3), dim=0, dtype=ng.float64).dtype == ng.float64
    with pytest.raises(RuntimeError, match="not implemented for 'Long'"):
        ng.arange(3).softmax(0)
    with pytest.raises(TypeError):
        ng.softmax(ng.ones(3))


def test_sizes_zero_and_no_dimensions() -> None:
    assert ng.tensor(5.0).softmax(0).item() == 1 and ng.tensor(5.0).log_softmax(-1).item() == 0
    assert ng.ones(0, 3).softmax(0).shape == ng.ones(3, 0).softmax(1).shape[::-1] == (0, 3)
