"""Selection without sorting everything: the largest, and the k-th.

The k-th smallest of a row is found byte by byte, from the highest down, in as many passes as an element has bytes.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from ..dtypes import BOOL, INT64, scalar_name
from ..jit import device, empty, kernel, launch, prange
from ..tensor import Tensor
from .extreme import put
from .record import composite, op
from .scan import add_at
from .shape import dimension
from .sort import SHORT, as_rows, digit, from_rows, reference_order, scratch, sort_keys, sort_row, take_rows, taken

#: Up to this many of the largest are kept in order while the row is read; more are selected, then sorted.
FEW = 32

# --- the k-th ---------------------------------------------------------------------------------------------------------


@device
def _select_by_insertion(keys, ranked, k):
    for i in range(keys.size):
        key, j = keys[i], i
        while j > 0 and ranked[j - 1] > key:
            ranked[j] = ranked[j - 1]
            j -= 1
        ranked[j] = key
    return ranked[k]


@device
def _select_key(keys, counts, k, bytes):
    """The k-th smallest key, from 0: its bytes from the highest down, by counting the keys that begin as it does."""
    if keys.size <= SHORT:
        return _select_by_insertion(keys, counts, k)
    found = np.int64(0)
    for step in range(bytes):
        byte = bytes - 1 - step
        flip = 128 if byte == 7 else 0
        for d in range(256):
            counts[d] = 0
        for j in range(keys.size):
            if step == 0 or (keys[j] >> (8 * (byte + 1))) == found:
                counts[digit(keys[j], byte, flip)] += 1
        d = 0
        while k >= counts[d]:
            k -= counts[d]
            d += 1
        d ^= flip
        if step == 0:
            found = np.int64(d - 256 if byte == 7 and d > 127 else d)
        else:
            found = (found << 8) | d
    return found


@device
def _first_below(keys, order, source, threshold, k):
    """The k smallest keys in the order they stand: all below the threshold, and of its equals the first."""
    below = 0
    for j in range(source.size):
        below += 1 if source[j] < threshold else 0
    equals, at = k - below, 0
    for j in range(source.size):
        key = source[j]
        if key < threshold or (key == threshold and equals > 0):
            equals -= 1 if key == threshold else 0
            keys[at], order[at] = key, j
            at += 1


@device
def _keep_smallest(keys, order, source):
    """The few smallest keys in their order, in one pass: most keys are above all that were kept so far."""
    kept = 0
    for i in range(source.size):
        key = source[i]
        if kept < keys.size:
            kept += 1
        elif key >= keys[kept - 1]:
            continue
        j = kept - 1
        while j > 0 and keys[j - 1] > key:
            keys[j], order[j] = keys[j - 1], order[j - 1]
            j -= 1
        keys[j], order[j] = key, i


@device
def _top_row(order, keys, spare_order, spare_keys, counts, source, bytes):
    k = keys.size
    if k <= FEW:
        _keep_smallest(keys, order, source)
        return
    _first_below(keys, order, source, _select_key(source, counts, k - 1, bytes), k)
    sort_row(keys, order, spare_keys, spare_order, counts, bytes)


@kernel
def _top_rows(order, keys, spare_order, spare_keys, counts, source, bytes):
    for i in prange(source.shape[0]):
        _top_row(order[i], keys[i], spare_order[i], spare_keys[i], counts[i], source[i], bytes)


def _top_forward(input: np.ndarray, k: int, dim: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    shape = tuple(k if d == dim else n for d, n in enumerate(input.shape))
    if 0 in shape:
        return empty(shape, input.dtype), empty(shape, INT64)
    rows = as_rows(input, dim)
    source, bytes, m = sort_keys(rows, largest), rows.itemsize, rows.shape[0]
    order, keys, counts = empty((m, k), INT64), empty((m, k), INT64), empty((m, 256 * bytes), INT64)
    launch(_top_rows, order, keys, *scratch(m, k, bytes)[:2], counts, source, bytes, work=(4 + bytes) * rows.size)
    return from_rows(take_rows(rows, order), shape, dim), from_rows(order, shape, dim)


_top = op(
    "top_along",
    _top_forward,
    public=False,
    method=False,
    saved=1,
    vjp=(lambda g, y, input_shape, dim: add_at(g[0], y[1], input_shape, dim),),
)
_Top = namedtuple("topk", ["values", "indices"])


def _topk_function(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k largest (or smallest) elements along `dim`, sorted whether asked for or not; NaN
    is greatest.
    """
    dim, k = dimension(dim, input.dim()), k.__index__()
    if not 0 <= k <= (input._data.shape[dim] if input.dim() else 1):
        raise RuntimeError(
            f"selected index k out of range: k is {k}, but dimension {dim} of {list(input.shape)} was asked for"
        )
    if input._data.dtype == BOOL:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    return _Top(*_top(input, k if input.dim() else 1, dim, largest))


