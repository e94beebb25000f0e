"""The matrix product of arrays: y[..., i, j] = bias[j] + sum over k of a[..., i, k] * b[..., k, j].

Work is cut into blocks of y by shape alone. A block is made of register tiles (`numgrad.jit.tile`), which read both operands
where they lie: `outer_tile` needs the rows of b contiguous, `dot_tile` the rows of a and the columns of b. Whatever fits
neither, and large operands that would be read through the cache many times, are first packed into panels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..jit import device, empty, kernel, launch, prange
from ..jit.tile import DOT_COLUMNS, DOT_ROWS, ROWS, VECTOR_BYTES, addresses, dot_tile, outer_tile
from .elementwise import broadcast_shape, collapse, copied, span

#: Depth of one pass over a block: its panel of b then stays in the first-level cache.
DEPTH = 256
#: Multiplications of one block, at least, where there are enough for several.
GRAIN = 1 << 19
#: Bytes from which an operand that is read many times is packed.
LARGE = 1 << 19
#: Where the addresses of the tiles begin in a plan.
TILES = 19


@device
def first_values(y, at, step, bias, at_bias, step_bias, rows, columns):  # type: ignore[no-untyped-def]
    """The bias, or 0, in every row of a block."""
    for i in range(rows):
        row = y[at + i * step : at + i * step + columns]
        for j in range(columns):
            row[j] = bias[(at_bias + j) * step_bias] if bias.size else 0


@device
def multiply(tiles, dots, y, at_y, step_y, a, at_a, row_a, column_a, panel_a, b, at_b, row_b, column_b, panel_b, m, n, k, accumulate):  # type: ignore[no-untyped-def]
    """y = (or +=) a times b in register tiles: of dot products, or of vectors of y's columns; the latter want column_b = 1.

    Operands with a `panel` size are packed in panels, one after another; others are read where they lie.
    """
    tall, wide = (DOT_ROWS, DOT_COLUMNS) if dots else (ROWS, 2 * VECTOR_BYTES // y.itemsize)
    for k0 in range(0, k, DEPTH):
        depth = min(DEPTH, k - k0)
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
def _block(y, a, b, bias, plan, unit):  # type: ignore[no-untyped-def]
    """One block of y. `plan` is laid out as `_lay_out` says."""
    m, n, k, height, width, dots = plan[1], plan[2], plan[3], plan[4], plan[5], plan[6]
    row_a, column_a, row_b, column_b, panel_b, panel_a = plan[7], plan[8], plan[9], plan[10], plan[11], plan[12]
    across, down = (n + width - 1) // width, (m + height - 1) // height
    batch, place = unit // (across * down), unit % (across * down)
    i, j = place // across * height, place % across * width
    rows, columns = min(height, m - i), min(width, n - j)
    at_y = (batch * m + i) * n + j
    at_a = batch // plan[13] * plan[14] + batch % plan[13] * plan[15] + (i // ROWS * panel_a if panel_a else i * row_a)
    at_b = batch // plan[13] * plan[16] + batch % plan[13] * plan[17]
    at_b += j // (2 * VECTOR_BYTES // y.itemsize) * panel_b if panel_b else j * column_b
    if bias.size or k == 0:
        first_values(y, at_y, n, bias, j, plan[18], rows, columns)
    accumulate = 1 if bias.size else 0
    multiply(plan[TILES:], dots, y, at_y, n, a, at_a, row_a, column_a, panel_a, b, at_b, row_b, column_b, panel_b, rows, columns, k, accumulate)


@kernel
def _product(y, a, b, bias, plan):  # type: ignore[no-untyped-def]
    for unit in prange(plan[0]):
        _block(y, a, b, bias, plan, unit)


@device
def _pack_panel(out, at, x, start, depth, width, used, step_depth, step_width):  # type: ignore[no-untyped-def]
    """out[k * width + j] = x[k * step_depth + j * step_width] for j < used, else 0."""
    if step_width == 1:
        for k in range(depth):
            row = out[at + k * width : at + k * width + used]
            source = x[start + k * step_depth : start + k * step_depth + used]
            for j in range(used):
                row[j] = source[j]
    else:
        for j in range(used):
            for k in range(depth):
                out[at + k * width + j] = x[start + j * step_width + k * step_depth]
    for j in range(used, width):
        for k in range(depth):
            out[at + k * width + j] = 0


@kernel
def _pack(out, x, outer, inner, step_outer, step_inner, panels, depth, width, size, step_depth, step_width):  # type: ignore[no-untyped-def]
    for unit in prange(outer * inner * panels):
        batch, panel = unit // panels, unit % panels
        start = batch // inner * step_outer + batch % inner * step_inner + panel * width * step_width
        used = min(width, size - panel * width)
        _pack_panel(out, unit * depth * width, x, start, depth, width, used, step_depth, step_width)


# --- planning -------------------------------------------------------------------------------------------------------




class _Plan(NamedTuple):
    """What a product of two layouts needs: worked out once for each combination of shapes, strides and dtypes."""

    shape: tuple[int, ...]
    numbers: np.ndarray  # what `_block` reads
    work: int
    swapped: bool  # y is one column: its transpose is computed, which is the same memory
    pack_a: tuple[int, ...] | None  # arguments of `_pack` after out and x
    pack_b: tuple[int, ...] | None
    copies: tuple[bool, bool]  # operands that must be copied in full before anything else


class _Matrices:
    """A batch of matrices, in at most two batch dimensions, in units of elements."""

    def __init__(self, rows: int, columns: int, row: int, column: int, steps: Sequence[int]):
        self.rows, self.columns, self.steps = rows, columns, list(steps)
        # The stride of a dimension of size 1 is whatever suits.
        self.column = 1 if columns == 1 else column
        self.row = columns if rows == 1 and column == 1 else 1 if rows == 1 else row

    def transposed(self) -> _Matrices:
        return _Matrices(self.columns, self.rows, self.column, self.row, self.steps)

    def packed(self, width: int, batch: Sequence[int]) -> tuple[tuple[int, ...], int]:
        """Arguments of `_pack` for panels of `width` columns, and the size of a panel; the layout becomes the packed one."""
        outer, inner = (n if step else 1 for n, step in zip(batch, self.steps, strict=True))
        panels, size = -(-self.columns // width), self.rows * width
        arguments = (outer, inner, *self.steps, panels, self.rows, width, self.columns, self.row, self.column)
        self.steps = [step and size * panels * (inner if i == 0 else 1) for i, step in enumerate(self.steps)]
        self.row, self.column = width, 1
        return arguments, size


def _make_plan(a: np.ndarray, b: np.ndarray) -> _Plan:
    batch = broadcast_shape([a.shape[:-2], b.shape[:-2]])
    m, k, n = *a.shape[-2:], b.shape[-1]
    steps_a, steps_b = _steps(a, batch), _steps(b, batch)
    rows, (folded,) = collapse((*batch, m), [steps_a[:-1]])
    if len(rows) == 1 and not any(steps_b[:-2]):  # all rows of the batch as one matrix
        dims, kept, m = [1], [[0], [0]], rows[0]
        steps_a[-2] = folded[0]
    else:
        dims, kept = collapse(batch, [steps_a[:-2], steps_b[:-2]])
    shape = (*batch, a.shape[-2], n)
    if len(dims) > 2:
        copies = tuple(not x.flags.c_contiguous or x.shape[:-2] != batch for x in (a, b))
        return _Plan(shape, np.empty(0, np.int64), 0, False, None, None, copies)
    dims, kept = [1] * (2 - len(dims)) + dims, [[0] * (2 - len(s)) + s for s in kept]
    left, right = _Matrices(m, k, *steps_a[-2:], kept[0]), _Matrices(k, n, *steps_b[-2:], kept[1])
    swapped = n == 1 and m > 1
    if swapped:
        left, right = right.transposed(), left.transposed()
    return _lay_out(shape, dims, left, right, swapped, a.dtype)


def _lay_out(shape: tuple[int, ...], batch: Sequence[int], a: _Matrices, b: _Matrices, swapped: bool, dtype: np.dtype) -> _Plan:
    m, k, n, itemsize = a.rows, a.columns, b.columns, dtype.itemsize
    wide = 2 * VECTOR_BYTES // itemsize
    dots = b.column != 1 and b.row == 1 and (a.column == 1 or m <= n) and not (m >= 64 and k * n * itemsize >= LARGE)
    copies, pack_a, pack_b, panel_a, panel_b = (False, False), None, None, 0, 0
    if dots and a.column != 1:
        copies = (not swapped, swapped)
    elif not dots:
        if b.column != 1 or (m >= 64 and k * n * itemsize >= LARGE):
            pack_b, panel_b = b.packed(wide, batch)
        if n >= 128 and m * k * itemsize >= LARGE:
            a = a.transposed()
            pack_a, panel_a = a.packed(ROWS, batch)
            a = a.transposed()
    height, width = _block_size(math.prod(batch), m, n, k, (4 * DOT_ROWS, 4 * DOT_COLUMNS) if dots else (ROWS, wide))
    units = math.prod(batch) * -(-m // height) * -(-n // width)
    numbers = [units, m, n, k, height, width, dots, a.row, a.column, b.row, b.column, panel_b, panel_a,
               batch[1], *a.steps, *b.steps, 0 if swapped else 1]  # fmt: skip
    numbers = np.concatenate([np.array(numbers, np.int64), addresses(dtype)])
    return _Plan(shape, numbers, math.prod(batch) * m * n * k // 8, swapped, pack_a, pack_b, copies)


def _block_size(batch: int, m: int, n: int, k: int, granule: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a block: what the second-level cache holds, less if there would be few blocks."""
    height, width = (-(-128 // g) * g for g in granule)
    width *= 2
    while batch * -(-m // height) * -(-n // width) < 16 and min(height, m) * min(width, n) * k > 2 * GRAIN:
        if min(width, n) >= min(height, m) and width > granule[1]:
            width = -(-width // 2 // granule[1]) * granule[1]
        elif height > granule[0]:
            height = -(-height // 2 // granule[0]) * granule[0]
        else:
            break
    return height, width


def _steps(x: np.ndarray, batch: tuple[int, ...]) -> list[int]:
    """Strides in elements over the batch's dimensions, 0 where x repeats, and over rows and columns."""
    own = [0 if n == 1 else s // x.itemsize for n, s in zip(x.shape[:-2], x.strides[:-2], strict=True)]
    return [0] * (len(batch) - len(own)) + own + [s // x.itemsize for s in x.strides[-2:]]


_plans: dict[Any, _Plan] = {}
_nothing = {np.dtype(d): np.empty(0, d) for d in ("f4", "f8", "i1", "i2", "i4", "i8", "u1")}


def product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """a (..., m, k) times b (..., k, n), plus bias (n); leading dimensions broadcast, dtypes agree."""
    key = (a.shape, a.strides, b.shape, b.strides, a.dtype)
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) > 2000:  # shapes that never come back must not pile up
            _plans.clear()
        plan = _plans[key] = _make_plan(a, b)
    if 0 in plan.shape:
        return empty(plan.shape, a.dtype)
    if any(plan.copies):
        batch = plan.shape[:-2]
        whole = [copied(np.broadcast_to(x, (*batch, *x.shape[-2:]))) if c else x for x, c in zip((a, b), plan.copies, strict=True)]
        return product(*whole, bias)
    y = empty(plan.shape, a.dtype)
    left, right = (memory(b), memory(a)) if plan.swapped else (memory(a), memory(b))
    left, right = _packed(left, plan.pack_a), _packed(right, plan.pack_b)
    launch(_product, y.reshape(-1), left, right, _nothing[a.dtype] if bias is None else memory(bias if bias.flags.c_contiguous else copied(bias)), plan.numbers, work=plan.work)
    return y


def _packed(x: np.ndarray, pack: tuple[int, ...] | None) -> np.ndarray:
    if pack is None:
        return x
    outer, inner, _, _, panels, depth, width = pack[:7]
    out = empty(outer * inner * panels * depth * width, x.dtype)
    launch(_pack, out, x, *pack)
    return out


class _Writeable:
    """Stands for a read-only array where a kernel, compiled for writeable ones, only reads."""

    def __init__(self, x: np.ndarray):
        address, _ = x.__array_interface__["data"]
        self.__array_interface__ = x.__array_interface__ | {"data": (address, False)}
        self.owner = x


def memory(x: np.ndarray) -> np.ndarray:
    """An array's memory in one dimension, from its first to its last element. Only to be read."""
    if x.ndim == 2 and x.flags.f_contiguous:
        x = x.T
    flat = span(x)
    return flat if flat.flags.writeable else np.asarray(_Writeable(flat))
