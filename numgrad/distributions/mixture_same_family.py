"""MixtureSameFamily."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .categorical import Categorical
from .distribution import Distribution
from .utils import draw_shape

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A mixture of distributions of one family: the components are the last batch dimension of `component_distribution`."""

    arg_constraints: Any = {}
    has_rsample = False

    def __init__(self, mixture_distribution: Categorical, component_distribution: Distribution, validate_args: bool | None = None):
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(f"The mixture distribution needs to be a Categorical, but is {type(mixture_distribution).__name__}")
        if not isinstance(component_distribution, Distribution):
            raise ValueError(f"The component distribution needs to be a Distribution, but is {type(component_distribution).__name__}")
        weights, batch = tuple(mixture_distribution.batch_shape), tuple(component_distribution.batch_shape)
        for a, b in zip(reversed(weights), reversed(batch[:-1])):
            if a != 1 and b != 1 and a != b:
                raise ValueError(f"`mixture_distribution.batch_shape` ({weights}) is not compatible with `component_distribution.batch_shape` ({batch})")
        count = mixture_distribution.param_shape[-1]
        if not batch or batch[-1] != count:
            raise ValueError(f"`mixture_distribution` has {count} components, but `component_distribution.batch_shape` ends with {batch[-1:]}")
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        self._num_component, self._event_ndims = count, len(component_distribution.event_shape)
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args=validate_args)

    def _expanded(self, batch_shape: Any) -> dict[str, Any]:
        return {
            "_component_distribution": self._component_distribution.expand((*batch_shape, self._num_component)),
            "_mixture_distribution": self._mixture_distribution.expand(batch_shape),
        }

    mixture_distribution = property(lambda self: self._mixture_distribution, doc="The Categorical that selects.")
    component_distribution = property(lambda self: self._component_distribution, doc="What is selected from.")

    @constraints.dependent_property
    def support(self) -> Any:
        """What all components can draw."""
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    def _weights(self) -> Tensor:
        """The probabilities, with dimensions for events behind."""
        probs = self._mixture_distribution.probs
        return probs.reshape(*probs.shape, *[1] * self._event_ndims)

    def _pad(self, x: Tensor) -> Tensor:
        """With a dimension for the components."""
        return x.unsqueeze(-1 - self._event_ndims)

    @property
    def mean(self) -> Tensor:
        return (self._weights() * self._component_distribution.mean).sum(-1 - self._event_ndims)

    @property
    def variance(self) -> Tensor:
        dim, weights = -1 - self._event_ndims, self._weights()
        within = (weights * self._component_distribution.variance).sum(dim)
        return within + (weights * (self._component_distribution.mean - self._pad(self.mean)) ** 2).sum(dim)

    def cdf(self, value: Tensor) -> Tensor:
        return (self._component_distribution.cdf(self._pad(value)) * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        each = self._component_distribution.log_prob(self._pad(value))
        return (each + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with numgrad.no_grad():
            sample_shape, dim = draw_shape(sample_shape), len(draw_shape(sample_shape)) + len(self._batch_shape)
            draws = self._component_distribution.sample(sample_shape)
            chosen = self._mixture_distribution.expand(self._batch_shape).sample(sample_shape)
            chosen = chosen.reshape(*chosen.shape, 1, *[1] * self._event_ndims)
            return draws.gather(dim, chosen.expand(*chosen.shape[: dim + 1], *self._event_shape)).squeeze(dim)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture_distribution!r},\n  {self._component_distribution!r})"
