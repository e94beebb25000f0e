"""Norms where the generic test does not look: running statistics, means far from zero, long rows, gradients of gradients."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad import ops


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2), (5, 2, 70, 70)])
def test_running_statistics(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(2, 3, shape)
    mean, var = ng.zeros(shape[1], dtype=ng.float64), ng.ones(shape[1], dtype=ng.float64)
    before = mean._version
    ops.batch_norm(ng.tensor(x), mean, var, training=True, momentum=0.25)
    dims = tuple(d for d in range(x.ndim) if d != 1)
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.mean(dims), rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.var(dims, ddof=1), rtol=1e-12)
    assert mean._version == before + 1 and mean.grad_fn is None


def test_running_statistics_of_instances() -> None:
    x = np.random.default_rng(0).normal(2, 3, (4, 2, 9))
    mean, var = ng.zeros(2, dtype=ng.float64), ng.ones(2, dtype=ng.float64)
    ops.instance_norm(ng.tensor(x), mean, var, momentum=0.5)
    np.testing.assert_allclose(mean.numpy(), 0.5 * x.mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), 0.5 + 0.5 * x.var(2, ddof=1).mean(0), rtol=1e-12)


def test_running_statistics_stay_where_there_is_no_batch() -> None:
    mean, var = ng.zeros(3), ng.ones(3)
    weight = ng.ones(3, requires_grad=True)
    ops.batch_norm(ng.ones(0, 3), mean, var, weight, training=True).sum().backward()
    assert mean.tolist() == [0, 0, 0] and var.tolist() == [1, 1, 1] and weight.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("norm", [lambda x: ops.layer_norm(x, (5000,)), lambda x: ops.group_norm(x, 1), lambda x: ops.batch_norm(x.t(), None, None, training=True).t()])
def test_a_mean_far_from_zero(norm: ng.ops.Op) -> None:
    """float32 has three digits left after the point at 10000: what comes out must be as good as what goes in."""
    x = (np.random.default_rng(0).normal(size=(2, 5000)) + 1e4).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(1, keepdims=True)) / np.sqrt(exact.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(norm(ng.tensor(x)).numpy(), exact, atol=1e-3)


def test_weights_of_many_rows() -> None:
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(1000, 300)), rng.normal(size=(1000, 300))
    weight, bias = (ng.ones(300, dtype=ng.float64, requires_grad=True) for _ in range(2))
    ops.layer_norm(ng.tensor(x), (300,), weight, bias).backward(ng.tensor(g))
    unit = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(weight.grad.numpy(), (g * unit).sum(0), rtol=1e-9)
    np.testing.assert_allclose(bias.grad.numpy(), g.sum(0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "norm",
    [lambda x, w: ops.layer_norm(x, (4, 3), w.reshape(4, 3)), lambda x, w: ops.rms_norm(x, (3,), w[:3]), lambda x, w: ops.group_norm(x, 2, w[:4]),
     lambda x, w: ops.batch_norm(x, None, None, w[:4], None, True), lambda x, w: ops.instance_norm(x, weight=w[:4])],
)  # fmt: skip
def test_kernels_and_ops_agree_on_the_gradient(norm: ng.ops.Op) -> None:
    """The gradient comes from kernels, or from ops where it is to be differentiated again."""
    rng = np.random.default_rng(0)
    x, w = (ng.tensor(rng.normal(size=s), requires_grad=True) for s in ((2, 4, 3), (12,)))
    g = ng.tensor(rng.normal(size=(2, 4, 3)))
    plain = ng.autograd.grad(norm(x, w), (x, w), g)
    twice = ng.autograd.grad(norm(x, w), (x, w), g, create_graph=True)
    for a, b in zip(plain, twice, strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_evaluation_uses_what_ran() -> None:
    x = ng.tensor([[1.0, 10.0]])
    y = ops.batch_norm(x, ng.tensor([0.0, 8.0]), ng.tensor([1.0, 4.0]), ng.tensor([2.0, 1.0]), ng.tensor([0.0, 5.0]), eps=0.0)
    assert y.tolist() == [[2, 6]]
    with pytest.raises(ValueError, match="more than 1 value per channel when training"):
        ops.batch_norm(x, None, None, training=True)
    with pytest.raises(RuntimeError, match="mixed dtype"):
        ops.layer_norm(x, (2,), ng.ones(2, dtype=ng.float64))


@pytest.mark.parametrize("eps", [None, "a", object()])
def test_eps_that_is_no_number(eps: object) -> None:
    with pytest.raises(TypeError):
        ops.layer_norm(ng.ones(2, 3), (3,), eps=eps)
