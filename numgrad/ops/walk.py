"""How operands lie in memory, the order in which it is walked through, and how that is cut into units: by shape and strides alone."""

from __future__ import annotations

import itertools
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


def lay_out(shape: tuple[int, ...], operands: Sequence[Any]) -> tuple[str, Any]:
    """Layout letters for a kernel (see `codegen.pointwise`), and (shape, strides, cut, units) nothing where it is flat.

    The first operand is the output (None: new memory). Dimensions that lie in memory as one, in all operands, become one.
    """
    flat, letters = True, ""
    for i, o in enumerate(operands):
        if not isinstance(o, np.ndarray):
            letters += "f" if i == 0 else "s"
        elif o.shape == shape and o.flags.c_contiguous:
            letters += "=" if i and any(in_place(operands[0], (o,))) else "f"
        elif i > 0 and (o.size == 1 or not any(o.strides)):
            letters += "s"
        else:
            flat = False
            break
    if flat:
        return letters, ()
    strides = [contiguous_strides(shape) if o is None else _strides(o, shape) for o in operands]
    dims, strides = collapse(shape, strides)
    dims, strides, cut, units = walk(dims, strides)
    letters = "".join(LETTERS.get(s[-2], "n") for s in strides)
    letters = "".join("s" if not isinstance(o, np.ndarray) and i else c for i, (o, c) in enumerate(zip(operands, letters, strict=True)))
    same = [False, *in_place(operands[0], operands[1:])]
    letters = "".join("=" if alike else c for c, alike in itertools.zip_longest(letters, same, fillvalue=False))
    return letters, (np.array(dims, np.int64), np.array(strides, np.int64), cut, units)


def contiguous_strides(shape: Sequence[int]) -> list[int]:
    """Element strides of an array in C order."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return strides[::-1]


def _strides(o: Any, shape: tuple[int, ...]) -> list[int]:
    """Element strides of an operand broadcast to a shape: 0 where it repeats."""
    if not isinstance(o, np.ndarray):
        return [0] * len(shape)
    own = [0 if n == 1 else s // o.itemsize for n, s in zip(o.shape, o.strides, strict=True)]
    return [0] * (len(shape) - o.ndim) + own


def collapse(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Merge neighbouring dimensions that every operand steps through as one, and drop those of size 1."""
    dims: list[int] = []
    kept: list[list[int]] = [[] for _ in strides]
    for d, n in enumerate(shape):
        if n == 1:
            continue
        if dims and all(k[-1] == s[d] * n for k, s in zip(kept, strides, strict=True)):
            dims[-1] *= n
            for k, s in zip(kept, strides, strict=True):
                k[-1] = s[d]
        else:
            dims.append(n)
            for k, s in zip(kept, strides, strict=True):
                k.append(s[d])
    return (dims, kept) if dims else ([1], [[1] for _ in strides])
