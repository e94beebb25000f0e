"""Checks of index tensors. A kernel notes where the first bad index is; Python raises what the called function raises."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..dtypes import INT64
from ..jit import device, empty, kernel, launch, prange, verify
from ..jit.codegen import TILE
from .elementwise import copied


class Bounds(NamedTuple):
    """How a function treats bad indices: whether negative ones count from the end, and what it raises."""

    wraps: bool
    error: type[Exception]
    message: str


_DIMENSION = "index {index} is out of bounds for dimension {dim} with size {size}"
#: By the name of the function that was called.
BOUNDS = {
    "index": Bounds(True, IndexError, _DIMENSION),
    "index_fill": Bounds(True, IndexError, _DIMENSION),
    "gather": Bounds(False, RuntimeError, _DIMENSION),
    "index_add": Bounds(False, RuntimeError, _DIMENSION),
    "index_copy": Bounds(False, IndexError, "index_copy_(): " + _DIMENSION),
    "index_reduce": Bounds(False, IndexError, "index_reduce(): " + _DIMENSION),
    "index_select": Bounds(False, IndexError, "index out of range in self: " + _DIMENSION),
    "embedding": Bounds(False, IndexError, "index out of range in self: {index}, where the table has {size} rows"),
    "one_hot": Bounds(False, RuntimeError, "Class values must be non-negative and smaller than num_classes={size}, got {index}"),
    "take": Bounds(True, IndexError, "out of range: tried to access index {index} on a tensor of {size} elements."),
}


@device
def unsigned(i):  # type: ignore[no-untyped-def]
    """An index that is not negative, typed so: Numba then leaves out counting from the end, which costs more than the access."""
    return np.uint64(i)


@device
def _check_tile(bad, unit, index, low, high):  # type: ignore[no-untyped-def]
    start, stop = unit * TILE, min(index.size, (unit + 1) * TILE)
    row = index[start:stop]
    wrong = False
    for j in range(stop - start):
        wrong |= (row[j] < low) | (row[j] >= high)
    bad[unit] = -1
    if wrong:
        for j in range(stop - start - 1, -1, -1):
            if row[j] < low or row[j] >= high:
                bad[unit] = start + j


@kernel
def _check_kernel(bad, index, low, high):  # type: ignore[no-untyped-def]
    for unit in prange(0, bad.size):
        _check_tile(bad, unit, index, low, high)


@device
def _offsets_tile(offsets, bad, unit, index, size, wrap, step, fresh):  # type: ignore[no-untyped-def]
    start, stop = unit * TILE, min(index.size, (unit + 1) * TILE)
    out, row = offsets[start:stop], index[start:stop]
    wrong = False
    for j in range(stop - start):
        i = row[j] + (wrap if row[j] < 0 else 0)
        inside = (i >= 0) & (i < size)
        wrong |= not inside
        out[j] = (i * step if inside else 0) + (0 if fresh else out[j])
    bad[unit] = -1
    if wrong:
        for j in range(stop - start - 1, -1, -1):
            if row[j] < -wrap or row[j] >= size:
                bad[unit] = start + j


@kernel
def _offsets_kernel(offsets, bad, index, size, wrap, step, fresh):  # type: ignore[no-untyped-def]
    for unit in prange(0, bad.size):
        _offsets_tile(offsets, bad, unit, index, size, wrap, step, fresh)


def slots(count: int) -> np.ndarray:
    """Where each tile of a check notes the first bad position, or -1."""
    return empty(-(-count // TILE), INT64)


def refuse(bad: np.ndarray, index: np.ndarray, caller: str, dim: int, size: int) -> None:
    """Raise what the caller raises if a check found a bad index."""

    def complain(bad: np.ndarray, index: np.ndarray) -> None:
        _, error, message = BOUNDS[caller]
        raise error(message.format(index=int(index[bad[bad >= 0][0]]), dim=dim, size=size))

    verify(bad, complain, index)


def check_index(index: np.ndarray, caller: str, dim: int, size: int) -> None:
    """Raise what the caller raises if any of these indices is out of range."""
    if index.size:
        flat, bad = as_index(index, index.shape), slots(index.size)
        launch(_check_kernel, bad, flat, -size if BOUNDS[caller].wraps else 0, size, work=index.size)
        refuse(bad, flat, caller, dim, size)


def add_offsets(offsets: np.ndarray, index: np.ndarray, caller: str, dim: int, size: int, step: int, fresh: bool) -> None:
    """Set (`fresh`) or add to each offset its index times the step; raises for indices out of range."""
    bad = slots(index.size)
    launch(_offsets_kernel, offsets, bad, index, size, size if BOUNDS[caller].wraps else 0, step, fresh, work=index.size)
    refuse(bad, index, caller, dim, size)


def as_index(index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An index array broadcast to a shape, as contiguous int64 in one dimension."""
    if index.shape != shape:
        index = np.broadcast_to(index, shape)
    if index.dtype != INT64 or not index.flags.c_contiguous:
        index = copied(index, INT64)
    return index.reshape(-1)
