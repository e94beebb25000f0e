"""Random numbers of other distributions: gamma and Poisson by rejection, binomial as a sum.

Each number has its own row of uniform draws, enough that running out of them has a probability under 1e-15, so that what
is drawn does not depend on threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..jit import device, empty, kernel, launch, prange
from ..jit.vmath import digamma, lgamma
from ..tensor import Tensor, wrap
from .elementwise import copied
from .random import normal_array, uniform_array
from .record import Op

#: Proposals for each number; each is accepted with a probability over 0.95 (gamma) or 0.7 (Poisson).
_GAMMA_ROUNDS, _POISSON_ROUNDS = 12, 32
_SMALL_RATE = 10.0


@device
def _gamma(alpha: Any, normal: Any, uniform: Any) -> Any:
    """Marsaglia and Tsang 2000, "A simple method for generating gamma variables"."""
    boost = 1.0
    if alpha < 1.0:
        boost = np.exp(np.log(1.0 - uniform[uniform.size - 1]) / alpha)
        alpha += 1.0
    d = alpha - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    for k in range(normal.size):
        x = normal[k]
        v = 1.0 + c * x
        if v > 0.0:
            v = v * v * v
            if np.log(1.0 - uniform[k]) < 0.5 * x * x + d - d * v + d * np.log(v):
                return boost * d * v
    return boost * d


@kernel
def _gamma_kernel(out: Any, alpha: Any, normal: Any, uniform: Any, least: float) -> None:
    for i in prange(out.size):
        found = _gamma(np.float64(alpha[i]), normal[i], uniform[i])
        out[i] = found if not found < least else least


def _rows(n: int, rounds: int) -> np.ndarray:
    return uniform_array((n, rounds), dtypes.FLOAT64)


def _gamma_forward(input: np.ndarray) -> np.ndarray:
    alpha = copied(input)
    out = empty(alpha.shape, alpha.dtype)
    if out.size:
        rounds, least = _GAMMA_ROUNDS, float(np.finfo(out.dtype).tiny)
        normal = normal_array((out.size, rounds), dtypes.FLOAT64)
        draws = _rows(out.size, rounds + 1)
        launch(_gamma_kernel, out.reshape(-1), alpha.reshape(-1), normal, draws, least, work=100 * out.size)
    return out


#: Gamma variates of rate 1, never 0. Their gradient is that of the quantile they are (Figurnov, Mohamed and Mnih 2018,
#: https://arxiv.org/abs/1805.08498): F(x; a) stays as it is, so dx/da = -(dF/da) / (dF/dx). That is not how the drawn number
#: moves with `input`, rejection and all, which is what the tests of registered ops compare with.
standard_gamma = Op("_standard_gamma", _gamma_forward, random=True, public=False, method=False,
                    vjp=(lambda g, y, input: g * gamma_slope(input, y),))  # fmt: skip

_LARGE, _MOST_TERMS, _ENOUGH = 1e5, 10000, 1e-17


@device
def _slope_of_large(a: Any, x: Any) -> Any:
    """By the expansion of Cornish and Fisher: x = a + n sqrt(a) + (n² - 1) / 3 + (n³ - 7 n) / (36 sqrt(a)) + O(1 / a), n normal."""
    root = np.sqrt(a)
    n = start = (x - a) / root
    for _ in range(4):
        n = start - ((n * n - 1.0) / 3.0 + (n * n * n - 7.0 * n) / (36.0 * root)) / root
    return 1.0 + n / (2.0 * root) - (n * n * n - 7.0 * n) / (72.0 * a * root)


@device
def _slope_by_series(a: Any, x: Any) -> Any:
    """F = x^a e^-x / Gamma(a + 1) (1 + x / (a + 1) + x² / ((a + 1) (a + 2)) + ...), and its terms' derivatives."""
    total, term, slope, change, k = 1.0, 1.0, 0.0, 0.0, 0
    while k < _MOST_TERMS and (term > _ENOUGH * total or -change > -_ENOUGH * slope):
        k += 1
        ratio = x / (a + k)
        change = ratio * (change - term / (a + k))
        term *= ratio
        total += term
        slope += change
    return -((np.log(x) - digamma(a) - 1.0 / a) * total + slope) * x / a


