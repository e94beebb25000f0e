"""Correlations as a plan says: convolution, and the gradient of its input. The weights are packed into panels, and tiles of
`numgrad.jit.convolution` multiply them with the image where it lies, or with a copy of a part of it that has the padding.

Tasks (image, group, chunk of output places, some features) are dealt to lanes, one a thread, each with its own scratch memory. What a
task computes does not depend on its lane.
"""

from __future__ import annotations

import numpy as np

from ..jit import device, empty, get_num_threads, kernel, launch, prange
from ..jit.convolution import channels_tile, pixels_tile
from ..jit.memory import LARGE
from ..jit.rearrange import copy, first_of_line, panel_of_rows, scattered_panel, transpose
from ..jit.tail import finish
from .conv_plan import (
    ADVANCE,
    AT_ONCE,
    CHANNEL_KIND,
    CHANNELS,
    CHUNKS,
    CODE,
    COPY,
    COUNT,
    DENSE,
    DEPTH,
    ENTRY,
    FEATURES,
    GROUP_PACKED,
    GROUP_W,
    GROUPS,
    IN_PLACE,
    OFFSETS,
    ORIGIN,
    OUT,
    OUTS,
    PACKED,
    PANEL,
    PANELS,
    PANELS_AT_ONCE,
    PHASE,
    PHASES,
    PLACES,
    PLANE,
    PLANE_X,
    PLANE_Y,
    RANGES,
    REACH,
    REGION,
    ROW_OF,
    ROWS,
    RUN,
    SCRATCH,
    SIZE,
    SOURCES,
    STEP,
    STEP_OUT,
    STEP_ROW,
    STEP_W,
    STEP_X,
    STRETCH,
    STRIP,
    TABLE,
    TAIL,
    TAIL_TABLE,
    TASKS,
    TOGETHER,
    TRANSPOSE,
    VECTORS,
    WIDTH,
    Plan,
)  # fmt: skip

#: Bytes of weights from which on it pays to take memory that begins at a page.
_ALIGNED = 1 << 15


@device
def _pack_panel(out, w, bias, g, unit):  # type: ignore[no-untyped-def]
    """One panel of weights: a row of biases, then a row for each (channel, tap), `WIDTH` features long."""
    group, panel, at = unit // (g[PHASES] * g[PANELS]), unit % g[PANELS], PHASE + unit // g[PANELS] % g[PHASES] * ENTRY
    width, depth, run, sources = g[WIDTH], g[at + DEPTH], g[at + RUN], g[at + SOURCES]
    to = group * g[GROUP_PACKED] + g[at + PACKED] + panel * (1 + depth) * width
    used, source = min(width, g[FEATURES] - panel * width), group * g[GROUP_W] + panel * width * g[STEP_W]
    for i in range(width):
        out[to + i] = bias[group * g[FEATURES] + panel * width + i] if bias.size and i < used else 0
    to += width
    row_of = g[at + ROW_OF]
    if g[PANEL] and used == width:
        for k in range(0, depth, run):
            if row_of:
                scattered_panel(g[PANEL], width, out, to, w, source + g[sources + k], g, row_of + k, run, g[STEP_W])
            else:
                panel_of_rows(g[PANEL], width, out, to + k * width, w, source + g[sources + k], run, g[STEP_W])
    elif row_of:
        for k in range(depth):
            for i in range(used):
                out[to + g[row_of + k] * width + i] = w[source + i * g[STEP_W] + g[sources + k]]
    elif g[TRANSPOSE] and run > 3:
        for k in range(0, depth, run):
            transpose(g[TRANSPOSE], out, to + k * width, w, source + g[sources + k], used, run, width, g[STEP_W])
    else:
        for k in range(depth):
            for i in range(used):
                out[to + k * width + i] = w[source + i * g[STEP_W] + g[sources + k]]


@kernel(writes=("out",))
def _pack(out, w, bias, g):  # type: ignore[no-untyped-def]
    for unit in prange(g[GROUPS] * g[PHASES] * g[PANELS]):
        _pack_panel(out, w, bias, g, np.int64(unit))


