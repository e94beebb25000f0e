"""The loops of a matrix product around its register tiles, with the packing of operands, as vector code like the tiles.

One call multiplies one pass of the depth for a block of the result. What it needs to know comes as numbers, in the places named
here. Written in Python for Numba these loops take seconds to compile; this way they take milliseconds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from . import tile
from .emitter import Emitter
from .kernel import DISABLED, device
from .machine import functions
from .tail import finish
from .tile import DOT_COLUMNS, ROWS, _call, _strided

_I64 = ir.IntType(64)

# Places in a plan's numbers. The batch has an outer and an inner dimension; all steps are in elements.
UNITS, TASKS, PARTS, DOWN, ACROSS, INNER = range(6)  # how many of each; a task is one or more units, one after another
M, N, K, TALL, WIDE, DEPTH, DOTS = range(6, 13)  # the product's and a tile's size; DEPTH: at most, of one pass
SWEEP, HAS_BIAS, ADDS, TAIL, TABLE = range(13, 18)  # SWEEP, TAIL, TABLE: addresses of the loops, of a tail (or 0), and of its table
# What is packed, and where: the memory of a task has ROOM elements, b begins at AT_B; tiles that are packed at once.
PACKS_A, PACKS_B, ROOM, AT_B, BLOCK_ROWS, BLOCK_COLUMNS = range(18, 24)
# Operands as they are given, and as tiles read them: steps from one batch, row and column to the next, and from tile to tile.
OUTER_A, INNER_A, ROW_A, COLUMN_A, PITCH_A, TILE_ROW_A, TILE_COLUMN_A = range(24, 31)
OUTER_B, INNER_B, ROW_B, COLUMN_B, PITCH_B, TILE_ROW_B, TILE_COLUMN_B = range(31, 38)
OUTER_Y, INNER_Y, STEP_Y, PARTS_AT, PART_Y = range(38, 43)  # PARTS_AT: where in the scratch memory parts of the depth are
OUTER_BIAS, INNER_BIAS, ROW_BIAS, COLUMN_BIAS = range(43, 47)
TILES = 47  # from here on: `numgrad.jit.tile.addresses`


class _Emitter(Emitter):
    plan: Any = None

    @property
    def scalar_bytes(self) -> int:
        return tile.VECTOR_BYTES // self.lanes

    def begin(self, module: ir.Module, name: str, pointers: int, numbers: int) -> list[Any]:
        """Begin a function of pointers to elements, numbers, and the plan. Returns its arguments but the last."""
        kinds = [self.scalar.as_pointer()] * pointers + [_I64] * numbers + [_I64.as_pointer()]
        made = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.builder = ir.IRBuilder(made.append_basic_block("entry"))
        *arguments, self.plan = made.args
        return arguments

    def at(self, pointer: Any, *offsets: Any) -> Any:
        for offset in offsets:
            pointer = self.builder.gep(pointer, [offset])
        return pointer

    def number(self, place: int) -> Any:
        """One of the plan's numbers."""
        return self.builder.load(self.at(self.plan, self.index(place)))

    def least(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def span(self, start: Any, stop: Any, step: Any, body: Callable[[Any], None]) -> None:
        """Run body(i) for i in range(start, stop, step)."""
        builder, before = self.builder, self.builder.block
        head, inside, after = (builder.append_basic_block(n) for n in ("span", "body", "past"))
        builder.branch(head)
        builder.position_at_end(head)
        counter = builder.phi(_I64)
        counter.add_incoming(start, before)
        builder.cbranch(builder.icmp_signed("<", counter, stop), inside, after)
        builder.position_at_end(inside)
        body(counter)
        counter.add_incoming(builder.add(counter, step), builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def whether(self, condition: Any, then: Callable[[], None], otherwise: Callable[[], None]) -> None:
        with self.builder.if_else(condition) as (yes, no):
            with yes:
                then()
            with no:
                otherwise()

    def call(self, address: Any, *arguments: Any) -> None:
        shape = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
        self.builder.call(self.builder.inttoptr(address, shape.as_pointer()), arguments)

    def call_tile(self, number: Any, *arguments: Any) -> None:
        """Call a tile by its number among the addresses of its dtype."""
        self.call(self.builder.load(self.at(self.plan, self.builder.add(number, self.index(TILES)))), *arguments)

    def move(self, *arguments: Any) -> None:
        self.call_tile(self.index(tile._ROW_FUNCTIONS), *arguments)

    def transpose(self, *arguments: Any) -> None:
        self.call_tile(self.index(tile._ROW_FUNCTIONS + 2), *arguments)

    def is_one(self, value: Any) -> Any:
        return self.builder.icmp_signed("==", value, self.index(1))


def _pack(e: _Emitter, module: ir.Module) -> Any:
    """Panels of `width`: out[panel * pitch + k * width + j] = x[k * step_depth + (panel * width + j) * step_width]."""
    out, x, pitch, width, count, depth, step_depth, step_width = e.begin(module, "pack", 2, 6)
    b, zero, one, lanes, few = e.builder, e.index(0), e.index(1), e.index(e.lanes), e.index(8)

    def along_width() -> None:
        """A few rows of x at a time, from the first panel to the last: as many streams as the hardware can follow."""

        def rows(k: Any) -> None:
            here, source, height = e.at(out, b.mul(k, width)), e.at(x, b.mul(k, step_depth)), e.least(few, b.sub(depth, k))

            def panel(j: Any) -> None:
                used = e.least(width, b.sub(count, j))
                e.move(e.at(here, b.mul(b.sdiv(j, width), pitch)), width, e.at(source, j), step_depth, height, used)

            e.span(zero, count, width, panel)

        e.span(zero, depth, few, rows)

    def squares(first: Any) -> None:
        used, here = e.least(width, b.sub(count, first)), e.at(out, b.mul(b.sdiv(first, width), pitch))
        missing = b.sub(used, lanes)
        start = b.select(b.icmp_signed(">", missing, zero), missing, zero)

        def group(j: Any) -> None:  # a last group of fewer rows begins early, to end with the panel's row
            j = e.least(j, start)
            e.transpose(e.at(here, j), width, e.at(x, b.mul(b.add(first, j), step_width)), step_width, e.least(lanes, used), depth)

        e.span(zero, used, lanes, group)

    def scattered(j: Any) -> None:
        here, source = e.at(out, b.mul(b.sdiv(j, width), pitch), b.srem(j, width)), e.at(x, b.mul(j, step_width))
        e.span(zero, depth, one, lambda k: b.store(b.load(e.at(source, b.mul(k, step_depth))), e.at(here, b.mul(k, width))))

    def otherwise() -> None:
        fast = b.and_(e.is_one(step_depth), ir.Constant(ir.IntType(1), int(e.scalar_bytes >= 4)))
        e.whether(fast, lambda: e.span(zero, count, width, squares), lambda: e.span(zero, count, one, scattered))

    e.whether(e.is_one(step_width), along_width, otherwise)
    b.ret_void()
    return module.globals["pack"]


def _pack_rows(e: _Emitter, module: ir.Module) -> Any:
    """Rows for tiles of dot products: out[i * pitch + k] = x[k * step_depth + i * step_row]."""
    out, x, pitch, count, depth, step_depth, step_row = e.begin(module, "pack_rows", 2, 5)
    b, zero, one, lanes = e.builder, e.index(0), e.index(1), e.index(e.lanes)

    def squares(k: Any) -> None:
        e.transpose(e.at(out, k), pitch, e.at(x, b.mul(k, step_depth)), step_depth, e.least(lanes, b.sub(depth, k)), count)

    def row(i: Any) -> None:
        here, source = e.at(out, b.mul(i, pitch)), e.at(x, b.mul(i, step_row))
        e.span(zero, depth, one, lambda k: b.store(b.load(e.at(source, b.mul(k, step_depth))), e.at(here, k)))

    fast = b.and_(e.is_one(step_row), ir.Constant(ir.IntType(1), int(e.scalar_bytes >= 4)))
    e.whether(fast, lambda: e.span(zero, depth, lanes, squares), lambda: e.span(zero, count, one, row))
    b.ret_void()
    return module.globals["pack_rows"]


def _sweep(e: _Emitter, module: ir.Module, pack: Any, pack_rows: Any) -> None:
    y, a, b, room, first_row, last_row, first, last, depth, adds, tail = e.begin(module, "sweep", 4, 7)
    build, one = e.builder, e.index(1)
    m, n, tall, wide, step, dots, packs_a, packs_b = (e.number(i) for i in (M, N, TALL, WIDE, STEP_Y, DOTS, PACKS_A, PACKS_B))
    row_a, column_a, pitch_a, tile_row_a, tile_column_a = (e.number(i) for i in (ROW_A, COLUMN_A, PITCH_A, TILE_ROW_A, TILE_COLUMN_A))
    row_b, column_b, pitch_b, tile_row_b, tile_column_b = (e.number(i) for i in (ROW_B, COLUMN_B, PITCH_B, TILE_ROW_B, TILE_COLUMN_B))
    room_b = e.at(room, e.number(AT_B))
    packs_a, packs_b, dots = (build.icmp_signed("!=", x, e.index(0)) for x in (packs_a, packs_b, dots))

    def one_tile(here_y: Any, here_a: Any, here_b: Any, height: Any, width: Any) -> None:
        before, wider = build.sub(height, one), build.zext(build.icmp_signed(">", width, e.index(e.lanes)), _I64)

        def dot() -> None:
            number = build.add(build.add(build.mul(before, e.index(DOT_COLUMNS)), width), e.index(2 * ROWS - 1))
            e.call_tile(number, here_y, step, here_a, tile_row_a, here_b, tile_column_b, depth, adds)

        def outer() -> None:
            number = build.add(build.mul(before, e.index(2)), wider)
            e.call_tile(number, here_y, step, here_a, tile_row_a, tile_column_a, here_b, tile_row_b, depth, width, adds)

        e.whether(dots, dot, outer)

    def block(i: Any, stop: Any, left: Any, j: Any, end: Any, right: Any) -> None:
        def column(c: Any) -> None:
            width, here_b = e.least(wide, build.sub(n, build.mul(c, wide))), e.at(right, build.mul(build.sub(c, j), pitch_b))
            top = e.at(y, build.mul(c, wide))

            def row(r: Any) -> None:
                above = build.mul(r, tall)
                here_a = e.at(left, build.mul(build.sub(r, i), pitch_a))
                one_tile(e.at(top, build.mul(above, step)), here_a, here_b, e.least(tall, build.sub(m, above)), width)

            e.span(i, stop, one, row)

        e.span(j, end, one, column)

    block_rows, block_columns = e.number(BLOCK_ROWS), e.number(BLOCK_COLUMNS)

    def rows(i: Any, j: Any, end: Any, right: Any) -> None:
        stop, above = e.least(last_row, build.add(i, block_rows)), build.mul(i, tall)
        source, count = e.at(a, build.mul(above, row_a)), build.sub(e.least(m, build.mul(stop, tall)), above)
        with build.if_then(packs_a):
            e.whether(dots, lambda: build.call(pack_rows, [room, source, tile_row_a, count, depth, column_a, row_a, e.plan]),
                      lambda: build.call(pack, [room, source, pitch_a, tall, count, depth, column_a, row_a, e.plan]))  # fmt: skip
        block(i, stop, build.select(packs_a, room, source), j, end, right)

    def columns(j: Any) -> None:
        end, before = e.least(last, build.add(j, block_columns)), build.mul(j, wide)
        source = e.at(b, build.mul(before, column_b))
        with build.if_then(packs_b):
            count = build.sub(e.least(n, build.mul(end, wide)), before)
            build.call(pack, [room_b, source, pitch_b, wide, count, depth, row_b, column_b, e.plan])
        right = build.select(packs_b, room_b, source)
        e.span(first_row, last_row, block_rows, lambda i: rows(i, j, end, right))

    e.span(first, last, block_columns, columns)
    with build.if_then(build.icmp_signed("!=", tail, e.index(0))):
        top, left = build.mul(first_row, tall), build.mul(first, wide)
        height, width = (build.sub(e.least(all_, build.mul(a, b)), c) for all_, a, b, c in ((m, last_row, tall, top), (n, last, wide, left)))
        e.call(tail, e.at(y, build.mul(top, step), left), step, height, width, e.number(TABLE))
    build.ret_void()


@functools.cache
def address(dtype: np.dtype) -> int:
    """Where the loops for a dtype are: the number SWEEP of a plan."""
    if DISABLED:
        return 0

    def write(module: ir.Module) -> list[str]:
        e = _Emitter(dtype)
        _sweep(e, module, _pack(e, module), _pack_rows(e, module))
        return ["sweep"]

    return functions(f"numgrad_sweep_{dtype.name}", write)[0]


if DISABLED:

    def sweep(plan: Any, y: Any, at_y: int, a: Any, at_a: int, b: Any, at_b: int, scratch: Any, room: int,
              first_row: int, last_row: int, first: int, last: int, depth: int, adds: int, tail: int) -> None:  # fmt: skip
        """y = tail((y +) a @ b) for tiles of rows and columns, from as much depth as one pass has.

        at_y, at_a and at_b are where row 0 and column 0 begin in this depth, `room` is where in the scratch memory to pack.
        """
        row, column = first_row * plan[TALL], first * plan[WIDE]
        shape = min(plan[M], last_row * plan[TALL]) - row, min(plan[N], last * plan[WIDE]) - column
        left = _strided(a, at_a + row * plan[ROW_A], (shape[0], depth), (plan[ROW_A], plan[COLUMN_A]))
        right = _strided(b, at_b + column * plan[COLUMN_B], (depth, shape[1]), (plan[ROW_B], plan[COLUMN_B]))
        at = at_y + row * plan[STEP_Y] + column
        tile._write(_strided(y, at, shape, (plan[STEP_Y], 1)), left @ right, adds)
        if tail:
            finish(tail, y, at, plan[STEP_Y], *shape, plan[TABLE])

else:

    @device
    def sweep(plan, y, at_y, a, at_a, b, at_b, scratch, room, first_row, last_row, first, last, depth, adds, tail):  # type: ignore[no-untyped-def]
        """y = tail((y +) a @ b) for tiles of rows and columns, from as much depth as one pass has.

        at_y, at_a and at_b are where row 0 and column 0 begin in this depth, `room` is where in the scratch memory to pack.
        """
        _call(plan[SWEEP], y, at_y, a, at_a, b, at_b, scratch, room, first_row, last_row, first, last, depth, adds, tail, plan, 0)
