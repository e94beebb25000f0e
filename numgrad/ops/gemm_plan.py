"""How a matrix product is cut: what is packed, and which block, panel, slab and part is how large; for `gemm`.

A plan is worked out once for each combination of shapes, strides and dtype. Its sizes follow the CPU's registers and caches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..jit.machine import cache_bytes
from ..jit.sweep import TILES, address
from ..jit.threads import pool_size
from ..jit.tile import DOT_COLUMNS, DOT_ROWS, ROWS, VECTOR_BYTES, addresses
from .walk import collapse

#: Multiplications of a block, at least, where the depth is cut because y has too few; and the blocks to aim for.
GRAIN, BLOCKS = 1 << 18, 64
#: Elements of the depth of one part, at least.
PART = 1024
#: Rows up to which columns of b that lie in memory one by one are read as they are: packing would cost more than it saves.
FEW = 16
#: What could be read where it lies is packed. a: if a tile's rows are less of a cache line than LINE bytes, or neither its rows nor
#: its columns are contiguous, or its rows a multiple of CONFLICT bytes apart, where they compete for one place in the first-level
#: cache; from so many columns of y and bytes of a on. If its columns are contiguous: from so many columns of y times bytes from one
#: column of a to the next on, for these are read anew for each panel of b; and from rows of so many bytes of y on where they begin
#: anywhere in a cache line and do not stay in the first-level cache.
LINE, CONFLICT, PACK_A_N, PACK_A_BYTES, PACK_A_REACH, PACK_A_ROW = 56, 4096, 4 * VECTOR_BYTES, 1 << 18, 1 << 18, 2048
#: b: from so many rows of y on, and from this multiple of the second-level cache; or if its rows, a multiple of CONFLICT_B bytes
#: apart, compete, from so much depth on, where a panel of b is no wider than a cache line, and from more than FEW rows of y: as
#: many times more as there are places that they compete for.
PACK_B_M, PACK_B_L2, CONFLICT_B, PACK_B_K = (128, 2, 512, 1 << 62) if VECTOR_BYTES == 64 else (96, 1, 512, 32)
#: Work from which y is cut into blocks: half of it is what a compiled step, whose threads are awake, gives to a core.
SMALL = 16_384
#: Shares of the first-level cache for a panel of b, of the second for a block of a, and of the third for packed b of all threads.
L1, L2, L3 = 0.67, 0.4, 0.125
#: Time to pack an element of a and of b, in steps of a tile's depth (one multiplication of every element, a cycle a row).
PACKING = 0.5


class Plan(NamedTuple):
    """What a product of two layouts needs."""

    numbers: np.ndarray
    scratch: int = 0  # elements
    work: int = 0
    swapped: bool = False  # y is one column: its transpose is computed, which is the same memory
    sums: tuple[int, ...] | None = None  # arguments of the sum over parts of the depth
    copies: tuple[bool, ...] = ()  # which of a, b and bias must be copied in full before anything else
    entry: Any = None  # of the kernel, where operands are read where they lie


_NO_NUMBERS = np.empty(0, np.int64)


class _Matrices:
    """A batch of matrices, in two batch dimensions, in units of elements."""

    def __init__(self, rows: int, columns: int, steps: Sequence[int]):
        self.rows, self.columns, (outer, inner, row, column) = rows, columns, steps
        # The stride of a dimension of size 1 is whatever suits.
        self.column = 1 if columns == 1 else column
        self.row = columns if rows == 1 and column == 1 else 1 if rows == 1 else row
        self.outer, self.inner = outer, inner

    def transposed(self) -> _Matrices:
        return _Matrices(self.columns, self.rows, (self.outer, self.inner, self.column, self.row))


def plan_of(y: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, adds: bool = False, tail: int = 0) -> Plan:
    """The plan of y = tail(a @ b + bias), or of y = tail(y + a @ b + bias); y has its elements in rows."""
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
    return _lay_out((dims[0], dims[1]), left, right, steps[0], added, (bias is not None, adds, tail, 0), swapped, a.dtype)


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
    batch: tuple[int, int], a: _Matrices, b: _Matrices, y: list[int], bias: list[int], around: tuple[bool, bool, int, int], swapped: bool, dtype: np.dtype
) -> Plan:
    m, k, n, itemsize, count = a.rows, a.columns, b.columns, dtype.itemsize, math.prod(batch)
    lanes, dots = VECTOR_BYTES // itemsize, _dots(a, b)
    most, wide = (DOT_ROWS, DOT_COLUMNS) if dots else (ROWS, 2 * lanes)
    high, broad = -(-m // most), -(-n // wide)
    tall = -(-m // high)  # as equal as they can be
    multiplications, moved = count * m * n * k, count * (m * k + k * n + m * n)
    # The work in element operations: threads that went to sleep take as long to wake as millions of multiplications.
    computed = count * m * k * (n if dots else -(-n // lanes) * lanes)  # vectors of which only a part is stored take as long
    work = max(computed * itemsize // (2 * VECTOR_BYTES), moved * itemsize // 32)
    packs_a, packs_b = _packs(a, b, dots, itemsize)
    deepest = max(64, (1024 if dots else min(384, int(cache_bytes(1) * L1) // (2 * VECTOR_BYTES))) // lanes * lanes)
    target = min(BLOCKS, max(multiplications, 8 * moved) // GRAIN)
    parts = max(1, min(target // (count * high * broad), k // PART))
    depth = max(1, min(deepest, -(-k // parts)))
    rows = max(1, int(cache_bytes(2) * L2) // (depth * itemsize * tall))
    down, across = _blocks(count * parts, (m, tall), (n, wide), packs_a, packs_b, work) if work >= SMALL else (1, 1)
    block_rows = -(-high // down)
    block_rows = -(-block_rows // -(-block_rows // rows))
    block_columns = -(-broad // across)
    if packs_b:  # for all blocks of a at once, or, where a is short, as it is used
        place = cache_bytes(3) * L3 / pool_size() if packs_a or block_rows * down < high else cache_bytes(2) * L2
        block_columns = min(block_columns, max(1, int(place) // (depth * wide * itemsize)))
    pitch = -(-depth // lanes) * lanes
    tiles_a = [pitch * tall, pitch, 1] if dots else [pitch * tall, 1, tall]
    room_a = (-(-block_rows * tall // lanes) * lanes * pitch + lanes) if packs_a else 0
    tiles_a = tiles_a if packs_a else [tall * a.row, a.row, a.column]
    tiles_b = [pitch * wide, wide, 1] if packs_b else [wide * b.column, b.row, b.column]
    room = room_a + (block_columns * pitch * wide if packs_b else 0)
    units = count * parts * down * across
    tasks = min(units, 4 * pool_size())
    sums, size, scratch = None, count * m * n, tasks * room
    if parts > 1:
        sums = (batch[1], m, n, *y[:2], 1 if swapped else y[2], scratch, parts, size, *map(int, around[1:]))
        y = [batch[1] * m * n, m * n, n, 1]
    numbers = [units, tasks, parts, down, across, batch[1], m, n, k, tall, wide, depth, dots, address(dtype), *around,
               packs_a, packs_b, room, room_a, block_rows, block_columns, a.outer, a.inner, a.row, a.column, *tiles_a,
               b.outer, b.inner, b.row, b.column, *tiles_b, *y[:3], scratch, size, *bias]  # fmt: skip
    assert len(numbers) == TILES
    return Plan(np.concatenate([np.array(numbers, np.int64), addresses(dtype)]), scratch + (parts * size if parts > 1 else 0),
                work, swapped, sums)  # fmt: skip


def _packs(a: _Matrices, b: _Matrices, dots: bool, itemsize: int) -> tuple[bool, bool]:
    """Whether a and b are packed: if tiles cannot read them, or would read them through the cache many times."""
    m, k, n = a.rows, a.columns, b.columns
    if dots or k == 0:
        return dots and a.column != 1, False
    if a.row == 1 and ROWS * itemsize < LINE:
        reach = a.column * itemsize
        packs_a = reach * n > PACK_A_REACH or (n * itemsize >= PACK_A_ROW and reach % 64 != 0 and k * reach > cache_bytes(1))
    else:
        near = a.row == 1 or (a.column == 1 and a.row * itemsize % CONFLICT)
        packs_a = not near and n >= PACK_A_N and m * k * itemsize >= PACK_A_BYTES
    large = m >= PACK_B_M and k * n * itemsize >= PACK_B_L2 * cache_bytes(2)
    apart = math.gcd(b.row * itemsize, CONFLICT)
    crowded = apart >= CONFLICT_B and m > FEW * CONFLICT // apart and k >= PACK_B_K
    packs_b = b.column != 1 or large or crowded
    return packs_a, packs_b


def _blocks(count: int, rows: tuple[int, int], columns: tuple[int, int], packs_a: bool, packs_b: bool, work: int) -> tuple[int, int]:
    """Blocks down and across that take the least time on all cores that are worth while, with what each packs for itself.

    `rows` and `columns`: of y and of a tile. They make no difference to the bits: sums are cut by `parts` and passes alone.
    """
    best, found, cores = math.inf, (1, 1), min(pool_size(), 2 * work // SMALL)
    for down, i in _counts(*rows):
        for across, j in _counts(*columns):
            packing = packs_a * i + packs_b * j
            cost = -(-count * down * across // cores) * (i * j / columns[1] + PACKING * packing)
            if cost < best * 0.99:  # fewer and larger ones, if it makes no difference
                best, found = cost, (down, across)
    return found


def _counts(size: int, tile: int) -> list[tuple[int, int]]:
    """Numbers of blocks that so many rows or columns may be cut into, and the size of the largest."""
    tiles = -(-size // tile)
    return [(c, min(size, -(-tiles // c) * tile)) for c in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if c <= tiles]
