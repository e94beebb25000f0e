"""Laplace."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, open_uniform

__all__ = ["Laplace"]


class Laplace(Distribution):
    """The density falls by e for each `scale` away from `loc`."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = mode = property(lambda self: self.loc, doc="`loc`.")
    variance = property(lambda self: 2 * self.scale**2, doc="The variance.")
    stddev = property(lambda self: math.sqrt(2) * self.scale, doc="The standard deviation.")

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = open_uniform(self._extended_shape(sample_shape), self.loc.dtype) - 0.5
        return self.loc - self.scale * u.sign() * (-2 * u.abs().clamp(max=0.5 - numgrad.finfo(u.dtype).eps)).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * numgrad.expm1(-away.abs() / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        away = value - 0.5
        return self.loc - self.scale * away.sign() * (-2 * away.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()
