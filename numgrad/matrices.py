"""Functions of matrices and of several vectors, under the names they have at the top level and as methods of Tensor."""

from __future__ import annotations

import builtins
import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.lacking import refused
from numgrad.tensor import Tensor

SVD = namedtuple("SVD", ["U", "S", "V"])
Histogram = namedtuple("Histogram", ["hist", "bin_edges"])
HistogramDD = namedtuple("HistogramDD", ["hist", "bin_edges"])
TriangularSolve = namedtuple("TriangularSolve", ["solution", "cloned_coefficient"])


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SVD:
    """U, S, V with input = U diag(S) V^T; `numgrad.linalg.svd` gives V transposed."""
    if not compute_uv:
        m, n = input.shape[-2:]
        make = lambda k: input.new_zeros(*input.shape[:-2], k, k)
        return SVD(make(m), linalg.svdvals(input), make(n))
    u, s, vh = linalg.svd(input, full_matrices=not some)
    return SVD(u, s, vh.mT)


def qr(input: Tensor, some: bool = True) -> linalg.QR:
    """`numgrad.linalg.qr`, reduced or (some=False) complete."""
    return linalg.qr(input, "reduced" if some else "complete")


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """`numgrad.linalg.cholesky`."""
    return linalg.cholesky(input, upper=upper)


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X of A X = B, given the Cholesky factor of A."""
    lower = L.mT if upper else L
    return linalg.solve_triangular(lower.mT, linalg.solve_triangular(lower, B, upper=False), upper=True)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A, given its Cholesky factor."""
    return cholesky_solve(numgrad.eye(L.shape[-1], dtype=L.dtype), L, upper)


def triangular_solve(b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False) -> Any:
    """(X, A) with A X = b for a triangular A."""
    matrix, side = (A.mT, not upper) if transpose else (A, upper)
    return TriangularSolve(linalg.solve_triangular(matrix, b, upper=side, unitriangular=unitriangular), A.clone())


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`numgrad.linalg.pinv`."""
    return linalg.pinv(input, rtol=rcond)


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN where that is negative."""
    sign, value = linalg.slogdet(input)
    return numgrad.where(sign < 0, float("nan"), value)


def chain_matmul(*matrices: Tensor) -> Tensor:
    """`numgrad.linalg.multi_dot` of several arguments."""
    return matrices[0] if len(matrices) == 1 else linalg.multi_dot(matrices)


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of 3 elements along `dim` (None: the first dimension of size 3)."""
    if dim is None:
        found = [d for d, n in enumerate(input.shape) if n == 3]
        if not found:
            raise RuntimeError("no dimension of size 3 in input")
        dim = found[0]
    return linalg.cross(input, other, dim=dim)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """Distances (p-norms) between each row of (*, P, M) and each of (*, R, M): (*, P, R)."""
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    large = max(x1.shape[-2], x2.shape[-2]) > 25 and compute_mode != "donot_use_mm_for_euclid_dist"
    if p != 2 or not (large or compute_mode == "use_mm_for_euclid_dist"):
        return linalg.vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)
    squares = (x1 * x1).sum(-1, keepdim=True) + (x2 * x2).sum(-1).unsqueeze(-2) - 2 * (x1 @ x2.mT)
    apart = squares > 0
    return numgrad.where(apart, numgrad.where(apart, squares, 1.0).sqrt(), 0.0)  # the gradient at 0 is 0


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """Distances between all pairs of rows of (N, M), of the first to the second, third, ..., of the second to the third, ..."""
    first, second = numgrad.triu_indices(input.shape[0], input.shape[0], 1)
    return linalg.vector_norm(input[first] - input[second], p, -1)


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other, as of one vector."""
    return linalg.vector_norm(input - other, p)


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of y along `dim` by the trapezoidal rule, at the places x or in steps of dx (default 1)."""
    n = y.shape[dim]
    means = (y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)) / 2
    if x is None:
        return (means * (1 if dx is None else dx)).sum(dim)
    if x.dim() == 1:
        x = x.view(*[-1 if d == dim % y.dim() else 1 for d in range(y.dim())])
    return (means * x.diff(dim=dim)).sum(dim)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral up to each place along `dim` but the first, by the trapezoidal rule."""
    n = y.shape[dim]
    means = (y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)) / 2
    if x is not None and x.dim() == 1:
        x = x.view(*[-1 if d == dim % y.dim() else 1 for d in range(y.dim())])
    return (means * ((1 if dx is None else dx) if x is None else x.diff(dim=dim))).cumsum(dim)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of x in rows, falling, or rising with increasing=True."""
    found = linalg.vander(x, N)
    return found if increasing else found.flip(-1)


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that tensors of these shapes broadcast to together."""
    from numgrad.ops.elementwise import broadcast_shape

    return numgrad.Size(broadcast_shape([(s,) if isinstance(s, int) else tuple(s) for s in shapes]))


def real(input: Tensor) -> Tensor:
    """The tensor itself: numbers are real."""
    return input


