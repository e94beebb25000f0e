"""How a matrix product is cut: what is packed, and which block, panel, slab and part is how large; for `gemm`.

A plan is worked out once for each combination of shapes, strides and dtype. Its sizes follow the CPU's registers and caches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..jit.machine import cache_bytes
from ..jit.tile import DOT_COLUMNS, DOT_ROWS, ROWS, VECTOR_BYTES, addresses
from .elementwise import collapse

# Places in a plan's numbers. The batch has an outer and an inner dimension; all steps are in elements.
UNITS, PANELS, PANELS_A, SLABS, SLAB, PARTS, DOWN, ACROSS, INNER = range(9)  # how many of each; SLAB: the depth of one
M, N, K, TALL, WIDE, DEPTH, LANES, DOTS, HAS_BIAS = range(9, 18)  # the product's and a tile's size; DEPTH: at most, of one pass
# Operands as tiles read them: where they start, and steps from one batch, tile (if packed, else 0), row and column to the next.
START_A, OUTER_A, INNER_A, PITCH_A, ROW_A, COLUMN_A = range(18, 24)
START_B, OUTER_B, INNER_B, PITCH_B, ROW_B, COLUMN_B = range(24, 30)
OUTER_Y, INNER_Y, STEP_Y, PARTS_AT, PART_Y = range(30, 35)  # PARTS_AT: where in the scratch memory parts of the depth are
OUTER_BIAS, INNER_BIAS, ROW_BIAS, COLUMN_BIAS = range(35, 39)
FROM_A, FROM_B = 39, 45  # what is packed: outer and inner count, and steps of outer, inner, depth and width
TILES = 51

#: Multiplications of one block, at least, where there are enough for several; and the blocks to aim for.
GRAIN, BLOCKS = 1 << 18, 64
#: Bytes above which an operand that is read many times is packed, and elements of the depth of one slab of it.
LARGE, SLAB_DEPTH = 1 << 20, 1024
#: Bytes of scratch memory from which a product is cut in two.
SCRATCH = 1 << 26
#: Rows up to which columns of b that lie in memory one by one are read as they are: packing would cost more than it saves.
FEW = 16


class Plan(NamedTuple):
    """What a product of two layouts needs."""

    numbers: np.ndarray
    scratch: int = 0  # elements
    work: int = 0
    swapped: bool = False  # y is one column: its transpose is computed, which is the same memory
    sums: tuple[int, ...] | None = None  # arguments of the sum over parts of the depth
    copies: tuple[bool, ...] = ()  # which of a, b and bias must be copied in full before anything else
    halve: int | None = None  # the axis of y along which a product is cut in two, as its scratch memory would be too large
    entry: Any = None  # the kernel's serial form, where the work is small


_NO_NUMBERS = np.empty(0, np.int64)


class _Matrices:
    """A batch of matrices, in two batch dimensions, in units of elements: as they are, or as panels of a packed copy."""

    def __init__(self, rows: int, columns: int, steps: Sequence[int]):
        self.rows, self.columns, (outer, inner, row, column) = rows, columns, steps
        # The stride of a dimension of size 1 is whatever suits.
        self.column = 1 if columns == 1 else column
        self.row = columns if rows == 1 and column == 1 else 1 if rows == 1 else row
        self.outer, self.inner, self.start, self.pitch = outer, inner, 0, 0

    def transposed(self) -> _Matrices:
        return _Matrices(self.columns, self.rows, (self.outer, self.inner, self.column, self.row))

    def numbers(self) -> list[int]:
        return [self.start, self.outer, self.inner, self.pitch, self.row, self.column]

    def pack(self, batch: tuple[int, int], start: int, tiles: int, pitch: int) -> tuple[list[int], int]:
        """Stand for a packed copy from now on; returns how many of what to pack, in which steps, and the number of panels."""
        outer, inner = (n if step else 1 for n, step in zip(batch, (self.outer, self.inner), strict=True))
        source = [outer, inner, self.outer, self.inner]
        self.inner = self.inner and tiles * pitch
        self.outer = self.outer and tiles * pitch * inner
        self.start, self.pitch = start, pitch
        return source, outer * inner * tiles


def plan_of(y: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None) -> Plan:
    """The plan of y = a @ b + bias; y has its elements in rows."""
    batch, (m, k), n = y.shape[:-2], a.shape[-2:], b.shape[-1]
    operands = [y, a, b] if bias is None else [y, a, b, np.broadcast_to(bias, y.shape)]
    steps = [_steps(x, batch) for x in operands]
    if k == 0:  # what has no elements has any strides
        steps[1:3] = [[0] * y.ndim for _ in range(2)]
    dims, rows = _fold(batch, m, steps)
    if len(dims) > 2:
        whole = [x.flags.c_contiguous and x.shape[:-2] == batch for x in operands[1:3]] + [bias is not None and bias.shape == y.shape and bias.flags.c_contiguous]
        return Plan(_NO_NUMBERS, copies=tuple(not w for w in whole))
    left, right = _Matrices(rows, k, steps[1]), _Matrices(k, n, steps[2])
    added = [0, 0, 0, 0] if bias is None else steps[3]
    swapped = n == 1 and rows > 1 and steps[0][2] == 1
    if swapped:
        left, right, added = right.transposed(), left.transposed(), [*added[:2], added[3], added[2]]
    if _dots(left, right) and left.column != 1:
        return Plan(_NO_NUMBERS, copies=(not swapped, swapped, False))
    found = _lay_out((dims[0], dims[1]), left, right, steps[0], added, bias is not None, swapped, a.dtype)
    if found.scratch * a.itemsize > SCRATCH and max(y.shape) >= 64:
        return Plan(_NO_NUMBERS, halve=int(np.argmax(y.shape)))
    return found


def _steps(x: np.ndarray, batch: tuple[int, ...]) -> list[int]:
    """Strides in elements over the batch's dimensions, 0 where x repeats, and over rows and columns."""
    own = [0 if n == 1 else s // x.itemsize for n, s in zip(x.shape[:-2], x.strides[:-2], strict=True)]
    return [0] * (len(batch) - len(own)) + own + [s // x.itemsize for s in x.strides[-2:]]


def _fold(batch: tuple[int, ...], m: int, steps: list[list[int]]) -> tuple[list[int], int]:
    """The batch in two dimensions (more, if it cannot be done) and the number of rows; `steps` become those of two dimensions.

    Where b has no batch of its own, and rows follow each other, all rows of the batch are one matrix.
    """
    if not any(steps[2][:-2]):
        others = [s for s in steps if s is not steps[2]]
        rows, folded = collapse((*batch, m), [s[:-1] for s in others])
        if len(rows) == 1:
            for s, row in zip(others, folded, strict=True):
                s[:-1] = [0, 0, *(row if rows[0] > 1 else s[-2:-1])]
            steps[2][:-2] = [0, 0]
            return [1, 1], rows[0]
    dims, kept = collapse(batch, [s[:-2] for s in steps])
    for s, batches in zip(steps, kept, strict=True):
        s[:-2] = [0] * (2 - len(dims)) + (batches if dims != [1] else [0])
    return [1] * (2 - len(dims)) + dims, m


def _dots(a: _Matrices, b: _Matrices) -> bool:
    """Whether tiles of dot products are to be used: few rows, and columns of b that lie in memory one by one."""
    return b.column != 1 and b.row == 1 and a.rows <= FEW


def _lay_out(
    batch: tuple[int, int], a: _Matrices, b: _Matrices, y: list[int], bias: list[int], has_bias: bool, swapped: bool, dtype: np.dtype
) -> Plan:
    m, k, n, itemsize, count = a.rows, a.columns, b.columns, dtype.itemsize, math.prod(batch)
    lanes, dots, large = VECTOR_BYTES // itemsize, _dots(a, b), LARGE // itemsize
    tall, wide = (DOT_ROWS, DOT_COLUMNS) if dots else (ROWS, 2 * lanes)
    high, broad = -(-m // tall), -(-n // wide)
    depth = max(64, min(384, cache_bytes(1) * 2 // 3 // (2 * VECTOR_BYTES)))
    multiplications, moved = count * m * n * k, count * (m * k + k * n + m * n)
    parts, down, across = _blocks(count, k, high, broad, tall, wide, min(k, depth) * itemsize, max(multiplications, 8 * moved))
    packs_a = not dots and n >= 128 and m * k > (2 * large if a.column == 1 else large)
    packs_b = not dots and k > 0 and (b.column != 1 or m >= 64 and k * n > large)
    slabs = -(-k // (SLAB_DEPTH * (4 * parts if parts > 1 else 1))) if packs_a or packs_b else 1
    slab = max(1, -(-k // slabs))
    pitch = -(-slab // lanes) * lanes
    from_a, panels_a, from_b, panels_b, scratch = [0] * 4, 0, [0] * 4, 0, 0
    from_a += [a.column, a.row]
    from_b += [b.row, b.column]
    if packs_a:
        from_a[:4], panels_a = a.pack(batch, 0, high, pitch * tall + lanes)
        a.row, a.column, scratch = 1, tall, panels_a * a.pitch
    if packs_b:
        from_b[:4], panels_b = b.pack(batch, scratch, broad, pitch * wide)
        b.row, b.column, scratch = wide, 1, scratch + panels_b * b.pitch
    sums, size = None, count * m * n
    if parts > 1:
        sums = (batch[1], m, n, *y[:2], 1 if swapped else y[2], scratch, parts, size)
        y = [batch[1] * m * n, m * n, n, 1]
    numbers = [count * parts * down * across, panels_a + panels_b, panels_a, slabs, slab, parts, down, across, batch[1],
               m, n, k, tall, wide, depth, lanes if itemsize >= 4 else 0, dots, has_bias,
               *a.numbers(), *b.numbers(), *y[:3], scratch, size, *bias, *from_a, *from_b]  # fmt: skip
    assert len(numbers) == TILES
    # The work in element operations: threads that went to sleep take as long to wake as millions of multiplications.
    work = max(multiplications * itemsize // 128, moved * itemsize // 32)
    return Plan(np.concatenate([np.array(numbers, np.int64), addresses(dtype)]), scratch + (parts * size if parts > 1 else 0),
                work, swapped, sums)  # fmt: skip


def _blocks(count: int, k: int, high: int, broad: int, tall: int, wide: int, row_bytes: int, cost: int) -> tuple[int, int, int]:
    """Parts of the depth, and blocks down and across: what the second-level cache holds, smaller if there would be few blocks."""
    down = -(-high // max(1, cache_bytes(2) // 4 // max(1, row_bytes) // tall))
    across, target = -(-broad // 8), max(1, min(BLOCKS, cost // GRAIN))
    parts = max(1, min(target // (count * high * broad), k // SLAB_DEPTH))
    while count * parts * down * across < target and (down < high or across < broad):
        if down < high and (across >= broad or high * tall * across >= broad * wide * down):
            down = min(high, 2 * down)
        else:
            across = min(broad, 2 * across)
    return parts, down, across
