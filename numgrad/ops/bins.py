"""Counting into bins, and finding the bin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import FLOAT64, INT64, scalar_name
from ..jit import device, empty, kernel, launch, prange
from ..tensor import Tensor, wrap
from .elementwise import copied
from .extreme import as_bytes
from .record import REGISTRY, composite, op
from .reduce import summed

# --- counting -------------------------------------------------------------------------------------------------------

#: The largest number of pieces that are counted apart and then added: each has bins of its own, so that none race.
PIECES = 16


def _pieces(n: int, bins: int) -> int:
    return max(1, min(PIECES, n // max(4096, 4 * bins)))


@kernel
def _count_numbers(counts, x):
    pieces = counts.shape[0]
    for p in prange(pieces):
        _count_piece(counts[p], x[p * x.size // pieces : (p + 1) * x.size // pieces])


@device
def _count_piece(counts, x):
    for j in range(counts.size):
        counts[j] = 0
    for j in range(x.size):
        counts[x[j]] += 1


@kernel
def _add_weights(totals, x, weights):
    pieces = totals.shape[0]
    for p in prange(pieces):
        first, last = p * x.size // pieces, (p + 1) * x.size // pieces
        _add_piece(totals[p], x[first:last], weights[first:last])


@device
def _add_piece(totals, x, weights):
    for j in range(totals.size):
        totals[j] = 0
    for j in range(x.size):
        totals[x[j]] += weights[j]


def _bincount_forward(input: np.ndarray, weights: np.ndarray | None, bins: int) -> np.ndarray:
    shape = (_pieces(input.size, bins), bins)
    x = input if input.flags.c_contiguous else copied(input)
    if weights is None:
        counts = empty(shape, INT64)
        launch(_count_numbers, counts, x, work=2 * x.size)
        return summed(counts, (0,))
    totals = empty(shape, FLOAT64)
    launch(_add_weights, totals, x, copied(weights, FLOAT64), work=2 * x.size)
    total = summed(totals, (0,))
    return total if weights.dtype != np.float32 else copied(total, weights.dtype)


_bincount = op(
    "bincount_of",
    _bincount_forward,
    public=False,
    method=False,
    vjp=(None, lambda g, input: REGISTRY["index_select"](g, 0, input)),
)


def _bincount_function(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in a vector of integers, or the sum of its weights; at least
    `minlength` bins.
    """
    if input._data.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount\" not implemented for '{scalar_name(input._data.dtype)}'")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, but got {minlength}")
    if input.dim() != 1 or (input.numel() and int(input.min()) < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(
            "weights should be 1-d and have the same length as input, "
            f"but got {list(weights.shape)} for {list(input.shape)}"
        )
    bins = max(minlength, int(input.max()) + 1 if input.numel() else 0)
    return _bincount(input, weights, bins)


def _bincount_reference(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    found = np.bincount(x, weights, minlength)
    return found.astype(np.int64 if weights is None else np.float32 if weights.dtype == np.float32 else np.float64)


def _bincount_sample(draw: Any) -> Any:
    x = draw.integers((draw.integer(0, 9),), 0, 6)
    return (x, draw.choice([None, draw.array(x.shape)]), draw.choice([0, 9])), {}


bincount = composite(
    "bincount",
    _bincount_function,
    reference=_bincount_reference,
    sample=_bincount_sample,
    errors=[
        ((np.array([1, -1]),), RuntimeError, "non-negative"),
        ((np.ones(3),), NotImplementedError, "Double"),
        ((np.array([1, 1]), np.ones(1)), RuntimeError, "same length"),
        ((np.array([1]), None, -1), RuntimeError, "minlength"),
    ],
)


@kernel
def _count_between(counts, x, low, high):
    pieces = counts.shape[0]
    for p in prange(pieces):
        _count_piece_between(counts[p], x[p * x.size // pieces : (p + 1) * x.size // pieces], low, high)


@device
def _count_piece_between(counts, x, low, high):
    bins = counts.size
    for j in range(bins):
        counts[j] = 0
    for j in range(x.size):
        if low <= x[j] <= high:  # not NaN
            counts[min(int((x[j] - low) / (high - low) * bins), bins - 1)] += 1


def _histc_forward(input: np.ndarray, bins: int, low: float, high: float) -> np.ndarray:
    x = (input if input.flags.c_contiguous else copied(input)).reshape(-1)
    counts = empty((_pieces(x.size, bins), bins), INT64)
    launch(_count_between, counts, x, float(low), float(high), work=8 * x.size)
    return copied(summed(counts, (0,)), input.dtype)


_histc = op("histc_of", _histc_forward, public=False, method=False, vjp=None)


def _histc_function(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of `bins` equal parts of [min, max] (both equal: of the range of the data);
    the rest are left out.
    """
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f"\"histc\" not implemented for '{scalar_name(input._data.dtype)}'")
    if bins <= 0:
        raise RuntimeError(f"histc(): bins must be > 0, but got {bins}")
    if min == max and input.numel():
        min, max = float(input.min()), float(input.max())
    if not (math.isfinite(min) and math.isfinite(max)):
        raise RuntimeError(f"histc(): range of [{min}, {max}] is not finite")
    if min > max:
        raise RuntimeError(f"histc(): max must be larger than min, but got [{min}, {max}]")
    return _histc(input.detach(), bins, *((min - 1, max + 1) if min == max else (min, max)))


def _histc_reference(x: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    if min == max and x.size:
        min, max = x.min(), x.max()
    return np.histogram(x, bins, (min, max) if min < max else (min - 1, max + 1))[0].astype(x.dtype)


def _histc_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(), -3, 3, avoid=(-2, -1, 0, 1, 2))
    # Alone, a number is the middle of its range: an odd number of bins has no edge there.
    return (x, *draw.choice([(3,), (4, -2.0, 2.0)])) if x.size < 2 else (x, 4, -2.0, 2.0), {}


histc = composite(
    "histc",
    _histc_function,
    reference=_histc_reference,
    sample=_histc_sample,
    errors=[
        ((np.ones(3), 0), RuntimeError, "bins"),
        ((np.ones(3), 2, 5, 1), RuntimeError, "larger"),
        ((np.array([1.0, np.inf]), 2), RuntimeError, "finite"),
        ((np.arange(3),), NotImplementedError, "Long"),
    ],
)

# --- finding the bin ------------------------------------------------------------------------------------------------


@device
def _place(row, sorter, value, right):
    low, high = 0, row.size
    while low < high:
        middle = (low + high) // 2
        at = sorter[middle] if sorter.size else middle
        # "not" rather than the opposite sign: NaN goes to the end
        before = not (row[at] > value) if right else not (row[at] >= value)
        if before:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _find_places(places, rows, values, sorter, right):
    for i in prange(places.size):
        row = np.int64(i) // places.shape[1]
        column = np.int64(i) - row * places.shape[1]
        at = row if rows.shape[0] > 1 else 0
        places[row, column] = _place(rows[at], sorter[at if sorter.size else 0], values[row, column], right)


def _search_forward(
    rows: np.ndarray, values: np.ndarray, sorter: np.ndarray | None, right: bool, dtype: np.dtype
) -> np.ndarray:
    common = dtypes.promote_two(rows.dtype, values.dtype)
    columns = values.shape[-1] if values.ndim and rows.ndim > 1 else values.size
    places = empty(values.shape, dtype)
    if places.size == 0:
        return places
    table = as_bytes(copied(rows, common)).reshape(-1, rows.shape[-1])
    order = np.empty((1, 0), np.int64) if sorter is None else copied(sorter).reshape(-1, sorter.shape[-1])
    launch(
        _find_places,
        places.reshape(-1, columns),
        table,
        as_bytes(copied(values, common)).reshape(-1, columns),
        order,
        int(right),
        work=16 * places.size,
    )
    return places


_search = op("searchsorted_of", _search_forward, public=False, method=False, vjp=None)


def _check_search(rows: Tensor, values: Tensor, right: bool, side: str | None, sorter: Tensor | None) -> None:
    name = "searchsorted():"
    if side not in (None, "left", "right"):
        raise RuntimeError(f"{name} side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(f"{name} side and right can't be set to opposites, got side of left while right was True")
    if rows.dim() == 0:
        raise RuntimeError(f"{name} boundaries tensor should have positive dimension, but got 0 dimension")
    if rows.dim() > 1 and (rows.dim() != values.dim() or rows.shape[:-1] != values.shape[:-1]):
        raise RuntimeError(
            f"{name} boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input "
            f"value tensor must match, but we got boundaries tensor {list(rows.shape)} and input value tensor {list(values.shape)}"
        )
    if sorter is None:
        return
    if sorter.shape != rows.shape:
        raise RuntimeError(
            f"{name} boundary and sorter must have the same size, but got boundary tensor {list(rows.shape)} "
            f"and got sorter tensor {list(sorter.shape)}"
        )
    if sorter.dtype is not dtypes.int64:
        raise RuntimeError(
            f"{name} sorter must be a tensor of long dtype but got dtype {scalar_name(sorter._data.dtype)}"
        )
    if sorter.numel() and not (int(sorter.min()) >= 0 and int(sorter.max()) < rows.shape[-1]):
        raise RuntimeError(f"{name} sorter index out of range")


def _searchsorted_function(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where values would go into sorted rows to keep them sorted: before equals, or with `right` after them.

    One row serves all values, or each row those in the same place. `sorter` gives the order that sorts the rows. NaN goes
    to the end.
    """
    if not isinstance(input, (Tensor, int, float)):
        raise TypeError(f"searchsorted(): argument 'input' (position 2) must be Tensor or number, not {type(input).__name__}")
    values = (
        input
        if isinstance(input, Tensor)
        else wrap(np.asarray(input, dtypes.default() if isinstance(input, float) else None))
    )
    _check_search(sorted_sequence, values, right, side, sorter)
    wanted = np.dtype(np.int32) if out_int32 else INT64
    return _search(sorted_sequence.detach(), values.detach(), sorter, right or side == "right", wanted)


def _searchsorted_reference(rows: Any, values: Any, *, right: bool = False, out_int32: bool = False) -> Any:
    side, dtype = "right" if right else "left", np.int32 if out_int32 else np.int64
    if rows.ndim == 1:
        return np.asarray(np.searchsorted(rows, values, side)).astype(dtype)
    flat = [
        np.searchsorted(r, v, side)
        for r, v in zip(rows.reshape(-1, rows.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)
    ]
    return np.asarray(flat, dtype).reshape(values.shape)


def _searchsorted_sample(draw: Any) -> Any:
    n, options = draw.integer(1, 6), {"right": draw.boolean(), "out_int32": draw.boolean()}
    if draw.boolean():
        return (np.sort(draw.array((n,))), draw.array(draw.shape())), options
    return (np.sort(draw.array((2, n)), -1), draw.array((2, 3))), options


searchsorted = composite(
    "searchsorted",
    _searchsorted_function,
    method=False,
    reference=_searchsorted_reference,
    sample=_searchsorted_sample,
    errors=[
        ((np.ones((1, 3)), np.ones(1)), RuntimeError, "must match"),
        ((np.array(1.0), np.ones(1)), RuntimeError, "0 dimension"),
    ],
)


def _bucketize_function(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of boundaries below each value, or with `right` not above it: the bucket it falls into."""
    if boundaries.dim() != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.dim()})")
    return _searchsorted_function(boundaries, input, out_int32=out_int32, right=right)


bucketize = composite(
    "bucketize",
    _bucketize_function,
    method=False,
    errors=[((np.ones(2), np.ones((1, 3))), RuntimeError, "1 dimension")],
    reference=lambda x, boundaries, **options: _searchsorted_reference(boundaries, x, **options),
    sample=lambda draw: ((draw.array(draw.shape()), np.sort(draw.array((5,)))), {"right": draw.boolean()}),
)
