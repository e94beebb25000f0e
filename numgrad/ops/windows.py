"""Windows over the last dimensions of an array, and their largest elements, means, and the gradients of both.

A window is a range of positions in each of up to three dimensions. The ranges of all windows lie in tables, one a dimension,
so that pooling with strides and adaptive pooling are one kernel. Windows that lie inside in all dimensions are alike but for their place:
a list of taps serves them all. Gradients are added up plane by plane, one worker a plane.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from ..jit import device, empty, kernel, launch, prange
from ..jit.convolution import address
from ..jit.pooling import MOST, largest_row, means_row, spread_row
from .blame import AFFORDABLE
from .elementwise import copied
from .gemm import memory

# Places in the table: input and output sizes, steps within a window, the divisor (0: the size of the window), the distance of windows
# in the last dimension, the number of taps of an inner window, of those in a line, and where they lie, for each dimension the windows that are inner (first,
# and the one after the last), and from where on each dimension's triples (start, stop, extent) lie.
_INPUT, _OUTPUT, _STEP, _DIVISOR, _STRIDE, _COUNT, _KERNEL, _TAPS, _INNER, _TABLE = 0, 3, 6, 9, 10, 11, 12, 13, 14, 20


class Windows:
    """All windows over dimensions of given sizes. `ranges` has for each dimension (start, stop, extent) of each window.

    `inner` has for each dimension the windows that have all their elements (first, one after the last), `kernel` their sizes.
    """

    def __init__(self, sizes: Sequence[int], ranges: Sequence[Sequence[tuple[int, int, int]]], steps: Sequence[int], divisor: int = 0,
                 stride: int = 0, inner: Sequence[tuple[int, int]] = (), kernel: Sequence[int] = ()):  # fmt: skip
        self.sizes, self.output = tuple(sizes), tuple(map(len, ranges))
        missing = 3 - len(self.sizes)
        table = [triple for one in [[(0, 1, 1)]] * missing + list(ranges) for triple in one]
        inner = inner if math.prod(sizes) < 1 << 31 and 0 < stride <= MOST else []  # what the vector code can do
        inner = [(0, 1)] * missing + list(inner) if inner else [(0, 0)] * 3
        kernel, steps, whole = ((1,) * missing + tuple(v) for v in (kernel or sizes, steps, sizes))
        fits = stride and all(low < high for low, high in inner)  # where no window is inner, a kernel may be of any size
        taps = [(i * steps[0] * whole[1] + j * steps[1]) * whole[2] + k * steps[2] for i, j, k in np.ndindex(kernel)] if fits else []
        numbers = [*whole, *(1,) * missing, *self.output, *steps, divisor, stride, len(taps), kernel[2], _TABLE + 3 * len(table), *(n for pair in inner for n in pair)]
        self.table = np.concatenate([np.array(part, np.int64).reshape(-1) for part in (numbers, table, taps)])
        self.work = math.prod(sum(-(-(stop - start) // step) for start, stop, _ in one) for one, step in zip(ranges, steps[missing:], strict=True))

        self.stride, self.kernel = stride if inner[2][1] else 0, kernel[2]

    def code(self, kind: str, dtype: np.dtype, *sizes: int) -> int:
        """Where the code for rows of inner windows is."""
        return address(kind, dtype, self.stride, *sizes) if self.stride else 0

    def shape(self, x: np.ndarray) -> tuple[int, ...]:
        """The shape of the result for an input."""
        return (*x.shape[: x.ndim - len(self.sizes)], *self.output)


@functools.lru_cache(maxsize=512)
def strided(
    sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...],
    output: tuple[int, ...], count_padding: bool = True, divisor: int = 0,
) -> Windows:  # fmt: skip
    """Windows of one size at even distances. Their extent includes the padding they cover, if it counts."""
    ranges, inner = [], []
    for n, k, s, p, d, count in zip(sizes, kernel, stride, padding, dilation, output, strict=True):
        one = []
        for o in range(count):
            start, stop = o * s - p, o * s - p + d * (k - 1) + 1
            first, last = start + max(0, -(start // d)) * d, min(stop, n)
            one.append((first, max(first, last), min(stop, n + p) - start if count_padding else max(0, last - first)))
        ranges.append(one)
        low = min(count, -(-p // s))
        inner.append((low, max(low, min(count, (n - 1 - d * (k - 1) + p) // s + 1))))
    return Windows(sizes, ranges, dilation, divisor, stride[-1], inner, kernel)


@functools.lru_cache(maxsize=512)
def adaptive(sizes: tuple[int, ...], output: tuple[int, ...]) -> Windows:
    """As many windows as asked for, about equal, that cover everything."""
    if all(count and n % count == 0 for n, count in zip(sizes, output, strict=True)):
        each = tuple(n // count for n, count in zip(sizes, output, strict=True))
        return strided(sizes, each, each, (0,) * len(sizes), (1,) * len(sizes), output)
    if math.prod(output) > AFFORDABLE:
        raise MemoryError(f"adaptive pooling: a result of {list(output)} windows does not fit into memory")
    bounds = [[(o * n // count, -(-(o + 1) * n // count)) for o in range(count)] for n, count in zip(sizes, output, strict=True)]
    return Windows(sizes, [[(a, b, b - a) for a, b in one] for one in bounds], (1,) * len(sizes))


# --- kernels --------------------------------------------------------------------------------------------------------


@device
def _range(g, axis, o):  # type: ignore[no-untyped-def]
    """Where the triple of a window lies."""
    return _TABLE + 3 * (o + (g[_OUTPUT] if axis > 0 else 0) + (g[_OUTPUT + 1] if axis > 1 else 0))


@device
def _inner(g, o0, o1):  # type: ignore[no-untyped-def]
    """The windows of a row that are inner; where the first element of the first of them is."""
    low = high = g[_OUTPUT + 2]
    if g[_INNER] <= o0 and o0 < g[_INNER + 1] and g[_INNER + 2] <= o1 and o1 < g[_INNER + 3]:
        low, high = g[_INNER + 4], g[_INNER + 5]
    return low, high, (g[_range(g, 0, o0)] * g[_INPUT + 1] + g[_range(g, 1, o1)]) * g[_INPUT + 2] + (g[_range(g, 2, low)] if low < high else 0)


@device
def _largest(y, index, x, g, code, least, row):  # type: ignore[no-untyped-def]
    """One row of outputs: the largest element of each window, the last NaN if there is one, and its place in the plane.

    A window whose steps all pass by the elements has `least` and the place -1.
    """
    width, height, outputs, o1 = g[_INPUT + 2], g[_INPUT + 1], g[_OUTPUT + 2], row % g[_OUTPUT + 1]
    plane = row // g[_OUTPUT + 1]
    o0, at_x, at_y = plane % g[_OUTPUT], plane // g[_OUTPUT] * g[_INPUT] * height * width, row * outputs
    low, high, corner = _inner(g, o0, o1)
    if low < high:
        largest_row(code, g[_STRIDE], y, at_y + low, index, x, at_x, g, g[_TAPS], corner, g[_COUNT], high - low)
    r0, r1 = _range(g, 0, o0), _range(g, 1, o1)
    for j in range(outputs - high + low):
        o = j if j < low else j + high - low
        r2 = _range(g, 2, o)
        best, place = least, -1
        if g[r0] < g[r0 + 1] and g[r1] < g[r1 + 1] and g[r2] < g[r2 + 1]:
            place = (g[r0] * height + g[r1]) * width + g[r2]
            best = x[at_x + place]
        for i0 in range(g[r0], g[r0 + 1], g[_STEP]):
            for i1 in range(g[r1], g[r1 + 1], g[_STEP + 1]):
                for i2 in range(g[r2], g[r2 + 1], g[_STEP + 2]):
                    here = (i0 * height + i1) * width + i2
                    if x[at_x + here] > best or x[at_x + here] != x[at_x + here]:
                        best, place = x[at_x + here], here
        y[at_y + o], index[at_y + o] = best, place


@kernel
def _max(y, index, x, g, code, least, rows):  # type: ignore[no-untyped-def]
    for row in prange(0, rows):
        _largest(y, index, x, g, code, least, np.int64(row))


@device
def _means_of_row(adding, values, y, g, code, o0, o1, at_y):  # type: ignore[no-untyped-def]
    """The means of one row of windows; or, adding, what each window's mean y gives to the elements."""
    width, height = g[_INPUT + 2], g[_INPUT + 1]
    low, high, corner = _inner(g, o0, o1)
    if low < high:
        count = g[_DIVISOR] if g[_DIVISOR] != 0 else g[_COUNT]
        if adding:
            spread_row(code, g[_STRIDE], g[_KERNEL], values, corner, y, at_y + low, g, g[_TAPS], g[_COUNT], high - low, count)
        else:
            means_row(code, g[_STRIDE], y, at_y + low, values, corner, g, g[_TAPS], g[_COUNT], high - low, count)
    r0, r1 = _range(g, 0, o0), _range(g, 1, o1)
    for j in range(g[_OUTPUT + 2] - high + low):
        o = j if j < low else j + high - low
        r2 = _range(g, 2, o)
        count = g[_DIVISOR] if g[_DIVISOR] != 0 else g[r0 + 2] * g[r1 + 2] * g[r2 + 2]
        share, total = y[at_y + o] / count if adding else 0.0, 0.0
        for i0 in range(g[r0], g[r0 + 1]):
            for i1 in range(g[r1], g[r1 + 1]):
                for i2 in range(g[r2], g[r2 + 1]):
                    at = (i0 * height + i1) * width + i2
                    if adding:
                        values[at] += share
                    else:
                        total += values[at]
        if not adding:
            y[at_y + o] = total / count


