"""LU factorisation with partial pivoting: row by row, a matrix of the batch a unit of work."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..jit import empty, kernel, launch, prange, read, zeros
from ..tensor import Tensor, wrap
from .elementwise import copied
from .lapack import triangular
from .record import Op


@kernel
def _lu_kernel(out: Any, pivots: Any, info: Any) -> None:
    for b in prange(out.shape[0]):
        rows, columns = out.shape[1], out.shape[2]
        for k in range(min(rows, columns)):
            p = k
            for i in range(k + 1, rows):
                if abs(out[b, i, k]) > abs(out[b, p, k]):
                    p = i
            pivots[b, k] = p + 1
            if out[b, p, k] == 0:
                if info[b] == 0:
                    info[b] = k + 1
                continue
            for j in range(columns):
                held = out[b, k, j]
                out[b, k, j] = out[b, p, j]
                out[b, p, j] = held
            for i in range(k + 1, rows):
                factor = out[b, i, k] / out[b, k, k]
                out[b, i, k] = factor
                for j in range(k + 1, columns):
                    out[b, i, j] -= factor * out[b, k, j]


def _lu_forward(A: np.ndarray) -> tuple[np.ndarray, ...]:
    if A.ndim < 2 or A.dtype.kind != "f":
        raise RuntimeError(f"linalg.lu_factor: expected floating-point matrices, but got {A.dtype} of {A.ndim} dimensions")
    m, n = A.shape[-2:]
    count = math.prod(A.shape[:-2])
    out, pivots, info = copied(A), empty((count, min(m, n)), np.int32), zeros((count,), np.int32)
    if out.size:
        launch(_lu_kernel, out.reshape(count, m, n), pivots, info, work=out.size * min(m, n))
    return out, pivots.reshape(*A.shape[:-2], min(m, n)), info.reshape(A.shape[:-2])


def permutation(pivots: np.ndarray, rows: int) -> np.ndarray:
    """The order of rows that exchanges lead to, for each matrix."""
    exchanges = read(pivots).reshape(-1, pivots.shape[-1])
    order = np.tile(np.arange(rows), (len(exchanges), 1))
    for found, given in zip(order, exchanges, strict=True):
        for k, p in enumerate(given):
            found[[k, p - 1]] = found[[p - 1, k]]
    return order.reshape(*pivots.shape[:-1], rows)


def matrix_of(pivots: Tensor, rows: int, dtype: Any) -> Tensor:
    """P of A = P L U."""
    return wrap(np.ascontiguousarray(np.eye(rows, dtype=dtype)[permutation(pivots._data, rows)].swapaxes(-1, -2)))


def _lu_vjp(g: Any, y: Any) -> Tensor:
    """Of square matrices: P L^-T (tril(L^T gL, -1) + triu(gU U^T)) U^-T."""
    packed, pivots = y[0], y[1]
    n = packed._data.shape[-1]
    if packed._data.shape[-2] != n:
        raise NotImplementedError("linalg.lu_factor: numgrad has its gradient of square matrices only")
    lower, upper = packed.tril(-1) + wrap(np.eye(n, dtype=packed._data.dtype)), packed.triu()
    inner = (lower.mT @ g[0].tril(-1)).tril(-1) + (g[0].triu() @ upper.mT).triu()
    left = triangular(lower.mT, inner, True, True)
    right = triangular(upper, left.mT, True, False).mT
    return matrix_of(pivots, n, packed._data.dtype) @ right


lu_factor: Any = Op("linalg_lu_factor", _lu_forward, vjp=(_lu_vjp,), public=False, method=False)
