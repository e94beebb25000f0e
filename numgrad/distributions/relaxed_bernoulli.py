"""RelaxedBernoulli, and its logit."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.ops import creation
from numgrad.tensor import Tensor

from . import constraints
from .bernoulli import Binary
from .transformed_distribution import TransformedDistribution
from .transforms import SigmoidTransform
from .utils import clamp_probs

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(Binary):
    """The logit of a RelaxedBernoulli number: a logistic number around `logits`, divided by `temperature`."""

    support = constraints.real
    has_rsample = True

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self.temperature = temperature if isinstance(temperature, Tensor) else creation.tensor(temperature)
        super().__init__(probs, logits, validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        probs = clamp_probs(self.probs)
        u = clamp_probs(numgrad.rand(*self._extended_shape(sample_shape), dtype=probs.dtype))
        return (u.log() - (-u).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        away = self.logits - value * self.temperature
        return self.temperature.log() + away - 2 * F.softplus(away)


class RelaxedBernoulli(TransformedDistribution):
    """Numbers between 0 and 1 that approach a Bernoulli's as `temperature` falls (Maddison, Mnih and Teh 2017, https://arxiv.org/abs/1611.00712)."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    base_dist: LogitRelaxedBernoulli

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args=validate_args)

    temperature = property(lambda self: self.base_dist.temperature, doc="The lower, the closer to 0 and 1.")
    probs = property(lambda self: self.base_dist.probs, doc="The probability of 1 rather than 0.")
    logits = property(lambda self: self.base_dist.logits, doc="Its logit.")
