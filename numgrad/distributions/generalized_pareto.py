"""GeneralizedPareto."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Numbers from `loc` on with the probability (1 + concentration z)^(-1 / concentration) of more than loc + scale z; exp(-z) at 0.

    A negative concentration ends them at loc - scale / concentration.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        """From `loc` on, up to the end if there is one."""
        k = self.concentration
        end = numgrad.where(k < 0, self.loc - self.scale / numgrad.where(k < 0, k, -1.0), math.inf)
        return constraints.interval(self.loc, end)

    def _shape(self) -> tuple[Tensor, Tensor]:
        """Whether the concentration is 0, and one that is not."""
        zero = self.concentration.abs() < 1e-12
        return zero, numgrad.where(zero, 1.0, self.concentration)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(numgrad.rand(*self._extended_shape(sample_shape), dtype=self.loc.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        zero, k = self._shape()
        found = numgrad.where(zero, -z, -(1 + 1 / k) * numgrad.where(zero, 0.0, k * z).log1p())
        return found - self.scale.log()

    def log_survival_function(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of more than a value."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        zero, k = self._shape()
        return numgrad.where(zero, -z, -numgrad.where(zero, 0.0, k * z).log1p() / k)

    def log_cdf(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of at most a value."""
        return self.cdf(value).log()

    def cdf(self, value: Tensor) -> Tensor:
        return -numgrad.expm1(self.log_survival_function(value))

    def icdf(self, value: Tensor) -> Tensor:
        survives = (-value).log1p()
        zero, k = self._shape()
        return self.loc + self.scale * numgrad.where(zero, -survives, numgrad.expm1(-k * survives) / k)

    @property
    def mean(self) -> Tensor:
        k = self.concentration
        return numgrad.where(k < 1, self.loc + self.scale / (1 - k), math.inf)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        k = self.concentration
        return numgrad.where(k < 0.5, self.scale**2 / ((1 - k) ** 2 * (1 - 2 * k)), math.inf)

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1
