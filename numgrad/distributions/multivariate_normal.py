"""MultivariateNormal."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .utils import lazy_property

__all__ = ["MultivariateNormal"]


def factor(covariance_matrix: Any, precision_matrix: Any, scale_tril: Any) -> tuple[str, Tensor, Tensor]:
    """Which of the three is given, it, and the Cholesky factor of the covariance; ValueError if not exactly one is."""
    given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
    found = [(name, m) for name, m in given.items() if m is not None]
    if len(found) != 1:
        raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
    name, matrix = found[0]
    if matrix.dim() < 2:
        raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
    if name == "scale_tril":
        return name, matrix, matrix
    return name, matrix, linalg.cholesky(matrix) if name == "covariance_matrix" else precision_to_scale_tril(matrix)


def precision_to_scale_tril(precision: Tensor) -> Tensor:
    """The Cholesky factor of a matrix's inverse: the inverse of the factor of the matrix read backwards, transposed."""
    backwards = linalg.cholesky(precision.flip((-2, -1))).flip((-2, -1))
    return linalg.solve_triangular(backwards.mT, numgrad.eye(precision.shape[-1], dtype=precision.dtype), upper=False)


class MultivariateNormal(Distribution):
    """Normal vectors of mean `loc`, with a covariance matrix, its inverse, or its Cholesky factor `scale_tril`."""

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None, validate_args: bool | None = None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix, self._unbroadcasted_scale_tril = _checked(self, validate_args, loc, covariance_matrix, precision_matrix, scale_tril)
        batch = numgrad.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(loc.shape[:-1]))
        self.__dict__[name] = matrix.expand(*batch, *matrix.shape[-2:])
        self.loc = loc.expand(*batch, loc.shape[-1])
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return self._unbroadcasted_scale_tril.expand(*self._batch_shape, *self._event_shape, *self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        return self.scale_tril @ self.scale_tril.mT

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        return linalg.inv(self.covariance_matrix)

    mean = mode = property(lambda self: self.loc, doc="`loc`.")

    @property
    def variance(self) -> Tensor:
        return (self._unbroadcasted_scale_tril**2).sum(-1).expand(*self._batch_shape, *self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        normal = numgrad.randn(*self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self._unbroadcasted_scale_tril @ normal.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self) -> Tensor:
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        away = linalg.solve_triangular(self._unbroadcasted_scale_tril, (value - self.loc).unsqueeze(-1), upper=False).squeeze(-1)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + (away**2).sum(-1)) - self._half_log_det()

    def entropy(self) -> Tensor:
        found = 0.5 * self._event_shape[0] * (1 + math.log(2 * math.pi)) + self._half_log_det()
        return found.expand(*self._batch_shape) if self._batch_shape else found


def _checked(d: Any, validate_args: bool | None, loc: Tensor, *matrices: Any) -> tuple[str, Tensor, Tensor]:
    """`factor`, where a matrix that has none is the error of a wrong parameter."""
    try:
        return factor(*matrices)
    except linalg.LinAlgError:
        if not (d._validate_args if validate_args is None else validate_args):
            raise
        name, matrix = next((n, m) for n, m in zip(("covariance_matrix", "precision_matrix"), matrices) if m is not None)
        constraint = constraints.positive_definite
        raise ValueError(
            f"Expected parameter {name} (Tensor of shape {tuple(matrix.shape)}) of distribution {type(d).__name__} "
            f"to satisfy the constraint {constraint!r}, but found invalid values:\n{matrix}"
        ) from None
