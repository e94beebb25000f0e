"""Independent."""

from __future__ import annotations

from typing import Any

from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .utils import draw_shape, sum_rightmost

__all__ = ["Independent"]


class Independent(Distribution):
    """A distribution whose last `reinterpreted_batch_ndims` batch dimensions are taken as part of the event."""

    arg_constraints: Any = {}

    def __init__(self, base_distribution: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None):
        n, shape = reinterpreted_batch_ndims, tuple(base_distribution.batch_shape)
        if n > len(shape):
            raise ValueError(f"Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual {n} vs {len(shape)}")
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, n
        kept = len(shape) - n
        super().__init__(shape[:kept], shape[kept:] + tuple(base_distribution.event_shape), validate_args=validate_args)

    def _expanded(self, batch_shape: Any) -> dict[str, Any]:
        return {"base_dist": self.base_dist.expand(tuple(batch_shape) + tuple(self._event_shape[: self.reinterpreted_batch_ndims]))}

    has_rsample = property(lambda self: self.base_dist.has_rsample, doc="Whether the base has.")
    mean = property(lambda self: self.base_dist.mean, doc="The mean.")
    mode = property(lambda self: self.base_dist.mode, doc="The likeliest value.")
    variance = property(lambda self: self.base_dist.variance, doc="The variance.")

    @property
    def has_enumerate_support(self) -> Any:  # type: ignore[override]
        """Whether the base has, where nothing is reinterpreted."""
        return self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support

    @constraints.dependent_property
    def support(self) -> Any:
        """The base's, over more dimensions."""
        n = self.reinterpreted_batch_ndims
        return constraints.independent(self.base_dist.support, n) if n else self.base_dist.support

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.sample(draw_shape(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(draw_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand=expand)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist!r}, {self.reinterpreted_batch_ndims})"
