"""The largest or smallest number of a row, and where it is: explicit vectors, for of loops that NaN may end LLVM makes none.

Rows are one-dimensional and contiguous. One that is no multiple of a vector long ends with a vector that overlaps
the one before: an extreme does not change where numbers count twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .emitter import VECTOR_BYTES
from .intrinsics import maximum, minimum
from .kernel import DISABLED, device

_I32, _I64 = ir.IntType(32), ir.IntType(64)
#: vectors that are looked at together: one comparison alone waits for the one before
_TOGETHER = 4


class _Row:
    """A row at least a vector long, as vectors."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any):
        array = context.make_array(kind)(context, builder, value)
        self.builder, self.data, self.count = builder, array.data, builder.extract_value(array.shape, 0)
        self.scalar, self.floating = context.get_value_type(kind.dtype), isinstance(kind.dtype, types.Float)
        self.lanes = VECTOR_BYTES * 8 // kind.dtype.bitwidth
        self.vector, self.bits = (ir.VectorType(t, self.lanes) for t in (self.scalar, ir.IntType(1)))
        self.last = builder.sub(self.count, self.index(self.lanes))

    def index(self, value: int) -> Any:
        return ir.Constant(_I64, value)

    def shuffle(self, vector: Any, lanes: list[int]) -> Any:
        return self.builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(_I32, self.lanes), lanes))

    def splat(self, value: Any) -> Any:
        kind = ir.VectorType(value.type, self.lanes)
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
        return self.shuffle(first, [0] * self.lanes)

    def load(self, at: Any, further: int = 0) -> Any:
        at = self.builder.add(at, self.index(further * self.lanes))
        return self.builder.load(self.builder.bitcast(self.builder.gep(self.data, [at]), self.vector.as_pointer()), align=1)

    def whole(self, bits: Any) -> Any:
        """Bits of lanes as an integer."""
        return self.builder.bitcast(bits, ir.IntType(self.lanes))

    def loop(self, start: Any, vectors: int, carried: list[Any], body: Callable[..., list[Any]], going: Any = None) -> tuple[Any, list[Any]]:
        """Carry values through body(at, values) while so many vectors are left and `going(at, values)`; where it ended, and what with."""
        builder, before = self.builder, self.builder.block
        head, inside, after = (builder.append_basic_block(n) for n in ("head", "inside", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        at, values = builder.phi(_I64), [builder.phi(v.type) for v in carried]
        then = builder.add(at, self.index(vectors * self.lanes))
        if going is not None:
            more = builder.append_basic_block("more")
            builder.cbranch(builder.icmp_signed("<=", then, self.count), more, after)
            builder.position_at_end(more)
            builder.cbranch(going(at, values), inside, after)
        else:
            builder.cbranch(builder.icmp_signed("<=", then, self.count), inside, after)
        builder.position_at_end(inside)
        new = body(at, values)
        for phi, first, last in zip([at, *values], [start, *carried], [then, *new], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(last, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return at, values


def _extreme(order: str) -> Any:
    @intrinsic
    def extreme(typing_context, x):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return _emit_extreme(_Row(context, builder, x, arguments[0]), order)

        return x.dtype(x), generate

    return extreme


def _emit_extreme(row: _Row, order: str) -> Any:
    builder = row.builder

    def better(value: Any, best: Any) -> Any:  # one instruction; of NaN only `nans` knows
        return builder.select(builder.fcmp_ordered(order, value, best), value, best)

    def take(values: list[Any], carried: list[Any]) -> list[Any]:
        bests, nans = carried[:-1], carried[-1]
        bests[: len(values)] = [better(v, b) for v, b in zip(values, bests, strict=False)]
        for i in range(0, len(values), 2):  # one comparison sees the NaN of two
            nans = builder.or_(nans, builder.fcmp_unordered("uno", values[i], values[-1 - i]))
        return [*bests, nans]

    worst = ir.Constant(row.scalar, float("-inf" if order == ">" else "inf"))
    start = [row.splat(worst)] * _TOGETHER + [ir.Constant(row.bits, [0] * row.lanes)]
    at, carried = row.loop(row.index(0), _TOGETHER, start, lambda at, carried: take([row.load(at, i) for i in range(_TOGETHER)], carried))
    _, carried = row.loop(at, 1, carried, lambda at, carried: take([row.load(at)], carried))
    *bests, nans = take([row.load(row.last)], carried)
    best = better(better(bests[0], bests[1]), better(bests[2], bests[3]))
    width = row.lanes
    while width > 1:
        width //= 2
        best = better(row.shuffle(best, [(i + width) % row.lanes for i in range(row.lanes)]), best)
    none = builder.icmp_unsigned("==", row.whole(nans), ir.Constant(ir.IntType(row.lanes), 0))
    return builder.select(none, builder.extract_element(best, ir.Constant(_I32, 0)), ir.Constant(row.scalar, float("nan")))


@intrinsic
def _find(typing_context, x, wanted):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _emit_find(_Row(context, builder, x, arguments[0]), arguments[1])

    return types.int64(x, x.dtype), generate


def _emit_find(row: _Row, wanted: Any) -> Any:
    builder, wanted = row.builder, row.splat(wanted)
    nothing = ir.Constant(ir.IntType(row.lanes), 0)

    def found(at: Any, further: int = 0) -> Any:
        value = row.load(at, further)
        if not row.floating:
            return builder.icmp_signed("==", value, wanted)
        return builder.or_(builder.fcmp_ordered("==", value, wanted), builder.fcmp_unordered("uno", value, value))

    def among(at: Any, count: int) -> Any:
        bits = found(at)
        for i in range(1, count):
            bits = builder.or_(bits, found(at, i))
        return builder.icmp_unsigned("==", row.whole(bits), nothing)

    at, _ = row.loop(row.index(0), _TOGETHER, [], lambda at, _: [], lambda at, _: among(at, _TOGETHER))
    at, _ = row.loop(at, 1, [], lambda at, _: [], lambda at, _: among(at, 1))
    at = builder.select(builder.icmp_signed("<", at, row.last), at, row.last)
    bits = row.whole(found(at))
    place = builder.cttz(bits, ir.Constant(ir.IntType(1), 0))
    return builder.add(at, builder.zext(place, _I64) if row.lanes < 64 else place)


if DISABLED:

    def _longer(x: Any) -> Any:
        return False

    _largest = _smallest = None
else:
    _largest, _smallest = _extreme(">"), _extreme("<")

    @device
    def _longer(x):  # type: ignore[no-untyped-def]
        """Whether a row is a vector long."""
        return x.size * x.itemsize >= VECTOR_BYTES


@device
def largest(x):  # type: ignore[no-untyped-def]
    """The largest number of a row of floats; NaN if there is one, -inf of nothing."""
    if _longer(x):
        return _largest(x)
    best = x.dtype.type(-np.inf)
    for j in range(x.size):
        best = maximum(best, x[j])
    return best


@device
def smallest(x):  # type: ignore[no-untyped-def]
    """The smallest number of a row of floats; NaN if there is one, inf of nothing."""
    if _longer(x):
        return _smallest(x)
    best = x.dtype.type(np.inf)
    for j in range(x.size):
        best = minimum(best, x[j])
    return best


@device
def find(x, wanted):  # type: ignore[no-untyped-def]
    """Where in a row a number first is that is there, or NaN."""
    if _longer(x):
        return _find(x, wanted)
    place = 0
    while not (x[place] == wanted or x[place] != x[place]):
        place += 1
    return place


#: for kernels out of formulas
FUNCTIONS: dict[str, Any] = {"largest": largest, "smallest": smallest, "find": find}
