"""Linear algebra: `numgrad.linalg`, with gradients. Batches of matrices lie in the leading dimensions."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numgrad
from numgrad.lacking import refuse, refused
from numgrad.ops import REGISTRY, lapack
from numgrad.ops.lapack import LinAlgError as LinAlgError
from numgrad.ops.outputs import written
from numgrad.tensor import Tensor

SVD = namedtuple("SVD", ["U", "S", "Vh"])
QR = namedtuple("QR", ["Q", "R"])
Eigh = namedtuple("Eigh", ["eigenvalues", "eigenvectors"])
Slogdet = namedtuple("Slogdet", ["sign", "logabsdet"])
Lstsq = namedtuple("Lstsq", ["solution", "residuals", "rank", "singular_values"])

inv = REGISTRY["linalg_inv"]
det = REGISTRY["det"]
matrix_exp = REGISTRY["matrix_exp"]
vector_norm = REGISTRY["linalg_vector_norm"]
vecdot = REGISTRY["linalg_vecdot"]
matmul = REGISTRY["matmul"]

_COMPLEX = "eigenvalues of a general matrix are complex numbers; use `eigh` for symmetric matrices, or `numpy.linalg` on `tensor.numpy()`"
eig = refused("linalg.eig", _COMPLEX)
eigvals = refused("linalg.eigvals", _COMPLEX)


def slogdet(A: Tensor) -> Slogdet:
    """Sign and logarithm of the absolute value of the determinant."""
    return Slogdet(*lapack.slogdet(A))


def _batched(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the batch dimensions that they broadcast to together."""
    if A.shape[:-2] == B.shape[:-2]:
        return A, B
    batch = numgrad.broadcast_shapes(tuple(A.shape[:-2]), tuple(B.shape[:-2]))
    return A.expand(*batch, *A.shape[-2:]), B.expand(*batch, *B.shape[-2:])


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X of A X = B (or X A = B, with left=False). B may be a vector, or a batch of vectors shaped like A without its last dimension."""
    vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
    if vector:
        return solve(A, B.unsqueeze(-1)).squeeze(-1)
    if not left:
        return solve(A.mT, B.mT).mT
    lapack.check_square("solve", A._data)
    if A.shape[-1] != B.shape[-2]:
        raise RuntimeError(f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({A.shape[-2]}x{A.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})")
    return lapack.solve(*_batched(A, B))


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """X of A X = B (or X A = B) for a triangular A, of which the other triangle (and, if unitriangular, the diagonal) is not read."""
    if not left:
        return solve_triangular(A.mT, B.mT, upper=not upper, unitriangular=unitriangular).mT
    return lapack.triangular(*_batched(A, B), bool(upper), bool(unitriangular))


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with A = L L^T (or its transpose) of symmetric positive-definite matrices; LinAlgError for others."""
    found = lapack.cholesky(A)
    return found.mT if upper else found


def qr(A: Tensor, mode: str = "reduced") -> QR:
    """Q with orthonormal columns and upper triangular R, A = Q R. Modes: "reduced"; "complete" and "r", without gradients."""
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'")
    square = mode == "complete" and A.shape[-2] > A.shape[-1]
    if (square or mode == "r") and A.requires_grad and numgrad.is_grad_enabled():
        raise RuntimeError(f"The derivative of linalg.qr with mode='{mode}' depends on what it leaves out; use mode='reduced'")
    if square:  # orthonormal columns that complete Q: those of the factorisation of [Q | anything]
        q, r = lapack.qr(A)
        more = lapack.qr(numgrad.cat([A, _eye(A.shape[-2], A)], -1))[0]
        zeros = numgrad.zeros(*A.shape[:-2], A.shape[-2] - A.shape[-1], A.shape[-1], dtype=A.dtype)
        return QR(numgrad.cat([q, more[..., A.shape[-1] :]], -1), numgrad.cat([r, zeros], -2))
    q, r = lapack.qr(A)
    return QR(numgrad.empty(0, dtype=A.dtype) if mode == "r" else q, r)


