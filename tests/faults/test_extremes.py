"""Sums, moments, norms and what is made of exponentials at the ends of the number range, against 400 digits of mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import numgrad
from numgrad.nn import functional as F

pytestmark = pytest.mark.native

DTYPES = [np.float32, np.float64]


def ulps(found: float, exact: Any, dtype: Any) -> float:
    """How far a number is from the exact one, in units of the last place there; right infinities are 0 away."""
    limits = np.finfo(dtype)
    if abs(exact) >= mp.mpf(float(limits.max)) * (1 + mp.mpf(2) ** -(limits.nmant + 2)):
        return 0 if found == math.copysign(math.inf, exact) else math.inf
    if not math.isfinite(found):
        return math.inf
    exponent = max(mp.frexp(exact)[1] - 1, int(limits.minexp)) if exact else int(limits.minexp)
    return float(abs(mp.mpf(found) - exact) / mp.mpf(2) ** (exponent - limits.nmant))


def vectors(dtype: Any) -> dict[str, np.ndarray]:
    """Vectors that overflow, underflow or cancel where formulas are taken by their word."""
    limits, random = np.finfo(dtype), np.random.default_rng(0)
    return {
        "huge": random.uniform(0.5, 1, 37) * (limits.max / 64), "tiny": random.uniform(0.5, 1, 37) * (limits.tiny * 4),
        "subnormal": np.arange(1, 9) * float(limits.smallest_subnormal), "both": np.array([limits.max / 8, 1, limits.tiny]),
        "far from zero": 1e4 + random.normal(size=400) * 1e-2, "two values": 1e6 + np.arange(257) % 2, "usual": 1 + random.normal(size=400),
        "large": random.normal(size=50) * 100, "one": np.array([3.0]),
    }  # fmt: skip


def norm(values: list[Any], p: int) -> Any:
    return mp.root(mp.fsum(abs(v) ** p for v in values), p)


def variance(values: list[Any]) -> Any:
    mean = mp.fsum(values) / len(values)
    return mp.fsum((v - mean) ** 2 for v in values) / max(len(values), 1)


def logsumexp(values: list[Any]) -> Any:
    top = max(values)
    return top + mp.log(mp.fsum(mp.exp(v - top) for v in values))


#: Functions of a vector, exactly, and how many ulps they may be off: half of one for the rounding of the result, and where there
#: is more, one or two for each rounded step before it (a quotient, a root, `pow`, `exp` and `log` of at most 1 ulp).
OF_VECTORS: dict[str, tuple[Callable[[Any], Any], Callable[[list[Any]], Any], float]] = {
    "mean": (lambda x: x.mean(), lambda v: mp.fsum(v) / len(v), 2),
    "variance": (lambda x: x.var(correction=0), variance, 3),
    "deviation": (lambda x: x.std(correction=0), lambda v: mp.sqrt(variance(v)), 3),
    "norm": (lambda x: x.norm(), lambda v: norm(v, 2), 2),
    "vector norm": (lambda x: numgrad.linalg.vector_norm(x), lambda v: norm(v, 2), 2),
    "1-norm": (lambda x: numgrad.linalg.vector_norm(x, 1), lambda v: norm(v, 1), 2),
    "3-norm": (lambda x: numgrad.linalg.vector_norm(x, 3), lambda v: norm(v, 3), 6),
    "logsumexp": (lambda x: numgrad.logsumexp(x, 0), logsumexp, 2),
    "log_softmax": (lambda x: F.log_softmax(x, 0)[0], lambda v: v[0] - logsumexp(v), 3),
    "softmax": (lambda x: F.softmax(x, 0)[0], lambda v: mp.exp(v[0] - logsumexp(v)), 130),  # a difference of up to 250, off by half an ulp
    "cross entropy": (lambda x: F.cross_entropy(x[None], numgrad.tensor([0])), lambda v: logsumexp(v) - v[0], 3),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OF_VECTORS)
def test_of_vectors(name: str, dtype: Any) -> None:
    function, exactly, bound = OF_VECTORS[name]
    off = {}
    with mp.workdps(400):
        for kind, vector in vectors(dtype).items():
            vector = vector.astype(dtype)
            exact = exactly([mp.mpf(float(v)) for v in vector])
            found = ulps(function(numgrad.from_numpy(vector)).item(), exact, dtype)
            if found > bound:
                off[kind] = found
    assert off == {}


POINTS = [0.0, 1e-30, -1e-30, 1e-8, -1e-8, 0.5, -0.5, 1, -1, 5, -5, 16, -17, 19.9, 20.1, -20, 30, -30, 87, -87, -88, 100, -100, -103, 700, -745, 1e4, -1e4, 1e37, -1e37]  # fmt: skip


def softplus(x: Any) -> Any:
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x)) if x > -(10**5) else mp.mpf(0)


OF_NUMBERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], float]] = {
    "softplus": (lambda x: F.softplus(x), lambda x: x if x > 20 else softplus(x), 3),
    "sigmoid": (numgrad.sigmoid, sigmoid, 3),
    "logsigmoid": (F.logsigmoid, lambda x: -softplus(-x), 3),
    "tanh": (numgrad.tanh, mp.tanh, 3),
    "bce with logits, 1": (lambda x: F.binary_cross_entropy_with_logits(x, numgrad.ones_like(x), reduction="none"), lambda x: softplus(-x), 3),
    "bce with logits, 0": (lambda x: F.binary_cross_entropy_with_logits(x, numgrad.zeros_like(x), reduction="none"), softplus, 3),
    "logaddexp": (lambda x: numgrad.logaddexp(x, numgrad.zeros_like(x)), softplus, 3),
    "silu": (F.silu, lambda x: x * sigmoid(x), 4),
    "log1p": (lambda x: numgrad.log1p(x.abs()), lambda x: mp.log1p(abs(x)), 2),
    "expm1": (numgrad.expm1, lambda x: mp.expm1(x) if x < 10**4 else mp.mpf(10) ** 400, 2),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OF_NUMBERS)
def test_of_numbers(name: str, dtype: Any) -> None:
    function, exactly, bound = OF_NUMBERS[name]
    values = np.array(POINTS, dtype)
    with mp.workdps(60):
        found = {float(v): ulps(y, exactly(mp.mpf(float(v))), dtype) for v, y in zip(values, function(numgrad.from_numpy(values)).tolist(), strict=True)}
    # A factor that is subnormal is off by half its last place, which silu multiplies by x.
    assert {v: off for v, off in found.items() if off > bound + (abs(v) / 2 if name == "silu" and v < -80 else 0)} == {}


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_norms_at_the_ends(dtype: Any) -> None:
    """They are directions, of length one, however long the vector is."""
    for size in (np.finfo(dtype).max / 8, 1, np.finfo(dtype).tiny * 8):
        x = numgrad.from_numpy(np.array([3, 4], dtype) * dtype(size)).requires_grad_()
        x.norm().backward()
        np.testing.assert_allclose(x.grad.numpy(), [0.6, 0.8], rtol=4 * np.finfo(dtype).eps)


def test_a_constant_has_no_variance() -> None:
    for value in (1e4 + 0.1, 1e19, 3e-20, 0.1):
        assert numgrad.full((1000,), value).var().item() == 0


@pytest.mark.parametrize("size", [1e3, 1e30, math.inf])
def test_gates_of_an_lstm_saturate(size: float) -> None:
    """Open or closed gates give the values of limits, and finite gradients for finite numbers."""
    cell = numgrad.nn.LSTMCell(2, 2)
    with numgrad.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih.copy_(numgrad.tensor([size, -size, -size, size, size, size, size, -size]))  # input, forget, cell and output gate of each
    h, c = cell(numgrad.zeros(1, 2), (numgrad.zeros(1, 2), numgrad.full((1, 2), 0.5)))
    np.testing.assert_allclose(c.detach().numpy(), [[1.0, 0.5]], rtol=1e-6)  # what came in; what was kept
    np.testing.assert_allclose(h.detach().numpy(), [[math.tanh(1.0), 0.0]], rtol=1e-6, atol=1e-30)
    if math.isfinite(size):
        h.sum().backward()
        assert all(np.isfinite(p.grad.numpy()).all() for p in cell.parameters())
