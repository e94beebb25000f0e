"""The gradient of a convolution's weight: for each kernel row, sums over pixels of gradients times runs of the image.

Both are transposed first, part by part, so that channels are neighbours: the kernel columns of all channels are then one run of
the image, and a tile of (output channels) x (run) needs neither of them twice. A worker sums the tasks (image, chunk of output
places) of one part; the parts, cut by shape alone, are added up in their order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..jit import device, empty, get_num_threads, kernel, launch, prange
from ..jit.convolution import address, lanes, rows_for, sums_tile, transpose
from .conv_plan import Axis, Layout, forward_axis, merged, outer_sum

#: Bytes of the transposed part of an image, or of the gradient, that a task works on.
_PART = 1 << 17
#: Pixels of a part of the sum, at least, and the most parts.
_GRAIN, _PARTS = 512, 16

# Places in the plan.
(UNITS, PARTS, GROUPS, TASKS, CHUNKS, CHANNELS, FEATURES, PLANE_X, PLANE_Y, CODE, TRANSPOSE, ROWS, WIDTH, PANELS, PANELS_AT_ONCE, BLOCKS,
 LINES, RUN, TAPS, POSITIONS, REGION_SIZE, SCRATCH, STEP_OUT, PIXELS, LAST_PIXELS, SHIFTS, PLACES) = range(27)  # fmt: skip
SIZE, ORIGIN, ADVANCE, REGION, HEAD = 27, 30, 33, 36, 39


@device
def _transpose_region(scratch, at, x, at_x, g, chunk):  # type: ignore[no-untyped-def]
    """The part of an image that a chunk sees, channels last, zeros where it hangs over the edge."""
    z, y, x0 = g[ORIGIN] + chunk * g[ADVANCE], g[ORIGIN + 1] + chunk * g[ADVANCE + 1], g[ORIGIN + 2] + chunk * g[ADVANCE + 2]
    height, width, lines, line, channels = g[SIZE + 1], g[SIZE + 2], g[REGION + 1], g[REGION + 2], g[CHANNELS]
    top, bottom, left = max(0, -y), min(lines, height - y), max(0, -x0)
    columns = min(line, width - x0) - left
    region = scratch[at : at + g[REGION_SIZE]]
    for i in range(region.size):
        region[i] = 0
    for k in range(max(0, -z), min(g[REGION], g[SIZE] - z)):
        to, source = at + (k * lines * line + left) * channels, at_x + ((z + k) * height + y) * width + x0 + left
        if columns == width == line:  # whole lines follow one another
            transpose(g[TRANSPOSE], scratch, to + top * line * channels, x, source + top * width, channels, max(0, bottom - top) * width, channels, g[PLANE_X])
        else:
            for j in range(top, bottom):
                transpose(g[TRANSPOSE], scratch, to + j * line * channels, x, source + j * width, channels, max(0, columns), channels, g[PLANE_X])


@device
def _unit(partial, grad, x, scratch, g, lane, unit):  # type: ignore[no-untyped-def]
    """One part of the sum, for some panels of features of one group."""
    across = (g[PANELS] + g[PANELS_AT_ONCE] - 1) // g[PANELS_AT_ONCE]
    part, group, first = unit // (across * g[GROUPS]), unit // across % g[GROUPS], unit % across * g[PANELS_AT_ONCE]
    panels, rows, width = min(g[PANELS], first + g[PANELS_AT_ONCE]), g[ROWS], g[WIDTH]
    step, features = g[LINES] * g[BLOCKS] * width, g[PANELS] * rows
    at_y = (part * g[GROUPS] + group) * features * step
    image, pixel = lane * g[SCRATCH], lane * g[SCRATCH] + g[REGION_SIZE]
    start, stop = part * g[TASKS] // g[PARTS], (part + 1) * g[TASKS] // g[PARTS]
    for i in range(first * rows * step if start == stop else 0, panels * rows * step if start == stop else 0):
        partial[at_y + i] = 0
    here, used = first * rows, min(g[FEATURES], panels * rows) - first * rows
    for task in range(start, stop):
        slab, chunk = task // g[CHUNKS] * g[GROUPS] + group, task % g[CHUNKS]
        count = g[LAST_PIXELS] if chunk == g[CHUNKS] - 1 else g[PIXELS]
        _transpose_region(scratch, image, x, slab * g[CHANNELS] * g[PLANE_X], g, chunk)
        source = (slab * g[FEATURES] + here) * g[PLANE_Y] + chunk * g[STEP_OUT]
        transpose(g[TRANSPOSE], scratch, pixel, grad, source, used, count, features, g[PLANE_Y])
        for line in range(g[LINES]):
            for block in range(g[BLOCKS]):  # what a block reads of the image stays in the first-level cache for all panels
                at_x, to = image + g[g[SHIFTS] + line] + block * width, at_y + (line * g[BLOCKS] + block) * width
                for panel in range(first, panels):
                    sums_tile(g[CODE], rows, width, partial, to + panel * rows * step, scratch, pixel + panel * rows - here, scratch, at_x,
                              g, g[PLACES], count, step, features, task - start)  # fmt: skip


@device
def _lane(partial, grad, x, scratch, g, lane, count):  # type: ignore[no-untyped-def]
    for unit in range(lane * g[UNITS] // count, (lane + 1) * g[UNITS] // count):
        _unit(partial, grad, x, scratch, g, lane, unit)


@kernel
def _sum_parts(partial, grad, x, scratch, g, count):  # type: ignore[no-untyped-def]
    for lane in prange(count):
        _lane(partial, grad, x, scratch, g, np.int64(lane), count)


@device
def _gather_row(w, partial, g, row):  # type: ignore[no-untyped-def]
    """The weights of one feature: the parts added up, then put into their order."""
    step, features = g[LINES] * g[BLOCKS] * g[WIDTH], g[PANELS] * g[ROWS]
    at = (row // g[FEATURES] * features + row % g[FEATURES]) * step
    total = partial[at : at + step]
    for part in range(1, g[PARTS]):
        more = partial[at + part * g[GROUPS] * features * step : at + part * g[GROUPS] * features * step + step]
        for i in range(step):
            total[i] += more[i]
    size, whole = g[CHANNELS] * g[POSITIONS], g[BLOCKS] * g[WIDTH] == g[RUN]  # then the lines follow one another
    for line in range(0, g[LINES], g[LINES] if whole else 1):
        transpose(g[TRANSPOSE], w, row * size + line * g[TAPS], partial, at + line * g[BLOCKS] * g[WIDTH],
                  g[POSITIONS] if whole else g[TAPS], g[CHANNELS], g[POSITIONS], g[CHANNELS])  # fmt: skip


@kernel
def _gather(w, partial, g):  # type: ignore[no-untyped-def]
    for row in prange(g[GROUPS] * g[FEATURES]):
        _gather_row(w, partial, g, np.int64(row))


class _Plan(NamedTuple):
    numbers: np.ndarray
    partial: int
    scratch: int
    work: int


def _tile(run: int, features: int, dtype: np.dtype) -> tuple[int, int]:
    """Rows and vectors of a tile."""
    blocks = -(-run // lanes(dtype))
    vectors = blocks if blocks <= 3 else min((2, 3), key=lambda v: -(-blocks // v) * v)
    most = min(rows_for(vectors), 24)
    return -(-features // -(-features // most)), vectors


def _runs(axes: Sequence[Axis], layout: Layout, channels: int) -> tuple[np.ndarray, int, int]:
    """Where each run begins, its length, and its taps."""
    taps = [np.array([shift - a.low for _, shift in a.phases[0].taps], np.int64) for a in axes]
    whole = (np.diff(taps[2]) == 1).all()
    last = taps[2][:1] if whole else taps[2]
    shifts = outer_sum([t * n for t, n in zip((*taps[:2], last), layout.lines, strict=True)]) * channels
    length = len(taps[2]) if whole else 1
    return shifts, length * channels, length


@functools.lru_cache(maxsize=512)
def _make(axes: tuple[Any, ...], images: int, groups: int, channels: int, features: int, dtype: np.dtype) -> _Plan:
    """The plan; an axis is (size, out, kernel, stride, padding, dilation)."""
    made = merged([forward_axis(*axis) for axis in axes])
    split = next((i for i, a in enumerate(made) if a.count > 1), 2)
    a = made[split]
    probe = Layout(made, channels, a.count, split, dtype, in_place=False)
    shifts, run, taps = _runs(made, probe, channels)
    rows, vectors = _tile(run, features, dtype)
    panels, width = -(-features // rows), vectors * lanes(dtype)
    rest_x = channels * math.prod(n for i, n in enumerate(probe.region) if i != split) * dtype.itemsize
    rest_y = panels * rows * math.prod(b.count for i, b in enumerate(made) if i != split) * dtype.itemsize
    chunk = max(1, min(a.count, (_PART // rest_x - a.span) // a.step, _PART // rest_y))
    layout = Layout(made, channels, chunk, split, dtype, in_place=False)
    shifts, run, taps = _runs(made, layout, channels)
    blocks, chunks = -(-run // width), -(-a.count // chunk)
    tasks, pixels = images * chunks, math.prod(b.count for b in made)
    parts = max(1, min(_PARTS, tasks, images * pixels // _GRAIN))
    size = groups * panels * rows * len(shifts) * blocks * width
    parts = max(1, min(parts, (1 << 21) // max(1, size)))
    cuts = min(panels, -(-_PARTS // (2 * parts * groups)))
    at_once = -(-panels // cuts)
    bases, _ = layout.places(layout.phases, layout.counts(layout.phases, False))
    last = math.prod(layout.counts(layout.phases, True))
    region = -(-(layout.region_size * channels + width + 16) // 64) * 64
    scratch = region + -(-(chunk * rest_y // dtype.itemsize) // 64) * 64 + 80
    tables = [shifts, bases * channels]
    numbers = np.zeros(HEAD, np.int64)
    heads = {
        UNITS: parts * groups * -(-panels // at_once), PARTS: parts, GROUPS: groups, TASKS: tasks, CHUNKS: chunks, CHANNELS: channels, FEATURES: features,
        PLANE_X: math.prod(b.size for b in made), PLANE_Y: pixels, CODE: address("sums", dtype, rows, vectors), TRANSPOSE: address("transpose", dtype),
        ROWS: rows, WIDTH: width, PANELS: panels, PANELS_AT_ONCE: at_once, BLOCKS: blocks, LINES: len(shifts), RUN: run, TAPS: taps,
        POSITIONS: len(shifts) * taps, REGION_SIZE: region, SCRATCH: scratch, STEP_OUT: chunk * layout.out_lines[split], PIXELS: len(bases), LAST_PIXELS: last,
        SHIFTS: HEAD, PLACES: HEAD + len(shifts),
    }  # fmt: skip
    for place, value in heads.items():
        numbers[place] = value
    for i, b in enumerate(made):
        numbers[SIZE + i], numbers[ORIGIN + i], numbers[REGION + i] = b.size, b.low, layout.region[i]
        numbers[ADVANCE + i] = chunk * b.step if i == split else 0
    work = images * groups * features * channels * len(shifts) * taps * pixels // 8
    return _Plan(np.concatenate([numbers, *tables]), parts * size, scratch, work)


def weight_gradient(w: np.ndarray, grad: np.ndarray, x: np.ndarray, axes: tuple[Any, ...], images: int, groups: int, channels: int, features: int) -> None:
    """Write into w the gradient of (groups * features, channels, kernel); all arrays in one dimension."""
    plan = _make(axes, images, groups, channels, features, w.dtype)
    count = min(get_num_threads(), int(plan.numbers[UNITS]))
    partial = empty(plan.partial, w.dtype)
    launch(_sum_parts, partial, grad, x, empty(count * plan.scratch, w.dtype), plan.numbers, count, work=plan.work)
    launch(_gather, w, partial, plan.numbers, work=plan.partial // 8)
