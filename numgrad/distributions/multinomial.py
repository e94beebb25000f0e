"""Multinomial."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.ops import creation
from numgrad.tensor import Tensor

from . import constraints
from .binomial import Binomial
from .one_hot_categorical import OfCategorical
from .utils import draw_shape

__all__ = ["Multinomial"]


class Multinomial(OfCategorical):
    """How often each number occurs in `total_count` draws of a Categorical."""

    def __init__(self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        super().__init__(probs, logits, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        """Counts that add up to `total_count`."""
        return constraints.multinomial(self.total_count)

    mean = property(lambda self: self.probs * self.total_count, doc="The mean.")
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs), doc="The variance of each count.")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        draws = self._categorical.sample((self.total_count, *draw_shape(sample_shape)))
        return F.one_hot(draws, self._event_shape[0]).sum(0).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = numgrad.broadcast_tensors(self.logits, value)
        weighted = numgrad.where((value == 0) & (logits == -float("inf")), 0.0, logits * value)
        return numgrad.lgamma(value.sum(-1) + 1) - numgrad.lgamma(value + 1).sum(-1) + weighted.sum(-1)

    def entropy(self) -> Tensor:
        """The draws' in their order, less what the order tells: log n! and the counts' mean log x!."""
        n = creation.tensor(float(self.total_count), dtype=self.probs.dtype)
        counts = Binomial(self.total_count, probs=self.probs, validate_args=False)
        values = counts.enumerate_support(expand=False)[1:]
        orders = (counts.log_prob(values).exp() * numgrad.lgamma(values + 1)).sum(0).sum(-1)
        return n * self._categorical.entropy() - numgrad.lgamma(n + 1) + orders
