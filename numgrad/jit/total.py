"""The sum of a row of floats, kept in float64: explicit vectors, for a conversion of each element costs more than its addition.

A block of vectors is summed in the row's own dtype, by a tree, in which each element meets four roundings; what comes of it is
converted once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .kernel import DISABLED, device
from .search import _I32, _I64, _longer, _Row

#: Vectors that are summed in their own dtype.
_BLOCKS = 16, 4, 1


def _tree(row: _Row, at: Any, first: int, count: int) -> Any:
    """The sum of some vectors."""
    if count == 1:
        return row.load(at, first)
    half = count // 2
    return row.builder.fadd(_tree(row, at, first, half), _tree(row, at, first + half, half))


def _widened(row: _Row, vector: Any) -> list[Any]:
    """A vector as vectors of float64 of the same size."""
    if row.scalar == ir.DoubleType():
        return [vector]
    half = row.lanes // 2
    wide = ir.VectorType(ir.DoubleType(), half)
    parts = [ir.Constant(ir.VectorType(_I32, half), list(range(start, start + half))) for start in (0, half)]
    return [row.builder.fpext(row.builder.shuffle_vector(vector, vector, part), wide) for part in parts]


def _either(builder: Any, a: Any, block: Any, b: Any, other: Any) -> Any:
    """The value that comes from one block or from another."""
    found = builder.phi(a.type)
    found.add_incoming(a, block)
    found.add_incoming(b, other)
    return found


def _emit_total(row: _Row) -> Any:
    builder = row.builder

    def add(totals: list[Any], vector: Any) -> list[Any]:
        return [builder.fadd(t, w) for t, w in zip(totals, _widened(row, vector), strict=True)]

    count = 2 if row.scalar == ir.FloatType() else 1
    wide = ir.VectorType(ir.DoubleType(), row.lanes // count)
    at, totals = row.index(0), [ir.Constant(wide, [0.0] * wide.count)] * count
    for vectors in _BLOCKS:
        at, totals = row.loop(at, vectors, totals, lambda at, totals, vectors=vectors: add(totals, _tree(row, at, 0, vectors)))
    before, left = builder.block, builder.icmp_signed("<", at, row.count)
    with builder.if_then(left):  # the last vector overlaps what was added already
        lanes = ir.VectorType(_I64, row.lanes)
        places = builder.add(ir.Constant(lanes, list(range(row.lanes))), row.splat(row.last))
        rest = builder.icmp_signed(">=", places, row.splat(at))
        more = add(totals, builder.select(rest, row.load(row.last), ir.Constant(row.vector, [0.0] * row.lanes)))
        inside = builder.block
    totals = [_either(builder, t, before, m, inside) for t, m in zip(totals, more, strict=True)]
    total = totals[0] if count == 1 else builder.fadd(*totals)
    width = wide.count
    while width > 1:
        width //= 2
        order = [(i + width) % wide.count for i in range(wide.count)]
        total = builder.fadd(total, builder.shuffle_vector(total, total, ir.Constant(ir.VectorType(_I32, wide.count), order)))
    return builder.extract_element(total, ir.Constant(_I32, 0))


if not DISABLED:

    @intrinsic
    def _total(typing_context, x):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return _emit_total(_Row(context, builder, x, arguments[0]))

        return types.float64(x), generate


@device
def total(x: Any) -> Any:
    """The sum of a row of floats, in float64."""
    if _longer(x):
        return _total(x)
    found = np.float64(0)  # which may be divided by nothing without the JIT, too
    for j in range(x.size):
        found += np.float64(x[j])
    return found