def _eye(n: int, like: Tensor) -> Tensor:
    return numgrad.eye(n, dtype=like.dtype).expand(*like.shape[:-2], n, n)


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVD:
    """U, S, Vh with A = U diag(S) Vh, S falling. Gradients flow through the first min(m, n) singular vectors."""
    u, s, vh = lapack.svd(A)
    if full_matrices and A.shape[-2] > A.shape[-1]:
        u = numgrad.cat([u, _completion(u)], -1)
    elif full_matrices and A.shape[-2] < A.shape[-1]:
        vh = numgrad.cat([vh, _completion(vh.mT).mT], -2)
    return SVD(u, s, vh)


def _completion(q: Tensor) -> Tensor:
    """Columns that make orthonormal columns a square matrix."""
    q = q.detach()
    return qr(q, "complete")[0][..., q.shape[-1] :]


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, falling."""
    return lapack.svd(A)[1]


def _symmetric_part(A: Tensor, UPLO: str) -> Tensor:
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"linalg.eigh: Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return A if UPLO.upper() == "L" else A.mT


def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """Eigenvalues, rising, and eigenvectors of symmetric matrices, of which one triangle is read."""
    return Eigh(*lapack.eigh(_symmetric_part(A, UPLO)))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues, rising, of symmetric matrices, of which one triangle is read."""
    return lapack.eigh(_symmetric_part(A, UPLO))[0]


def _limit(A: Tensor, s: Tensor, atol: Any, rtol: Any) -> Tensor:
    """What the singular values of each matrix must exceed to count: max(atol, rtol times the largest); numbers, or tensors of one each."""
    usual = max(A.shape[-2:]) * numgrad.finfo(A.dtype).eps
    if rtol is None:
        rtol = numgrad.where(atol > 0, 0.0, usual) if isinstance(atol, Tensor) else 0.0 if atol else usual
    return (s.amax(-1) * rtol).clamp(min=atol if atol is not None else 0.0)


def pinv(A: Tensor, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse (Moore and Penrose); singular values up to max(atol, rtol times the largest) count as 0.

    `hermitian`: the matrices are symmetric, and only their lower triangles are read.
    """
    if hermitian:  # the gradient is that of the whole matrix
        A = (A.tril() + A.tril(-1).mT).detach() + (A - A.detach())
    if A.numel() == 0 or (atol is None and not isinstance(rtol, Tensor)):
        return lapack.pinv(A, max(A.shape[-2:]) * numgrad.finfo(A.dtype).eps if rtol is None or A.numel() == 0 else float(rtol))
    s = svdvals(A.detach())
    return lapack.pinv(A, _limit(A, s, atol, rtol) / s.amax(-1).clamp(min=numgrad.finfo(A.dtype).tiny))


def matrix_rank(A: Tensor, tol: Any = None, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Tensor:
    """How many singular values are over max(atol, rtol times the largest)."""
    s = eigvalsh(A.detach()).abs() if hermitian else svdvals(A.detach())
    if s.numel() == 0:
        return numgrad.zeros(A.shape[:-2], dtype=numgrad.int64)
    return (s > _limit(A, s, tol if tol is not None else atol, rtol).unsqueeze(-1)).sum(-1)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number: norm(A) norm(inv(A)); for p None, 2 and -2 from the singular values."""
    if p in (None, 2, -2):
        s = svdvals(A)
        return s[..., 0] / s[..., -1] if p != -2 else s[..., -1] / s[..., 0]
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def lstsq(A: Tensor, B: Tensor, *, rcond: float | None = None, driver: str | None = None) -> Lstsq:
    """X that makes |A X - B| least, and least itself where there are many; for full rank by QR, else by the pseudo-inverse."""
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), but got {driver}")
    vector = A.dim() == B.dim() + 1 or B.dim() == 1
    right = B.unsqueeze(-1) if vector else B
    m, n = A.shape[-2:]
    rank = matrix_rank(A, rtol=rcond)
    if not bool((rank == min(m, n)).all()):
        x = pinv(A, rtol=rcond) @ right
    elif m >= n:
        q, r = lapack.qr(A)
        x = solve_triangular(r, q.mT @ right, upper=True)
    else:
        q, r = lapack.qr(A.mT)
        x = q @ solve_triangular(r.mT, right, upper=False)
    none = numgrad.empty(0, dtype=A.dtype)
    full = m > n and bool((rank == n).all())
    residuals = ((A @ x - right) ** 2).sum(-2) if full else none
    values = svdvals(A.detach()) if driver in ("gelsd", "gelss") else none
    no_rank = numgrad.empty(0, dtype=numgrad.int64)
    return Lstsq(x.squeeze(-1) if vector else x, residuals, no_rank if driver == "gels" else rank, values)


