"""Gumbel."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, ExpTransform
from .uniform import Uniform
from .utils import broadcast_all, euler_constant

__all__ = ["Gumbel"]


class Gumbel(TransformedDistribution):
    """The largest of many exponential variates: loc - scale log(-log(u)) of a uniform number u."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = broadcast_all(loc, scale)
        info = numgrad.finfo(self.loc.dtype)
        base = Uniform(numgrad.full_like(self.loc, info.tiny), numgrad.full_like(self.loc, 1 - info.eps), validate_args=False)
        log = ExpTransform().inv
        super().__init__(base, [log, AffineTransform(0, -1), log, AffineTransform(self.loc, -self.scale)], validate_args=validate_args)

    def _expanded(self, batch_shape: Any) -> dict[str, Any]:
        new = super()._expanded(batch_shape)
        return new | {"transforms": [*self.transforms[:-1], AffineTransform(new["loc"], -new["scale"])]}

    mean = property(lambda self: self.loc + self.scale * euler_constant, doc="The mean.")
    mode = property(lambda self: self.loc, doc="`loc`.")
    stddev = property(lambda self: math.pi / math.sqrt(6) * self.scale, doc="The standard deviation.")
    variance = property(lambda self: self.stddev**2, doc="The variance.")

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return y - y.exp() - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (-(((self.loc - value) / self.scale).exp())).exp()

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + euler_constant)
