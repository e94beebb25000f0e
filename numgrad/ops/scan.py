"""Scans: sums, products, maxima and linear recurrences that run along one dimension."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import BOOL, INT64, scalar_name, to_numpy
from ..jit import Kernel, codegen, device, empty, formula, kernel, launch, prange, zeros
from ..tensor import Tensor, wrap
from .convert import to_dtype
from .elementwise import copied, copy_into, pointwise
from .parts import narrow, slice_backward
from .record import REGISTRY, composite, op
from .reduction import along, ast_text
from .shape import dimension

_SCAN = '''"""{title}: {T} -> {R}"""


@device
def scan(y, x, i, reverse):
    n, inner = x.shape[1], x.shape[2]
    o = i // inner
    j = i - o * inner
    at, step = 0, 1
    if reverse:
        at, step = n - 1, -1
    total = A({identity})
    for k in range(n):
        a, b = total, A(x[o, at, j])
        total = A({combine})
        y[o, at, j] = R(total)
        at += step


@kernel
def {name}(y, x, reverse):
    for i in prange(y.shape[0] * y.shape[2]):
        scan(y, x, np.int64(i), reverse)
'''


@functools.cache
def _scan_kernel(name: str, combine: str, identity: float, dtype: np.dtype) -> Kernel:
    accumulator = np.dtype(np.float64) if dtype.kind == "f" else INT64
    tree = formula.parse(combine)
    text = _SCAN.format(
        name=name, title=ast_text(tree), T=dtype, R=dtype, combine=formula.source(tree, accumulator), identity=identity
    )
    return codegen.load(name, text, {"T": accumulator.type, "A": accumulator.type, "R": dtype.type, "inf": np.inf})


def _scanned(name: str, combine: str, identity: float) -> Any:
    def forward(input: np.ndarray, dim: int, reverse: bool, dtype: np.dtype) -> np.ndarray:
        x = input if input.dtype == dtype and input.flags.c_contiguous else copied(input, dtype)
        y, shape = empty(x.shape, dtype), along(x.shape, dim)
        if y.size:
            scan = _scan_kernel(name, combine, identity, dtype)
            launch(scan, y.reshape(shape), x.reshape(shape), int(reverse), work=x.size * 4)
        return y

    return forward


def scan_dtype(input: Tensor, dtype: Any) -> np.dtype:
    """What a running sum or product computes in: as sum does."""
    if dtype is not None:
        if to_numpy(dtype) == BOOL:
            raise NotImplementedError("running sums and products are not implemented for 'Bool'")
        return to_numpy(dtype)
    return input._data.dtype if input._data.dtype.kind == "f" else INT64


def scan_sample(draw: Any, **kwargs: Any) -> Any:
    """An array and one of its dimensions."""
    x = draw.array(draw.shape(), **kwargs)
    return (x, draw.dim(x.ndim)), {}


bad_dim: Any = [((np.ones((2, 3)), 2), IndexError, "range")]


def numpy_scan(function: Any) -> Any:
    """A reference for a scan from NumPy's function of (x, axis)."""
    return lambda x, dim, *, dtype=None: (
        function(x.reshape(-1), 0).reshape(x.shape) if x.ndim == 0 else function(x, dim)
    )


# --- linear recurrences ---------------------------------------------------------------------------------------------


@device
def _recur(s, a, b, i, reverse, shifted):
    n, inner = s.shape[1], s.shape[2]
    o = i // inner
    j = i - o * inner
    at, step = 0, 1
    if reverse:
        at, step = n - 1, -1
    total = 0.0
    for k in range(n):
        if k == 0:
            total = 0.0 + b[o, at, j]
        elif shifted:
            total = b[o, at, j] + a[o, at - step, j] * total
        else:
            total = b[o, at, j] + a[o, at, j] * total
        s[o, at, j] = total
        at += step


@kernel
def _recurrence_kernel(s, a, b, reverse, shifted):
    """s_i = b_i + c s_before, where c is a_i or, shifted, the a of the element before."""
    for i in prange(s.shape[0] * s.shape[2]):
        _recur(s, a, b, np.int64(i), reverse, shifted)


def _recurrence_forward(a: np.ndarray, b: np.ndarray, dim: int, reverse: bool, shifted: bool) -> np.ndarray:
    a, b = (x if x.flags.c_contiguous else copied(x) for x in (a, b))
    s, shape = empty(a.shape, a.dtype), along(a.shape, dim)
    if s.size:
        launch(
            _recurrence_kernel,
            s.reshape(shape),
            a.reshape(shape),
            b.reshape(shape),
            int(reverse),
            int(shifted),
            work=4 * s.size,
        )
    return s


