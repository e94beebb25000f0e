"""Categorical."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .utils import draw_shape, lazy_property, logits_to_probs, one_of, probs_to_logits

__all__ = ["Categorical"]


class Categorical(Distribution):
    """The numbers 0, 1, ..., with probabilities in the last dimension of the parameter."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        one_of(probs, logits)
        given = probs if logits is None else logits
        if not isinstance(given, Tensor) or given.dim() < 1:
            raise ValueError(f"`{'probs' if logits is None else 'logits'}` parameter must be at least one-dimensional.")
        if logits is None:
            self.__dict__["probs"] = given / given.sum(-1, keepdim=True)
        else:
            self.__dict__["logits"] = given - given.logsumexp(-1, keepdim=True)
        self._given = "probs" if logits is None else "logits"
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The numbers."""
        return constraints.integer_interval(0, self._num_events - 1)

    @lazy_property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities, finite."""
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        """The probabilities."""
        return logits_to_probs(self.logits)

    @property
    def _param(self) -> Tensor:
        return self.__dict__[self._given]

    param_shape = property(lambda self: self._param.shape, doc="The shape of the parameter.")
    mode = property(lambda self: self.probs.argmax(-1), doc="The likeliest number.")
    mean = variance = property(
        lambda self: numgrad.full(tuple(self._batch_shape), math.nan, dtype=self.probs.dtype), doc="NaN: the numbers are names."
    )

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = draw_shape(sample_shape)
        count = math.prod(shape)
        if not count:
            return numgrad.empty(*shape, *self._batch_shape, dtype=numgrad.int64)
        flat = numgrad.multinomial(self.probs.detach().reshape(-1, self._num_events), count, True)
        return flat.T.reshape(*shape, *self._batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value = value.long().unsqueeze(-1)
        value, logits = numgrad.broadcast_tensors(value, self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=numgrad.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = numgrad.arange(self._num_events).view(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
