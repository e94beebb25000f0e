"""Special functions, by the names of their own namespace; most are at the top level too."""

from __future__ import annotations

import math
from typing import Any

import numgrad

from .lacking import refuse
from .ops import REGISTRY, creation
from .tensor import Tensor

_SAME = ["digamma", "erf", "erfc", "erfinv", "exp2", "expm1", "log1p", "log_softmax", "logit", "logsumexp", "polygamma", "round",
         "sinc", "softmax", "xlogy", "i0"]  # fmt: skip
_RENAMED = {"expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma", "gammainc": "igamma", "gammaincc": "igammac"}
_OWN = ["i0e", "i1", "i1e", "erfcx", "log_ndtr", "ndtri"]

globals().update({name: getattr(numgrad, name) for name in _SAME} | {name: getattr(numgrad, own) for name, own in _RENAMED.items()} | {name: REGISTRY[name] for name in _OWN})

__all__ = [*_SAME, *_RENAMED, *_OWN, "entr", "multigammaln", "ndtr", "xlog1py", "zeta"]


def entr(input: Tensor) -> Tensor:
    """-x log(x), 0 at 0, and -inf below."""
    return numgrad.where(input < 0, -math.inf, -numgrad.xlogy(input, input))


def ndtr(input: Tensor) -> Tensor:
    """The probability that a standard normal number is at most x: erfc(-x / sqrt(2)) / 2."""
    return numgrad.erfc(input * -math.sqrt(0.5)) * 0.5


def zeta(input: Any, other: Any) -> Tensor:
    """Hurwitz's zeta function: the sum of (k + other)**-input over k >= 0. Gradients reach `other`."""
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise TypeError("zeta expects at least one Tensor")
    return REGISTRY["zeta_formula"](input, other)


def xlog1py(input: Any, other: Any) -> Tensor:
    """x log(1 + y), and 0 where x is 0 and y no NaN."""
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise TypeError("xlog1py expects at least one Tensor")
    tensor = other if isinstance(other, Tensor) else creation.tensor(float(other))
    return numgrad.where((numgrad.as_tensor(input) == 0) & ~tensor.isnan(), 0.0, input * tensor.log1p())


def multigammaln(input: Tensor, p: int) -> Tensor:
    """log of the multivariate gamma function of dimension p: log(pi) p (p - 1) / 4 + sum of lgamma(a - j / 2)."""
    if p < 1:
        raise RuntimeError(f"multigammaln expects p of at least 1, but got {p}")
    if bool((input <= (p - 1) / 2).any()):
        raise RuntimeError(f"All elements must be greater than (p-1)/2 = {(p - 1) / 2}")
    steps = numgrad.arange(p, dtype=input.dtype) / 2
    return numgrad.lgamma(input.unsqueeze(-1) - steps).sum(-1) + math.log(math.pi) * p * (p - 1) / 4


def __getattr__(name: str) -> Any:
    refuse(__name__, name)
