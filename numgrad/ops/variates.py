"""Random numbers of other distributions: gamma and Poisson by rejection, binomial as a sum.

Each number has its own row of uniform draws, enough that running out of them has a probability under 1e-15, so that what
is drawn does not depend on threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..jit import device, empty, kernel, launch, prange
from ..jit.vmath import lgamma
from ..tensor import Tensor, wrap
from .elementwise import copied
from .random import normal_array, uniform_array

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
def _gamma_kernel(out: Any, alpha: Any, normal: Any, uniform: Any) -> None:
    for i in prange(out.size):
        out[i] = _gamma(np.float64(alpha[i]), normal[i], uniform[i])


def _rows(n: int, rounds: int) -> np.ndarray:
    return uniform_array((n, rounds), dtypes.FLOAT64)


def standard_gamma(concentration: Tensor) -> Tensor:
    """Gamma variates of rate 1, never 0; without gradients."""
    alpha = copied(concentration._data)
    out = empty(alpha.shape, alpha.dtype)
    if out.size:
        rounds = _GAMMA_ROUNDS
        normal = normal_array((out.size, rounds), dtypes.FLOAT64)
        launch(_gamma_kernel, out.reshape(-1), alpha.reshape(-1), normal, _rows(out.size, rounds + 1), work=100 * out.size)
    return wrap(out).clamp_(min=float(np.finfo(out.dtype).tiny))  # type: ignore[attr-defined]


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
