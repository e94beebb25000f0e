"""Rows of a matrix folded into one: explicit vectors, that stay in registers from row to row.

A loop over one row after the other reads and writes what it adds up to each time, in memory that threads that work on neighbouring columns
may have in one cache line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .emitter import VECTOR_BYTES
from .kernel import DISABLED, device

_I32, _I64 = ir.IntType(32), ir.IntType(64)
#: Vectors of columns that are folded at a time, and rows.
_WIDE, _ROWS = 4, 4


class _Matrix:
    """Some rows of a matrix, of so many columns each, and the row that they are folded into."""

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any):
        to, x = (context.make_array(kind)(context, builder, value) for kind, value in zip(kinds[:2], values[:2], strict=True))
        o, first, self.rows, begin, self.columns = values[2:]
        self.builder, self.to = builder, to.data
        _, n, self.pitch = cgutils.unpack_tuple(builder, x.shape)
        row = builder.add(builder.mul(o, n), first)
        self.data = builder.gep(x.data, [builder.add(builder.mul(row, self.pitch), begin)])
        self.scalar = context.get_value_type(kinds[0].dtype)
        self.lanes = VECTOR_BYTES * 8 // kinds[0].dtype.bitwidth

    def fold(self, fold: Callable[..., Any]) -> None:
        """Fold all columns: many vectors at a time, then one, the last over some that are done, then those that fill none."""
        builder, lanes = self.builder, self.lanes
        done = self._blocks(_I64(0), _WIDE, lanes, fold)
        done = self._blocks(done, 1, lanes, fold)
        last = builder.sub(self.columns, _I64(lanes))
        rest = builder.icmp_signed("<", done, self.columns)
        with builder.if_else(builder.and_(rest, builder.icmp_signed(">=", last, _I64(0)))) as (vector, scalars):
            with vector:
                self._block(last, 1, lanes, fold, builder.sub(done, last))
            with scalars:
                self._blocks(done, 1, 1, fold)

    def _blocks(self, at: Any, vectors: int, lanes: int, fold: Callable[..., Any]) -> Any:
        """Fold blocks of columns from there on while there are whole ones; where that ends."""
        builder, place, width = self.builder, cgutils.alloca_once_value(self.builder, at), _I64(vectors * lanes)
        head, inside, after = (builder.append_basic_block(n) for n in ("columns", "block", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        at = builder.load(place)
        builder.cbranch(builder.icmp_signed("<=", builder.add(at, width), self.columns), inside, after)
        builder.position_at_end(inside)
        self._block(at, vectors, lanes, fold)
        builder.store(builder.add(at, width), place)
        builder.branch(head)
        builder.position_at_end(after)
        return builder.load(place)

    def _block(self, at: Any, vectors: int, lanes: int, fold: Callable[..., Any], done: Any = None) -> None:
        """Fold a block of columns, of which the first may be `done`."""
        builder = self.builder
        kind = self.scalar if lanes == 1 else ir.VectorType(self.scalar, lanes)
        place, to = builder.gep(self.data, [at]), builder.gep(self.to, [at])

        def address(row: Any, vector: int) -> Any:
            return builder.bitcast(builder.gep(row, [_I64(vector * lanes)]), kind.as_pointer())

        def load(row: Any, vector: int) -> Any:
            return builder.load(address(row, vector), align=1)

        def some(count: int) -> Callable[..., list[Any]]:
            def body(row: Any, totals: list[Any]) -> list[Any]:
                rows = [row]
                for _ in range(count - 1):
                    rows.append(builder.gep(rows[-1], [self.pitch]))
                return [fold(builder, total, *[load(r, v) for r in rows]) for v, total in enumerate(totals)]

            return body

        before = [load(to, vector) for vector in range(vectors)]
        place, totals = self._rows(place, builder.sdiv(self.rows, _I64(_ROWS)), _ROWS, before, some(_ROWS))
        _, totals = self._rows(place, builder.srem(self.rows, _I64(_ROWS)), 1, totals, some(1))
        if done is not None:
            totals = [builder.select(self._first(done), before[0], totals[0])]
        for vector, total in enumerate(totals):
            builder.store(total, address(to, vector), align=1)

    def _first(self, count: Any) -> Any:
        """True for the first lanes of a vector."""
        lanes = ir.VectorType(_I64, self.lanes)
        one = self.builder.insert_element(ir.Constant(lanes, ir.Undefined), count, _I32(0))
        counts = self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes))
        return self.builder.icmp_signed("<", ir.Constant(lanes, list(range(self.lanes))), counts)

    def _rows(self, place: Any, times: Any, count: int, totals: list[Any], body: Callable[..., list[Any]]) -> tuple[Any, list[Any]]:
        """Carry totals through `times` groups of `count` rows; where they end, and what with."""
        builder, before = self.builder, self.builder.block
        head, inside, after = (builder.append_basic_block(n) for n in ("rows", "row", "folded"))
        step = builder.mul(self.pitch, _I64(count))
        builder.branch(head)
        builder.position_at_end(head)
        turn, row, carried = builder.phi(_I64), builder.phi(place.type), [builder.phi(t.type) for t in totals]
        builder.cbranch(builder.icmp_signed("<", turn, times), inside, after)
        builder.position_at_end(inside)
        new = [builder.add(turn, _I64(1)), builder.gep(row, [step]), *body(row, carried)]
        for phi, first, then in zip([turn, row, *carried], [_I64(0), place, *totals], new, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(then, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return row, carried


def _sum(builder: Any, total: Any, *rows: Any) -> Any:
    if len(rows) == 1:
        return builder.fadd(total, rows[0])
    p, q, r, s = rows
    return builder.fadd(total, builder.fadd(builder.fadd(p, q), builder.fadd(r, s)))


def _extreme(order: str) -> Callable[..., Any]:
    """What costs an instruction for each number, and half a one to see a NaN."""

    def better(builder: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_ordered(order, a, b), a, b)  # b that is NaN stays

    def fold(builder: Any, total: Any, *rows: Any) -> Any:
        best, nans = rows[0], builder.fcmp_unordered("uno", rows[0], rows[-1])
        if len(rows) > 1:
            p, q, r, s = rows
            best = better(builder, better(builder, p, q), better(builder, r, s))
            nans = builder.or_(nans, builder.fcmp_unordered("uno", q, r))
        nan = ir.Constant(total.type, [float("nan")] * total.type.count if isinstance(total.type, ir.VectorType) else float("nan"))
        return builder.select(nans, nan, better(builder, best, total))

    return fold


#: By name: what folds one or four vectors into a total, from where, and a twin in NumPy.
_FOLDS: dict[str, tuple[Callable[..., Any], float, Any]] = {
    "sum": (_sum, 0.0, np.add), "max": (_extreme(">"), float("-inf"), np.maximum), "min": (_extreme("<"), float("inf"), np.minimum),
}  # fmt: skip
#: Elements of a row from which rows are far apart, and how many of such are folded at a time: memory is read ahead along few.
_FAR, _TOGETHER = 1024, 8


def _columns(name: str) -> Any:
    fold, start, twin = _FOLDS[name]
    if DISABLED:

        def some(out: np.ndarray, x: np.ndarray, o: int, first: int, rows: int, begin: int, columns: int) -> None:
            part = x[o, first : first + rows, begin : begin + columns]
            out[:] = twin(out, twin.reduce(part, axis=0, initial=x.dtype.type(start)))

    else:

        @intrinsic
        def some(typing_context, out, x, o, first, rows, begin, columns):  # type: ignore[no-untyped-def]
            def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
                _Matrix(context, builder, signature.args, arguments).fold(fold)
                return context.get_dummy_value()

            return types.none(out, x, *[types.int64] * 5), generate

    @device(writes=("out",))
    def fold_columns(out, x, o, first, stop, begin, end):  # type: ignore[no-untyped-def]
        """Fold rows of matrix o, from `begin` to `end`, into out."""
        out[:] = start
        step = stop - first if x.shape[2] < _FAR else _TOGETHER
        while first < stop:
            some(out, x, o, first, min(step, stop - first), begin, end - begin)
            first += step

    return fold_columns


#: For kernels that fold rows.
FUNCTIONS = {name: _columns(fold) for name, fold in (("sum_columns", "sum"), ("largest_columns", "max"), ("smallest_columns", "min"))}
