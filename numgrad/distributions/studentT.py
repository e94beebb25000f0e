"""StudentT."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.ops.variates import standard_gamma
from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["StudentT"]


class StudentT(Distribution):
    """Student's t with `df` degrees of freedom, moved and scaled."""

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        df = self.df.expand(*shape)
        normal = numgrad.randn(*shape, dtype=df.dtype)
        return self.loc + self.scale * normal / (2 * standard_gamma(df / 2) / df).sqrt()

    @property
    def mean(self) -> Tensor:
        return numgrad.where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        found = numgrad.where(self.df > 2, self.scale**2 * self.df / (self.df - 2), math.inf)
        return numgrad.where(self.df > 1, found, math.nan)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        y = (value - self.loc) / self.scale
        half = 0.5 * self.df
        normaliser = self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + numgrad.lgamma(half) - numgrad.lgamma(half + 0.5)
        return -0.5 * (self.df + 1) * (y**2 / self.df).log1p() - normaliser

    def entropy(self) -> Tensor:
        half, digamma = 0.5 * self.df, numgrad.digamma
        beta = numgrad.lgamma(half) + 0.5 * math.log(math.pi) - numgrad.lgamma(half + 0.5)
        return self.scale.log() + (half + 0.5) * (digamma(half + 0.5) - digamma(half)) + 0.5 * self.df.log() + beta