@device
def copy_region(scratch, at, x, at_x, g, chunk, clear):  # type: ignore[no-untyped-def]
    """The part of an image that a chunk reads, zeros where it hangs over the edge: there they may be already."""
    z, y, x0 = g[ORIGIN] + chunk * g[ADVANCE], g[ORIGIN + 1] + chunk * g[ADVANCE + 1], g[ORIGIN + 2] + chunk * g[ADVANCE + 2]
    height, width, lines, line = g[SIZE + 1], g[SIZE + 2], g[REGION + 1], g[REGION + 2]
    top, left = max(0, -y), max(0, -x0)
    rows, columns = min(lines, height - y) - top, min(line, width - x0) - left
    region = scratch[at : at + g[CHANNELS] * g[PLANE]]
    for i in range(region.size if clear else 0):
        region[i] = 0
    for channel in range(g[CHANNELS]):
        for k in range(max(0, -z), min(g[REGION], g[SIZE] - z)):
            to = at + channel * g[PLANE] + (k * lines + top) * line + left
            source = at_x + ((channel * g[SIZE] + z + k) * height + y + top) * width + x0 + left
            copy(g[COPY], scratch, to, x, source, max(0, rows), max(0, columns), line, width)


@device
def _store(y, at_y, scratch, at, g, dense, outs, count, features):  # type: ignore[no-untyped-def]
    """Features of some places, from rows of places to rows of features."""
    if dense:
        transpose(g[TRANSPOSE], y, at_y + g[outs], scratch, at, count, features, g[PLANE_Y], g[WIDTH])
    else:
        for j in range(features):
            for i in range(count):
                y[at_y + j * g[PLANE_Y] + g[outs + i]] = scratch[at + i * g[WIDTH] + j]


