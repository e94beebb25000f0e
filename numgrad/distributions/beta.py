"""Beta."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.ops.variates import standard_gamma
from numgrad.tensor import Tensor

from . import constraints
from .exp_family import ExponentialFamily
from .utils import broadcast_all

__all__ = ["Beta"]


class Beta(ExponentialFamily):
    """Numbers between 0 and 1 with density x^(concentration1 - 1) (1 - x)^(concentration0 - 1)."""

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(self.concentration1.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        a, b = (standard_gamma(c.expand(*shape)) for c in (self.concentration1, self.concentration0))
        return a / (a + b)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        """0 or 1 where the density rises to infinity at both; NaN where it is the same everywhere."""
        a, b = self.concentration1, self.concentration0
        above = (a - 1).clamp(min=0)
        found = above / (above + (b - 1).clamp(min=0))
        return numgrad.where((a < 1) & (b < 1) | (a < 1) & (b == 1) | (a == 1) & (b < 1), (a >= b).to(a.dtype), found)

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total**2 * (total + 1))

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        return numgrad.lgamma(x) + numgrad.lgamma(y) - numgrad.lgamma(x + y)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return self.concentration1, self.concentration0

    @property
    def _mean_carrier_measure(self) -> Tensor:
        a, b, digamma = self.concentration1, self.concentration0, numgrad.digamma
        return 2 * digamma(a + b) - digamma(a) - digamma(b)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        return numgrad.xlogy(a - 1, value) + numgrad.xlogy(b - 1, 1 - value) - self._log_normalizer(a, b)

    def entropy(self) -> Tensor:
        a, b, digamma = self.concentration1, self.concentration0, numgrad.digamma
        return self._log_normalizer(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)
