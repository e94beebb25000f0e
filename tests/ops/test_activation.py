"""Activations where the generic test does not look: extreme values, ends of pieces, in place."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numgrad as ng
from numgrad import ops

EXTREMES = [-math.inf, -1e30, -100.0, 0.0, 100.0, 1e30, math.inf]
#: Limits of the values and slopes at those points; None where PyTorch has NaN (0 * inf) too and either is right.
LIMITS = {
    "relu": ([0, 0, 0, 0, 100, 1e30, math.inf], [0, 0, 0, 0, 1, 1, 1]),
    "sigmoid": ([0, 0, 0, 0.5, 1, 1, 1], [0, 0, 0, 0.25, 0, 0, 0]),
    "tanh": ([-1, -1, -1, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0, 0]),
    "elu": ([-1, -1, -1, 0, 100, 1e30, math.inf], [0, 0, 0, 1, 1, 1, 1]),
    "logsigmoid": ([-math.inf, -1e30, -100, -math.log(2), 0, 0, 0], [1, 1, 1, 0.5, 0, 0, 0]),
    "softplus": ([0, 0, 0, math.log(2), 100, 1e30, math.inf], [0, 0, 0, 0.5, 1, 1, 1]),
    "mish": ([None, 0, 0, 0, 100, 1e30, math.inf], [None, 0, 0, 0.6, 1, 1, None]),
    "silu": ([None, 0, 0, 0, 100, 1e30, math.inf], [None, 0, 0, 0.5, 1, 1, None]),
    "gelu": ([None, 0, 0, 0, 100, 1e30, math.inf], [None, 0, 0, 0.5, 1, 1, None]),
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("dtype", [ng.float32, ng.float64])
def test_extremes(name: str, dtype: ng.dtype) -> None:
    x = ng.tensor(EXTREMES, dtype=dtype, requires_grad=True)
    y = getattr(ops, name)(x)
    (slope,) = ng.autograd.grad(y.sum(), x)
    for found, wanted in zip((y.tolist(), slope.tolist()), LIMITS[name], strict=True):
        for f, w in zip(found, wanted, strict=True):
            assert w is None or f == pytest.approx(w, rel=1e-6, abs=1e-30 if abs(w) > 1e-30 else 1e-40), (name, found, wanted)


def test_nan_passes() -> None:
    nan = ng.tensor([math.nan])
    for name in (*LIMITS, "relu6", "hardtanh", "hardsigmoid", "hardswish", "softshrink", "hardshrink", "leaky_relu", "selu", "celu"):
        assert math.isnan(getattr(ops, name)(nan).item()), name
    assert math.isnan(ops.threshold(nan, 0.0, 1.0).item())


def test_second_derivatives_do_not_overflow() -> None:
    for name in ("mish", "silu", "gelu", "softplus", "elu", "selu", "celu"):
        x = ng.tensor([-100.0, -20, 30, 90, 100], requires_grad=True)
        (slope,) = ng.autograd.grad(getattr(ops, name)(x).sum(), x, create_graph=True)
        (bend,) = ng.autograd.grad(slope.sum(), x)
        assert bend.abs().max().item() < 1e-4, (name, bend)


@pytest.mark.parametrize(
    ("name", "points", "slopes"),
    [("relu", [0.0], [0]), ("relu6", [0.0, 6.0], [0, 0]), ("hardtanh", [-1.0, 1.0], [0, 0]), ("leaky_relu", [0.0], [0.01]),
     ("hardsigmoid", [-3.0, 3.0], [0, 0]), ("hardswish", [-3.0, 3.0], [0, 1]), ("hardshrink", [-0.5, 0.5], [0, 0]), ("elu", [0.0], [1])],
)  # fmt: skip
def test_slope_where_pieces_meet(name: str, points: list[float], slopes: list[float]) -> None:
    x = ng.tensor(points, requires_grad=True)
    getattr(ops, name)(x).sum().backward()
    assert x.grad.tolist() == pytest.approx(slopes)


def test_in_place_on_the_tape() -> None:
    for name in ("relu", "sigmoid", "tanh"):
        x = ng.tensor([-1.0, 0.5, 2.0], requires_grad=True)
        y = x * 1
        assert getattr(y, name + "_")() is y
        y.sum().backward()
        z = x.detach().clone().requires_grad_()
        getattr(ng, name)(z).sum().backward()
        assert x.grad.tolist() == z.grad.tolist(), name


def test_relu_keeps_integers() -> None:
    assert ng.relu(ng.tensor([-1, 2])).tolist() == [0, 2]
    assert ng.sigmoid(ng.tensor([0])).dtype == ng.float32


def test_prelu_by_channel() -> None:
    x = -ng.ones(1, 2, 2)
    assert ng.prelu(x, ng.tensor([1.0, 3.0])).tolist() == [[[-1, -1], [-3, -3]]]
    weight = ng.tensor([0.25], requires_grad=True)
    x.prelu(weight).sum().backward()
    assert weight.grad.tolist() == [-4]


def test_rrelu_draws_slopes_within_bounds() -> None:
    ng.manual_seed(0)
    slopes = -ng.rrelu(-ng.ones(1000), 0.2, 0.4, training=True)
    assert 0.2 <= slopes.min().item() < 0.22 and 0.38 < slopes.max().item() <= 0.4
    assert ng.rrelu(-ng.ones(1), 0.2, 0.4).item() == pytest.approx(-0.3)


def test_mish_and_gelu_against_libm() -> None:
    for x in np.linspace(-8, 30, 77):
        value = ng.tensor([x], dtype=ng.float64)
        assert ops.mish(value).item() == pytest.approx(x * math.tanh(math.log1p(math.exp(x))), rel=1e-13)
        assert ops.gelu(value).item() == pytest.approx(x * 0.5 * math.erfc(-x / math.sqrt(2)), rel=1e-12, abs=1e-14)