def shift(x: Tensor, dim: int, forward: bool) -> Tensor:
    """Every element one place on along `dim`, forward or back; a zero comes in."""
    shape = x._data.shape
    if not shape or shape[dim] == 0:
        return x * 0
    part = narrow(x, dim, 0 if forward else 1, shape[dim] - 1)
    return slice_backward(part, shape, dim, 1 if forward else 0, 1)


def _recurrence_backward(
    g: Tensor, y: Tensor, a: Tensor, dim: int, reverse: bool, shifted: bool
) -> tuple[Tensor, Tensor]:
    t = _recurrence(a, g, dim, not reverse, not shifted)
    factor = shift(t, dim, reverse) * y if shifted else t * shift(y, dim, not reverse)
    return factor, t


_recurrence = op("linear_recurrence", _recurrence_forward, public=False, method=False, vjp=_recurrence_backward)


def products_before(x: Tensor, dim: int, reverse: bool) -> Tensor:
    """For each element the product of all before it along `dim` (after it, in reverse)."""
    data = x._data
    start = zeros(data.shape, data.dtype)
    if data.ndim:
        copy_into(start[(slice(None),) * dim + (slice(-1, None) if reverse else slice(1),)], 1)
    else:
        copy_into(start, 1)
    return _recurrence(x, wrap(start), dim, reverse, True)


# --- sums and products ----------------------------------------------------------------------------------------------

_cumsum = op(
    "cumsum_along",
    _scanned("cumsum", "a + b", 0),
    public=False,
    method=False,
    vjp=(lambda g, dim, reverse: _cumsum(g, dim, not reverse, g._data.dtype),),
)


def _cumsum_function(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The sum of each element and all before it along `dim`; integers and bool sum to int64 unless `dtype` says
    otherwise.
    """
    return _cumsum(input, dimension(dim, input.dim()), False, scan_dtype(input, dtype))


cumsum = composite(
    "cumsum", _cumsum_function, reference=numpy_scan(np.cumsum), sample=scan_sample, errors=bad_dim, inplace=True
)


def _cumprod_backward(g: Tensor, input: Tensor, dim: int) -> Tensor:
    x = input if input._data.dtype == g._data.dtype else to_dtype(input, g._data.dtype)
    return products_before(x, dim, False) * _recurrence(x, g, dim, True, True)


_cumprod = op("cumprod_along", _scanned("cumprod", "a * b", 1), public=False, method=False, vjp=(_cumprod_backward,))


def _cumprod_function(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The product of each element and all before it along `dim`; integers and bool multiply in int64 unless `dtype`
    says otherwise.
    """
    return _cumprod(input, dimension(dim, input.dim()), False, scan_dtype(input, dtype))


def _zeros_sample(draw: Any) -> Any:
    (x, dim), kwargs = scan_sample(draw)
    x[draw.integers(x.shape, 0, 3) == 0] = 0  # where dividing by the element would fail
    return (x, dim), kwargs


cumprod = composite(
    "cumprod", _cumprod_function, reference=numpy_scan(np.cumprod), sample=_zeros_sample, errors=bad_dim, inplace=True
)

exp_difference = pointwise(
    "exp_difference", "where(x == z, 1, exp(x - z))", grad=("g * y", "-g * y"), public=False, method=False
)


def _logcumsumexp_backward(g: Tensor, y: Tensor, input: Tensor, dim: int) -> Tensor:
    """The sum over later i of g_i exp(x - y_i), as exp(x - y) times a recurrence whose factors are at most 1."""
    if y.numel() <= 1:
        return g
    before = shift(y, dim, True) + slice_backward(narrow(y, dim, 0, 1), y._data.shape, dim, 0, 1)
    return exp_difference(input, y) * _recurrence(exp_difference(before, y), g, dim, True, True)


_logcumsumexp = op(
    "logcumsumexp_along",
    _scanned("logcumsumexp", "where(a == b, a + 0.6931471805599453, maximum(a, b) + log1p(exp(-abs(a - b))))", "-inf"),
    public=False,
    method=False,
    vjp=(_logcumsumexp_backward,),
)


def _logcumsumexp_function(input: Tensor, dim: int) -> Tensor:
    """The logarithm of the sum of the exponentials of each element and all before it along `dim`, without overflow."""
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f"\"logcumsumexp\" not implemented for '{scalar_name(input._data.dtype)}'")
    return _logcumsumexp(input, dimension(dim, input.dim()), False, input._data.dtype)


logcumsumexp = composite(
    "logcumsumexp",
    _logcumsumexp_function,
    reference=lambda x, dim: numpy_scan(np.logaddexp.accumulate)(x, dim),
    sample=scan_sample,
    errors=[((np.arange(3), 0), NotImplementedError, "Long"), *bad_dim],
)

# --- maxima and minima ----------------------------------------------------------------------------------------------

