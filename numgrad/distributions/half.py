"""What the absolute values of symmetric numbers have in common."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .transformed_distribution import TransformedDistribution
from .transforms import AbsTransform

__all__ = ["Half"]


class Half(TransformedDistribution):
    """The absolute value of a number around 0 whose distribution, `whole`, has a location and a scale."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    whole: Any

    def __init__(self, scale: Any, validate_args: bool | None = None):
        super().__init__(self.whole(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    scale = property(lambda self: self.base_dist.scale, doc="The scale of the number with its sign.")
    mode = property(lambda self: numgrad.zeros_like(self.scale), doc="0.")

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return numgrad.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
