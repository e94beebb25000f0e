"""Distributions over vectors."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.ops.variates import standard_gamma
from numgrad.tensor import Tensor

from .distribution import Distribution


class MultivariateNormal(Distribution):
    """Normal vectors of mean `loc`, with a covariance matrix, its inverse, or its Cholesky factor `scale_tril`."""

    arg_constraints = {"loc": "real"}
    has_rsample = True

    def __init__(self, loc: Tensor, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None, validate_args: bool | None = None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = [m for m in (covariance_matrix, precision_matrix, scale_tril) if m is not None]
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        if given[0].dim() < 2:
            raise ValueError("the matrix must be at least two-dimensional, with optional leading batch dimensions")
        if scale_tril is None:
            scale_tril = linalg.cholesky(linalg.inv(precision_matrix) if covariance_matrix is None else covariance_matrix)
        batch = numgrad.broadcast_shapes(tuple(scale_tril.shape[:-2]), tuple(loc.shape[:-1]))
        self.loc = loc.expand(*batch, loc.shape[-1])
        self._scale = scale_tril
        super().__init__(batch, loc.shape[-1:], validate_args)

    @property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return self._scale.expand(*self._batch_shape, *self._event_shape, *self._event_shape)

    @property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        return self.scale_tril @ self.scale_tril.mT

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        return linalg.inv(self.covariance_matrix)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return (self._scale**2).sum(-1).expand(*self._batch_shape, *self._event_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> MultivariateNormal:
        scale = self._scale.expand(*batch_shape, *self._scale.shape[-2:])
        return MultivariateNormal(self.loc.expand(*batch_shape, *self._event_shape), scale_tril=scale, validate_args=False)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        normal = numgrad.randn(*self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self._scale @ normal.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self) -> Tensor:
        return self._scale.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        away = linalg.solve_triangular(self._scale, (value - self.loc).unsqueeze(-1), upper=False).squeeze(-1)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + (away**2).sum(-1)) - self._half_log_det()

    def entropy(self) -> Tensor:
        found = 0.5 * self._event_shape[0] * (1 + math.log(2 * math.pi)) + self._half_log_det()
        return found.expand(*self._batch_shape) if self._batch_shape else found


class Dirichlet(Distribution):
    """Probabilities that add up to 1."""

    arg_constraints = {"concentration": "positive"}
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        found = standard_gamma(self.concentration.expand(*self._extended_shape(sample_shape)))
        return found / found.sum(-1, keepdim=True)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, keepdim=True)
        return self.concentration * (total - self.concentration) / (total**2 * (total + 1))

    def log_prob(self, value: Tensor) -> Tensor:
        a = self.concentration
        return numgrad.xlogy(a - 1, value).sum(-1) + numgrad.lgamma(a.sum(-1)) - numgrad.lgamma(a).sum(-1)

    def entropy(self) -> Tensor:
        a, k = self.concentration, self._event_shape[0]
        total = a.sum(-1)
        normaliser = numgrad.lgamma(a).sum(-1) - numgrad.lgamma(total)
        return normaliser - (k - total) * numgrad.digamma(total) - ((a - 1) * numgrad.digamma(a)).sum(-1)


class Independent(Distribution):
    """A distribution whose last batch dimensions are taken as part of the event."""

    def __init__(self, base_distribution: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None):
        n = reinterpreted_batch_ndims
        shape = tuple(base_distribution.batch_shape)
        if n > len(shape):
            raise ValueError(f"Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual {n} vs {len(shape)}")
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, n
        self.has_rsample = base_distribution.has_rsample  # type: ignore[misc]
        kept = len(shape) - n
        super().__init__(shape[:kept], shape[kept:] + tuple(base_distribution.event_shape), validate_args)

    mean = property(lambda self: self.base_dist.mean, doc="The mean.")
    mode = property(lambda self: self.base_dist.mode, doc="The likeliest value.")
    variance = property(lambda self: self.base_dist.variance, doc="The variance.")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def _summed(self, x: Tensor) -> Tensor:
        n = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-n, 0))) if n else x

    def log_prob(self, value: Tensor) -> Tensor:
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        return self._summed(self.base_dist.entropy())

    def expand(self, batch_shape: Any, _instance: Any = None) -> Independent:
        shape = tuple(batch_shape) + tuple(self._event_shape[: self.reinterpreted_batch_ndims])
        return Independent(self.base_dist.expand(shape), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist!r}, {self.reinterpreted_batch_ndims})"
