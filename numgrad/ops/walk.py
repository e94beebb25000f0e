"""The order in which strided memory is walked through, and how that is cut into units of work: by shape and strides alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Elements of a unit of work; columns of a block where an operand is read across its memory; least columns of a loop.
UNIT, ACROSS, SHORT = 8192, 64, 16


#: The layout of an operand in a loop, by its stride there; "n" for others.
LETTERS = {0: "0", 1: "1", -1: "r"}


def walk(
    dims: Sequence[int], strides: Sequence[Sequence[int]], starts: Sequence[int] = ()
) -> tuple[list[int], list[list[int]], np.ndarray, int]:
    """Dimensions and strides in the order to walk through, (planes, rows, columns of a unit; planes), number of units.

    The innermost loop is over columns, the last dimension, unless it is short and another is longer; the next over rows, the
    dimension along which an operand that is read across its memory has its neighbours. The rest are planes.
    After its strides stands where an operand starts: 0, or what is given.
    """
    if len(dims) == 1:
        dims, strides = [1, *dims], [[0, *s] for s in strides]
    order = list(range(len(dims)))
    column = order[-1]
    if dims[column] < SHORT:
        column = max(reversed(order), key=lambda d: dims[d])
    order.remove(column)
    across = [s for s in strides if s[column] not in LETTERS]
    row = min(reversed(order), key=lambda d: min((abs(s[d]) for s in across if s[d]), default=0)) if across else order[-1]
    order.remove(row)
    order += [row, column]
    dims = [dims[d] for d in order]
    moved = [[*(s[d] for d in order), at] for s, at in zip(strides, starts or [0] * len(strides), strict=True)]
    *outer, rows, columns = (max(1, n) for n in dims)  # nobody walks through what is empty
    wide = min(columns, max(ACROSS, UNIT // rows) if across else UNIT)
    high = min(rows, max(1, UNIT // wide))
    planes = math.prod(outer)
    deep = max(1, UNIT // (rows * columns))
    units = -(-planes // deep) * -(-rows // high) * -(-columns // wide)
    return dims, moved, np.array([deep, high, wide, planes], np.int64), units


def in_place(out: np.ndarray | None, operands: Sequence[Any]) -> tuple[bool, ...]:
    """Which operands are the output itself, where it is worth a kernel of its own: else LLVM finds that the loop's operands
    overlap, and does not run it in vectors.
    """
    return tuple([o is out for o in operands]) if out is not None and out.size >= 2 * UNIT else ()