@device
def _means_of_plane(adding, x, y, g, code, plane):  # type: ignore[no-untyped-def]
    size, at_y = g[_INPUT] * g[_INPUT + 1] * g[_INPUT + 2], plane * g[_OUTPUT] * g[_OUTPUT + 1] * g[_OUTPUT + 2]
    values = x[plane * size : (plane + 1) * size]
    if adding:
        for i in range(size):
            values[i] = 0
    for o0 in range(g[_OUTPUT]):
        for o1 in range(g[_OUTPUT + 1]):
            _means_of_row(adding, values, y, g, code, o0, o1, at_y)
            at_y += g[_OUTPUT + 2]


@kernel
def _mean(y, x, g, code, planes):  # type: ignore[no-untyped-def]
    for plane in prange(0, planes):
        _means_of_plane(0, x, y, g, code, np.int64(plane))


@kernel
def _mean_gradient(x, y, g, code, planes):  # type: ignore[no-untyped-def]
    for plane in prange(0, planes):
        _means_of_plane(1, x, y, g, code, np.int64(plane))


@device
def _scatter_plane(x, y, index, size, count, adding, plane):  # type: ignore[no-untyped-def]
    values = x[plane * size : (plane + 1) * size]
    for i in range(size):
        values[i] = 0
    for o in range(plane * count, (plane + 1) * count):
        at = np.uintp(index[o])
        if at < size:  # the place -1 stands for none
            values[at] = values[at] + y[o] if adding else y[o]


