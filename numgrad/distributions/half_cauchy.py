"""HalfCauchy."""

from __future__ import annotations

import math

import numgrad
from numgrad.tensor import Tensor

from .cauchy import Cauchy
from .half import Half

__all__ = ["HalfCauchy"]


class HalfCauchy(Half):
    """The absolute value of a Cauchy number around 0; its mean is infinite."""

    whole = Cauchy

    mean = property(lambda self: numgrad.full_like(self.scale, math.inf), doc="Infinite.")
    variance = property(lambda self: self.base_dist.variance, doc="Infinite.")

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return numgrad.atan(value / self.scale) * (2 / math.pi)

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * numgrad.tan(value * (math.pi / 2))
