"""softmax and log_softmax along a dimension, stable: the largest element of each row is subtracted before exp.

A tensor is seen as (outer, n, inner), contiguous. Where inner is 1 a row lies in one piece and one call does all of it;
else `inner` rows lie side by side, and a strip of columns is done at a time, so that memory is read in order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import scalar_name, to_numpy
from ..jit import Kernel, device, empty, kernel, launch, prange
from ..jit.vmath import exp, log, maximum
from ..tensor import Tensor
from .convert import to_dtype
from .elementwise import copied
from .planned import Launch, front, planned
from .record import composite
from .shape import dimension
from .softmax_rows import log_softmax_backward_rows, log_softmax_rows, softmax_backward_rows, softmax_rows

#: Columns that are done together where rows lie side by side.
STRIP = 512
#: Element operations of what is done with one element, for `launch`.
COST = 3


def rows(x: np.ndarray, dim: int) -> np.ndarray:
    """A contiguous array as (outer, n, inner), n being the size of `dim`; a copy where memory does not lie so."""
    x = x if x.flags.c_contiguous else copied(x)
    if x.ndim == 0:
        return x.reshape(1, 1, 1)
    return x.reshape(math.prod(x.shape[:dim]), x.shape[dim], math.prod(x.shape[dim + 1 :]))


@device
def strip(unit: int, inner: int) -> Any:
    """The outer index and the columns of a unit of work, where each outer index has ceil(inner / STRIP) units."""
    count = (inner + STRIP - 1) // STRIP
    o = unit // count
    first = (unit - o * count) * STRIP
    return o, first, min(inner, first + STRIP)


# --- rows side by side ----------------------------------------------------------------------------------------------
# `largest` and `total` hold a number for each column.


@device
def columns_max(largest, x, o, first, last):  # type: ignore[no-untyped-def]
    """The largest element of each column from `first` to `last` of x[o]."""
    row = x[o, 0, first:last]
    for j in range(largest.size):
        largest[j] = row[j]
    for k in range(1, x.shape[1]):
        row = x[o, k, first:last]
        for j in range(largest.size):
            largest[j] = maximum(largest[j], row[j])


@device
def columns_log_sum_exp(total, largest, x, o, first, last):  # type: ignore[no-untyped-def]
    """log of the sum of exp(x - largest) over each column."""
    for j in range(total.size):
        total[j] = 0
    for k in range(x.shape[1]):
        row = x[o, k, first:last]
        for j in range(total.size):
            total[j] += exp(row[j] - largest[j])
    for j in range(total.size):
        total[j] = log(total[j])


@device
def _softmax_strip(y, x, largest, total, o, first, last):  # type: ignore[no-untyped-def]
    columns_max(largest, x, o, first, last)
    for j in range(total.size):
        total[j] = 0
    for k in range(x.shape[1]):
        out, row = y[o, k, first:last], x[o, k, first:last]
        for j in range(total.size):
            e = exp(row[j] - largest[j])
            out[j] = e
            total[j] += e
    for k in range(x.shape[1]):
        out = y[o, k, first:last]
        for j in range(total.size):
            out[j] /= total[j]


@device
def _log_softmax_strip(y, x, largest, total, o, first, last):  # type: ignore[no-untyped-def]
    columns_max(largest, x, o, first, last)
    columns_log_sum_exp(total, largest, x, o, first, last)
    for k in range(x.shape[1]):
        out, row = y[o, k, first:last], x[o, k, first:last]
        for j in range(total.size):
            out[j] = (row[j] - largest[j]) - total[j]


@device
def _softmax_backward_strip(out, grad, y, total, o, first, last):  # type: ignore[no-untyped-def]
    for j in range(total.size):
        total[j] = 0
    for k in range(y.shape[1]):
        g, row = grad[o, k, first:last], y[o, k, first:last]
        for j in range(total.size):
            total[j] += g[j] * row[j]
    for k in range(y.shape[1]):
        to, g, row = out[o, k, first:last], grad[o, k, first:last], y[o, k, first:last]
        for j in range(total.size):
            to[j] = row[j] * (g[j] - total[j])


@device
def _log_softmax_backward_strip(out, grad, y, total, o, first, last):  # type: ignore[no-untyped-def]
    for j in range(total.size):
        total[j] = 0
    for k in range(y.shape[1]):
        g = grad[o, k, first:last]
        for j in range(total.size):
            total[j] += g[j]
    for k in range(y.shape[1]):
        to, g, row = out[o, k, first:last], grad[o, k, first:last], y[o, k, first:last]
        for j in range(total.size):
            to[j] = g[j] - exp(row[j]) * total[j]


@kernel
def _softmax_columns(y, x, largest, total, units):  # type: ignore[no-untyped-def]
    for unit in prange(0, units):
        o, a, b = strip(unit, y.shape[2])
        _softmax_strip(y, x, largest[o, a:b], total[o, a:b], o, a, b)


@kernel
def _log_softmax_columns(y, x, largest, total, units):  # type: ignore[no-untyped-def]
    for unit in prange(0, units):
        o, a, b = strip(unit, y.shape[2])
        _log_softmax_strip(y, x, largest[o, a:b], total[o, a:b], o, a, b)


@kernel
def _softmax_backward_columns(out, grad, y, total, units):  # type: ignore[no-untyped-def]
    for unit in prange(0, units):
        o, a, b = strip(unit, y.shape[2])
        _softmax_backward_strip(out, grad, y, total[o, a:b], o, a, b)


@kernel
def _log_softmax_backward_columns(out, grad, y, total, units):  # type: ignore[no-untyped-def]
    for unit in prange(0, units):
        o, a, b = strip(unit, y.shape[2])
        _log_softmax_backward_strip(out, grad, y, total[o, a:b], o, a, b)


# --- ops ------------------------------------------------------------------------------------------------------------


def units(shape: tuple[int, ...]) -> int:
    """How many units of work an (outer, n, inner) array has, for kernels that take `strip`s."""
    return shape[0] * -(-shape[2] // STRIP)


def _run(in_rows: Kernel, in_columns: Kernel, dim: int, arrays: tuple[np.ndarray, ...], scratch: int) -> np.ndarray:
    """Launch the kernel that fits where `dim` lies, on arrays of one shape, into a new array."""
    out = empty(arrays[0].shape, arrays[0].dtype)
    if out.size:
        y, *rest = (rows(a, dim) for a in (out, *arrays))
        outer, n, inner = y.shape
        if inner == 1:
            launch(in_rows, y.reshape(outer, n), *(a.reshape(outer, n) for a in rest), work=COST * y.size)
        else:
            held = [empty((outer, inner), out.dtype) for _ in range(scratch)]
            launch(in_columns, y, *rest, *held, units(y.shape), work=COST * y.size)
    return out


def _in_rows(kernel: Kernel) -> Any:
    """What prepares a call: the launch of the kernel for rows, where that is all there is to do."""

    def prepare(*args: Any) -> Launch | None:
        *arrays, dim = args
        x = arrays[0]
        if not x.ndim or not x.size or math.prod(x.shape[dim + 1 :]) > 1:
            return None
        view = x.size // x.shape[dim], x.shape[dim]
        return Launch(kernel, x.shape, x.dtype, [view] * (len(arrays) + 1), [a.dtype for a in arrays], work=COST * x.size,
                      copies=[not a.flags.c_contiguous for a in arrays])  # fmt: skip

    return prepare


def _softmax_backward(grad: np.ndarray, result: np.ndarray, dim: int) -> np.ndarray:
    return _run(softmax_backward_rows, _softmax_backward_columns, dim, (grad, result), 1)


def _softmax_backward_vjp(g: Tensor, grad: Tensor, result: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    along = {"dim": dim, "keepdim": True}
    by_result = g * (grad - (grad * result).sum(**along)) - grad * (g * result).sum(**along)  # type: ignore[attr-defined]
    return softmax_backward(g, result, dim), by_result


def _log_softmax_backward(grad: np.ndarray, result: np.ndarray, dim: int) -> np.ndarray:
    return _run(log_softmax_backward_rows, _log_softmax_backward_columns, dim, (grad, result), 1)


def _log_softmax_backward_vjp(g: Tensor, grad: Tensor, result: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    share = g * result.exp()  # type: ignore[attr-defined]
    by_grad = g - share.sum(dim=dim, keepdim=True)
    return by_grad, -share * grad.sum(dim=dim, keepdim=True)  # type: ignore[attr-defined]


softmax_backward = planned("softmax_backward", _softmax_backward, prepare=_in_rows(softmax_backward_rows), vjp=_softmax_backward_vjp)
log_softmax_backward = planned("log_softmax_backward", _log_softmax_backward, prepare=_in_rows(log_softmax_backward_rows),
                               vjp=_log_softmax_backward_vjp)  # fmt: skip
_softmax = planned("_softmax", lambda input, dim: _run(softmax_rows, _softmax_columns, dim, (input,), 2), prepare=_in_rows(softmax_rows),
                   vjp=(lambda g, y, dim: softmax_backward(g, y, dim),))  # fmt: skip
_log_softmax = planned("_log_softmax", lambda input, dim: _run(log_softmax_rows, _log_softmax_columns, dim, (input,), 2),
                       prepare=_in_rows(log_softmax_rows), vjp=(lambda g, y, dim: log_softmax_backward(g, y, dim),))  # fmt: skip


def _prepared(name: str, input: Tensor, dim: Any, dtype: Any) -> tuple[Tensor, int]:
    """The input in the dtype to compute in, and the dimension counted from the front."""
    if dtype is not None and to_numpy(dtype) != input._data.dtype:
        input = to_dtype(input, to_numpy(dtype))
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f'"{name}" not implemented for \'{scalar_name(input._data.dtype)}\'; give dtype=')
    return input, dimension(dim, input.dim())


def _softmax_arguments(input: Tensor, dim: int, dtype: Any = None) -> Any:
    """exp(x) / sum(exp(x)) along `dim`, in `dtype` if given."""
    return _prepared("softmax", input, dim, dtype)


def _log_softmax_arguments(input: Tensor, dim: int, dtype: Any = None) -> Any:
    """x - log(sum(exp(x))) along `dim`, in `dtype` if given."""
    return _prepared("log_softmax", input, dim, dtype)


def _softmin_function(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """softmax of -x along `dim`, in `dtype` if given."""
    return softmax(-input, dim, dtype)  # type: ignore[operator]


def _reference(x: Any, dim: int) -> Any:
    e = np.exp(x - x.max(dim, keepdims=True, initial=-np.inf)) if x.ndim else np.ones_like(x)
    return e / e.sum(dim, keepdims=True) if x.ndim else e


def _log_reference(x: Any, dim: int) -> Any:
    return x - np.logaddexp.reduce(x, dim, keepdims=True) if x.ndim else np.zeros_like(x)


def _sample(draw: Any) -> Any:
    x = draw.array(draw.shape())
    return (x, draw.dim(x.ndim)), {}


_errors: Any = [((np.ones((2, 3)), 2), IndexError, "range"), ((np.arange(3), 0), NotImplementedError, "Long")]
softmax = front("softmax", _softmax, _softmax_arguments, reference=_reference, sample=_sample, errors=_errors)
# log(total) is off by a rounding of numbers near 1, where results are as small as log(1 + exp(-6)) = 1 / 400.
log_softmax = front("log_softmax", _log_softmax, _log_softmax_arguments, reference=_log_reference, sample=_sample, errors=_errors,
                        tolerance=400 / 16)  # fmt: skip
softmin = composite("softmin", _softmin_function, public=False, method=False, errors=_errors, sample=_sample,
                    reference=lambda x, dim: _reference(-x, dim))  # fmt: skip
