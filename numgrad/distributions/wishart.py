"""Wishart."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.ops import creation
from numgrad.ops.variates import standard_gamma
from numgrad.tensor import Tensor

from . import constraints
from .exp_family import ExponentialFamily
from .multivariate_normal import _checked
from .utils import lazy_property

__all__ = ["Wishart"]


def log_gamma(a: Tensor, n: int) -> Tensor:
    """The logarithm of the multivariate gamma function."""
    return numgrad.lgamma(a.unsqueeze(-1) - numgrad.arange(n).to(a.dtype) / 2).sum(-1) + n * (n - 1) / 4 * math.log(math.pi)


def digamma(a: Tensor, n: int) -> Tensor:
    """Its derivative."""
    return numgrad.digamma(a.unsqueeze(-1) - numgrad.arange(n).to(a.dtype) / 2).sum(-1)


class Wishart(ExponentialFamily):
    """Sums of `df` products x x^T of normal vectors of mean 0, with their covariance, its inverse, or its Cholesky factor."""

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, df: Any, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None, validate_args: bool | None = None):
        name, matrix, tril = _checked(self, validate_args, df, covariance_matrix, precision_matrix, scale_tril)
        df = df if isinstance(df, Tensor) else creation.tensor(float(df), dtype=matrix.dtype)
        batch = numgrad.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(df.shape))
        n = matrix.shape[-1]
        if bool((df <= n - 1).any()):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        self.df, self._unbroadcasted_scale_tril = df.expand(*batch), tril
        self.__dict__[name] = matrix.expand(*batch, n, n)
        super().__init__(batch, (n, n), validate_args=validate_args)

    @property
    def arg_constraints(self) -> Any:
        """`df` must be over n - 1."""
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return self._unbroadcasted_scale_tril.expand(*self._batch_shape, *self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance of the vectors."""
        return self.scale_tril @ self.scale_tril.mT

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """Its inverse."""
        return linalg.inv(self.covariance_matrix)

    def _over(self, x: Tensor) -> Tensor:
        return x.view(*self._batch_shape, 1, 1)

    @property
    def mean(self) -> Tensor:
        return self._over(self.df) * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        """NaN where `df` is at most n + 1."""
        factor = self.df - self._event_shape[-1] - 1
        return self._over(numgrad.where(factor > 0, factor, math.nan)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        return self._over(self.df) * (v**2 + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """(L A) (L A)^T, A lower triangular: normal numbers below roots of chi-squares (Bartlett 1933)."""
        shape, n = self._extended_shape(sample_shape), self._event_shape[-1]
        half = (self.df.unsqueeze(-1) - numgrad.arange(n).to(self.df.dtype)) / 2
        diagonal = (2 * standard_gamma(half.expand(*shape[:-1]))).sqrt()
        a = numgrad.randn(*shape, dtype=self.df.dtype).tril(-1) + diagonal.diag_embed()
        root = self._unbroadcasted_scale_tril @ a
        return root @ root.mT

    def _log_det(self) -> Tensor:
        return 2 * self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n, df = self._event_shape[-1], self.df
        root = linalg.cholesky(value)
        scaled = linalg.solve_triangular(self._unbroadcasted_scale_tril, root, upper=False)
        normaliser = df / 2 * (n * math.log(2) + self._log_det()) + log_gamma(df / 2, n)
        return (df - n - 1) * root.diagonal(dim1=-2, dim2=-1).log().sum(-1) - 0.5 * (scaled**2).sum((-2, -1)) - normaliser

    def entropy(self) -> Tensor:
        n, half = self._event_shape[-1], self.df / 2
        scale = (n + 1) / 2 * (self._log_det() + n * math.log(2))
        return scale + log_gamma(half, n) - (half - (n + 1) / 2) * digamma(half, n) + half * n