_EXTREME_SCAN = '''"""The {name} of each element and all before it, and where it is: of equals the last, of NaN too."""


@device
def scan(values, places, x, i):
    n, inner = x.shape[1], x.shape[2]
    o = i // inner
    j = i - o * inner
    best, place = x[o, 0, j], 0
    for k in range(n):
        b = x[o, k, j]
        if not (b {worse} best):  # seldom, so a branch, which the compiler takes it for in this form: 8x faster than a select
            if b != b or best == best:
                best, place = b, k
        values[o, k, j] = best
        places[o, k, j] = place


@kernel
def {name}(values, places, x):
    for i in prange(x.shape[0] * x.shape[2]):
        scan(values, places, x, np.int64(i))
'''


@functools.cache
def _extreme_scan(name: str, worse: str) -> Kernel:
    return codegen.load(name, _EXTREME_SCAN.format(name=name, worse=worse), {})


def _extreme_forward(input: np.ndarray, dim: int, name: str, worse: str) -> tuple[np.ndarray, np.ndarray]:
    x = input if input.flags.c_contiguous else copied(input)
    values, places, shape = empty(x.shape, x.dtype), empty(x.shape, INT64), along(x.shape, dim)
    if x.size:
        bits = np.uint8 if x.dtype == BOOL else x.dtype
        launch(
            _extreme_scan(name, worse),
            values.view(bits).reshape(shape),
            places.reshape(shape),
            x.view(bits).reshape(shape),
            work=4 * x.size,
        )
    return values, places


def add_at(g: Tensor, places: Tensor, shape: tuple[int, ...], dim: int) -> Tensor:
    """Zeros of a shape, with each element of g added where `places` says along `dim`."""
    if not shape:
        return g
    return REGISTRY["scatter_add"](wrap(zeros(shape, g._data.dtype)), dim, places, g)


_extreme_along = op(
    "cumulative_extreme",
    _extreme_forward,
    public=False,
    method=False,
    saved=1,
    vjp=(lambda g, y, input_shape, dim: add_at(g[0], y[1], input_shape, dim),),
)


def _numpy_extremes(best: Any) -> Any:
    def reference(x: Any, dim: int) -> Any:
        rows = np.moveaxis(np.atleast_1d(x), dim, 0)
        values = best.accumulate(rows)
        places = np.zeros(rows.shape, np.int64)
        for i in range(1, len(rows)):
            places[i] = np.where((rows[i] == values[i]) | np.isnan(rows[i]), i, places[i - 1])
        return tuple(np.moveaxis(r, 0, dim).reshape(x.shape) for r in (values, places))

    return reference


def _cumulative_extreme(name: str, worse: str, what: str, best: Any) -> Any:
    result = namedtuple(name, ["values", "indices"])  # type: ignore[misc]

    def function(input: Tensor, dim: int) -> Any:
        return result(*_extreme_along(input, dimension(dim, input.dim()), name, worse))

    function.__doc__ = f"(values, indices): the {what} of each element and all before it along `dim`; of equals the last, NaN before all."
    return composite(
        name,
        function,
        reference=_numpy_extremes(best),
        sample=lambda draw: scan_sample(draw, distinct=True),
        errors=bad_dim,
    )


cummax = _cumulative_extreme("cummax", "<", "maximum", np.maximum)
cummin = _cumulative_extreme("cummin", ">", "minimum", np.minimum)

# --- differences ----------------------------------------------------------------------------------------------------


def _diff_function(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The n-th differences of neighbours along `dim`, after `prepend` and `append` are put at the ends; of bool:
    whether they differ.
    """
    if input.dim() == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = dimension(dim, input.dim())
    if n == 0:
        return input.clone()
    ends: Sequence[Any] = [x for x in (prepend, input, append) if x is not None]
    x = REGISTRY["cat"](ends, dim) if len(ends) > 1 else input
    subtract = REGISTRY["logical_xor" if x._data.dtype == BOOL else "sub"]
    for _ in range(min(n, x._data.shape[dim])):
        rest = x._data.shape[dim] - 1
        x = subtract(narrow(x, dim, 1, rest), narrow(x, dim, 0, rest))
    return x


def _diff_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1))
    dim = draw.dim(x.ndim)
    more = [
        draw.choice([None, draw.array([2 if d == dim % x.ndim else m for d, m in enumerate(x.shape)])])
        for _ in range(2)
    ]
    return (x, draw.integer(0, 3), dim, *more), {}


diff = composite(
    "diff",
    _diff_function,
    sample=_diff_sample,
    errors=[((np.array(1.0),), RuntimeError, "one-dimensional"), ((np.ones(3), -1), RuntimeError, "order")],
    reference=lambda x, n=1, dim=-1, prepend=None, append=None: np.diff(
        x, n, dim, **{k: v for k, v in {"prepend": prepend, "append": append}.items() if v is not None}
    ),
)