@kernel
def _scatter(x, y, index, size, count, adding, planes):  # type: ignore[no-untyped-def]
    for plane in prange(0, planes):
        _scatter_plane(x, y, index, size, count, adding, np.int64(plane))


@kernel
def _gather(y, x, index, size, count, planes):  # type: ignore[no-untyped-def]
    for plane in prange(0, planes):
        for o in range(plane * count, (plane + 1) * count):
            y[o] = x[plane * size + index[o]] if index[o] >= 0 else 0


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
        code = windows.code("largest", x.dtype, int(x.dtype.kind == "u"))
        least = x.dtype.type(-np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
        launch(_max, y.reshape(-1), index.reshape(-1), _flat(x), windows.table, code, least, rows, work=planes * windows.work)
    return y, index


def mean(x: np.ndarray, windows: Windows) -> np.ndarray:
    """The mean of each window."""
    y, planes = empty(windows.shape(x), x.dtype), _planes(x, len(windows.sizes))
    if y.size:
        launch(_mean, y.reshape(-1), _flat(x), windows.table, windows.code("means", x.dtype), planes, work=planes * windows.work)
    return y


def mean_gradient(y: np.ndarray, windows: Windows) -> np.ndarray:
    """The transpose of `mean` as a linear map."""
    planes = _planes(y, len(windows.sizes))
    x = empty((*y.shape[: y.ndim - len(windows.sizes)], *windows.sizes), y.dtype)
    if x.size:
        launch(_mean_gradient, x.reshape(-1), _flat(y), windows.table, windows.code("spread", x.dtype, windows.kernel), planes, work=planes * windows.work)
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
