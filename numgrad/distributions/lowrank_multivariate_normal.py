"""LowRankMultivariateNormal."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .utils import lazy_property

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """Normal vectors with the covariance W W^T + diag(D), W being `cov_factor` of shape (n, k) and D `cov_diag`.

    Densities take time in n k^2, by the lemmas of Woodbury and of matrix determinants: k x k is factored, not n x n.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = tuple(loc.shape[-1:])
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if tuple(cov_factor.shape[-2:-1]) != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if tuple(cov_diag.shape[-1:]) != event:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        shapes = (tuple(loc.shape[:-1]), tuple(cov_factor.shape[:-2]), tuple(cov_diag.shape[:-1]))
        try:
            batch = numgrad.broadcast_shapes(*shapes)
        except RuntimeError as error:
            raise ValueError(f"Incompatible batch shapes: loc {shapes[0]}, cov_factor {shapes[1]}, cov_diag {shapes[2]}") from error
        self.loc, self.cov_diag = loc.expand(*batch, *event), cov_diag.expand(*batch, *event)
        self.cov_factor = cov_factor.expand(*batch, *cov_factor.shape[-2:])
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        super().__init__(batch, event, validate_args=validate_args)

    mean = mode = property(lambda self: self.loc, doc="`loc`.")

    @property
    def _capacitance_tril(self) -> Tensor:
        """The Cholesky factor of 1 + W^T D^-1 W."""
        w = self._unbroadcasted_cov_factor
        return linalg.cholesky(numgrad.eye(w.shape[-1], dtype=w.dtype) + w.mT @ (w / self._unbroadcasted_cov_diag.unsqueeze(-1)))

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        """The variance of each element."""
        return (self.cov_factor**2).sum(-1) + self.cov_diag

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        return self.cov_factor @ self.cov_factor.mT + self.cov_diag.diag_embed()

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return linalg.cholesky(self.covariance_matrix)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        small = linalg.solve_triangular(self._capacitance_tril, (self.cov_factor / self.cov_diag.unsqueeze(-1)).mT, upper=False)
        return self.cov_diag.reciprocal().diag_embed() - small.mT @ small

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        common = numgrad.randn(*shape[:-1], self.cov_factor.shape[-1], dtype=self.loc.dtype)
        own = numgrad.randn(*shape, dtype=self.loc.dtype)
        return self.loc + (self._unbroadcasted_cov_factor @ common.unsqueeze(-1)).squeeze(-1) + self._unbroadcasted_cov_diag.sqrt() * own

    def _log_det(self, capacitance_tril: Tensor) -> Tensor:
        return 2 * capacitance_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1) + self._unbroadcasted_cov_diag.log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        away = value - self.loc
        scaled = away / self._unbroadcasted_cov_diag
        tril = self._capacitance_tril
        inner = linalg.solve_triangular(tril, self._unbroadcasted_cov_factor.mT @ scaled.unsqueeze(-1), upper=False).squeeze(-1)
        square = (away * scaled).sum(-1) - (inner**2).sum(-1)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det(tril) + square)

    def entropy(self) -> Tensor:
        found = 0.5 * (self._event_shape[0] * (1 + math.log(2 * math.pi)) + self._log_det(self._capacitance_tril))
        return found.expand(*self._batch_shape) if self._batch_shape else found