def matrix_norm(A: Tensor, ord: Any = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm of matrices: "fro", "nuc", 2 and -2 (singular values), 1 and -1 (sums of columns), inf and -inf (sums of rows)."""
    A = A if dtype is None else A.to(dtype)
    rows, columns = (d % A.dim() for d in dim)
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        s = svdvals(A.movedim((rows, columns), (-2, -1)))
        found = s.sum(-1) if ord == "nuc" else s[..., 0] if ord == 2 else s[..., -1]
        for d in sorted((rows, columns)) if keepdim else ():
            found = found.unsqueeze(d)
        return found
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"linalg.matrix_norm: Order {ord} not supported.")
    along, over = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = A.abs().sum(along, keepdim=True)
    found = sums.amax(over, keepdim=True) if ord > 0 else sums.amin(over, keepdim=True)
    return found if keepdim else found.squeeze((rows, columns))


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Any = None, dtype: Any = None) -> Tensor:
    """The norm of vectors, or of matrices where `dim` is a pair or `ord` is given for a matrix."""
    if out is not None:
        return written("linalg.norm", out, norm(A, ord, dim, keepdim, dtype=dtype or out.dtype))
    if isinstance(dim, int):
        return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None and A.dim() not in (1, 2):
        raise RuntimeError("linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got " + f"{A.dim()}D.")
    if (dim is None and A.dim() == 1) or (dim is not None and len(dim) == 1):
        return vector_norm(A, ord, dim, keepdim, dtype=dtype)
    return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A multiplied with itself n times; of the inverse where n is negative."""
    lapack.check_square("matrix_power", A._data)
    if n < 0:
        return matrix_power(inv(A), -n)
    result = None
    while n:
        if n & 1:
            result = A if result is None else result @ A
        A, n = (A @ A if n > 1 else A), n >> 1
    return _eye(A.shape[-1], A).clone() if result is None else result


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices, in the order that takes the fewest multiplications; the first and the last may be vectors."""
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    items = list(tensors)
    first, last = items[0].dim() == 1, items[-1].dim() == 1
    items[0] = items[0].unsqueeze(0) if first else items[0]
    items[-1] = items[-1].unsqueeze(-1) if last else items[-1]
    sides = [t.shape[0] for t in items] + [items[-1].shape[1]]
    best: dict[tuple[int, int], tuple[int, Any]] = {(i, i): (0, items[i]) for i in range(len(items))}
    cuts: dict[tuple[int, int], int] = {}
    for length in range(1, len(items)):
        for i in range(len(items) - length):
            j = i + length
            costs = [best[i, k][0] + best[k + 1, j][0] + sides[i] * sides[k + 1] * sides[j + 1] for k in range(i, j)]
            cuts[i, j] = i + costs.index(min(costs))
            best[i, j] = (min(costs), None)

    def product(i: int, j: int) -> Tensor:
        return items[i] if i == j else product(i, cuts[i, j]) @ product(cuts[i, j] + 1, j)

    result = product(0, len(items) - 1)
    result = result.squeeze(0) if first else result
    return result.squeeze(-1) if last else result


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of 3 elements along `dim`."""
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[dim]} and {other.shape[dim]}")
    return input.roll(-1, dim) * other.roll(-2, dim) - input.roll(-2, dim) * other.roll(-1, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A view of the diagonals of matrices."""
    return A.diagonal(offset, dim1, dim2)


def vander(x: Tensor, N: int | None = None) -> Tensor:
    """Powers of x from 0 to N - 1, in a new last dimension."""
    return x.unsqueeze(-1) ** numgrad.arange(x.shape[-1] if N is None else N)


def __getattr__(name: str) -> Any:
    refuse(__name__, name)
