"""Kumaraswamy."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform
from .uniform import Uniform
from .utils import broadcast_all, euler_constant

__all__ = ["Kumaraswamy"]


class Kumaraswamy(TransformedDistribution):
    """Numbers between 0 and 1 with the probability (1 - x^concentration1)^concentration0 of more than x."""

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        base = Uniform(numgrad.zeros_like(self.concentration0), numgrad.ones_like(self.concentration0), validate_args=validate_args)
        super().__init__(base, self._steps(self.concentration1, self.concentration0), validate_args=validate_args)

    @staticmethod
    def _steps(a: Tensor, b: Tensor) -> list[Any]:
        return [PowerTransform(b.reciprocal()), AffineTransform(1.0, -1.0), PowerTransform(a.reciprocal())]

    def _expanded(self, batch_shape: Any) -> dict[str, Any]:
        new = super()._expanded(batch_shape)
        return new | {"transforms": self._steps(new["concentration1"], new["concentration0"])}

    def _moment(self, n: int) -> Tensor:
        a, b, lgamma = self.concentration1, self.concentration0, numgrad.lgamma
        return b * (lgamma(1 + n / a) + lgamma(b) - lgamma(1 + n / a + b)).exp()

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        """NaN where there is not one highest density between 0 and 1."""
        a, b = self.concentration1, self.concentration0
        return numgrad.where((a >= 1) & (b >= 1) & (a * b > 1), ((a - 1) / (a * b - 1)) ** (1 / a), math.nan)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self._moment(1) ** 2

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = numgrad.digamma(b + 1) + euler_constant
        return 1 - b.reciprocal() + (1 - a.reciprocal()) * harmonic - a.log() - b.log()
