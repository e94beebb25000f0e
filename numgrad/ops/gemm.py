"""The matrix product of arrays: y[..., i, j] = bias[..., i, j] + sum over k of a[..., i, k] * b[..., k, j].

Work is cut by shape alone: y into blocks, a block into register tiles (`numgrad.jit.tile`), the depth into passes that keep a
panel of b in the first-level cache and a block of a in the second (Goto and van de Geijn 2008). Tiles read operands where they
lie, if they can: `outer_tile` needs the rows of b contiguous, `dot_tile` the rows of a and the columns of b. What fits neither,
and large operands that would be read through the cache many times, are packed into panels, a slab of the depth at a time.
Where y is small and the depth is long, parts of the depth are products of their own, summed in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import GRAIN, device, empty, kernel, launch, launch_flat, prange
from ..jit.tile import DOT_COLUMNS, DOT_ROWS, ROWS, VECTOR_BYTES, dot_tile, move_rows, outer_tile, transpose_rows
from .elementwise import broadcast_shape, copied, span

from .gemm_plan import (  # isort: skip
    ACROSS, COLUMN_A, COLUMN_B, COLUMN_BIAS, DEPTH, DOTS, DOWN, FROM_A, FROM_B, HAS_BIAS, INNER, INNER_A, INNER_B,
    INNER_BIAS, INNER_Y, LANES, OUTER_A, OUTER_B, OUTER_BIAS, OUTER_Y, PANELS, PANELS_A, PARTS, PARTS_AT, PART_Y,
    PITCH_A, PITCH_B, ROW_A, ROW_B, ROW_BIAS, SLAB, SLABS, START_A, START_B, STEP_Y, TALL, TILES, UNITS, WIDE, K, M,
    N, Plan, plan_of,
)  # fmt: skip

#: Depth of one pass of `multiply`.
PASS = 256


@device
def multiply(tiles, dots, y, at_y, step_y, a, at_a, row_a, column_a, panel_a, b, at_b, row_b, column_b, panel_b, m, n, k, accumulate):  # type: ignore[no-untyped-def]
    """y = (or +=) a times b in register tiles: of dot products, or of vectors of y's columns; the latter want column_b = 1.

    Operands with a `panel` size are packed in panels, one after another; others are read where they lie.
    """
    tall, wide = (DOT_ROWS, DOT_COLUMNS) if dots else (ROWS, 2 * VECTOR_BYTES // y.itemsize)
    for k0 in range(0, k, PASS):
        depth = min(PASS, k - k0)
        for j in range(0, n, wide):
            columns = min(wide, n - j)
            here_b = at_b + k0 * row_b + (j // wide * panel_b if panel_b else j * column_b)
            for i in range(0, m, tall):
                rows, here_y = min(tall, m - i), at_y + i * step_y + j
                here_a = at_a + k0 * column_a + (i // tall * panel_a if panel_a else i * row_a)
                if dots:
                    dot_tile(tiles, rows, columns, y, here_y, step_y, a, here_a, row_a, b, here_b, column_b, depth, accumulate)
                else:
                    outer_tile(tiles, rows, y, here_y, step_y, a, here_a, row_a, column_a, b, here_b, row_b, depth, columns, accumulate)
        accumulate = 1


@device
def _first_values(y, at, step, bias, at_bias, plan, rows, columns):  # type: ignore[no-untyped-def]
    """The bias, or 0, in every row of a block."""
    if plan[HAS_BIAS] and plan[COLUMN_BIAS] == 1:
        move_rows(plan[TILES:], 0, y, at, step, bias, at_bias, plan[ROW_BIAS], rows, columns)
        return
    for i in range(rows):
        for j in range(columns):
            y[at + i * step + j] = bias[at_bias + i * plan[ROW_BIAS] + j * plan[COLUMN_BIAS]] if plan[HAS_BIAS] else 0


@device
def _sweep(y, at_y, a, at_a, b, at_b, plan, rows, columns, first, last, accumulate):  # type: ignore[no-untyped-def]
    """Tiles [rows), [columns) of y from depth [first, last) of a slab: at_y, at_a, at_b are where y, a and b begin."""
    m, n, wide, step, dots, tiles = plan[M], plan[N], plan[WIDE], plan[STEP_Y], plan[DOTS], plan[TILES:]
    row_a, column_a, row_b, column_b = plan[ROW_A], plan[COLUMN_A], plan[ROW_B], plan[COLUMN_B]
    high, passes = (m + plan[TALL] - 1) // plan[TALL], (last - first + plan[DEPTH] - 1) // plan[DEPTH]
    tile_a, tile_b = plan[PITCH_A], plan[PITCH_B] or wide * column_b
    for p in range(passes):
        k = first + (last - first) * p // passes
        depth = first + (last - first) * (p + 1) // passes - k
        for j in range(columns[0], columns[1]):
            width, here_b = min(wide, n - j * wide), at_b + j * tile_b + k * row_b
            for i in range(rows[0], rows[1]):
                row = i * m // high
                height, here_y = (i + 1) * m // high - row, at_y + row * step + j * wide
                here_a = at_a + (i * tile_a if tile_a else row * row_a) + k * column_a
                if dots:
                    dot_tile(tiles, height, width, y, here_y, step, a, here_a, row_a, b, here_b, column_b, depth, accumulate)
                else:
                    outer_tile(tiles, height, y, here_y, step, a, here_a, row_a, column_a, b, here_b, row_b, depth, width, accumulate)
        accumulate = 1


@device
def _block(y, a, b, bias, scratch, plan, slab, unit):  # type: ignore[no-untyped-def]
    """One block of y, or of one part of the depth of it."""
    place, rest = unit % (plan[DOWN] * plan[ACROSS]), unit // (plan[DOWN] * plan[ACROSS])
    part, outer, inner = rest % plan[PARTS], rest // plan[PARTS] // plan[INNER], rest // plan[PARTS] % plan[INNER]
    down, across = place // plan[ACROSS], place % plan[ACROSS]
    m, n, wide = plan[M], plan[N], plan[WIDE]
    high, broad = (m + plan[TALL] - 1) // plan[TALL], (n + wide - 1) // wide
    rows = (down * high // plan[DOWN], (down + 1) * high // plan[DOWN])
    columns = (across * broad // plan[ACROSS], (across + 1) * broad // plan[ACROSS])
    start = slab * plan[SLAB]
    depth = min(plan[SLAB], plan[K] - start)
    at_y = outer * plan[OUTER_Y] + inner * plan[INNER_Y] + (plan[PARTS_AT] + part * plan[PART_Y] if plan[PARTS] > 1 else 0)
    at_a = plan[START_A] + outer * plan[OUTER_A] + inner * plan[INNER_A] + (0 if plan[PITCH_A] else start * plan[COLUMN_A])
    at_b = plan[START_B] + outer * plan[OUTER_B] + inner * plan[INNER_B] + (0 if plan[PITCH_B] else start * plan[ROW_B])
    out = scratch if plan[PARTS] > 1 else y
    adds = plan[HAS_BIAS] and part == 0
    if slab == 0 and (adds or plan[K] == 0):
        row, column, stop = rows[0] * m // high, columns[0] * wide, min(n, columns[1] * wide)
        at_bias = outer * plan[OUTER_BIAS] + inner * plan[INNER_BIAS] + row * plan[ROW_BIAS] + column * plan[COLUMN_BIAS]
        _first_values(out, at_y + row * plan[STEP_Y] + column, plan[STEP_Y], bias, at_bias, plan, rows[1] * m // high - row, stop - column)
    left, right = scratch if plan[PITCH_A] else a, scratch if plan[PITCH_B] else b
    first, last = depth * part // plan[PARTS], depth * (part + 1) // plan[PARTS]
    _sweep(out, at_y, left, at_a, right, at_b, plan, rows, columns, first, last, 1 if adds or slab else 0)


@device
def _pack_panel(out, at, x, start, plan, width, used, depth, step_depth, step_width):  # type: ignore[no-untyped-def]
    """out[k * width + j] = x[k * step_depth + j * step_width] for j < used, k < depth."""
    lanes, tiles = plan[LANES], plan[TILES:]
    if step_width == 1:
        move_rows(tiles, 0, out, at, width, x, start, step_depth, depth, used)
    elif step_depth == 1 and lanes:
        for j in range(0, used, lanes):  # a last group of fewer rows begins early, to end with the panel's row
            group = min(j, max(0, used - lanes))
            transpose_rows(tiles, out, at + group, width, x, start + group * step_width, step_width, min(lanes, used), depth)
    else:
        for k in range(depth):
            for j in range(used):
                out[at + k * width + j] = x[start + k * step_depth + j * step_width]


@device
def _pack(scratch, a, b, plan, slab, panel):  # type: ignore[no-untyped-def]
    """One panel of a slab of an operand."""
    is_a = panel < plan[PANELS_A]
    tall, wide, depth = plan[TALL], plan[WIDE], min(plan[SLAB], plan[K] - slab * plan[SLAB])
    numbers = plan[FROM_A:FROM_B] if is_a else plan[FROM_B:TILES]
    size = plan[M] if is_a else plan[N]
    tiles = (size + tall - 1) // tall if is_a else (size + wide - 1) // wide
    index = panel if is_a else panel - plan[PANELS_A]
    batch, tile = index // tiles, index % tiles
    first, last = (tile * size // tiles, (tile + 1) * size // tiles) if is_a else (tile * wide, min(size, (tile + 1) * wide))
    start = batch // numbers[1] * numbers[2] + batch % numbers[1] * numbers[3] + slab * plan[SLAB] * numbers[4] + first * numbers[5]
    at = plan[START_A] + index * plan[PITCH_A] if is_a else plan[START_B] + index * plan[PITCH_B]
    _pack_panel(scratch, at, a if is_a else b, start, plan, tall if is_a else wide, last - first, depth, numbers[4], numbers[5])


@kernel
def _product(y, a, b, bias, scratch, plan):  # type: ignore[no-untyped-def]
    for slab in range(plan[SLABS]):
        if plan[PANELS]:
            for panel in prange(plan[PANELS]):
                _pack(scratch, a, b, plan, slab, np.int64(panel))  # the loop counts in unsigned numbers
        for unit in prange(plan[UNITS]):
            _block(y, a, b, bias, scratch, plan, slab, np.int64(unit))


@kernel
def _sum_parts(y, scratch, inner, rows, columns, outer_y, inner_y, step_y, at, parts, size):  # type: ignore[no-untyped-def]
    for index in prange(size // columns):
        unit = np.int64(index)
        batch, row = unit // rows, unit % rows
        start = batch // inner * outer_y + batch % inner * inner_y + row * step_y
        out = y[start : start + columns]
        for part in range(parts):
            source = scratch[at + part * size + unit * columns : at + part * size + (unit + 1) * columns]
            for j in range(columns):
                out[j] = source[j] if part == 0 else out[j] + source[j]


# --- running --------------------------------------------------------------------------------------------------------

_plans: dict[Any, Plan] = {}
_nothing = {np.dtype(d): np.empty(0, d) for d in ("f4", "f8", "i1", "i2", "i4", "i8", "u1")}


def product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """a (..., m, k) times b (..., k, n), plus a bias that broadcasts to the result; leading dimensions broadcast, dtypes agree."""
    shape = (a.shape[0], b.shape[1]) if a.ndim == b.ndim == 2 else (*broadcast_shape([a.shape[:-2], b.shape[:-2]]), a.shape[-2], b.shape[-1])
    y = empty(shape, a.dtype)
    if y.size:
        _into(y, a, b, bias)
    return y


def _into(y: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None) -> None:
    """Write the product into memory; y has its elements in rows."""
    key = (a.shape, a.strides, b.shape, b.strides, y.strides, a.dtype, None if bias is None else (bias.shape, bias.strides))
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) > 2000:  # shapes that never come back must not pile up
            _plans.clear()
        plan = plan_of(y, a, b, bias)
        if plan.work < GRAIN and not plan.copies and plan.halve is None:
            plan = plan._replace(entry=_product.entry((y, a, b, y, y, plan.numbers), ()))
        _plans[key] = plan
    if plan.copies:
        shapes = (*y.shape[:-2], *a.shape[-2:]), (*y.shape[:-2], *b.shape[-2:]), y.shape
        whole = [copied(np.broadcast_to(x, s)) if c and x is not None else x for x, s, c in zip((a, b, bias), shapes, plan.copies, strict=True)]
        _into(y, *whole)  # type: ignore[arg-type]
    elif plan.halve is not None:
        for part in (0, 1):
            _into(*_half(plan.halve, part, y, a, b, bias))
    else:
        scratch = empty(plan.scratch, a.dtype) if plan.scratch else _nothing[a.dtype]
        left, right = (b, a) if plan.swapped else (a, b)
        operands = (y, left, right, _nothing[a.dtype] if bias is None else bias, scratch, plan.numbers)
        launch_flat(_product, plan.entry, operands, (), plan.work, memory)
        if plan.sums:
            launch(_sum_parts, span(y), scratch, *plan.sums, work=y.size * plan.numbers[PARTS])


def _half(axis: int, part: int, y: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None) -> Any:
    """Half of a product along an axis of y: the operands' halves, or all of those that do not have the axis."""
    middle, ending = y.shape[axis] // 2, axis - y.ndim
    chosen = slice(middle, None) if part else slice(0, middle)

    def cut(x: np.ndarray | None, shared: int) -> np.ndarray | None:
        if x is None or ending == shared or x.ndim < -ending or (x.shape[ending] == 1 < y.shape[axis]):
            return x
        return x[(..., chosen, *[slice(None)] * (-ending - 1))]

    return cut(y, 0), cut(a, -1), cut(b, -2), cut(bias, 0)


class _Writeable:
    """Stands for a read-only array where a kernel, compiled for writeable ones, only reads."""

    def __init__(self, x: np.ndarray):
        address, _ = x.__array_interface__["data"]
        self.__array_interface__ = x.__array_interface__ | {"data": (address, False)}
        self.owner = x


def memory(x: np.ndarray) -> np.ndarray:
    """An array's memory in one dimension, from its first to its last element. Only to be read."""
    flags = x.flags
    if flags.c_contiguous:
        flat = x.reshape(-1)
    else:
        flat = x.T.reshape(-1) if flags.f_contiguous else span(x)
    return flat if flags.writeable else np.asarray(_Writeable(flat))
