"""The matrix product of arrays: y[..., i, j] = bias[..., i, j] + sum over k of a[..., i, k] * b[..., k, j].

Work is cut by shape alone: y into blocks, a block into register tiles (`numgrad.jit.tile`), the depth into passes that keep a
panel of b in the first-level cache and a block of a in the second (Goto and van de Geijn 2008). Tiles read operands where they
lie, if they can: `outer_tile` needs the rows of b contiguous, `dot_tile` the rows of a and the columns of b. What fits neither,
and what would be read through the cache many times, is packed by whoever multiplies it, right before, into memory of its own:
nobody waits for anybody. Where y is small and the depth is long, parts of the depth are products of their own, summed in order.

What comes before and after costs no launch of its own. A bias (numbers HAS_BIAS, ... of the plan) is where the sums begin; with
ADDS they begin at what y holds; TAIL is the address of a function of finished elements, called for each block while it is
in the cache with what TABLE holds (`numgrad.jit.tail`). `product` takes all three. Whoever has a plan's numbers, a recorder for instance, may
copy them and set ADDS, TAIL and TABLE there: nothing else of a plan depends on these, unless PARTS > 1, where they go to `_sum_parts`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import device, empty, kernel, launch, launch_flat, prange
from ..jit import tail as tails
from ..jit.tail import finish
from ..jit.tile import DOT_COLUMNS, DOT_ROWS, ROWS, VECTOR_BYTES, dot_tile, move_rows, outer_tile
from .elementwise import broadcast_shape, copied, span
from .gemm_plan import Plan, plan_of

from ..jit.sweep import (  # isort: skip
    ACROSS, ADDS, COLUMN_A, COLUMN_BIAS, DEPTH, DOWN, HAS_BIAS, INNER, INNER_A, INNER_B, INNER_BIAS, INNER_Y, OUTER_A, OUTER_B,
    OUTER_BIAS, OUTER_Y, PARTS, PARTS_AT, PART_Y, ROOM, ROW_B, ROW_BIAS, STEP_Y, TAIL, TALL, TASKS, TILES, UNITS, WIDE, K, M, N,
    sweep,
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
def _first_values(y, at, step, bias, at_bias, plan, rows, columns, adds):  # type: ignore[no-untyped-def]
    """The bias written into every row of a block, or added to it."""
    if plan[COLUMN_BIAS] == 1:
        move_rows(plan[TILES:], adds, y, at, step, bias, at_bias, plan[ROW_BIAS], rows, columns)
        return
    for i in range(rows):
        for j in range(columns):
            value = bias[at_bias + i * plan[ROW_BIAS] + j * plan[COLUMN_BIAS]]
            y[at + i * step + j] = y[at + i * step + j] + value if adds else value


@device
def _block(y, a, b, bias, scratch, room, plan, unit):  # type: ignore[no-untyped-def]
    """One block of y, or of one part of the depth of it; `room` is where in the scratch memory it may pack."""
    place, rest = unit % (plan[DOWN] * plan[ACROSS]), unit // (plan[DOWN] * plan[ACROSS])
    part, outer, inner = rest % plan[PARTS], rest // plan[PARTS] // plan[INNER], rest // plan[PARTS] % plan[INNER]
    down, across = place // plan[ACROSS], place % plan[ACROSS]
    m, n, tall, wide = plan[M], plan[N], plan[TALL], plan[WIDE]
    high, broad = (m + tall - 1) // tall, (n + wide - 1) // wide
    rows = (down * high // plan[DOWN], (down + 1) * high // plan[DOWN])
    columns = (across * broad // plan[ACROSS], (across + 1) * broad // plan[ACROSS])
    out, adds, tail = y, plan[ADDS], plan[TAIL]
    at_y = outer * plan[OUTER_Y] + inner * plan[INNER_Y]
    if plan[PARTS] > 1:
        out, adds, tail, at_y = scratch, 0, 0, at_y + plan[PARTS_AT] + part * plan[PART_Y]
    if plan[HAS_BIAS] and part == 0:
        row, column, stop = rows[0] * tall, columns[0] * wide, min(n, columns[1] * wide)
        at_bias = outer * plan[OUTER_BIAS] + inner * plan[INNER_BIAS] + row * plan[ROW_BIAS] + column * plan[COLUMN_BIAS]
        _first_values(out, at_y + row * plan[STEP_Y] + column, plan[STEP_Y], bias, at_bias, plan, min(m, rows[1] * tall) - row, stop - column, adds)
        adds = 1
    at_a, at_b = outer * plan[OUTER_A] + inner * plan[INNER_A], outer * plan[OUTER_B] + inner * plan[INNER_B]
    first, last = plan[K] * part // plan[PARTS], plan[K] * (part + 1) // plan[PARTS]
    passes = max(1, (last - first + plan[DEPTH] - 1) // plan[DEPTH])
    for p in range(passes):
        k = first + (last - first) * p // passes
        depth = first + (last - first) * (p + 1) // passes - k
        here_a, here_b = at_a + k * plan[COLUMN_A], at_b + k * plan[ROW_B]
        last_tail = tail if p == passes - 1 else 0
        sweep(plan, out, at_y, a, here_a, b, here_b, scratch, room, rows[0], rows[1], columns[0], columns[1], depth, adds, last_tail)
        adds = 1


@kernel(writes=("y", "scratch"))
def _product(y, a, b, bias, scratch, plan):  # type: ignore[no-untyped-def]
    for task in prange(plan[TASKS]):
        t = np.int64(task)  # the loop counts in unsigned numbers
        for unit in range(t * plan[UNITS] // plan[TASKS], (t + 1) * plan[UNITS] // plan[TASKS]):
            _block(y, a, b, bias, scratch, t * plan[ROOM], plan, unit)


@kernel(writes=("y",))
def _sum_parts(y, scratch, inner, rows, columns, outer_y, inner_y, step_y, at, parts, size, adds, tail, table):  # type: ignore[no-untyped-def]
    for index in prange(size // columns):
        unit = np.int64(index)
        batch, row = unit // rows, unit % rows
        start = batch // inner * outer_y + batch % inner * inner_y + row * step_y
        out = y[start : start + columns]
        for part in range(parts):
            source = scratch[at + part * size + unit * columns : at + part * size + (unit + 1) * columns]
            for j in range(columns):
                out[j] = source[j] if part == 0 and adds == 0 else out[j] + source[j]
        if tail:
            finish(tail, y, start, columns, 1, columns, table)


# --- running --------------------------------------------------------------------------------------------------------

_plans: dict[Any, Plan] = {}
#: What stands for operands that are not there.
NOTHING = {np.dtype(d): np.empty(0, d) for d in ("f4", "f8", "i1", "i2", "i4", "i8", "u1")}


def product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None, *, out: np.ndarray | None = None, tail: str | None = None) -> np.ndarray:
    """a (..., m, k) times b (..., k, n), plus a bias that broadcasts to the result; leading dimensions broadcast, dtypes agree.

    Given `out`, of the result's shape and with its elements in rows, the product is added to what that holds. `tail` names
    what becomes of finished elements, one of `numgrad.jit.tail.TAILS`.
    """
    if out is None:
        shape = (a.shape[0], b.shape[1]) if a.ndim == b.ndim == 2 else (*broadcast_shape([a.shape[:-2], b.shape[:-2]]), a.shape[-2], b.shape[-1])
        y = empty(shape, a.dtype)
    else:
        y = out
    if y.size:
        _into(y, a, b, bias, out is not None, tail)
    return y


def accumulates(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the product of two arrays can be added to y as it lies, with `product(a, b, out=y)`."""
    if not (a.ndim == b.ndim == y.ndim >= 2 and a.dtype == b.dtype == y.dtype and a.dtype.kind != "b" and a.shape[-1] == b.shape[-2]):
        return False
    if y.shape != (*a.shape[:-1], b.shape[-1]) or a.shape[:-2] != b.shape[:-2] or y.strides[-1] != y.itemsize:
        return False
    return not (np.may_share_memory(y, a) or np.may_share_memory(y, b))


