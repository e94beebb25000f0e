"""The incomplete gamma functions, how far a gamma variate is from 0."""

from __future__ import annotations

from typing import Any

import numpy as np

import numgrad

from ..jit import device, empty, kernel, launch, prange
from ..jit.vmath import lgamma as lgamma_of
from ..tensor import Tensor
from .elementwise import copied
from .pointwise import lgamma
from .record import Op
from .variates import gamma_slope

_MOST_TERMS, _ENOUGH = 1000000, 1e-17


@device
def _by_series(a: Any, x: Any) -> Any:
    """The sum 1 + x / (a + 1) + x² / ((a + 1) (a + 2)) + ..."""
    total, term, k = 1.0, 1.0, 0
    while k < _MOST_TERMS and term > _ENOUGH * total:
        k += 1
        term *= x / (a + k)
        total += term
    return total


@device
def _by_fraction(a: Any, x: Any) -> Any:
    """The continued fraction 1 / (x + 1 - a - (1 - a) / (x + 3 - a - 2 (2 - a) / ...)), by Steed's method."""
    b = x + 1.0 - a
    inverse, step = 1.0 / b, 1.0 / b
    total, k = step, 0
    while k < _MOST_TERMS and abs(step) > _ENOUGH * abs(total):
        k += 1
        b += 2.0
        inverse = 1.0 / (k * (a - k) * inverse + b)
        step *= b * inverse - 1.0
        total += step
    return total


@device
def _tail(a: Any, x: Any, upper: Any) -> Any:
    """The probability that a gamma variate of shape a is at most x, or that it is more."""
    if not (a >= 0.0 and x >= 0.0) or (a == 0.0 and x == 0.0) or (a == np.inf and x == np.inf):
        return np.nan
    if a == 0.0 or x == np.inf:
        return 0.0 if upper else 1.0
    if x == 0.0 or a == np.inf:
        return 1.0 if upper else 0.0
    if x < a + 1.0:
        found = np.exp(a * np.log(x) - x - lgamma_of(a + 1.0)) * _by_series(a, x)
        return 1.0 - found if upper else found
    found = np.exp(a * np.log(x) - x - lgamma_of(a)) * _by_fraction(a, x)
    return found if upper else 1.0 - found


@kernel
def _tail_kernel(out: Any, alpha: Any, x: Any, upper: bool) -> None:
    for i in prange(out.size):
        out[i] = _tail(np.float64(alpha[i]), np.float64(x[i]), upper)


def _forward(input: np.ndarray, other: np.ndarray, upper: bool) -> np.ndarray:
    out = empty(input.shape, input.dtype)
    if out.size:
        launch(_tail_kernel, out.reshape(-1), copied(input).reshape(-1), copied(other).reshape(-1), upper, work=500 * out.size)
    return out


def _density(a: Tensor, x: Tensor) -> Tensor:
    return ((a - 1) * x.log() - x - lgamma(a)).exp()


#: F(x; a) is constant where x moves with a as `gamma_slope` says.
_gamma_tail = Op(
    "gamma_tail", _forward, public=False, method=False,
    vjp=(lambda g, input, other, upper: g * _density(input, other) * gamma_slope(input, other) * (1.0 if upper else -1.0),
         lambda g, input, other, upper: g * _density(input, other) * (-1.0 if upper else 1.0)),
)  # fmt: skip


def _pair(name: str, input: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        raise TypeError(f"{name}(): expected two Tensors, but got {type(input).__name__} and {type(other).__name__}")
    both = numgrad.result_type(input, other)
    kind = both if both.is_floating_point else numgrad.get_default_dtype()
    first, second = numgrad.broadcast_tensors(input.to(kind), other.to(kind))
    return first, second


def igamma(input: Tensor, other: Tensor) -> Tensor:
    """The regularized lower incomplete gamma function: the probability that a gamma variate of shape `input` is at most `other`."""
    return _gamma_tail(*_pair("igamma", input, other), False)


def igammac(input: Tensor, other: Tensor) -> Tensor:
    """1 - igamma, with all digits where that is small."""
    return _gamma_tail(*_pair("igammac", input, other), True)


FUNCTIONS: dict[str, Any] = {"igamma": igamma, "igammac": igammac}
