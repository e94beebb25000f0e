"""Sorting by radix: linear in the number of elements, stable, rows in parallel.

Elements become integers that are ordered as they are (NaN last, -0 equal to 0), which are sorted byte by byte, from the
lowest up.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from ..dtypes import INT64
from ..jit import device, empty, kernel, launch, prange
from ..jit.intrinsics import float_bits
from ..jit.vmath import isnan
from ..tensor import Tensor
from .elementwise import copied
from .extreme import as_bytes
from .operands import NOT_A_TENSOR
from .record import composite, op
from .scan import add_at, bad_dim
from .shape import dimension

#: Rows up to this length are sorted by insertion: the 256 counters of a byte would cost more.
SHORT = 64

# --- keys -----------------------------------------------------------------------------------------------------------


@device
def _float_key(x, high, magnitude):
    bits = np.int64(float_bits(x))
    if isnan(x):
        return magnitude + high  # above infinity
    if x == 0:
        return high
    return (bits ^ magnitude if bits < 0 else bits) + high


@kernel
def _float_keys(keys, x, high, magnitude, mask, descending):
    for i in prange(x.size):
        key = _float_key(x[i], high, magnitude)
        keys[i] = mask - key if descending else key


@kernel
def _integer_keys(keys, x, high, magnitude, mask, descending):
    for i in prange(x.size):
        key = np.int64(x[i]) + high
        keys[i] = mask - key if descending else key


def sort_keys(rows: np.ndarray, descending: bool = False) -> np.ndarray:
    """int64 numbers in the order of the elements: from 0 to 2^bits - 1, or for 64 bits of either sign."""
    x = as_bytes(rows).reshape(-1)
    keys, bits = empty(x.shape, INT64), 8 * x.itemsize
    mask = -1 if bits == 64 else (1 << bits) - 1
    high = 0 if bits == 64 or x.dtype.kind == "u" else 1 << (bits - 1)
    launch(
        _float_keys if x.dtype.kind == "f" else _integer_keys,
        keys,
        x,
        high,
        (1 << (bits - 1)) - 1,
        mask,
        int(descending),
        work=2 * x.size,
    )
    return keys.reshape(rows.shape)


# --- sorting rows ---------------------------------------------------------------------------------------------------


@device
def _insertion_sort(keys, order):
    for i in range(1, keys.size):
        key, place = keys[i], order[i]
        j = i
        while j > 0 and keys[j - 1] > key:
            keys[j], order[j] = keys[j - 1], order[j - 1]
            j -= 1
        keys[j], order[j] = key, place


@device
def digit(key, byte, flip):
    """A byte of a key, from the lowest up; `flip` turns the sign bit of the highest, so that digits are in the
    keys' order.
    """
    return ((key >> (8 * byte)) & 255) ^ flip


@device
def _bits_that_vary(keys):
    vary = np.int64(0)
    for j in range(keys.size):
        vary |= keys[j] ^ keys[0]
    return vary


@device
def _count_bytes(counts, keys, bytes, vary):
    for j in range(counts.size):
        counts[j] = 0
    for byte in range(bytes):
        if (vary >> (8 * byte)) & 255 == 0:
            continue
        flip = 128 if byte == 7 else 0  # the sign
        row = counts[byte * 256 : (byte + 1) * 256]
        for j in range(keys.size):
            row[digit(keys[j], byte, flip)] += 1


@device
def _scatter_by_byte(to_keys, to_order, keys, order, starts, byte):
    flip = 128 if byte == 7 else 0
    total = 0
    for d in range(256):
        total, starts[d] = total + starts[d], total
    for j in range(keys.size):
        d = digit(keys[j], byte, flip)
        at = starts[d]
        to_keys[at], to_order[at] = keys[j], order[j]
        starts[d] = at + 1


@device
def sort_row(keys, order, spare_keys, spare_order, counts, bytes):
    """Sort keys and carry `order` along."""
    n = keys.size
    if n <= SHORT:
        _insertion_sort(keys, order)
        return
    vary = _bits_that_vary(keys)
    _count_bytes(counts, keys, bytes, vary)
    moved = 0
    for byte in range(bytes):
        if (vary >> (8 * byte)) & 255 == 0:
            continue
        starts = counts[byte * 256 : (byte + 1) * 256]
        if moved % 2 == 0:
            _scatter_by_byte(spare_keys, spare_order, keys, order, starts, byte)
        else:
            _scatter_by_byte(keys, order, spare_keys, spare_order, starts, byte)
        moved += 1
    if moved % 2 == 1:
        for j in range(n):
            keys[j], order[j] = spare_keys[j], spare_order[j]


@kernel
def _sort_rows(order, keys, spare_order, spare_keys, counts, bytes):
    for i in prange(keys.shape[0]):
        for j in range(keys.shape[1]):
            order[i, j] = j
        sort_row(keys[i], order[i], spare_keys[i], spare_order[i], counts[i], bytes)


def scratch(rows: int, n: int, bytes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Memory that `sort_row` needs for each row: a second order, a second row of keys, and counters."""
    size = 0 if n <= SHORT else n
    return empty((rows, size), INT64), empty((rows, size), INT64), empty((rows, 256 * bytes if size else 0), INT64)