def histogram(input: Tensor, bins: Any = 100, *, range: Any = None, weight: Tensor | None = None, density: bool = False) -> Histogram:
    """How many elements (or how much weight) fall between edges: given as a tensor, or `bins` equal steps over `range` or all values."""
    x = input.detach().reshape(-1)
    if isinstance(bins, Tensor):
        edges = bins
    else:
        low, high = range if range is not None else (x.min().item(), x.max().item()) if x.numel() else (0.0, 1.0)
        low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
        edges = numgrad.linspace(low, high, int(bins) + 1, dtype=x.dtype)
    count = edges.numel() - 1
    place = numgrad.searchsorted(edges, x, right=True) - 1
    place = numgrad.where(x == edges[-1], count - 1, place)  # the last bin has both its edges
    inside = (place >= 0) & (place < count)
    amount = inside.to(x.dtype) if weight is None else numgrad.where(inside, weight.detach().reshape(-1), 0.0)
    found = numgrad.zeros(count, dtype=x.dtype).index_add(0, place.clamp(0, count - 1), amount)
    return Histogram(found / (found.sum() * edges.diff()) if density else found, edges)


def histogramdd(input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False) -> HistogramDD:
    """How many rows of an (N, D) input (or how much weight) fall into the cells between D vectors of edges: given, or so many equal steps
    each over `range` (low, high, low, high, ...) or all values."""
    if input.dim() < 2:
        raise RuntimeError(f"torch.histogramdd: input tensor should have at least 2 dimensions, but got {input.dim()}")
    x = input.detach().reshape(-1, input.shape[-1])
    d = x.shape[1]
    bins = [bins] * d if isinstance(bins, int) else list(bins)
    if len(bins) != d:
        raise RuntimeError(f"torch.histogramdd: expected {d} sequences of bin edges or numbers of bins, one a column of input, but got {len(bins)}")
    factors = None if weight is None else weight.detach().reshape(-1)
    edges = [histogram(x[:, i], b, range=None if range is None else (range[2 * i], range[2 * i + 1])).bin_edges for i, b in enumerate(bins)]
    inside, cell = numgrad.ones(x.shape[0], dtype=numgrad.bool), numgrad.zeros(x.shape[0], dtype=numgrad.int64)
    for i, e in enumerate(edges):
        count, column = e.numel() - 1, x[:, i].contiguous()
        place = numgrad.where(column == e[-1], count - 1, numgrad.searchsorted(e, column, right=True) - 1)
        inside = inside & (place >= 0) & (place < count)
        cell = cell * count + place.clamp(0, max(count - 1, 0))
    amount = inside.to(x.dtype) if factors is None else numgrad.where(inside, factors, 0.0)
    shape = [e.numel() - 1 for e in edges]
    found = numgrad.zeros(math.prod(shape), dtype=x.dtype).index_add(0, cell, amount).reshape(shape)
    for i, e in enumerate(edges if density else ()):
        found = found / e.diff().reshape(*[-1 if j == i else 1 for j in builtins.range(d)])
    return HistogramDD(found / amount.sum() if density else found, tuple(edges))


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()) -> Any:
    """`true_fn(*operands)` if `pred` holds, else `false_fn(*operands)`."""
    return (true_fn if bool(pred) else false_fn)(*operands)


conj = resolve_conj = resolve_neg = real
symeig = refused("symeig", "use `numgrad.linalg.eigh`")
solve = refused("solve", "use `numgrad.linalg.solve(A, B)`")
lstsq = refused("lstsq", "use `numgrad.linalg.lstsq(A, B)`")

FUNCTIONS: dict[str, Any] = {
    "svd": svd, "qr": qr, "cholesky": cholesky, "cholesky_solve": cholesky_solve, "cholesky_inverse": cholesky_inverse,
    "triangular_solve": triangular_solve, "inverse": linalg.inv, "pinverse": pinverse, "logdet": logdet, "slogdet": linalg.slogdet,
    "matrix_power": linalg.matrix_power, "chain_matmul": chain_matmul, "cross": cross, "cdist": cdist, "dist": dist, "trapezoid": trapezoid,
    "trapz": trapezoid, "cumulative_trapezoid": cumulative_trapezoid, "vander": vander, "broadcast_shapes": broadcast_shapes, "real": real,
    "conj": conj, "resolve_conj": resolve_conj, "resolve_neg": resolve_neg, "pdist": pdist, "histogram": histogram, "histogramdd": histogramdd, "cond": cond,
}  # fmt: skip

setattr(numgrad.nn.functional, "pdist", pdist)  # noqa: B010 - where PyTorch has it as well

for _name in ("svd", "qr", "cholesky", "cholesky_solve", "cholesky_inverse", "triangular_solve", "inverse", "pinverse", "logdet", "slogdet",
              "matrix_power", "cross", "dist", "histogram"):  # fmt: skip
    setattr(Tensor, _name, FUNCTIONS[_name])
