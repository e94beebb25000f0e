"""Transforms of vectors and matrices, and of tensors piece by piece."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.tensor import Tensor

from . import constraints
from .elementwise_transforms import _Fixed, open_sigmoid
from .transforms import Transform
from .utils import sum_rightmost, tril_matrix_to_vec, vec_to_tril_matrix


class CorrCholeskyTransform(_Fixed):
    """n (n - 1) / 2 numbers to the Cholesky factor of an n x n correlation matrix.

    Row by row: t = tanh(x) is the share of the rest of the row's norm that an element takes (Lewandowski, Kurowicka and Joe 2009,
    "Generating random correlation matrices based on vines and extended onion method").
    """

    domain, codomain = constraints.real_vector, constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        eps = numgrad.finfo(x.dtype).eps
        shares = vec_to_tril_matrix(x.tanh().clamp(min=-1 + eps, max=1 - eps), diag=-1)
        left = (1 - shares**2).sqrt().cumprod(-1)
        shares = shares + numgrad.eye(shares.shape[-1], dtype=x.dtype)
        return shares * F.pad(left[..., :-1], [1, 0], value=1)

    @staticmethod
    def _rest(y: Tensor) -> Tensor:
        """The squares of the norms of what is left of each row from each element on, as a vector of the lower triangle."""
        rest = 1 - (y**2).cumsum(-1)
        return tril_matrix_to_vec(F.pad(rest[..., :-1], [1, 0], value=1), diag=-1)

    def _inverse(self, y: Tensor) -> Tensor:
        shares = tril_matrix_to_vec(y, diag=-1) / self._rest(y).sqrt()
        return (shares.log1p() - (-shares).log1p()) / 2

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        of_tanh = 2 * (math.log(2) - x - F.softplus(-2 * x))
        return (0.5 * self._rest(y).log() + of_tanh).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        length = shape[-1]
        n = round(math.sqrt(0.25 + 2 * length) + 0.5)
        if n * (n - 1) // 2 != length:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return numgrad.Size((*shape[:-1], n, n))

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 2:
            raise ValueError("Too few dimensions on input")
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        n = shape[-1]
        return numgrad.Size((*shape[:-2], n * (n - 1) // 2))


class SoftmaxTransform(_Fixed):
    """y = softmax(x), with log(y) as inverse: not bijective, but good for optimisation."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(_Fixed):
    """n numbers to n + 1 that add up to 1: each says which share of the rest is taken; 0 gives equal pieces."""

    domain, codomain = constraints.real_vector, constraints.simplex
    bijective = True

    @staticmethod
    def _offset(x: Tensor) -> Tensor:
        return numgrad.arange(x.shape[-1], 0, -1).to(x.dtype).log()

    def _call(self, x: Tensor) -> Tensor:
        share = open_sigmoid(x - self._offset(x))
        rest = (1 - share).cumprod(-1)
        return F.pad(share, [0, 1], value=1) * F.pad(rest, [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        y = y[..., :-1]
        rest = (1 - y.cumsum(-1)).clamp(min=numgrad.finfo(y.dtype).tiny)
        return y.log() - rest.log() + self._offset(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - self._offset(x)
        return (F.logsigmoid(x) - x + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return numgrad.Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return numgrad.Size((*shape[:-1], shape[-1] - 1))


class LowerCholeskyTransform(_Fixed):
    """Square matrices to lower triangular ones with positive diagonals: exp of the diagonal, and what is below it."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(_Fixed):
    """Square matrices to positive definite ones: L L^T of the factor that LowerCholeskyTransform gives."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(numgrad.linalg.cholesky(y))


class _Pieces(Transform):
    """A transform for each piece of a tensor along `dim`."""

    transforms: list[Any]
    dim: int

    bijective = property(lambda self: all(t.bijective for t in self.transforms), doc="Whether all are.")

    def _split(self, x: Tensor) -> Sequence[Tensor]:
        raise NotImplementedError

    def _join(self, pieces: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def _call(self, x: Tensor) -> Tensor:
        return self._join([t(v) for t, v in zip(self.transforms, self._split(x))])

    def _inverse(self, y: Tensor) -> Tensor:
        return self._join([t.inv(v) for t, v in zip(self.transforms, self._split(y))])


class CatTransform(_Pieces):
    """Transforms of pieces of the given lengths, one after the other along `dim`."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0):
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(f"{len(self.transforms)} transforms need as many lengths, but got {len(self.lengths)}")
        self.dim = dim

    event_dim = property(lambda self: max(t.event_dim for t in self.transforms), doc="The largest of the pieces'.")
    length = property(lambda self: sum(self.lengths), doc="Of all pieces.")
    domain = constraints.dependent_property(lambda self: constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths), doc="What it takes.")
    codomain = constraints.dependent_property(lambda self: constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths), doc="What it gives.")

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if self._cache_size == cache_size else CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _split(self, x: Tensor) -> Sequence[Tensor]:
        if not (-x.dim() <= self.dim < x.dim()) or x.shape[self.dim] != self.length:
            raise AssertionError(f"expected {self.length} elements in dimension {self.dim}, but got the shape {tuple(x.shape)}")
        return x.split(self.lengths, self.dim)

    def _join(self, pieces: list[Tensor]) -> Tensor:
        return numgrad.cat(pieces, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        found = []
        for t, a, b in zip(self.transforms, self._split(x), self._split(y)):
            found.append(sum_rightmost(t.log_abs_det_jacobian(a, b), self.event_dim - t.event_dim))
        dim = (self.dim if self.dim < 0 else self.dim - x.dim()) + self.event_dim
        return numgrad.cat(found, dim) if dim < 0 else sum(found[1:], found[0])


class StackTransform(_Pieces):
    """Transforms of the slices along `dim`."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0):
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.dim = dim

    domain = constraints.dependent_property(lambda self: constraints.stack([t.domain for t in self.transforms], self.dim), doc="What it takes.")
    codomain = constraints.dependent_property(lambda self: constraints.stack([t.codomain for t in self.transforms], self.dim), doc="What it gives.")

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if self._cache_size == cache_size else StackTransform(self.transforms, self.dim, cache_size)

    def _split(self, x: Tensor) -> Sequence[Tensor]:
        if not (-x.dim() <= self.dim < x.dim()) or x.shape[self.dim] != len(self.transforms):
            raise AssertionError(f"expected {len(self.transforms)} slices in dimension {self.dim}, but got the shape {tuple(x.shape)}")
        return x.unbind(self.dim)

    def _join(self, pieces: list[Tensor]) -> Tensor:
        return numgrad.stack(pieces, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self._join([t.log_abs_det_jacobian(a, b) for t, a, b in zip(self.transforms, self._split(x), self._split(y))])
