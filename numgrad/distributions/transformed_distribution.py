"""TransformedDistribution."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .independent import Independent
from .transforms import ComposeTransform, Transform
from .utils import draw_shape, sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """What becomes of another distribution's draws under transforms, one after the other.

    log p(y) = log p(x) - log |det dy/dx|, with x the inverse of y.
    """

    arg_constraints: Any = {}

    def __init__(self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None):
        self.transforms = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(self.transforms, list) or not all(isinstance(t, Transform) for t in self.transforms):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        transform = ComposeTransform(self.transforms)
        shape = tuple(base_distribution.batch_shape) + tuple(base_distribution.event_shape)
        event_dim, need = len(base_distribution.event_shape), transform.domain.event_dim
        if len(shape) < need:
            raise ValueError(f"base_distribution needs to have shape with size at least {need}, but got {shape}.")
        after = tuple(transform.forward_shape(shape))
        before = tuple(transform.inverse_shape(after))
        if before != shape:  # parameters of transforms have a larger batch
            base_distribution = base_distribution.expand(before[: len(before) - event_dim])
        if need > event_dim:
            base_distribution = Independent(base_distribution, need - event_dim)
        self.base_dist = base_distribution
        cut = len(after) - max(transform.codomain.event_dim, event_dim + transform.codomain.event_dim - need)
        super().__init__(after[:cut], after[cut:], validate_args=validate_args)

    def _expanded(self, batch_shape: Any) -> dict[str, Any]:
        shape = tuple(batch_shape) + tuple(self._event_shape)
        for transform in reversed(self.transforms):
            shape = tuple(transform.inverse_shape(shape))
        base = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        return super()._expanded(batch_shape) | {"base_dist": base}

    has_rsample = property(lambda self: self.base_dist.has_rsample, doc="Whether the base has.")

    @constraints.dependent_property
    def support(self) -> Any:
        """The last transform's codomain."""
        if not self.transforms:
            return self.base_dist.support
        found, event_dim = self.transforms[-1].codomain, len(self._event_shape)
        return constraints.independent(found, event_dim - found.event_dim) if event_dim > found.event_dim else found

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with numgrad.no_grad():
            x = self.base_dist.sample(draw_shape(sample_shape))
            for transform in self.transforms:
                x = transform(x)
        return x

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        x = self.base_dist.rsample(draw_shape(sample_shape))
        for transform in self.transforms:
            x = transform(x)
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        event_dim = len(self._event_shape)
        change: Any = 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(value)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            change = change + sum_rightmost(transform.log_abs_det_jacobian(x, value), event_dim - transform.domain.event_dim)
            value = x
        return sum_rightmost(self.base_dist.log_prob(value), event_dim - len(self.base_dist.event_shape)) - change

    def _monotonize_cdf(self, value: Tensor) -> Tensor:
        """q, or 1 - q where the transforms decrease."""
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return self._monotonize_cdf(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        value = self.base_dist.icdf(self._monotonize_cdf(value))
        for transform in self.transforms:
            value = transform(value)
        return value