def sort_rows(rows: np.ndarray, descending: bool = False) -> np.ndarray:
    """For each row of a contiguous (m, n) array the order that sorts it; equals keep their order."""
    m, n = rows.shape
    order = empty((m, n), INT64)
    if rows.size:
        bytes = rows.itemsize
        launch(
            _sort_rows,
            order,
            sort_keys(rows, descending),
            *scratch(m, n, bytes),
            bytes,
            work=(4 + 2 * bytes) * rows.size,
        )
    return order


@kernel
def _take_rows(values, rows, order):
    for i in prange(order.size):
        a = np.int64(i) // order.shape[1]
        b = np.int64(i) - a * order.shape[1]
        values[a, b] = rows[a, order[a, b]]


def take_rows(rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """rows[i, order[i, j]]."""
    values = empty(order.shape, rows.dtype)
    if values.size:
        launch(_take_rows, as_bytes(values), as_bytes(rows), order, work=4 * values.size)
    return values


def as_rows(x: np.ndarray, dim: int) -> np.ndarray:
    """A contiguous (m, n) array whose rows run along `dim`."""
    if x.ndim == 0:
        return copied(x).reshape(1, 1)
    moved = np.moveaxis(x, dim, -1)
    moved = moved if moved.flags.c_contiguous else copied(moved)
    return moved.reshape(moved.size // moved.shape[-1] if moved.shape[-1] else 0, moved.shape[-1])


def from_rows(rows: np.ndarray, shape: tuple[int, ...], dim: int) -> np.ndarray:
    """`as_rows` undone, with as many elements along `dim` as the rows have."""
    if not shape:
        return rows.reshape(())
    moved = rows.reshape(*shape[:dim], *shape[dim + 1 :], rows.shape[1])
    back = np.moveaxis(moved, -1, dim)
    return back if back.flags.c_contiguous else copied(back)


# --- sort -----------------------------------------------------------------------------------------------------------


def _sort_forward(input: np.ndarray, dim: int, descending: bool) -> tuple[np.ndarray, np.ndarray]:
    if input.size == 0:
        return empty(input.shape, input.dtype), empty(input.shape, INT64)
    rows = as_rows(input, dim)
    order = sort_rows(rows, descending)
    return from_rows(take_rows(rows, order), input.shape, dim), from_rows(order, input.shape, dim)


_sort = op(
    "sort_along",
    _sort_forward,
    public=False,
    method=False,
    saved=1,
    vjp=(lambda g, y, input_shape, dim: add_at(g[0], y[1], input_shape, dim),),
)

_Sorted = namedtuple("sort", ["values", "indices"])


def _sort_function(input: Tensor, dim: Any = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values, indices) in ascending order along `dim`, or descending; equals keep their order, NaN is greatest."""
    if isinstance(dim, bool):
        raise TypeError("sort(): argument 'dim' must be int, not bool")
    return _Sorted(*_sort(input, dimension(dim, input.dim()), descending))


def reference_order(x: Any, dim: int, descending: bool) -> Any:
    """The stable order by NumPy, for references."""
    if x.ndim == 0:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), dim, kind="stable"), dim)


def taken(x: Any, order: Any, dim: int) -> Any:
    """Elements at indices along a dimension, by NumPy, for references."""
    return np.take_along_axis(x, order, dim) if x.ndim else x


def _sort_reference(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    order = reference_order(x, dim, descending)
    return taken(x, order, dim), order


def _sort_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(), distinct=True)
    return (x, draw.dim(x.ndim), draw.boolean()), {}


sort = composite(
    "sort",
    _sort_function,
    reference=_sort_reference,
    sample=_sort_sample,
    errors=[*bad_dim, ((np.ones(2), True), TypeError, "must be int")],
)


def _argsort_function(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort along `dim`."""
    return _sort_function(input.detach(), dim, descending)[1]


argsort = composite(
    "argsort",
    _argsort_function,
    reference=lambda *a, **k: _sort_reference(*a, **k)[1],
    sample=_sort_sample,
    errors=bad_dim,
)


def _msort_function(input: Tensor) -> Tensor:
    """The elements in ascending order along the first dimension."""
    return _sort_function(input, 0)[0]


msort = composite(
    "msort",
    _msort_function,
    reference=lambda x: np.sort(x, 0) if x.ndim else x,
    sample=lambda draw: ((_sort_sample(draw)[0][0],), {}),
    errors=NOT_A_TENSOR,
)
