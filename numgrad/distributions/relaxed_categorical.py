"""RelaxedOneHotCategorical, and its logarithm."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.ops import creation
from numgrad.tensor import Tensor

from . import constraints
from .one_hot_categorical import OfCategorical
from .transformed_distribution import TransformedDistribution
from .transforms import ExpTransform
from .utils import clamp_probs

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(OfCategorical):
    """The logarithm of RelaxedOneHotCategorical vectors: log_softmax of logits and Gumbel noise, divided by `temperature`."""

    support = constraints.real_vector
    has_rsample = True

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self.temperature = temperature if isinstance(temperature, Tensor) else creation.tensor(temperature)
        super().__init__(probs, logits, validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = clamp_probs(numgrad.rand(*self._extended_shape(sample_shape), dtype=self.logits.dtype))
        return ((self.logits - (-u.log()).log()) / self.temperature).log_softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self._event_shape[0]
        score = (self.logits - value * self.temperature).log_softmax(-1).sum(-1)
        return score + math.lgamma(n) + (n - 1) * self.temperature.log()


class RelaxedOneHotCategorical(TransformedDistribution):
    """Vectors that add up to 1 and approach one-hot vectors as `temperature` falls (Jang, Gu and Poole 2017, https://arxiv.org/abs/1611.01144)."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    base_dist: ExpRelaxedCategorical

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    temperature = property(lambda self: self.base_dist.temperature, doc="The lower, the closer to one-hot.")
    probs = property(lambda self: self.base_dist.probs, doc="The probabilities of the elements to be the largest.")
    logits = property(lambda self: self.base_dist.logits, doc="Their logarithms.")
