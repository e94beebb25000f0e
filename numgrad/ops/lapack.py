"""Factorisations and solutions of small dense systems: LAPACK, through NumPy, with gradients written in ops.

Values are read on the host, so a recorder knows that it cannot replay them. What is not unique (signs of singular vectors), or
defined on symmetric matrices only, is not in REGISTRY: its results cannot be compared with a reference, nor its gradient with
differences in single elements; `tests/test_linalg.py` tests these in combinations that are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import scalar_name
from ..jit import empty, read
from ..tensor import Tensor, wrap
from .record import REGISTRY, Op, op


class LinAlgError(RuntimeError):
    """A matrix has not the property that its factorisation needs."""


def _result(data: Any, like: np.ndarray) -> np.ndarray:
    data = np.asarray(data)
    out = empty(data.shape, like.dtype)
    out[...] = data
    return out


def _host(name: str, function: Callable[..., Any], failed: str, *inputs: np.ndarray) -> Any:
    """What NumPy computes of matrices, in their dtype; LinAlgError where it cannot."""
    for a in inputs:
        if a.ndim < 2:
            raise RuntimeError(f"linalg.{name}: The input tensor A must have at least 2 dimensions.")
        if a.dtype.kind != "f":
            raise RuntimeError(f"linalg.{name}: Expected a floating point or complex tensor as input. Got {scalar_name(a.dtype)}")
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are the caller's to see
            found = function(*[read(a) for a in inputs])
    except np.linalg.LinAlgError:
        raise LinAlgError(f"linalg.{name}: {failed}") from None
    return tuple([_result(f, inputs[0]) for f in found]) if isinstance(found, tuple) else _result(found, inputs[0])


def check_square(name: str, a: np.ndarray) -> None:
    """RuntimeError unless the last two dimensions are equal."""
    if a.ndim >= 2 and a.shape[-1] != a.shape[-2]:
        raise RuntimeError(f"linalg.{name}: A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices")


def _eye(n: int, like: Tensor) -> Tensor:
    return wrap(np.eye(n, dtype=like._data.dtype))


def _regular(draw: Any, n: int, batch: tuple[int, ...] = ()) -> Any:
    """Matrices far from singular ones."""
    return draw.array((*batch, n, n), -1, 1) + (n + 1) * np.eye(n, dtype=draw.dtype)


def _batch(draw: Any) -> tuple[int, ...]:
    return draw.choice([(), (2,), (0,), (2, 1)])


# --- inverse, determinant, solution -----------------------------------------------------------------------------------

_SINGULAR = "The diagonal element of the factor is zero, the inversion could not be completed because the input matrix is singular."


def _inv_forward(A: np.ndarray) -> np.ndarray:
    """The inverse of square matrices."""
    check_square("inv", A)
    return _host("inv", np.linalg.inv, _SINGULAR, A)


_bad: Any = [((np.ones((2, 3)),), RuntimeError, "square"), ((np.ones(2),), RuntimeError, "at least 2"),
             ((np.ones((2, 2), np.int64),), RuntimeError, "Got Long")]  # fmt: skip
inv: Any = op("linalg_inv", _inv_forward, public=False, method=False, vjp=(lambda g, y: -(y.mT @ g @ y.mT),), reference=np.linalg.inv,
              sample=lambda draw: ((_regular(draw, draw.integer(0, 3), _batch(draw)),), {}),
              normwise=True, errors=[*_bad, ((np.zeros((2, 2)),), RuntimeError, "singular")])  # fmt: skip


def _solve_forward(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    check_square("solve", A)
    return _host("solve", np.linalg.solve, "The solver failed because the input matrix is singular.", A, B)


def _solve_vjp(g: Tensor, y: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    right = solve(A.mT, g)
    return -(right @ y.mT), right


def _solve_sample(draw: Any) -> Any:
    n, batch = draw.integer(1, 3), _batch(draw)
    return (_regular(draw, n, batch), draw.array((*batch, n, draw.integer(1, 2)))), {}


solve: Any = op("linalg_solve", _solve_forward, public=False, method=False, vjp=_solve_vjp, reference=np.linalg.solve, sample=_solve_sample,
                normwise=True, errors=[((np.ones((2, 3)), np.ones((2, 1))), RuntimeError, "square"),
                        ((np.zeros((2, 2)), np.ones((2, 1))), RuntimeError, "singular")])  # fmt: skip


def _slogdet_forward(A: np.ndarray) -> Any:
    """Sign and logarithm of the absolute value of the determinant of square matrices."""
    check_square("slogdet", A)
    return _host("slogdet", lambda a: tuple(np.linalg.slogdet(a)), "", A)


slogdet: Any = op("linalg_slogdet", _slogdet_forward, public=False, method=False,
                  vjp=(lambda g, A: g[1][..., None, None] * inv(A).mT,), reference=lambda a: tuple(np.linalg.slogdet(a)),
                  sample=lambda draw: ((_regular(draw, draw.integer(0, 3), _batch(draw)),), {}), errors=_bad, normwise=True)  # fmt: skip


def _det_forward(A: np.ndarray) -> np.ndarray:
    """The determinant of square matrices."""
    check_square("det", A)
    return _host("det", np.linalg.det, "", A)


def _cofactors(A: Tensor, y: Tensor) -> Tensor:
    """det(A) inv(A)^T, also of singular matrices: from the singular values, each product without one of them."""
    values = read(y._data)
    if np.all(values != 0):
        return y[..., None, None] * inv(A).mT
    u, s, vh = np.linalg.svd(read(A._data))
    n = s.shape[-1]
    others = np.stack([np.prod(np.delete(s, i, -1), -1) for i in range(n)], -1)
    signs = np.linalg.det(u) * np.linalg.det(vh)
    return wrap(((u * others[..., None, :]) @ vh * signs[..., None, None]).astype(A._data.dtype))


det: Any = op("det", _det_forward, vjp=(lambda g, y, A: g[..., None, None] * _cofactors(A, y),), reference=np.linalg.det,
              sample=lambda draw: ((_regular(draw, draw.integer(0, 3), _batch(draw)),), {}), errors=_bad, normwise=True)  # fmt: skip


def _triangular_forward(A: np.ndarray, B: np.ndarray, upper: bool, unitriangular: bool) -> np.ndarray:
    check_square("solve_triangular", A)
    return _host("solve_triangular", lambda a, b: np.linalg.solve(_triangle(a, upper, unitriangular), b), "The matrix is singular.", A, B)


def _triangle(a: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    a = np.triu(a, int(unit)) if upper else np.tril(a, -int(unit))
    return a + np.eye(a.shape[-1], dtype=a.dtype) if unit else a


def _triangular_vjp(g: Tensor, y: Tensor, A: Tensor, upper: bool, unitriangular: bool) -> tuple[Tensor, Tensor]:
    right = triangular(A.mT, g, not upper, unitriangular)
    full = -(right @ y.mT)
    return full.triu(int(unitriangular)) if upper else full.tril(-int(unitriangular)), right


def _triangular_sample(draw: Any) -> Any:
    (a, b), _ = _solve_sample(draw)
    return (a, b, draw.boolean(), draw.boolean()), {}


triangular: Any = op("triangular_system", _triangular_forward, public=False, method=False, vjp=_triangular_vjp, sample=_triangular_sample,
                     reference=lambda a, b, upper, unit: np.linalg.solve(_triangle(a, upper, unit), b), normwise=True)  # fmt: skip


# --- generalised inverse and exponential ----------------------------------------------------------------------------


def _pinv_forward(A: np.ndarray, rcond: Any) -> np.ndarray:
    return _host("pinv", lambda a: np.linalg.pinv(a, read(rcond) if isinstance(rcond, np.ndarray) else rcond), "The singular values did not converge.", A)


def _pinv_vjp(g: Tensor, y: Tensor, A: Tensor) -> Tensor:
    """Golub and Pereyra 1973: valid where the rank does not change."""
    h = g.mT
    left, right = h - A @ (y @ h), h - (h @ y) @ A
    return -(y.mT @ g @ y.mT) + left @ y @ y.mT + y.mT @ y @ right


def _pinv_sample(draw: Any) -> Any:
    m, n = draw.integer(1, 3), draw.integer(1, 3)
    return (draw.array((m, n), -0.3, 0.3) + 2 * np.eye(m, n, dtype=draw.dtype), 1e-6), {}


pinv: Any = op("pseudo_inverse", _pinv_forward, public=False, method=False, vjp=(_pinv_vjp,), sample=_pinv_sample,
               reference=lambda a, rcond: np.linalg.pinv(a, rcond), normwise=True)  # fmt: skip

#: Coefficients of the Padé approximation of order 13 (Higham 2005, "The scaling and squaring method for the matrix exponential revisited").
_PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800,
         33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip
_RADIUS = 5.371920351148152


def _expm(a: np.ndarray) -> np.ndarray:
    wide = a.astype(np.float64)
    norm = np.abs(wide).sum(-2).max(initial=0.0)
    doublings = max(0, int(np.ceil(np.log2(norm / _RADIUS)))) if np.isfinite(norm) and norm > 0 else 0
    x = wide / 2.0**doublings
    identity = np.broadcast_to(np.eye(a.shape[-1]), x.shape)
    square, power, odd, even = x @ x, identity, 0.0 * x, 0.0 * x
    for k in range(0, 14, 2):
        even, odd = even + _PADE[k] * power, odd + _PADE[k + 1] * power
        power = power @ square
    odd = x @ odd
    result = np.linalg.solve(even - odd, even + odd)
    for _ in range(doublings):
        result = result @ result
    return result


def _expm_forward(A: np.ndarray) -> np.ndarray:
    """The exponential of square matrices: scaling, Padé approximation, squaring (Higham 2005)."""
    check_square("matrix_exp", A)
    return _host("matrix_exp", _expm, "The matrix is not finite.", A)


def _expm_vjp(g: Tensor, A: Tensor) -> Tensor:
    """The upper right block of exp([[A^T, G], [0, A^T]]) (Van Loan 1978)."""
    n, cat = A._data.shape[-1], REGISTRY["cat"]
    upper, lower = cat([A.mT, g], -1), cat([REGISTRY["zeros_like"](A), A.mT], -1)
    return matrix_exp(cat([upper, lower], -2))[..., :n, n:]


matrix_exp: Any = op("matrix_exp", _expm_forward, vjp=(_expm_vjp,), reference=_expm, errors=_bad, normwise=True,
                     sample=lambda draw: ((draw.array((*_batch(draw), *[draw.integer(0, 3)] * 2), -2, 2),), {}))  # fmt: skip

# --- factorisations: not in REGISTRY, see above -----------------------------------------------------------------------


def _factor(name: str, function: Callable[..., Any], failed: str, vjp: Any, square: bool = True) -> Any:
    def forward(A: np.ndarray) -> Any:
        if square:
            check_square(name, A)
        return _host(name, function, failed, A)

    return Op(f"linalg_{name}", forward, vjp=vjp, public=False, method=False, doc=f"The {name} factorisation.")


def _symmetric(x: Tensor) -> Tensor:
    return (x + x.mT) / 2


def _halved(x: Tensor) -> Tensor:
    return (x.tril() + x.tril(-1)) / 2


def _cholesky_vjp(g: Tensor, y: Tensor) -> Tensor:
    """Murray 2016, "Differentiation of the Cholesky decomposition"."""
    inner = triangular(y.mT, _halved(y.mT @ g), True, False)
    return _symmetric(triangular(y.mT, inner.mT, True, False).mT)


cholesky = _factor("cholesky", np.linalg.cholesky, "The factorization could not be completed because the input is not positive-definite.", (_cholesky_vjp,))


def leading_minor(A: Tensor) -> Tensor:
    """For each symmetric matrix (int32), of its lower triangle, the order of the first leading minor that is not positive-definite; 0 if all are."""
    orders = [_order(matrix) for matrix in read(A._data).reshape(-1, *A._data.shape[-2:])]
    return wrap(np.array(orders, np.int32).reshape(A._data.shape[:-2]))


def _order(matrix: np.ndarray) -> int:
    lower = np.tril(matrix)
    whole = lower + np.tril(matrix, -1).T
    if _definite(whole):
        return 0
    return next((order for order in range(1, len(whole)) if not _definite(whole[:order, :order])), len(whole))


def _definite(matrix: np.ndarray) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _apart(values: Tensor) -> Tensor:
    """values[j] - values[i], and infinity on the diagonal."""
    n = values._data.shape[-1]
    return values[..., None, :] - values[..., :, None] + wrap(np.diag(np.full(n, np.inf, values._data.dtype)))


def _eigh_vjp(g: Any, y: Any) -> Tensor:
    values, vectors = y
    turned = vectors.mT @ g[1]
    inner = (turned - turned.mT) / (2 * _apart(values)) + REGISTRY["diag_embed"](g[0])
    return vectors @ inner @ vectors.mT


eigh = _factor("eigh", lambda a: tuple(np.linalg.eigh(a)), "The algorithm failed to converge.", (_eigh_vjp,))


def _svd_vjp(g: Any, y: Any) -> Tensor:
    """Townsend 2016, "Differentiating the singular value decomposition"."""
    u, s, vh = y
    gu, gs, v, gv = g[0], g[1], vh.mT, g[2].mT
    apart = _apart(s * s)
    left, right = u.mT @ gu, vh @ gv
    inner = (left - left.mT) / apart * s[..., None, :] + s[..., :, None] * ((right - right.mT) / apart) + REGISTRY["diag_embed"](gs)
    result = u @ inner @ vh
    if u._data.shape[-2] > s._data.shape[-1]:
        result = result + ((gu - u @ left) / s[..., None, :]) @ vh
    if v._data.shape[-2] > s._data.shape[-1]:
        result = result + u @ ((gv - v @ right) / s[..., None, :]).mT
    return result


svd = _factor("svd", lambda a: tuple(np.linalg.svd(a, full_matrices=False)), "The algorithm failed to converge.", (_svd_vjp,), square=False)


def _qr_square(gq: Tensor, gr: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """Walter, Lehmann and Lamour 2012: for as many rows as columns, or more."""
    m = r @ gr.mT - gq.mT @ q
    return triangular(r, (gq + q @ (m.tril() + m.tril(-1).mT)).mT, True, False).mT


def _qr_vjp(g: Any, y: Any, A: Tensor) -> Tensor:
    (gq, gr), (q, r) = g, y
    m, n = A._data.shape[-2:]
    if m >= n:
        return _qr_square(gq, gr, q, r)
    rest, grest = A[..., m:], gr[..., m:]
    first = _qr_square(gq + rest @ grest.mT, gr[..., :m], q, r[..., :m])
    return REGISTRY["cat"]([first, q @ grest], -1)


qr = _factor("qr", lambda a: tuple(np.linalg.qr(a)), "The algorithm failed.", (_qr_vjp,), square=False)