def _topk_reference(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    order = reference_order(x, dim, largest)
    order = np.take(order, np.arange(k), dim) if x.ndim else order
    return taken(x, order, dim), order


def _topk_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(), distinct=True)
    dim = draw.dim(x.ndim)
    return (x, draw.integer(0 if x.ndim else 1, x.shape[dim] if x.ndim else 1), dim, draw.boolean()), {}


topk = composite(
    "topk",
    _topk_function,
    reference=_topk_reference,
    sample=_topk_sample,
    errors=[((np.ones(3), 4), RuntimeError, "out of range"), ((np.ones(3, bool), 1), RuntimeError, "bool")],
)


@device
def _place_of(keys, counts, k, nan, bytes, ignore):
    n = keys.size
    if k < 0:
        missing = 0
        if bytes > 0:
            for j in range(n):
                missing += 1 if keys[j] == nan else 0
        k = (n - 1) // 2
        if missing:
            k = max((n - missing - 1) // 2, 0) if ignore else n - missing
    key = _select_key(keys, counts, k, abs(bytes))
    below = 0
    for j in range(n):
        below += 1 if keys[j] < key else 0
    place, equals = -1, k - below
    while equals >= 0:
        place += 1
        equals -= 1 if keys[place] == key else 0
    return place


@kernel
def _place_rows(places, keys, counts, k, nan, bytes, ignore):
    """Where each row's k-th smallest key is; k = -1 asks for the median, which is NaN where there is one, unless
    told to ignore it.
    """
    for i in prange(keys.shape[0]):
        places[i, 0] = _place_of(keys[i], counts[i], k, nan, bytes, ignore)


def kth_rows(rows: np.ndarray, k: int, ignore: bool = False) -> np.ndarray:
    """Where each row's k-th smallest element is (from 0; -1: its median)."""
    places, keys = empty((rows.shape[0], 1), INT64), sort_keys(rows)
    nan = int(sort_keys(np.full((1, 1), np.nan, rows.dtype))[0, 0]) if rows.dtype.kind == "f" else 0
    bytes = rows.itemsize if rows.dtype.kind == "f" else -rows.itemsize  # the sign says that there is no NaN
    launch(
        _place_rows,
        places,
        keys,
        empty((rows.shape[0], 256), INT64),
        k,
        nan,
        bytes,
        int(ignore),
        work=(2 + abs(bytes)) * rows.size,
    )
    return places


def _kth_forward(input: np.ndarray, k: int, dim: int, keepdim: bool, ignore: bool) -> tuple[np.ndarray, np.ndarray]:
    shape = tuple(1 if d == dim else n for d, n in enumerate(input.shape))
    final = shape if keepdim else shape[:dim] + shape[dim + 1 :]
    if 0 in shape:
        return empty(final, input.dtype), empty(final, INT64)
    rows = as_rows(input, dim)
    places = kth_rows(rows, k, ignore)
    return take_rows(rows, places).reshape(final), places.reshape(final)


kth = op(
    "kth_along",
    _kth_forward,
    public=False,
    method=False,
    saved=1,
    vjp=(lambda g, y, input_shape, dim, keepdim: put(g[0], y[1], input_shape, dim, keepdim),),
)
_Kth = namedtuple("kthvalue", ["values", "indices"])


def check_selectable(name: str, input: Tensor, dim: int) -> None:
    """Raise as PyTorch does where there is nothing to select from, or no order."""
    if input.dim() and input._data.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    if input._data.dtype == BOOL:
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(BOOL)}'")


def _kthvalue_function(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the k-th smallest element along `dim`, counted from 1; equals count in their order, NaN
    is greatest.
    """
    dim, k = dimension(dim, input.dim()), k.__index__()
    n = input._data.shape[dim] if input.dim() else 1
    if n and not 1 <= k <= n:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {dim}: k is {k}, but there are {n} elements"
        )
    check_selectable("kthvalue", input, dim)
    return _Kth(*kth(input, k - 1, dim, keepdim, False))


def kthvalue_reference(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """kthvalue by NumPy's sort."""
    order = reference_order(x, dim, False)
    order = np.take(order, [k - 1], dim) if x.ndim else order
    found = taken(x, order, dim), order
    return found if keepdim or not x.ndim else tuple(np.squeeze(f, dim) for f in found)


def _kthvalue_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1), distinct=True)
    dim = draw.dim(x.ndim)
    return (x, draw.integer(1, x.shape[dim] if x.ndim else 1), dim, draw.boolean()), {}


kthvalue = composite(
    "kthvalue",
    _kthvalue_function,
    reference=kthvalue_reference,
    sample=_kthvalue_sample,
    errors=[
        ((np.ones(3), 0), RuntimeError, "out of range"),
        ((np.ones((0, 3)), 1, 0), IndexError, "non-zero"),
        ((np.ones(3, bool), 1), NotImplementedError, "Bool"),
    ],
)