@device
def _slope_by_fraction(a: Any, x: Any) -> Any:
    """1 - F = x^a e^-x / Gamma(a) times a continued fraction, 1 / (x + 1 - a - (1 - a) / (x + 3 - a - ...)), by Steed's method."""
    b = x + 1.0 - a
    inverse, step = 1.0 / b, 1.0 / b  # of the last denominator; and what the fraction changed by
    total, k = step, 0
    d_inverse = d_step = slope = inverse * inverse  # derivatives by a
    while k < _MOST_TERMS and (abs(step) > _ENOUGH * abs(total) or abs(d_step) > _ENOUGH * abs(slope)):
        k += 1
        b += 2.0
        numerator = k * (a - k)
        d_inverse, last = numerator * d_inverse + k * inverse - 1.0, inverse
        inverse = 1.0 / (numerator * last + b)
        d_inverse *= -inverse * inverse
        factor = b * inverse - 1.0
        d_step = (b * d_inverse - inverse) * step + factor * d_step
        step *= factor
        total += step
        slope += d_step
    return x * ((np.log(x) - digamma(a)) * total + slope)


@device
def _gamma_slope(a: Any, x: Any) -> Any:
    """How a gamma variate moves with its parameter."""
    if not (a > 0.0 and x > 0.0):
        return a * 0.0 + x * 0.0  # 0, or NaN
    if a > _LARGE:
        return _slope_of_large(a, x)
    return _slope_by_series(a, x) if x < a + 1.0 else _slope_by_fraction(a, x)


@kernel
def _slope_kernel(out: Any, alpha: Any, x: Any) -> None:
    for i in prange(out.size):
        out[i] = _gamma_slope(np.float64(alpha[i]), np.float64(x[i]))


def _slope_forward(input: np.ndarray, x: np.ndarray) -> np.ndarray:
    out = empty(input.shape, input.dtype)
    if out.size:
        launch(_slope_kernel, out.reshape(-1), copied(input).reshape(-1), copied(x).reshape(-1), work=1000 * out.size)
    return out


gamma_slope = Op("gamma_slope", _slope_forward, public=False, method=False)


@device
def _poisson(rate: Any, uniform: Any) -> Any:
    """By inversion for small rates; else Hörmann 1993, "The transformed rejection method for generating Poisson random variables"."""
    if not rate > 0.0:
        return rate  # 0, or NaN
    if rate < _SMALL_RATE:
        k, p = 0.0, np.exp(-rate)
        total = p
        while uniform[0] > total and k < 200.0:
            k += 1.0
            p *= rate / k
            total += p
        return k
    b = 0.931 + 2.53 * np.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    for r in range(uniform.size // 2):
        u, v = uniform[2 * r] - 0.5, 1.0 - uniform[2 * r + 1]
        us = 0.5 - abs(u)
        k = np.floor((2.0 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2.0):
            return k
        if k < 0.0 or (us < 0.013 and v > us):
            continue
        if np.log(v) + np.log(inverse) - np.log(a / (us * us) + b) <= -rate + k * np.log(rate) - lgamma(k + 1.0):
            return k
    return np.floor(rate)


@kernel
def _poisson_kernel(out: Any, rate: Any, uniform: Any) -> None:
    for i in prange(out.size):
        out[i] = _poisson(np.float64(rate[i]), uniform[i])


def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson variates of the given rates, in their dtype; without gradients."""
    rate = copied(input._data)
    out = empty(rate.shape, rate.dtype)
    if out.size:
        draws = uniform_array((out.size, 2 * _POISSON_ROUNDS), dtypes.FLOAT64, generator)
        launch(_poisson_kernel, out.reshape(-1), rate.reshape(-1), draws, work=100 * out.size)
    return wrap(out)


def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """How many of `count` draws succeed, each with probability `prob`; in the dtype of `prob`, without gradients."""
    most = int(count.max().item()) if count.numel() else 0  # type: ignore[attr-defined]
    shape = np.broadcast_shapes(count._data.shape, prob._data.shape)
    uniform = wrap(uniform_array((most, *shape), prob._data.dtype, generator))
    trial = wrap(np.arange(most).reshape(-1, *[1] * len(shape)))
    return ((uniform < prob.detach()) & (trial < count)).sum(0).to(prob.dtype)  # type: ignore[attr-defined, operator]


FUNCTIONS: dict[str, Any] = {"poisson": poisson, "binomial": binomial}