@device
def _rows(y, at_y, image, at_x, w, at_w, scratch, out, g, at, last, panel, used):  # type: ignore[no-untyped-def]
    """A panel of features of the places of one phase, stored a few tiles at a time, or left in `scratch` for all phases together."""
    width, rows, run, together = g[WIDTH], g[ROWS], g[STRETCH], g[TOGETHER]
    depth, offsets, count, table, places = g[at + DEPTH], g[at + OFFSETS], g[at + COUNT + last], g[at + TABLE + last], g[at + PLACES + last]
    weights = at_w + g[at + PACKED] + panel * (1 + depth) * width
    many = count if together else (g[SCRATCH] - g[OUT]) // (rows * width) * rows
    for i in range(0, count, max(1, many)):
        stop = min(count, i + many)
        for p in range(i, stop, rows):
            channels_tile(g[CODE], rows, run, g[STEP], width, scratch, out - i * width, image, at_x, w, weights,
                          g, offsets, table + p // run, g[at + OUTS + last] + p // run, g[STEP_ROW], depth, 0)  # fmt: skip
        if not together:
            _store(y, at_y, scratch, out, g, g[TRANSPOSE] and g[at + DENSE], places + i, stop - i, used)


@device
def _task(y, x, w, scratch, g, lane, task, first_task):  # type: ignore[no-untyped-def]
    parts = (g[PANELS] + g[PANELS_AT_ONCE] - 1) // g[PANELS_AT_ONCE]
    first, place = task % parts * g[PANELS_AT_ONCE], task // parts
    chunk, slab = place % g[CHUNKS], place // g[CHUNKS] * g[AT_ONCE]
    last = 1 if chunk == g[CHUNKS] - 1 else 0
    panels, width, rows, vectors = min(g[PANELS], first + g[PANELS_AT_ONCE]), g[WIDTH], g[ROWS], g[VECTORS]
    memory = first_of_line(scratch) + lane * g[SCRATCH]
    at_x, at_y = slab * g[CHANNELS] * g[PLANE_X], slab * g[FEATURES] * g[PLANE_Y] + chunk * g[STEP_OUT]
    if g[IN_PLACE]:
        image, at_x = x, at_x + chunk * g[STEP_X]
    else:
        if first == 0 or task == first_task:  # else the task before had the same region
            for i in range(g[AT_ONCE]):
                to, source = memory + i * g[CHANNELS] * g[PLANE], at_x + i * g[CHANNELS] * g[PLANE_X]
                copy_region(scratch, to, x, source, g, chunk, task == first_task or g[CHUNKS] > 1)
        image, at_x = scratch, memory
    if g[CHANNEL_KIND]:
        out, pixels = memory + g[OUT], min(g[STEP_OUT], g[PLANE_Y] - chunk * g[STEP_OUT])
        for panel in range(first, panels):
            used, here = min(width, g[FEATURES] - panel * width), at_y + panel * width * g[PLANE_Y]
            for phase in range(g[PHASES]):
                _rows(y, here, image, at_x, w, slab % g[GROUPS] * g[GROUP_PACKED], scratch, out, g, PHASE + phase * ENTRY, last, panel, used)
            if g[TOGETHER]:
                transpose(g[TRANSPOSE], y, here, scratch, out, pixels, used, g[PLANE_Y], width)
            if g[TAIL]:
                finish(g[TAIL], y, here, g[PLANE_Y], used, min(g[STRIP], g[PLANE_Y] - chunk * g[STEP_OUT]), g[TAIL_TABLE])
        return
    for phase in range(g[PHASES]):
        at = PHASE + phase * ENTRY
        depth, offsets, count, table, ranges = g[at + DEPTH], g[at + OFFSETS], g[at + COUNT + last], g[at + TABLE + last], g[at + RANGES]
        at_w, size = slab % g[GROUPS] * g[GROUP_PACKED] + g[at + PACKED], (1 + depth) * width
        exact = 1 if g[IN_PLACE] and at_x + g[at + REACH + last] > x.size else 0
        for p in range(0, count, vectors):
            tile = 2 * (chunk * g[at + COUNT] + p) // vectors  # with ranges, a chunk is whole tiles
            start, stop = (g[ranges + tile], g[ranges + tile + 1]) if ranges else (0, depth)
            for panel in range(first, panels):
                pixels_tile(g[CODE], rows, vectors, g[STEP_ROW], y, at_y + panel * width * g[PLANE_Y], image, at_x, w, at_w + panel * size, g, offsets,
                            table + 3 * p, start, stop, g[PLANE_Y], min(width, g[FEATURES] - panel * width), exact)  # fmt: skip
    if g[TAIL]:
        features = min(g[FEATURES], panels * width) - first * width
        for i in range(g[AT_ONCE]):
            here = at_y + (i * g[FEATURES] + first * width) * g[PLANE_Y]
            finish(g[TAIL], y, here, g[PLANE_Y], features, min(g[STRIP], g[PLANE_Y] - chunk * g[STEP_OUT]), g[TAIL_TABLE])


@device
def _lane(y, x, w, scratch, g, lane, lanes):  # type: ignore[no-untyped-def]
    start = lane * g[TASKS] // lanes
    for task in range(start, (lane + 1) * g[TASKS] // lanes):
        _task(y, x, w, scratch, g, lane, task, start)


@kernel(writes=("y", "scratch"))
def _correlate(y, x, w, scratch, g, lanes):  # type: ignore[no-untyped-def]
    for lane in prange(lanes):
        _lane(y, x, w, scratch, g, np.int64(lane), lanes)


def correlate(y: np.ndarray, x: np.ndarray, w: np.ndarray, bias: np.ndarray, plan: Plan) -> None:
    """Write into y the correlation of x with w that a plan describes; all of them in one dimension."""
    size = plan.packed
    if plan.numbers[CHANNEL_KIND] and size * y.itemsize >= _ALIGNED:  # vectors of weights: none should lie across two lines of the cache
        size = max(size, LARGE // y.itemsize)
    packed = empty(size, y.dtype)
    launch(_pack, packed, w, bias, plan.numbers, work=plan.packed)  # below, a second compiled form does not pay
    lanes = min(get_num_threads(), int(plan.numbers[TASKS]))
    launch(_correlate, y, x, packed, empty(lanes * plan.scratch + 64, y.dtype), plan.numbers, lanes, work=plan.work)
