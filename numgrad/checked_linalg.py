"""Linear algebra that tells of matrices for which it fails by a number for each (`info`, 0 for success), and goes on with the others."""

from __future__ import annotations

import functools
import math
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.lu_decomposition import lu_factor_ex
from numgrad.ops.lapack import leading_minor
from numgrad.ops.outputs import written
from numgrad.tensor import Tensor

InvEx = namedtuple("InvEx", ["inverse", "info"])
CholeskyEx = namedtuple("CholeskyEx", ["L", "info"])
SolveEx = namedtuple("SolveEx", ["result", "info"])


def _filled(A: Tensor, info: Tensor) -> tuple[Any, Any]:
    """Where matrices fail, and A with the identity in their place."""
    failed = (info != 0)[..., None, None]
    return failed, numgrad.where(failed, numgrad.eye(A.shape[-1], dtype=A.dtype), A)


def _check(info: Tensor, wanted: bool, message: str) -> None:
    """LinAlgError for the first matrix that fails, if errors are wanted."""
    places = info.reshape(-1).nonzero().reshape(-1).tolist() if wanted else []  # type: ignore[attr-defined]
    if places:
        batch = f"(Batch element {places[0]}): " if info.dim() else ""
        raise linalg.LinAlgError(message.format(batch=batch, order=int(info.reshape(-1)[places[0]])))  # type: ignore[attr-defined]


def _pivots(name: str, A: Tensor) -> Tensor:
    """For each square matrix the first pivot that is 0, counted from 1; 0 for a regular one."""
    if A.dim() < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.{name}: A must be batches of square matrices, but they are of shape {list(A.shape)}")
    return lu_factor_ex(A.detach()).info  # type: ignore[attr-defined]


def inv_ex(A: Tensor, *, check_errors: bool = False) -> InvEx:
    """Inverses, NaN for singular matrices; info (int32) is the first pivot that is 0, from 1. LinAlgError for these with `check_errors`."""
    info = _pivots("inv_ex", A)
    _check(info, check_errors, "linalg.inv_ex: {batch}The diagonal element {order} is zero, the inversion could not be completed because the input matrix is singular.")
    failed, regular = _filled(A, info)
    return InvEx(numgrad.where(failed, math.nan, linalg.inv(regular)), info)


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> SolveEx:
    """`solve`, NaN for singular matrices; info (int32) is the first pivot that is 0, from 1. LinAlgError for these with `check_errors`."""
    info = _pivots("solve_ex", A)
    _check(info, check_errors, "linalg.solve_ex: {batch}The solver failed because the input matrix is singular.")
    failed, regular = _filled(A, info)
    found = linalg.solve(regular, B, left=left)
    return SolveEx(numgrad.where(failed if found.dim() >= failed.dim() else failed[..., 0], math.nan, found), info)


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """Cholesky factors, NaN for matrices that are not positive-definite; info (int32) is the order of the first leading minor that is not.

    LinAlgError for these with `check_errors`.
    """
    if A.dim() < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.cholesky: A must be batches of square matrices, but they are of shape {list(A.shape)}")
    info = leading_minor(A.detach())  # type: ignore[attr-defined]
    reason = "The factorization could not be completed because the input is not positive-definite (the leading minor of order {order} is not positive-definite)."
    _check(info, check_errors, "linalg.cholesky_ex: {batch}" + reason)
    failed, definite = _filled(A, info)
    return CholeskyEx(numgrad.where(failed, math.nan, linalg.cholesky(definite, upper=upper)), info)


def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """X of tensordot(A, X, X.dim()) = B; `dims` of A are moved to its end first. RuntimeError if A is not square in this sense."""
    matrix: Any = A if dims is None else A.movedim(tuple(dims), tuple(range(-len(dims), 0)))  # type: ignore[attr-defined]
    shape = tuple(matrix.shape[B.dim() :])
    if math.prod(shape) != B.numel() or math.prod(matrix.shape[: B.dim()]) != B.numel():
        raise RuntimeError(f"Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got {list(matrix.shape)} and other of shape {list(B.shape)}")
    return linalg.solve(matrix.reshape(B.numel(), -1), B.reshape(-1)).reshape(shape)  # type: ignore[attr-defined]


def _with_out(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with `out`: a tensor, or a tuple of them, that takes the result."""

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        return found if out is None else written(f"linalg.{name}", out, found)

    return call


for _function in (inv_ex, solve_ex, cholesky_ex, tensorsolve):
    setattr(linalg, _function.__name__, _function)
for _name in ("cholesky", "cholesky_ex", "cond", "eigh", "eigvalsh", "householder_product", "inv", "inv_ex", "lu", "lu_factor", "lu_factor_ex", "lu_solve",
              "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals",
              "tensorinv", "tensorsolve"):  # fmt: skip
    setattr(linalg, _name, _with_out(_name, getattr(linalg, _name)))
