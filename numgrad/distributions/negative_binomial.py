"""NegativeBinomial."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.ops import variates
from numgrad.tensor import Tensor

from . import constraints
from .bernoulli import Binary

__all__ = ["NegativeBinomial"]


class NegativeBinomial(Binary):
    """Successes before `total_count` failures (which may be any number, not only a whole one)."""

    arg_constraints = {"total_count": constraints.greater_than_eq(0), "probs": constraints.half_open_interval(0.0, 1.0), "logits": constraints.real}
    support = constraints.nonnegative_integer
    total_count: Tensor

    def __init__(self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        super().__init__(probs, logits, validate_args, total_count=total_count)

    mean = property(lambda self: self.total_count * self.logits.exp(), doc="The mean.")
    mode = property(lambda self: ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0), doc="The likeliest value.")
    variance = property(lambda self: self.mean / (-self.logits).sigmoid(), doc="The variance.")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with numgrad.no_grad():
            shape = self._extended_shape(sample_shape)
            rate = variates.standard_gamma(self.total_count.expand(*shape)) * self.logits.exp()
            return numgrad.poisson(rate)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n, lgamma = self.total_count, numgrad.lgamma
        weights = n * F.logsigmoid(-self.logits) + value * F.logsigmoid(self.logits)
        ways = numgrad.where(n + value == 0, 0.0, lgamma(n + value) - lgamma(1 + value) - lgamma(n))
        return weights + ways
