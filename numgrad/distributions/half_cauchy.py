"""HalfCauchy."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .cauchy import Cauchy
from .transformed_distribution import TransformedDistribution
from .transforms import AbsTransform

__all__ = ["HalfCauchy"]


class HalfCauchy(TransformedDistribution):
    """The absolute value of a Cauchy number around 0; its mean is infinite."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    base_dist: Cauchy

    def __init__(self, scale: Any, validate_args: bool | None = None):
        super().__init__(Cauchy(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    scale = property(lambda self: self.base_dist.scale, doc="The median.")
    mean = property(lambda self: numgrad.full_like(self.scale, math.inf), doc="Infinite.")
    mode = property(lambda self: numgrad.zeros_like(self.scale), doc="0.")
    variance = property(lambda self: self.base_dist.variance, doc="Infinite.")

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return numgrad.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return numgrad.atan(value / self.scale) * (2 / math.pi)

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * numgrad.tan(value * (math.pi / 2))

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
