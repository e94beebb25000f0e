"""Convolution of arrays in one, two or three dimensions: forward, and the gradients of input and weight, as matrix products.

A column matrix holds for each output pixel what the kernel sees there: a row for each (channel, kernel position). It is made
for a few output rows at a time, so that it stays in the cache (Chellapilla et al. 2006), and multiplied by the tiles of `gemm`:
the output is weight @ columns, the weight's gradient is gradient @ columns transposed, and the columns' gradient, weight
transposed @ gradient, is added up into the input's. A 1x1 kernel needs no columns: its column matrix is the input.

Tasks (image, group, output rows) are dealt to lanes: lanes run in parallel, each with its own scratch memory.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ..jit import device, empty, kernel, launch, prange
from ..jit.tile import COUNT, addresses, move_rows
from . import conv_plan
from .correlate import correlate
from .elementwise import copied
from .gemm import memory, multiply

#: Bytes of the column matrix a lane works on: it should fit in the second-level cache, with room for the rest.
_SCRATCH = 1 << 18
_LANES = 16

# Places in the geometry array; a triple holds depth, height, width.
IMAGES, GROUPS, CHANNELS, FEATURES = 0, 1, 2, 3  # channels and features (output channels) of one group
INPUT, OUTPUT, KERNEL, STRIDE, PADDING, DILATION = 4, 7, 10, 13, 16, 19
ROWS_AT_ONCE, PITCH, DIRECT, LANES, CHANNELS_AT_ONCE, TASKS, MODE, TILES = 22, 23, 24, 25, 26, 27, 28, 29
EDGES = TILES + COUNT
TO_OUTPUT, TO_INPUT, TO_WEIGHT = 0, 1, 2


@device
def _fill(out, value):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = value


@device
def _visit_columns(adding, columns, at_columns, x, at_x, g, tiles, channels, row, stop_row):  # type: ignore[no-untyped-def]
    """Fill the columns of some output rows from the input, or add them to it."""
    height, width, kernels = g[OUTPUT + 1], g[OUTPUT + 2], g[KERNEL + 1] * g[KERNEL + 2]
    for plane in range(row // height, (stop_row - 1) // height + 1):
        line, stop_line = max(0, row - plane * height), min(height, stop_row - plane * height)
        here = at_columns + (plane * height + line - row) * width
        for channel in range(channels):
            for k0 in range(g[KERNEL]):
                source = plane * g[STRIDE] + k0 * g[DILATION] - g[PADDING]
                at = at_x + (channel * g[INPUT] + source) * g[INPUT + 1] * g[INPUT + 2]
                stop = stop_line if 0 <= source < g[INPUT] else line  # a plane in the padding has no lines
                _visit_plane(adding, columns, here, x, at, g, tiles, line, stop, stop_line)
                here += kernels * g[PITCH]


@device
def _visit_plane(adding, columns, at, x, at_x, g, tiles, line, stop, stop_line):  # type: ignore[no-untyped-def]
    """Output lines of one plane, for all kernel positions in it; zeros where they hang over the edge."""
    width, across, pitch = g[OUTPUT + 2], g[STRIDE + 2], g[PITCH]
    down = g[STRIDE + 1] * g[INPUT + 2]
    for k1 in range(g[KERNEL + 1]):
        edge = EDGES + 2 * (g[KERNEL] + k1)
        first, last = max(line, g[edge]), min(stop, g[edge + 1])
        from_line = at_x + (first * g[STRIDE + 1] + k1 * g[DILATION + 1] - g[PADDING + 1]) * g[INPUT + 2] - g[PADDING + 2]
        for k2 in range(g[KERNEL + 2]):
            edge = EDGES + 2 * (g[KERNEL] + g[KERNEL + 1] + k2)
            left, right = g[edge], g[edge + 1]
            rows, run = max(0, last - first), right - left
            if not adding and rows * run < (stop_line - line) * width:
                _fill(columns[at : at + (stop_line - line) * width], 0)
            to, source = at + (first - line) * width + left, from_line + left * across + k2 * g[DILATION + 2]
            if across == 1 and adding:
                move_rows(tiles, 1, x, source, down, columns, to, width, rows, run)
            elif across == 1:
                move_rows(tiles, 0, columns, to, width, x, source, down, rows, run)
            elif adding:
                for i in range(rows):
                    for j in range(run):
                        x[source + i * down + j * across] += columns[to + i * width + j]
            else:
                for i in range(rows):
                    for j in range(run):
                        columns[to + i * width + j] = x[source + i * down + j * across]
            at += pitch


@device
def _task(out, left, right, bias, scratch, g, lane, task):  # type: ignore[no-untyped-def]
    """One task of a lane. Forward: out is y, left w, right x; input's gradient: x, w, y; weight's gradient: w, y, x."""
    mode, direct, pitch, tiles = g[MODE], g[DIRECT], g[PITCH], g[TILES:]
    lines, width = g[OUTPUT] * g[OUTPUT + 1], g[OUTPUT + 2]
    size, pixels = lines * width, g[INPUT] * g[INPUT + 1] * g[INPUT + 2]
    positions, features = g[KERNEL] * g[KERNEL + 1] * g[KERNEL + 2], g[FEATURES]
    depth, across = g[CHANNELS] * positions, (g[CHANNELS] + g[CHANNELS_AT_ONCE] - 1) // g[CHANNELS_AT_ONCE]
    blocks = across if mode == TO_INPUT else (lines + g[ROWS_AT_ONCE] - 1) // g[ROWS_AT_ONCE]
    slab, part = task // blocks, task % blocks  # a slab is one group of one image
    group = slab % g[GROUPS]
    channel = part * g[CHANNELS_AT_ONCE] if mode == TO_INPUT else 0
    channels = min(g[CHANNELS_AT_ONCE], g[CHANNELS] - channel)
    first, last = (0, lines) if mode == TO_INPUT else (part * g[ROWS_AT_ONCE], min(lines, (part + 1) * g[ROWS_AT_ONCE]))
    at_x, at_y = (slab * g[CHANNELS] + channel) * pixels, slab * features * size
    at_w = group * features * depth + channel * positions
    at_columns = lane * g[CHANNELS_AT_ONCE] * positions * pitch
    if mode == TO_INPUT:
        _fill(out[at_x : at_x + channels * pixels], 0)
    for row in range(first, last, g[ROWS_AT_ONCE]):
        stop = min(last, row + g[ROWS_AT_ONCE])
        start, run = row * width, (stop - row) * width
        if mode != TO_INPUT and not direct:
            _visit_columns(0, scratch, at_columns, right, at_x, g, tiles, channels, row, stop)
        matrix, at, step = (out if mode == TO_INPUT else right, at_x + start, size) if direct else (scratch, at_columns, pitch)
        if mode == TO_OUTPUT:  # y = w @ columns
            for i in range(features if bias.size or depth == 0 else 0):
                _fill(out[at_y + i * size + start : at_y + i * size + start + run], bias[group * features + i] if bias.size else 0)
            target, other, at_target, step_target, at_a, at_b = out, matrix, at_y + start, size, at_w, at
            row_a, column_a, row_b, column_b, m, n, k = depth, 1, step, 1, features, run, depth
        elif mode == TO_WEIGHT:  # w += y @ columns transposed
            target, other, at_target, step_target, at_a, at_b = out, matrix, at_w + lane * g[GROUPS] * features * depth, depth, at_y + start, at
            row_a, column_a, row_b, column_b, m, n, k = size, 1, 1, step, features, depth, run
        else:  # columns = w transposed @ y
            target, other, at_target, step_target, at_a, at_b = matrix, right, at, step, at_w, at_y + start
            row_a, column_a, row_b, column_b, m, n, k = 1, depth, size, 1, channels * positions, run, features
        accumulate = 1 if mode == TO_WEIGHT or mode == TO_OUTPUT and bias.size else 0
        multiply(tiles, mode == TO_WEIGHT, target, at_target, step_target, left, at_a, row_a, column_a, 0, other, at_b, row_b, column_b, 0,
                 m, n, k, accumulate)  # fmt: skip
        if mode == TO_INPUT and not direct:
            _visit_columns(1, scratch, at_columns, out, at_x, g, tiles, channels, row, stop)


@kernel
def _convolve(out, left, right, bias, scratch, g):  # type: ignore[no-untyped-def]
    for lane in prange(g[LANES]):
        if g[MODE] == TO_WEIGHT:
            size = out.size // g[LANES]
            _fill(out[lane * size : (lane + 1) * size], 0)
        for task in range(lane * g[TASKS] // g[LANES], (lane + 1) * g[TASKS] // g[LANES]):
            _task(out, left, right, bias, scratch, g, lane, task)


@kernel
def _sum_lanes(w, partial, lanes):  # type: ignore[no-untyped-def]
    for block in prange((w.size + 1023) // 1024):
        start = block * 1024
        out = w[start : min(w.size, start + 1024)]
        for i in range(out.size):
            out[i] = 0
        for lane in range(lanes):
            source = partial[lane * w.size + start : lane * w.size + start + out.size]
            for i in range(out.size):
                out[i] += source[i]


# --- geometry -------------------------------------------------------------------------------------------------------


def output_size(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    """The number of places a kernel takes in one dimension."""
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


class _Geometry(NamedTuple):
    """How a convolution, or one of its gradients, is cut into tasks."""

    output: tuple[int, ...]
    numbers: np.ndarray
    scratch: int  # elements, of all lanes
    work: int


def _three(values: tuple[Any, ...], missing: Any) -> tuple[Any, ...]:
    return (missing,) * (3 - len(values)) + values


def edges_of(size: int, out: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> list[int]:
    """For each kernel position the first output position at which it lies on the input, and the one after the last."""
    edges = []
    for k in range(kernel):
        shift = padding[0] - k * dilation
        first = min(max(0, -(-shift // stride)), out)
        edges += [first, max(first, min(out, (size - 1 + shift) // stride + 1))]
    return edges


@functools.lru_cache(maxsize=1024)
def _geometry(
    x: tuple[int, ...], w: tuple[int, ...], stride: tuple[int, ...], padding: tuple[tuple[int, int], ...], dilation: tuple[int, ...],
    groups: int, dtype: np.dtype, mode: int,
) -> _Geometry:  # fmt: skip
    """The geometry of an input and a weight shape."""
    out = tuple(map(output_size, x[2:], w[2:], stride, padding, dilation))
    direct = all(k == 1 for k in w[2:]) and all(s == 1 for s in stride) and not any(map(any, padding))
    images, channels, features, positions = x[0], w[1], w[0] // groups, math.prod(w[2:])
    lines, width = math.prod(out[:-1]), out[-1]
    spread = -(-_LANES // max(1, images * groups))  # ways to cut one slab, where there are few
    at_once = max(1, -(-channels // spread)) if mode == TO_INPUT else channels
    depth, rows = at_once * positions, lines if mode == TO_INPUT else -(-lines // spread)
    if not direct:
        rows = min(rows, _SCRATCH // max(1, depth * width * dtype.itemsize))
    rows = max(1, rows)
    # Rows of the column matrix an odd number of cache lines apart do not compete for the same place in the cache.
    line = 64 // dtype.itemsize
    pitch = (-(-rows * width // line) | 1) * line
    tasks = images * groups * (-(-channels // at_once) if mode == TO_INPUT else -(-lines // rows))
    lanes = max(1, min(tasks, _LANES))
    if mode == TO_WEIGHT:  # each lane has a weight gradient of its own
        lanes = max(1, min(lanes, max(2, (1 << 21) // max(1, math.prod(w)))))
    numbers = [images, groups, channels, features, *_three(x[2:], 1), *_three(out, 1), *_three(w[2:], 1), *_three(stride, 1),
               *_three(tuple(p for p, _ in padding), 0), *_three(dilation, 1), rows, pitch, direct, lanes, at_once, tasks, mode]  # fmt: skip
    work = images * groups * features * channels * positions * lines * width // 8
    edges = [edge for axis in zip(*(_three(v, 1) for v in (x[2:], out, w[2:], stride)), _three(padding, (0, 0)), _three(dilation, 1), strict=True)
             for edge in edges_of(*axis)]  # fmt: skip
    plan = np.concatenate([np.array(numbers, np.int64), addresses(dtype), np.array(edges, np.int64)])
    return _Geometry((images, w[0], *out), plan, 0 if direct else lanes * depth * pitch, work)


def _flat(x: np.ndarray) -> np.ndarray:
    return memory(x if x.flags.c_contiguous else copied(x))


def _run(out, left, right, bias, plan):  # type: ignore[no-untyped-def]
    bias = np.empty(0, out.dtype) if bias is None else _flat(bias)
    launch(_convolve, out, _flat(left), _flat(right), bias, empty(plan.scratch, out.dtype), plan.numbers, work=plan.work)


@functools.lru_cache(maxsize=1024)
def _correlation(x: tuple[int, ...], w: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: int, dtype: np.dtype, gradient: bool) -> tuple[Any, Any]:
    """The shape of the output, and the plan of the convolution, or that of the gradient of its input."""
    out = tuple(map(output_size, x[2:], w[2:], stride, padding, dilation))
    make_axis = conv_plan.gradient_axis if gradient else conv_plan.forward_axis
    axes = [make_axis(*axis) for axis in zip(*(_three(v, 1) for v in (x[2:], out, w[2:], stride)), _three(padding, (0, 0)), _three(dilation, 1), strict=True)]
    channels, features, positions = w[1], w[0] // groups, math.prod(w[2:])
    whole, of_feature = features * channels * positions, channels * positions
    if gradient:
        return out, conv_plan.make(axes, x[0], groups, features, channels, whole, positions, of_feature, dtype)
    return (x[0], w[0], *out), conv_plan.make(axes, x[0], groups, channels, features, whole, of_feature, positions, dtype)


def forward(x, w, bias, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """The convolution of x (N, C, *size) with w (O, C / groups, *kernel), plus bias (O); padding is (before, after) in each dimension."""
    shape, plan = _correlation(x.shape, w.shape, stride, padding, dilation, groups, x.dtype, False)
    y = empty(shape, x.dtype)
    if y.size:
        correlate(y.reshape(-1), _flat(x), _flat(w), np.empty(0, x.dtype) if bias is None else _flat(bias), plan)
    return y


def input_gradient(y, w, shape, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """The gradient of an input of a shape, given the gradient y of the output."""
    _, plan = _correlation(shape, w.shape, stride, padding, dilation, groups, y.dtype, True)
    x = empty(shape, y.dtype)
    if x.size:
        correlate(x.reshape(-1), _flat(y), _flat(w), np.empty(0, y.dtype), plan)
    return x


def weight_gradient(y, x, shape, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """The gradient of a weight of a shape, given the gradient y of the output."""
    plan = _geometry(x.shape, shape, stride, padding, dilation, groups, x.dtype, TO_WEIGHT)
    w, lanes = empty(shape, x.dtype), int(plan.numbers[LANES])
    partial = w.reshape(-1) if lanes == 1 else empty(lanes * w.size, x.dtype)
    if w.size:
        _run(partial, y, x, None, plan)
        if lanes > 1:
            launch(_sum_lanes, w.reshape(-1), partial, lanes)
    return w
