"""Windows over the last dimensions of an array, and their largest elements, means, and the gradients of both.

A window is a range of positions in each of up to three dimensions. The ranges of all windows lie in tables, one a dimension,
so that pooling with strides and adaptive pooling are one kernel. Gradients are added up plane by plane, one worker a plane.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from ..jit import device, empty, kernel, launch, prange
from ..jit.simd import select
from .convolve import edges_of
from .elementwise import copied
from .gemm import memory

# Places in the table: input and output sizes, steps within a window, the divisor (0: the size of the window), how windows lie in
# the last dimension (distance, or 0 if uneven; padding; elements), and from where on each dimension's triples (start, stop,
# extent) lie; after these the edges of the last dimension, as in `convolve`.
_INPUT, _OUTPUT, _STEP, _DIVISOR, _STRIDE, _PADDING, _LENGTH, _TABLE = 0, 3, 6, 9, 10, 11, 12, 13


class Windows:
    """All windows over dimensions of given sizes. `ranges` has for each dimension (start, stop, extent) of each window."""

    def __init__(self, sizes: Sequence[int], ranges: Sequence[Sequence[tuple[int, int, int]]], steps: Sequence[int], divisor: int = 0,
                 last: Sequence[int] = (0, 0, 0), edges: Sequence[int] = ()):  # fmt: skip
        self.sizes, self.output = tuple(sizes), tuple(map(len, ranges))
        missing = 3 - len(self.sizes)
        table = [triple for one in [[(0, 1, 1)]] * missing + list(ranges) for triple in one]
        numbers = [*(1,) * missing, *self.sizes, *(1,) * missing, *self.output, *(1,) * missing, *steps, divisor, *last]
        self.table = np.concatenate([np.array(numbers, np.int64), np.array(table, np.int64).reshape(-1), np.array(edges, np.int64)])
        self.work = math.prod(sum(-(-(stop - start) // step) for start, stop, _ in one) for one, step in zip(ranges, steps, strict=True))

    def shape(self, x: np.ndarray) -> tuple[int, ...]:
        """The shape of the result for an input."""
        return (*x.shape[: x.ndim - len(self.sizes)], *self.output)


@functools.lru_cache(maxsize=512)
def strided(
    sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...],
    output: tuple[int, ...], count_padding: bool = True, divisor: int = 0,
) -> Windows:  # fmt: skip
    """Windows of one size at even distances. Their extent includes the padding they cover, if it counts."""
    ranges = []
    for n, k, s, p, d, count in zip(sizes, kernel, stride, padding, dilation, output, strict=True):
        one = []
        for o in range(count):
            start, stop = o * s - p, o * s - p + d * (k - 1) + 1
            first, last = start + max(0, -(start // d)) * d, min(stop, n)
            one.append((first, max(first, last), min(stop, n + p) - start if count_padding else max(0, last - first)))
        ranges.append(one)
    edges = edges_of(sizes[-1], output[-1], kernel[-1], stride[-1], (padding[-1], padding[-1]), dilation[-1])
    return Windows(sizes, ranges, dilation, divisor, (stride[-1], padding[-1], kernel[-1]), edges)


@functools.lru_cache(maxsize=512)
def adaptive(sizes: tuple[int, ...], output: tuple[int, ...]) -> Windows:
    """As many windows as asked for, about equal, that cover everything."""
    bounds = [[(o * n // count, -(-(o + 1) * n // count)) for o in range(count)] for n, count in zip(sizes, output, strict=True)]
    return Windows(sizes, [[(a, b, b - a) for a, b in one] for one in bounds], (1,) * len(sizes))


# --- kernels --------------------------------------------------------------------------------------------------------


@device
def _range(g, axis, o):  # type: ignore[no-untyped-def]
    """Where the triple of a window lies."""
    return _TABLE + 3 * (o + (g[_OUTPUT] if axis > 0 else 0) + (g[_OUTPUT + 1] if axis > 1 else 0))


@device
def _keep_larger(y, index, at_y, x, at_x, place, step, count):  # type: ignore[no-untyped-def]
    """Where a value is larger than the best so far, or NaN, it and its place become the best."""
    for j in range(count):  # an unsigned index is not counted from the end where negative, so that the loop vectorises
        value, best, to = x[np.uintp(at_x + j * step)], y[np.uintp(at_y + j)], np.uintp(at_y + j)
        better = (value > best) | (value != value)
        y[to], index[to] = select(better, value, best), select(better, place + j * step, index[to])


@device
def _largest(y, index, x, g, row):  # type: ignore[no-untyped-def]
    """One row of outputs: the largest element of each window, the last NaN if there is one, and its place in the plane."""
    width, height, outputs, stride = g[_INPUT + 2], g[_INPUT + 1], g[_OUTPUT + 2], g[_STRIDE]
    o0, o1, plane = row // g[_OUTPUT + 1] % g[_OUTPUT], row % g[_OUTPUT + 1], row // g[_OUTPUT + 1] // g[_OUTPUT]
    r0, r1, r2, at_x, at_y = _range(g, 0, o0), _range(g, 1, o1), _range(g, 2, 0), plane * g[_INPUT] * height * width, row * outputs
    corner = (g[r0] * height + g[r1]) * width
    for j in range(outputs):
        index[at_y + j] = corner + g[r2 + 3 * j]
        y[at_y + j] = x[at_x + corner + g[r2 + 3 * j]]
    for i0 in range(g[r0], g[r0 + 1], g[_STEP]):
        for i1 in range(g[r1], g[r1 + 1], g[_STEP + 1]):
            line = (i0 * height + i1) * width
            if stride:  # for each position in the window, all windows that have it
                for k in range(g[_LENGTH]):
                    edge = r2 + 3 * outputs + 2 * k
                    place = line + g[edge] * stride + k * g[_STEP + 2] - g[_PADDING]
                    _keep_larger(y, index, at_y + g[edge], x, at_x + place, place, stride, g[edge + 1] - g[edge])
            else:
                for j in range(outputs):
                    for i2 in range(g[r2 + 3 * j], g[r2 + 3 * j + 1]):
                        _keep_larger(y, index, at_y + j, x, at_x + line + i2, line + i2, 1, 1)


@kernel
def _max(y, index, x, g, rows):  # type: ignore[no-untyped-def]
    for row in prange(rows):
        _largest(y, index, x, g, row)


@device
def _visit_means(adding, x, y, g, plane):  # type: ignore[no-untyped-def]
    """The means of one plane's windows; or, adding, what each window's mean y gives to the elements of x."""
    width, height, size = g[_INPUT + 2], g[_INPUT + 1], g[_INPUT] * g[_INPUT + 1] * g[_INPUT + 2]
    values, at_y = x[plane * size : (plane + 1) * size], plane * g[_OUTPUT] * g[_OUTPUT + 1] * g[_OUTPUT + 2]
    if adding:
        for i in range(size):
            values[i] = 0
    for o0 in range(g[_OUTPUT]):
        for o1 in range(g[_OUTPUT + 1]):
            for o2 in range(g[_OUTPUT + 2]):
                r0, r1, r2 = _range(g, 0, o0), _range(g, 1, o1), _range(g, 2, o2)
                count = g[_DIVISOR] if g[_DIVISOR] != 0 else g[r0 + 2] * g[r1 + 2] * g[r2 + 2]
                share, total = y[at_y] / count if adding else 0.0, 0.0
                for i0 in range(g[r0], g[r0 + 1]):
                    for i1 in range(g[r1], g[r1 + 1]):
                        for i2 in range(g[r2], g[r2 + 1]):
                            at = (i0 * height + i1) * width + i2
                            if adding:
                                values[at] += share
                            else:
                                total += values[at]
                if not adding:
                    y[at_y] = total / count
                at_y += 1


@kernel
def _mean(y, x, g, planes):  # type: ignore[no-untyped-def]
    for plane in prange(planes):
        _visit_means(False, x, y, g, plane)


@kernel
def _mean_gradient(x, y, g, planes):  # type: ignore[no-untyped-def]
    for plane in prange(planes):
        _visit_means(True, x, y, g, plane)


@device
def _scatter_plane(x, y, index, size, count, adding, plane):  # type: ignore[no-untyped-def]
    values = x[plane * size : (plane + 1) * size]
    for i in range(size):
        values[i] = 0
    for o in range(plane * count, (plane + 1) * count):
        values[index[o]] = values[index[o]] + y[o] if adding else y[o]


@kernel
def _scatter(x, y, index, size, count, adding, planes):  # type: ignore[no-untyped-def]
    for plane in prange(planes):
        _scatter_plane(x, y, index, size, count, adding, plane)


@kernel
def _gather(y, x, index, size, count, planes):  # type: ignore[no-untyped-def]
    for plane in prange(planes):
        for o in range(plane * count, (plane + 1) * count):
            y[o] = x[plane * size + index[o]]


# --- on arrays ------------------------------------------------------------------------------------------------------


def _flat(x: np.ndarray) -> np.ndarray:
    return memory(x if x.flags.c_contiguous else copied(x))


def _planes(x: np.ndarray, dims: int) -> int:
    return math.prod(x.shape[: x.ndim - dims])


def largest(x: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """The largest element of each window, and its place in the plane."""
    shape, planes = windows.shape(x), _planes(x, len(windows.sizes))
    y, index = empty(shape, x.dtype), empty(shape, np.int64)
    if y.size:
        rows = planes * math.prod(windows.output[:-1])
        launch(_max, y.reshape(-1), index.reshape(-1), _flat(x), windows.table, rows, work=planes * windows.work)
    return y, index


def mean(x: np.ndarray, windows: Windows) -> np.ndarray:
    """The mean of each window."""
    y, planes = empty(windows.shape(x), x.dtype), _planes(x, len(windows.sizes))
    if y.size:
        launch(_mean, y.reshape(-1), _flat(x), windows.table, planes, work=planes * windows.work)
    return y


def mean_gradient(y: np.ndarray, windows: Windows) -> np.ndarray:
    """The transpose of `mean` as a linear map."""
    planes = _planes(y, len(windows.sizes))
    x = empty((*y.shape[: y.ndim - len(windows.sizes)], *windows.sizes), y.dtype)
    if x.size:
        launch(_mean_gradient, x.reshape(-1), _flat(y), windows.table, planes, work=planes * windows.work)
    return x


def scatter(y: np.ndarray, index: np.ndarray, sizes: tuple[int, ...], adding: bool) -> np.ndarray:
    """Planes of `sizes`, zero but for what stands in y, set or added at its place in the plane."""
    planes = _planes(y, len(sizes))
    x = empty((*y.shape[: y.ndim - len(sizes)], *sizes), y.dtype)
    if x.size:
        count = math.prod(y.shape[y.ndim - len(sizes) :])
        launch(_scatter, x.reshape(-1), _flat(y), _flat(index), math.prod(sizes), count, int(adding), planes, work=x.size + y.size)
    return x


def gather(x: np.ndarray, index: np.ndarray, dims: int) -> np.ndarray:
    """What stands in each plane of x at the given places."""
    y, planes = empty(index.shape, x.dtype), _planes(x, dims)
    if y.size:
        size, count = math.prod(x.shape[x.ndim - dims :]), math.prod(index.shape[x.ndim - dims :])
        launch(_gather, y.reshape(-1), _flat(x), _flat(index), size, count, planes, work=y.size)
    return y
