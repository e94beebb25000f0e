"""HalfNormal."""

from __future__ import annotations

import math

import numgrad
from numgrad.tensor import Tensor

from .half import Half
from .normal import Normal

__all__ = ["HalfNormal"]


class HalfNormal(Half):
    """The absolute value of a normal number of mean 0."""

    whole = Normal

    mean = property(lambda self: self.scale * math.sqrt(2 / math.pi), doc="The mean.")
    variance = property(lambda self: self.scale**2 * (1 - 2 / math.pi), doc="The variance.")

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return numgrad.erf(value / (self.scale * math.sqrt(2)))

    def icdf(self, value: Tensor) -> Tensor:
        return self.scale * numgrad.erfinv(value) * math.sqrt(2)
