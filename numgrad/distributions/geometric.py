"""Geometric."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.jit import observed
from numgrad.nn import functional as F
from numgrad.tensor import Tensor

from . import constraints
from .bernoulli import Binary
from .utils import open_uniform

__all__ = ["Geometric"]


class Geometric(Binary):
    """Failures before the first success, whose probability is not 0."""

    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        super().__init__(probs, logits, validate_args)
        if self._validate_args and probs is not None and not observed() and not bool((self.probs > 0).all()):
            raise ValueError(f"Expected parameter probs of distribution {self!r} to be positive but found invalid values:\n{self.probs}")

    mean = property(lambda self: 1 / self.probs - 1, doc="The mean.")
    mode = property(lambda self: numgrad.zeros_like(self.probs), doc="0.")
    variance = property(lambda self: (1 / self.probs - 1) / self.probs, doc="The variance.")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        p = self.probs.detach()
        return (open_uniform(self._extended_shape(sample_shape), p.dtype).log() / (-p).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return numgrad.xlogy(value, 1 - self.probs) + self.probs.log()

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs
