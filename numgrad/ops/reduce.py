"""Sums and what is made of sums: over any dimensions, accurate in float32, the same bits on any number of threads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import BOOL, INT64, scalar_name, to_numpy
from ..jit import device, empty, kernel, launch, prange
from ..tensor import Tensor
from .elementwise import copied
from .record import composite, op
from .shape import dimensions, expand, reshape

#: Elements of a contiguous run that one accumulator sums, and rows that are added to one another elementwise. What is
#: longer is cut into pieces of this length, whose sums are summed in turn: errors grow with the logarithm of the length.
RUN, ROWS, COLUMNS = 8192, 64, 2048

# --- geometry -------------------------------------------------------------------------------------------------------


def reduced_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions to reduce, counted from the front; all for None and for ()."""
    if dim is None or (isinstance(dim, (tuple, list)) and len(dim) == 0):
        return tuple(range(ndim))
    found = dimensions(dim, ndim)
    return found if ndim else ()


def reduced_shape(shape: Sequence[int], dims: Sequence[int], keepdim: bool) -> tuple[int, ...]:
    """The shape once `dims` are reduced to size 1 or, without `keepdim`, dropped."""
    if keepdim:
        return tuple(1 if d in dims else n for d, n in enumerate(shape))
    return tuple(n for d, n in enumerate(shape) if d not in dims)


def count(shape: Sequence[int], dims: Sequence[int]) -> int:
    """How many elements each element of the result is made of."""
    return math.prod(shape[d] for d in dims)


def stages(shape: Sequence[int], dims: Sequence[int]) -> list[tuple[int, int, int]]:
    """(outer, n, inner) of the steps that reduce `dims` of a contiguous array, a run of neighbours each, the last run first."""
    found, inner, d = [], 1, len(shape)
    while d:
        end = d
        while d and (d - 1 in dims or shape[d - 1] == 1):
            d -= 1
        n = math.prod(shape[d:end])
        if n != 1:
            found.append((math.prod(shape[:d]), n, inner))
        if d == end:
            d -= 1
            inner *= shape[d]
    return found


def in_memory_order(x: np.ndarray, dims: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """A contiguous array with the same elements, and where `dims` are in it; dimensions change places rather than be copied."""
    if x.flags.c_contiguous:
        return x, dims
    order = sorted(range(x.ndim), key=lambda d: (-x.strides[d], d))
    kept = [d for d in order if d not in dims]
    if kept == sorted(kept) and x.transpose(order).flags.c_contiguous:
        return x.transpose(order), tuple(order.index(d) for d in dims)
    return copied(x), dims


def spread(g: Tensor, shape: tuple[int, ...], dims: tuple[int, ...]) -> Tensor:
    """A reduced tensor as a view of the shape it had before, each element repeated."""
    return expand(reshape(g, reduced_shape(shape, dims, True)), shape)


# --- sum ------------------------------------------------------------------------------------------------------------


@device(fastmath=("contract", "reassoc"))
def _sum_of_run(run):
    total = 0  # becomes int64, or float64 for both float dtypes
    for j in range(run.size):
        total += run[j]
    return total


@kernel
def _sum_runs(y, x):
    """y[o, b]: the sum of the b-th run of x[o]."""
    for i in prange(y.size):
        o = i // y.shape[1]
        b = i - o * y.shape[1]
        y[o, b] = _sum_of_run(x[o, b * RUN : min(x.shape[1], (b + 1) * RUN)])


@device
def _add_four(y, a, b, c, d):
    for j in range(y.size):
        y[j] += (a[j] + b[j]) + (c[j] + d[j])


@device
def _add_one(y, a):
    for j in range(y.size):
        y[j] += a[j]


@device
def _sum_of_rows(y, x, o, b, first):
    last = min(first + COLUMNS, y.shape[2])
    out = y[o, b, first:last]
    for j in range(last - first):
        out[j] = 0
    k, stop = b * ROWS, min(x.shape[1], (b + 1) * ROWS)
    while k + 4 <= stop:
        _add_four(out, x[o, k, first:last], x[o, k + 1, first:last], x[o, k + 2, first:last], x[o, k + 3, first:last])
        k += 4
    while k < stop:
        _add_one(out, x[o, k, first:last])
        k += 1


@kernel
def _sum_rows(y, x):
    """y[o, b]: the sum of the b-th group of rows of x[o], column by column."""
    strips = (y.shape[2] + COLUMNS - 1) // COLUMNS
    for i in prange(y.shape[0] * y.shape[1] * strips):
        row = i // strips
        o = row // y.shape[1]
        _sum_of_rows(y, x, o, row - o * y.shape[1], (i - row * strips) * COLUMNS)


def _sum_stage(x: np.ndarray) -> np.ndarray:
    """(outer, n, inner) summed to (outer, 1, inner)."""
    outer, n, inner = x.shape
    while True:
        pieces = max(1, -(-n // (RUN if inner == 1 else ROWS)))
        y = empty((outer, pieces, inner), x.dtype)
        if inner == 1:
            launch(_sum_runs, y.reshape(outer, pieces), x.reshape(outer, n), work=x.size)
        elif y.size:
            launch(_sum_rows, y, x, work=x.size)
        if pieces == 1:
            return y
        x, n = y, pieces


def _sum_forward(input: np.ndarray, dims: tuple[int, ...], keepdim: bool, dtype: np.dtype) -> np.ndarray:
    x = input if input.dtype == dtype else copied(input, dtype)
    shape = reduced_shape(x.shape, dims, keepdim)
    x, dims = in_memory_order(x, dims)
    steps = stages(x.shape, dims)
    if not steps:
        return copied(x).reshape(shape)
    for step in steps:
        x = _sum_stage(x.reshape(step))
    return x.reshape(shape)


_sum = op("sum_over", _sum_forward, public=False, method=False, vjp=(lambda g, input_shape, dims: spread(g, input_shape, dims),))


def sum_dtype(input: Tensor, dtype: Any) -> np.dtype:
    """What a sum computes in: the dtype asked for, else the input's, int64 for integers and bool."""
    if dtype is not None:
        return to_numpy(dtype)
    return input._data.dtype if input._data.dtype.kind == "f" else INT64


def _sum_function(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dimensions `dim` (None: all); integers and bool sum to int64 unless `dtype` says otherwise."""
    return _sum(input, reduced_dims(dim, input.dim()), keepdim, sum_dtype(input, dtype))


def axis(dim: Any) -> Any:
    """What NumPy calls the dimensions that a reference gets."""
    return tuple(dim) if isinstance(dim, (tuple, list)) and len(dim) else None if dim in ((), []) else dim


def numpy_reduction(function: Any) -> Any:
    """A reference for a reduction from NumPy's function of (x, axis, keepdims)."""

    def reference(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        x = x if dtype is None else x.astype(dtype.numpy)
        return function(x, axis=axis(dim) if x.ndim else None, keepdims=keepdim)

    return reference


def reduction_sample(draw: Any, **kwargs: Any) -> Any:
    """An array of any shape with no dimension, one or several to reduce."""
    x = draw.array(draw.shape(**kwargs))
    return (x, draw.choice([None, draw.dim(x.ndim), draw.dims(x.ndim)]), draw.boolean()), {}


bad_dims: Any = [((np.ones((2, 3)), 2), IndexError, "range"), ((np.ones((2, 3)), (0, -2)), RuntimeError, "multiple")]

sum = composite("sum", _sum_function, reference=numpy_reduction(np.sum), sample=reduction_sample, errors=bad_dims)


def _sum_to_size_function(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions in which a tensor of shape `size` would be repeated to get the input's shape."""
    wanted = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    shape = input._data.shape
    if wanted == shape:
        return input
    extra = len(shape) - len(wanted)
    if extra < 0 or any(n not in (1, m) for n, m in zip(wanted, shape[extra:], strict=True)):
        raise RuntimeError(f"size {{{list(wanted)}}} is not expandable to size {{{list(shape)}}}.")
    dims = tuple(d for d in range(len(shape)) if d < extra or wanted[d - extra] != shape[d])
    summed = _sum(input, dims, True, input._data.dtype) if dims else input
    return reshape(summed, wanted)


def _sum_to_size_reference(x: Any, size: Any) -> Any:
    extra = x.ndim - len(size)
    dims = tuple(d for d in range(x.ndim) if d < extra or size[d - extra] != x.shape[d])
    return np.sum(x, axis=dims).reshape(size) if dims else x


def _sum_to_size_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.broadcastable(shape)), {}


sum_to_size = composite("sum_to_size", _sum_to_size_function, public=False, reference=_sum_to_size_reference, sample=_sum_to_size_sample,
                        errors=[((np.ones((2, 3)), (2,)), RuntimeError, "expandable")])  # fmt: skip

# --- made of sums ---------------------------------------------------------------------------------------------------


def float_dtype(input: Tensor, dtype: Any, name: str) -> np.dtype:
    """What a mean computes in; RuntimeError where that is not a float dtype."""
    wanted = input._data.dtype if dtype is None else to_numpy(dtype)
    if wanted.kind != "f":
        whose = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"{name}(): could not infer output dtype. {whose} dtype must be either a floating point or complex dtype. Got: {scalar_name(wanted)}"
        )
    return wanted


def _mean_function(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over dimensions `dim` (None: all) of floating-point values, or of values cast to `dtype`; NaN of nothing."""
    wanted = float_dtype(input, dtype, "mean")
    dims = reduced_dims(dim, input.dim())
    return _sum(input, dims, keepdim, wanted) / count(input._data.shape, dims)


def _mean_reference(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    with np.errstate(all="ignore"):
        total = numpy_reduction(np.sum)(x, dim, keepdim, dtype=dtype)
        return total / np.asarray(x.size // max(total.size, 1) if x.size else 0, total.dtype)


mean = composite("mean", _mean_function, reference=_mean_reference, sample=lambda draw: reduction_sample(draw, min_side=1),
                 errors=[((np.arange(3),), RuntimeError, "Got: Long"), *bad_dims])  # fmt: skip