def plan_for(
    y: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, adds: bool = False, tail: str | None = None
) -> Plan:
    """The plan of a product, known or new."""
    key = (a.shape, a.strides, b.shape, b.strides, y.strides, a.dtype, None if bias is None else (bias.shape, bias.strides), adds, tail)
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) > 2000:  # shapes that never come back must not pile up
            _plans.clear()
        plan = plan_of(y, a, b, bias, adds, tails.address(a.dtype, tail) if tail else 0)
        if not plan.copies:
            plan = plan._replace(entry=_product.entry((y, a, b, y, y, plan.numbers), (), work=plan.work))
        _plans[key] = plan
    return plan


def _into(y: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, adds: bool, tail: str | None) -> None:
    """Write the product into memory, or add it; y has its elements in rows."""
    plan = plan_for(y, a, b, bias, adds, tail)
    if plan.copies:
        shapes = (*y.shape[:-2], *a.shape[-2:]), (*y.shape[:-2], *b.shape[-2:]), y.shape
        whole = [copied(np.broadcast_to(x, s)) if c and x is not None else x for x, s, c in zip((a, b, bias), shapes, plan.copies, strict=True)]
        _into(y, *whole, adds, tail)  # type: ignore[arg-type]
        return
    scratch = empty(plan.scratch, a.dtype) if plan.scratch else NOTHING[a.dtype]
    left, right = (b, a) if plan.swapped else (a, b)
    operands = (y, left, right, NOTHING[a.dtype] if bias is None else bias, scratch, plan.numbers)
    launch_flat(_product, plan.entry, operands, (), plan.work, memory)
    if plan.sums:
        launch(_sum_parts, span(y), scratch, *plan.sums, work=y.size * plan.numbers[PARTS])


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
