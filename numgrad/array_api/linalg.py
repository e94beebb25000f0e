"""The standard's linear algebra, the extension included."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad import linalg as _own

from ._elementwise import promoted
from ._reductions import over

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
    "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip


def matmul(x1: Any, x2: Any, /) -> Any:
    """Matrix products."""
    return numgrad.matmul(*promoted(x1, x2))


def matrix_transpose(x: Any, /) -> Any:
    """Matrices with rows as columns."""
    return x.mT


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Sums of products over several axes: the last and first `axes`, or two lists of them."""
    return numgrad.tensordot(*promoted(x1, x2), axes)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Sums of products along one axis, counted from the back."""
    if axis >= 0:
        raise ValueError("vecdot: axis should be negative")
    one, two = promoted(x1, x2)
    if one.size(axis) != two.size(axis):
        raise ValueError(f"vecdot: the vectors have {one.size(axis)} and {two.size(axis)} elements")
    one, two = numgrad.broadcast_tensors(one, two)
    return (one.movedim(axis, -1).unsqueeze(-2) @ two.movedim(axis, -1).unsqueeze(-1)).squeeze((-2, -1))


def outer(x1: Any, x2: Any, /) -> Any:
    """The products of every element of one vector with every one of another."""
    return numgrad.outer(*promoted(x1, x2))


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """The triangular L of x = L L^T, or its transpose."""
    return _own.cholesky(x, upper=upper)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross products of vectors of three elements."""
    return _own.cross(*promoted(x1, x2), dim=axis)


def det(x: Any, /) -> Any:
    """Determinants."""
    return _own.det(x)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Diagonals of matrices."""
    return numgrad.diagonal(x, offset, -2, -1)


def eigh(x: Any, /) -> Any:
    """Eigenvalues and eigenvectors of symmetric matrices."""
    return _own.eigh(x)


def eigvalsh(x: Any, /) -> Any:
    """Eigenvalues of symmetric matrices."""
    return _own.eigvalsh(x)


def inv(x: Any, /) -> Any:
    """Inverses."""
    return _own.inv(x)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norms of matrices."""
    return _own.matrix_norm(x, ord, keepdim=keepdims)


def matrix_power(x: Any, n: int, /) -> Any:
    """Integer powers of matrices."""
    return _own.matrix_power(x, n)


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """How many singular values are larger than `rtol` times the largest."""
    return _own.matrix_rank(x, rtol=rtol)


def pinv(x: Any, /, *, rtol: Any = None) -> Any:
    """Pseudo-inverses."""
    return _own.pinv(x, rtol=rtol)


def qr(x: Any, /, *, mode: str = "reduced") -> Any:
    """An orthogonal times a triangular matrix."""
    return _own.qr(x, mode)


def slogdet(x: Any, /) -> Any:
    """Signs of determinants, and logarithms of their magnitudes."""
    return _own.slogdet(x)


def solve(x1: Any, x2: Any, /) -> Any:
    """The X of x1 X = x2; `x2` is one vector, or matrices."""
    one, two = promoted(x1, x2)
    return _own.solve(one, two) if two.ndim > 1 else _own.solve(one, two.unsqueeze(-1)).squeeze(-1)


def svd(x: Any, /, *, full_matrices: bool = True) -> Any:
    """Singular values, with the vectors to their left and right."""
    return _own.svd(x, full_matrices=full_matrices)


def svdvals(x: Any, /) -> Any:
    """Singular values."""
    return _own.svdvals(x)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sums of diagonals."""
    return diagonal(x, offset=offset).sum(-1, dtype=dtype)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Norms of vectors."""
    return over(lambda x, dim, keepdim: _own.vector_norm(x, ord, dim=dim, keepdim=keepdim), x, axis, keepdims)
