"""The gradient of a convolution's weight: for each kernel row, sums over pixels of gradients times runs of the image.

Both are transposed first, part by part, so that channels are neighbours: the kernel columns of all channels are then one run of
the image, and a tile of (output channels) x (run) needs neither of them twice. Vectors lie along the run, or, where it is short,
along the output channels ("swapped"). A worker sums the tasks (image, chunk of output
places) of one part; the parts, cut by shape alone, are added up in their order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..jit import DISABLED, device, empty, get_num_threads, kernel, launch, prange
from ..jit.convolution import SHORT, TILES, address, lanes, rows_for, sums_tile
from ..jit.rearrange import first_of_line, panel_of_rows, transpose
from ..jit.threads import pool_size
from .conv_axes import Axis, forward_axis, merged, outer_sum
from .conv_plan import Layout

#: Bytes of the transposed part of an image, or of the gradient, that a task works on.
_PART = 1 << 17
#: Pixels of a part of the sum, at least, and the most parts.
_GRAIN, _PARTS = 512, 16
#: Time to transpose what a task works on, in times of a panel of features.
_TRANSPOSING = 0.25

# Places in the plan. A tile covers FEATURES_OF features, a panel, and COLUMNS_OF elements of a run, a block.
(UNITS, PARTS, GROUPS, TASKS, CHUNKS, CHANNELS, FEATURES, PLANE_X, PLANE_Y, CODE, TRANSPOSE, FEATURES_OF, COLUMNS_OF, PANELS, PANELS_AT_ONCE, BLOCKS,
 LINES, RUN, TAPS, POSITIONS, REGION_SIZE, SCRATCH, STEP_OUT, PIXELS, LAST_PIXELS, SHIFTS, PLACES, SWAPPED, GATHERS, PANEL_X, PANEL_Y,
 IMAGES, AT_ONCE, REGION_STEP, STEP_PIXEL) = range(35)  # fmt: skip
SIZE, ORIGIN, ADVANCE, REGION, HEAD = 35, 38, 41, 44, 47


@device
def _transpose_region(scratch, at, x, at_x, g, chunk, clear):  # type: ignore[no-untyped-def]
    """The part of an image that a chunk sees, channels last, zeros where it hangs over the edge: there they may be already."""
    z, y, x0 = g[ORIGIN] + chunk * g[ADVANCE], g[ORIGIN + 1] + chunk * g[ADVANCE + 1], g[ORIGIN + 2] + chunk * g[ADVANCE + 2]
    height, width, lines, line, channels, step = g[SIZE + 1], g[SIZE + 2], g[REGION + 1], g[REGION + 2], g[CHANNELS], g[STEP_PIXEL]
    top, bottom, left = max(0, -y), min(lines, height - y), max(0, -x0)
    columns = min(line, width - x0) - left
    region = scratch[at : at + g[REGION_STEP]]
    for i in range(region.size if clear else 0):
        region[i] = 0
    for k in range(max(0, -z), min(g[REGION], g[SIZE] - z)):
        to, source = at + (k * lines * line + left) * step, at_x + ((z + k) * height + y) * width + x0 + left
        if g[PANEL_X]:
            for j in range(top, bottom):
                panel_of_rows(g[PANEL_X], channels, scratch, to + j * line * step, x, source + j * width, max(0, columns), g[PLANE_X])
        elif columns == width == line:  # whole lines follow one another
            transpose(g[TRANSPOSE], scratch, to + top * line * step, x, source + top * width, channels, max(0, bottom - top) * width, step, g[PLANE_X])
        else:
            for c in range(0, channels, 16):  # a few at a time, for they are far apart
                here, away, few = to + c, source + c * g[PLANE_X], min(16, channels - c)
                for j in range(top, bottom):
                    transpose(g[TRANSPOSE], scratch, here + j * line * step, x, away + j * width, few, max(0, columns), step, g[PLANE_X])


@device
def _transpose_gradient(scratch, at, pixel, grad, source, g, first, panels, count):  # type: ignore[no-untyped-def]
    """The gradients of some panels of features, features last, from a pixel on; in panels, each fills whole lines of the cache."""
    of, features, step = g[FEATURES_OF], g[FEATURES], g[PLANE_Y]
    if g[PANEL_Y] == 0:
        transpose(g[TRANSPOSE], scratch, at, grad, source + first * of * step, min(features, panels * of) - first * of, count, g[PANELS] * of, step)
        return
    for panel in range(first, panels):
        used, to, here = min(of, features - panel * of), at + ((panel - first) * g[AT_ONCE] * g[PIXELS] + pixel) * of, source + panel * of * step
        if used == of:
            panel_of_rows(g[PANEL_Y], of, scratch, to, grad, here, count, step)
        else:
            transpose(g[TRANSPOSE], scratch, to, grad, here, used, count, of, step)


@device
def _unit(partial, grad, x, scratch, g, lane, unit):  # type: ignore[no-untyped-def]
    """One part of the sum, for some panels of features of one group."""
    across = (g[PANELS] + g[PANELS_AT_ONCE] - 1) // g[PANELS_AT_ONCE]
    part, group, first = unit // (across * g[GROUPS]), unit // across % g[GROUPS], unit % across * g[PANELS_AT_ONCE]
    panels, of, columns, swapped = min(g[PANELS], first + g[PANELS_AT_ONCE]), g[FEATURES_OF], g[COLUMNS_OF], g[SWAPPED]
    step, features = g[LINES] * g[BLOCKS] * columns, g[PANELS] * of
    rows, width, between, step_y = (columns, of, columns * of, of) if swapped else (of, columns, columns, step)
    at_y = (part * g[GROUPS] + group) * features * step
    image = first_of_line(scratch) + lane * g[SCRATCH]
    pixel = image + g[REGION_SIZE]
    start, stop = part * g[TASKS] // g[PARTS], (part + 1) * g[TASKS] // g[PARTS]
    for i in range(first * of * step if start == stop else 0, panels * of * step if start == stop else 0):
        partial[at_y + i] = 0
    stride, next_panel = (of, of * g[AT_ONCE] * g[PIXELS]) if g[PANEL_Y] else (features, of)
    for task in range(start, stop):
        chunk, from_image = task % g[CHUNKS], task // g[CHUNKS] * g[AT_ONCE]
        each, many = g[LAST_PIXELS] if chunk == g[CHUNKS] - 1 else g[PIXELS], min(g[AT_ONCE], g[IMAGES] - from_image)
        for i in range(many):
            slab = (from_image + i) * g[GROUPS] + group
            _transpose_region(scratch, image + i * g[REGION_STEP], x, slab * g[CHANNELS] * g[PLANE_X], g, chunk, task == start or g[CHUNKS] > 1)
            _transpose_gradient(scratch, pixel, i * each, grad, slab * g[FEATURES] * g[PLANE_Y] + chunk * g[STEP_OUT], g, first, panels, each)
        count = many * each
        for line in range(g[LINES]):
            for block in range(g[BLOCKS]):  # what a block reads of the image stays in the first-level cache for all panels
                at_x, to = image + g[g[SHIFTS] + line] + block * columns, at_y + (line * g[BLOCKS] + block) * between
                for panel in range(first, panels):
                    sums_tile(g[CODE], rows, width, swapped, partial, to + panel * of * step, scratch, pixel + (panel - first) * next_panel, scratch, at_x,
                              g, g[PLACES], count, step_y, stride, task - start)  # fmt: skip


@device
def _lane(partial, grad, x, scratch, g, lane, count):  # type: ignore[no-untyped-def]
    for unit in range(lane * g[UNITS] // count, (lane + 1) * g[UNITS] // count):
        _unit(partial, grad, x, scratch, g, lane, unit)


@kernel(writes=("partial", "scratch"))
def _sum_parts(partial, grad, x, scratch, g, count):  # type: ignore[no-untyped-def]
    for lane in prange(count):
        _lane(partial, grad, x, scratch, g, np.int64(lane), count)


@device
def _add_parts(partial, at, size, g):  # type: ignore[no-untyped-def]
    """Add to a piece of the first part what belongs there of the others."""
    total, step = partial[at : at + size], g[GROUPS] * g[PANELS] * g[FEATURES_OF] * g[LINES] * g[BLOCKS] * g[COLUMNS_OF]
    for part in range(1, g[PARTS]):
        more = partial[at + part * step : at + part * step + size]
        for i in range(size):
            total[i] += more[i]


@device
def _gather_row(w, partial, g, row):  # type: ignore[no-untyped-def]
    """The weights of one feature: the parts added up, then put into their order."""
    block = g[BLOCKS] * g[COLUMNS_OF]
    step, features = g[LINES] * block, g[PANELS] * g[FEATURES_OF]
    at = (row // g[FEATURES] * features + row % g[FEATURES]) * step
    _add_parts(partial, at, step, g)
    size, whole = g[CHANNELS] * g[POSITIONS], block == g[RUN]  # then the lines follow one another
    for line in range(0, g[LINES], g[LINES] if whole else 1):
        transpose(g[TRANSPOSE], w, row * size + line * g[TAPS], partial, at + line * block,
                  g[POSITIONS] if whole else g[TAPS], g[CHANNELS], g[POSITIONS], g[CHANNELS])  # fmt: skip


@device
def _gather_line(w, partial, g, unit):  # type: ignore[no-untyped-def]
    """The same for a line of weights of a panel of features, which the tiles have made neighbours."""
    line, panel, group = unit % g[LINES], unit // g[LINES] % g[PANELS], unit // (g[LINES] * g[PANELS])
    of, size = g[FEATURES_OF], g[CHANNELS] * g[POSITIONS]
    at = unit * g[BLOCKS] * g[COLUMNS_OF] * of
    _add_parts(partial, at, g[BLOCKS] * g[COLUMNS_OF] * of, g)
    to, used = (group * g[FEATURES] + panel * of) * size + line * g[TAPS], min(of, g[FEATURES] - panel * of)
    for channel in range(g[CHANNELS]):
        transpose(g[TRANSPOSE], w, to + channel * g[POSITIONS], partial, at + channel * of, g[TAPS], used, size, g[CHANNELS] * of)


@device
def _gather_unit(w, partial, g, unit):  # type: ignore[no-untyped-def]
    if g[SWAPPED]:
        _gather_line(w, partial, g, unit)
    else:
        _gather_row(w, partial, g, unit)


@kernel(writes=("w", "partial"))
def _gather(w, partial, g):  # type: ignore[no-untyped-def]
    for unit in prange(g[GATHERS]):
        _gather_unit(w, partial, g, np.int64(unit))


class _Plan(NamedTuple):
    numbers: np.ndarray
    partial: int
    scratch: int
    work: int


def _tile(run: int, features: int, dtype: np.dtype) -> tuple[int, int, bool]:
    """Rows and vectors of a tile, and whether vectors lie along features."""

    def choose(down: int, along: int, swapped: bool) -> tuple[float, int, int, bool]:
        blocks = -(-along // lanes(dtype))
        if TILES:
            return min((-(-down // r) * -(-blocks // v) * (max(r * v, 8) + 1) * (1 + 0.2 / r), -(-down // -(-down // r)), v, swapped) for r, v in TILES)
        vectors = blocks if blocks <= 3 else min((2, 3), key=lambda v: -(-blocks // v) * v)
        panels = -(-down // min(rows_for(vectors), 24))
        rows = -(-down // panels)
        return panels * -(-blocks // vectors) * max(rows * vectors, rows + vectors + 1, 8), rows, vectors, swapped

    plain, turned = choose(features, run, False), choose(run, features, True)
    return (turned if turned[0] < (0.9 if TILES else 0.8) * plain[0] else plain)[1:]


def _runs(axes: Sequence[Axis], layout: Layout, channels: int, step: int) -> tuple[np.ndarray, int, int]:
    """Where each run begins, its length, and its taps."""
    taps = [np.array([shift - a.low for _, shift in a.phases[0].taps], np.int64) for a in axes]
    whole = (np.diff(taps[2]) == 1).all()
    last = taps[2][:1] if whole else taps[2]
    shifts = outer_sum([t * n for t, n in zip((*taps[:2], last), layout.lines, strict=True)]) * step
    length = len(taps[2]) if whole else 1
    return shifts, length * channels, length


def _step_of_pixel(axes: Sequence[Axis], channels: int, dtype: np.dtype) -> int:
    """Elements from one pixel to the next: where no run is longer, an odd number of cache lines, so that pixels do not compete for places."""
    line = 64 // dtype.itemsize
    return channels + line if SHORT and axes[2].kernel == 1 and channels % (2 * line) == 0 else channels


def _at_once(images: int, parts: int, pixels: int, size: int) -> int:
    """How many images of so many pixels and bytes a task works on: where they are small, a tile sums longer before it stores."""
    each = images // parts if images % parts == 0 else 1
    return max(n for n in range(1, max(1, 256 // pixels) + 1) if each % n == 0 and (n == 1 or n * size <= 2 * _PART))


def _chunk(count: int, least: int, images: int, parts: int) -> int:
    """Places of a chunk, of at least so many: as equal as they can be, and so many that, if possible, all parts have as many chunks."""
    chunks = next((c for c in range(least, min(count, 2 * least) + 1) if images * c % parts == 0), least)
    return -(-count // chunks)


def _cuts(panels: int, units: int) -> int:
    """Into how many units the panels of a part are cut to keep all cores busy, where a unit transposes what it reads again.

    It makes no difference to the bits: a panel's sums are its own.
    """
    cores = pool_size()
    return min(range(1, panels + 1), key=lambda cuts: (-(-units * cuts // cores) * (-(-panels // cuts) + _TRANSPOSING), cuts))


@functools.lru_cache(maxsize=512)
def _make(axes: tuple[Any, ...], images: int, groups: int, channels: int, features: int, dtype: np.dtype) -> _Plan:
    """The plan; an axis is (size, out, kernel, stride, padding, dilation)."""
    made = merged([forward_axis(*axis) for axis in axes])
    split = next((i for i, a in enumerate(made) if a.count > 1), 2)
    a = made[split]
    probe = Layout(made, channels, a.count, split, dtype, in_place=False)
    step = _step_of_pixel(made, channels, dtype)
    shifts, run, taps = _runs(made, probe, channels, step)
    rows, vectors, swapped = _tile(run, features, dtype)
    of, columns = (vectors * lanes(dtype), rows) if swapped else (rows, vectors * lanes(dtype))
    panels = -(-features // of)
    rest_x = channels * math.prod(n for i, n in enumerate(probe.region) if i != split) * dtype.itemsize
    rest_y = panels * of * math.prod(b.count for i, b in enumerate(made) if i != split) * dtype.itemsize
    chunk = max(1, min(a.count, (_PART // rest_x - a.span) // a.step, _PART // rest_y))
    parts = max(1, min(_PARTS, images * a.count, images * math.prod(b.count for b in made) // _GRAIN))
    chunk = _chunk(a.count, -(-a.count // chunk), images, parts)
    layout = Layout(made, channels, chunk, split, dtype, in_place=False)
    shifts, run, taps = _runs(made, layout, channels, step)
    blocks, chunks = -(-run // columns), -(-a.count // chunk)
    pixels, region = math.prod(b.count for b in made), -(-layout.region_size * step // 64) * 64
    together = _at_once(images, parts, pixels, region * dtype.itemsize) if SHORT and chunks == 1 and not swapped and not DISABLED else 1
    tasks = -(-images // together) * chunks
    size = groups * panels * of * len(shifts) * blocks * columns
    parts = max(1, min(parts, tasks, (1 << 21) // max(1, size)))
    at_once = -(-panels // _cuts(panels, parts * groups))
    bases, _ = layout.places(layout.phases, layout.counts(layout.phases, False))
    last = math.prod(layout.counts(layout.phases, True))
    room = together * region + -(-(columns + 16) // 64) * 64
    scratch = room + -(-(together * chunk * rest_y // dtype.itemsize) // 64) * 64 + 80
    tables = [shifts, (np.arange(together)[:, None] * region + bases * step).reshape(-1)]

    def panel_of(rows: int) -> int:
        return address("panel", dtype, rows) if SHORT and not DISABLED else 0

    numbers = np.zeros(HEAD, np.int64)
    heads = {
        UNITS: parts * groups * -(-panels // at_once), PARTS: parts, GROUPS: groups, TASKS: tasks, CHUNKS: chunks, CHANNELS: channels, FEATURES: features,
        PLANE_X: math.prod(b.size for b in made), PLANE_Y: pixels, CODE: address("sums", dtype, rows, vectors, int(swapped)), TRANSPOSE: address("transpose", dtype),
        FEATURES_OF: of, COLUMNS_OF: columns, SWAPPED: swapped, GATHERS: groups * (panels * len(shifts) if swapped else features), PANELS: panels, PANELS_AT_ONCE: at_once, BLOCKS: blocks, LINES: len(shifts), RUN: run, TAPS: taps,
        POSITIONS: len(shifts) * taps, REGION_SIZE: room, IMAGES: images, AT_ONCE: together, REGION_STEP: region, STEP_PIXEL: step, SCRATCH: scratch, STEP_OUT: chunk * layout.out_lines[split], PIXELS: len(bases), LAST_PIXELS: last,
        PANEL_X: panel_of(channels) if channels < lanes(dtype) else 0, PANEL_Y: 0 if swapped else panel_of(of), SHIFTS: HEAD, PLACES: HEAD + len(shifts),
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
    launch(_sum_parts, partial, grad, x, empty(count * plan.scratch + 64, w.dtype), plan.numbers, count, work=plan.work)
    launch(_gather, w, partial, plan.numbers, work=plan.partial // 8)
