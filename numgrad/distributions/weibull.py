"""Weibull."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .exponential import Exponential
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform
from .utils import broadcast_all, euler_constant

__all__ = ["Weibull"]


class Weibull(TransformedDistribution):
    """Numbers with the probability exp(-(x / scale)^concentration) of more than x."""

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None):
        self.scale, self.concentration = broadcast_all(scale, concentration)
        self.concentration_reciprocal = self.concentration.reciprocal()
        base = Exponential(numgrad.ones_like(self.scale), validate_args=validate_args)
        transforms = [PowerTransform(self.concentration_reciprocal), AffineTransform(0, self.scale)]
        super().__init__(base, transforms, validate_args=validate_args)

    def _expanded(self, batch_shape: Any) -> dict[str, Any]:
        new = super()._expanded(batch_shape)
        power = new["concentration"].reciprocal()
        return new | {"concentration_reciprocal": power, "transforms": [PowerTransform(power), AffineTransform(0, new["scale"])]}

    def _moment(self, n: int) -> Tensor:
        return numgrad.lgamma(1 + n * self.concentration_reciprocal).exp()

    @property
    def mean(self) -> Tensor:
        return self.scale * self._moment(1)

    @property
    def mode(self) -> Tensor:
        """0 where the density only falls."""
        return self.scale * (1 - self.concentration_reciprocal).clamp(min=0) ** self.concentration_reciprocal

    @property
    def variance(self) -> Tensor:
        return self.scale**2 * (self._moment(2) - self._moment(1) ** 2)

    def entropy(self) -> Tensor:
        return euler_constant * (1 - self.concentration_reciprocal) + (self.scale * self.concentration_reciprocal).log() + 1
