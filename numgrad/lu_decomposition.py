"""LU factorisations and what is solved with them; inverses of tensors; products of Householder reflections."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.ops import lu as _lu
from numgrad.tensor import Tensor

PLU = namedtuple("PLU", ["P", "L", "U"])
LUFactor = namedtuple("LUFactor", ["LU", "pivots"])
LUFactorEx = namedtuple("LUFactorEx", ["LU", "pivots", "info"])


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LUFactorEx:
    """L (without its ones) and U in one matrix, the exchanges of rows (int32, from 1), and where a pivot is 0 (0: nowhere)."""
    if not pivot:
        raise NotImplementedError("linalg.lu_factor: numgrad always pivots; on the CPU PyTorch does, too")
    found = LUFactorEx(*_lu.lu_factor(A))
    if check_errors and bool((found.info != 0).any()):
        raise linalg.LinAlgError("linalg.lu_factor: U has a zero on its diagonal: the matrix is singular")
    return found


def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactor:
    """L (without its ones) and U in one matrix, and the exchanges of rows (int32, from 1)."""
    return LUFactor(*lu_factor_ex(A, pivot=pivot)[:2])


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> PLU:
    """P, L and U of what `lu_factor` gave."""
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    none: Any = LU_data.new_empty(0)  # type: ignore[attr-defined]
    x: Any = LU_data
    p = _lu.matrix_of(LU_pivots, m, LU_data._data.dtype) if unpack_pivots else none
    lower = x[..., :k].tril(-1) + numgrad.eye(m, k, dtype=LU_data.dtype) if unpack_data else none
    return PLU(p, lower, x[..., :k, :].triu() if unpack_data else none)


def lu(A: Tensor, *, pivot: bool = True) -> PLU:
    """P, L and U with A = P L U: a permutation, a lower triangle with ones on its diagonal, an upper triangle."""
    return lu_unpack(*lu_factor(A, pivot=pivot))


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X of A X = B (X A = B with left=False; A transposed with adjoint), given what `lu_factor` made of A."""
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    p, lower, upper = lu_unpack(LU, pivots)
    if adjoint:
        return p @ linalg.solve_triangular(lower.mT, linalg.solve_triangular(upper.mT, B, upper=False), upper=True, unitriangular=True)
    return linalg.solve_triangular(upper, linalg.solve_triangular(lower, p.mT @ B, upper=False, unitriangular=True), upper=True)


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse for `tensordot` with the first `ind` dimensions of A against the others."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    rows, columns = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(rows) != math.prod(columns):
        raise RuntimeError(f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {math.prod(columns)} != {math.prod(rows)}")
    return linalg.inv(A.reshape(math.prod(rows), -1)).reshape(*columns, *rows)  # type: ignore[attr-defined]


def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of the product of reflections 1 - tau v v^T, v below the diagonal of each column of input (and 1 on it)."""
    m, n = input.shape[-2:]
    if n > m or tau.shape[-1] > n:
        raise RuntimeError(f"linalg.householder_product: input ({m} by {n}) must have as many rows as columns, and tau ({tau.shape[-1]}) no more elements than columns")
    x: Any = input
    unit: Any = x.tril(-1) + numgrad.eye(m, n, dtype=input.dtype)
    found: Any = numgrad.eye(m, n, dtype=input.dtype).expand(*input.shape)
    for k in range(tau.shape[-1] - 1, -1, -1):
        v = unit[..., k : k + 1]
        found = found - tau[..., k, None, None] * (v @ (v.mT @ found))  # type: ignore[index]
    return found


def _solve_first(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """`numgrad.linalg.lu_solve`, the right side first."""
    return lu_solve(LU_data, LU_pivots, b)


FUNCTIONS: dict[str, Any] = {"lu_solve": _solve_first, "lu_unpack": lu_unpack, "orgqr": householder_product}
for _function in (lu_factor_ex, lu_factor, lu, lu_solve, tensorinv, householder_product):
    setattr(linalg, _function.__name__, _function)
