"""Poisson."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.ops import variates
from numgrad.tensor import Tensor

from . import constraints
from .exp_family import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Poisson"]


class Poisson(ExponentialFamily):
    """How many of many rare events happen, `rate` on average."""

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    mean = variance = property(lambda self: self.rate, doc="`rate`.")
    mode = property(lambda self: self.rate.floor(), doc="The likeliest value.")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return variates.poisson(self.rate.detach().expand(*self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return numgrad.xlogy(value, self.rate) - self.rate - numgrad.lgamma(value + 1)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.rate.log(),)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return x.exp()
