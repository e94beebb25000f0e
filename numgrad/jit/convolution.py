"""The register tiles of convolution: a column matrix that is never made, read by address from the image.

A row of the column matrix is the image shifted by (channel, kernel position), so a tile reads it at `base + offsets[k]`. There
are two orientations of a product, and one of its gradient:

- `pixels`: vectors of neighbouring pixels, one broadcast weight for each row (output channel) of the tile;
- `channels`: vectors of output channels, one broadcast pixel for each row of the tile; rows come in runs of `run` pixels, `step` apart;
- `sums`: for the weight's gradient, vectors of (kernel column, channel) and a broadcast gradient, summed over pixels; or, `swapped`,
  vectors of gradients (output channels) and a broadcast pixel.

A function is compiled for each size of tile that a plan asks for, kept in the disk cache, and called by its address.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir

from . import tile
from .emitter import MASKS, REGISTERS, VECTOR_BYTES, Emitter
from .kernel import DISABLED, device
from .machine import functions

_I64 = ir.IntType(64)
#: Whether vectors are shorter than those of AVX-512. Only that stores a part of a vector as fast as a whole one.
SHORT: bool = not MASKS


def lanes(dtype: np.dtype) -> int:
    """Elements of a vector register."""
    return VECTOR_BYTES // dtype.itemsize


def rows_for(vectors: int) -> int:
    """The most rows of a tile so many vectors wide: accumulators, the vectors, and one broadcast element share the registers."""
    return max(1, (REGISTERS - 1 - vectors) // vectors)


#: Rows and vectors of tiles that use enough of few registers: at least eight sums, for two begin in each of the four steps that one takes.
TILES = ((6, 2), (5, 2), (4, 3), (4, 2), (3, 4), (3, 3), (2, 5), (2, 4), (1, 6)) if REGISTERS == 16 else ()


class _Emitter(Emitter):
    def begin(self, module: ir.Module, name: str, elements: str, tables: str, numbers: str) -> list[Any]:
        """Begin a function that takes pointers to elements, pointers to tables of integers, and integers."""
        kinds = [self.scalar.as_pointer()] * len(elements.split()) + [_I64.as_pointer()] * len(tables.split()) + [_I64] * len(numbers.split())
        made = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.builder = ir.IRBuilder(made.append_basic_block("entry"))
        return list(made.args)

    def at(self, pointer: Any, index: Any) -> Any:
        return self.builder.gep(pointer, [self.index(index) if isinstance(index, int) else index])

    def counted(self, stop: Any, body: Any) -> None:
        """Run body(i) for i = 0, lanes, 2 * lanes, ... below `stop`."""
        builder, before = self.builder, self.builder.block
        head, inside, after = (builder.append_basic_block(n) for n in ("count", "step", "counted"))
        builder.branch(head)
        builder.position_at_end(head)
        counter = builder.phi(_I64)
        counter.add_incoming(self.index(0), before)
        builder.cbranch(builder.icmp_signed("<", counter, stop), inside, after)
        builder.position_at_end(inside)
        body(counter)
        counter.add_incoming(builder.add(counter, self.index(self.lanes)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def entry(self, table: Any, index: int) -> Any:
        return self.builder.load(self.at(table, index))


def _product(e: _Emitter, column: Any, factor: Any, vectors: int, rows: int, sums: list[Any]) -> list[Any]:
    """Add factor(i) * column(j) to each sum. What there is less of waits in registers, where these are few."""
    if vectors <= rows or REGISTERS == 32:
        columns, result = [column(j) for j in range(vectors)], []
        for i in range(rows):
            one = factor(i)
            result += [e.multiply_add(one, columns[j], sums[i * vectors + j]) for j in range(vectors)]
        return result
    factors, by_column = [factor(i) for i in range(rows)], []
    for j in range(vectors):
        one = column(j)
        by_column += [e.multiply_add(factors[i], one, sums[i * vectors + j]) for i in range(rows)]
    return [by_column[j * rows + i] for i in range(rows) for j in range(vectors)]


def _apart(e: _Emitter, value: Any, pointer: Any, count: Any, step: int) -> None:
    """Store the first `count` lanes of a vector `step` apart."""
    for first in range(0, e.lanes * step, e.lanes):
        places = range(first, first + e.lanes)
        chosen = ir.Constant(ir.VectorType(ir.IntType(1), e.lanes), [p % step == 0 for p in places])
        mask = e.mask(e.builder.sub(e.builder.mul(count, e.index(step)), e.index(first)))
        spread = e.shuffle(value, value, [p // step for p in places])
        e.store(spread, e.at(pointer, first), e.builder.and_(mask, chosen) if step > 1 else mask)


def _pixels(e: _Emitter, module: ir.Module, name: str, rows: int, vectors: int, step: int) -> None:
    arguments = e.begin(module, name, "y x w first", "offsets pieces", "depth step_y used exact")
    with e.builder.if_else(e.builder.icmp_signed("!=", arguments[-1], e.index(0))) as (exact, beyond):
        for branch in (exact, beyond):
            with branch:
                _pixels_body(e, arguments, rows, vectors, step, branch is exact)
    e.builder.ret_void()


def _pixels_body(e: _Emitter, arguments: list[Any], rows: int, vectors: int, step: int, exact: bool) -> None:
    y, x, w, first, offsets, pieces, depth, step_y, used, _ = arguments
    builder = e.builder
    bases = [e.at(x, e.entry(pieces, 3 * j)) for j in range(vectors)]
    counts = [e.entry(pieces, 3 * j + 2) for j in range(vectors)]
    masks = [e.mask(count) for count in counts] if exact else []

    def body(pointers: list[Any], sums: list[Any]) -> list[Any]:
        weights, offset = pointers[0], builder.load(pointers[1])

        def column(j: int) -> Any:
            return e.load(e.at(bases[j], offset), masks[j] if exact else None)

        return _product(e, column, lambda i: e.splat(builder.load(e.at(weights, i))), vectors, rows, sums)

    sums = e.loop(depth, [w, offsets], [e.index(rows), e.index(1)], rows * vectors, body)
    outs = [e.at(y, e.entry(pieces, 3 * j + 1)) for j in range(vectors)]

    def store_row(i: int, store: Any) -> None:
        start = e.splat(builder.load(e.at(first, i)))
        for j in range(vectors):
            store(e.add(start, sums[i * vectors + j]), e.at(outs[j], builder.mul(step_y, e.index(i))), j)

    def store_parts() -> None:
        for i in range(rows):
            with builder.if_then(builder.icmp_signed("<", e.index(i), used)):
                store_row(i, lambda value, at, j: _apart(e, value, at, counts[j], step))

    if step > 1 or not SHORT:
        store_parts()
        return
    whole = [builder.icmp_signed("==", used, e.index(rows)), *(builder.icmp_signed("==", count, e.index(e.lanes)) for count in counts)]
    with builder.if_else(functools.reduce(builder.and_, whole)) as (fast, slow):  # a store with a mask is slow on many CPUs
        with fast:
            for i in range(rows):
                store_row(i, lambda value, at, j: e.store(value, at))
        with slow:
            store_parts()


def _channels(e: _Emitter, module: ir.Module, name: str, rows: int, vectors: int, run: int, step: int) -> None:
    arguments = e.begin(module, name, "y x w first", "offsets places outs", "depth step_out adding")
    y, x, w, first, offsets, places, outs, depth, step_out, adding = arguments
    builder, width = e.builder, vectors * e.lanes
    bases = [e.at(x, e.entry(places, i)) for i in range(rows // run)]

    def body(pointers: list[Any], sums: list[Any]) -> list[Any]:
        weights, offset = pointers[0], builder.load(pointers[1])

        def factor(i: int) -> Any:
            return e.splat(builder.load(e.at(e.at(bases[i // run], offset), i % run * step)))

        return _product(e, lambda j: e.load(e.at(weights, j * e.lanes)), factor, vectors, rows, sums)

    sums = e.loop(depth, [w, offsets], [e.index(width), e.index(1)], rows * vectors, body)
    again = builder.icmp_signed("!=", adding, e.index(0))
    for i in range(rows):
        place = builder.add(e.entry(outs, i // run), builder.mul(step_out, e.index(i % run)))
        out = e.at(y, builder.mul(place, e.index(width)))
        start = builder.select(again, out, first)
        for j in range(vectors):
            e.store(e.add(e.load(e.at(start, j * e.lanes)), sums[i * vectors + j]), e.at(out, j * e.lanes))
    builder.ret_void()


def _sums(e: _Emitter, module: ir.Module, name: str, rows: int, vectors: int, swapped: int) -> None:
    y, g, x, offsets, depth, step_y, step_g, adding = e.begin(module, name, "y g x", "offsets", "depth step_y step_g adding")
    builder = e.builder

    def body(pointers: list[Any], sums: list[Any]) -> list[Any]:
        left, line = pointers[0], e.at(x, builder.load(pointers[1]))
        if swapped:
            left, line = line, left
        return _product(e, lambda j: e.load(e.at(line, j * e.lanes)), lambda i: e.splat(builder.load(e.at(left, i))), vectors, rows, sums)

    sums = e.loop(depth, [g, offsets], [step_g, e.index(1)], rows * vectors, body)
    for i in range(rows):
        for j in range(vectors):
            at = e.at(y, builder.add(builder.mul(step_y, e.index(i)), e.index(j * e.lanes)))
            e.put(sums[i * vectors + j], at, adding)
    builder.ret_void()


_WRITERS: dict[str, Any] = {"pixels": _pixels, "channels": _channels, "sums": _sums}


@functools.cache
def address(kind: str, dtype: np.dtype, *sizes: int) -> int:
    """Where a tile of a dtype and a size is: what the functions below call."""
    if DISABLED:
        return 0
    name = "_".join(map(str, (kind, dtype.name, *sizes)))

    def write(module: ir.Module) -> list[str]:
        _WRITERS[kind](_Emitter(dtype), module, name, *sizes)
        return [name]

    return functions(f"numgrad_{name}", write)[0]


# --- calling --------------------------------------------------------------------------------------------------------

if DISABLED:

    def pixels_tile(code: int, rows: int, vectors: int, step: int, y: Any, at_y: int, x: Any, at_x: int, w: Any, at_w: int,
                    plan: Any, offsets: int, pieces: int, start: int, stop: int, step_y: int, used: int, exact: int) -> None:  # fmt: skip
        """y[i * step_y + place + lane * step] = w[0, i] + sum over start <= k < stop of w[1 + k, i] * x[base + offsets[k] + lane], for each piece (base, place, lanes)."""
        weights = w[at_w : at_w + (1 + stop) * rows].reshape(1 + stop, rows)[:, :used]
        for base, out, count in plan[pieces : pieces + 3 * vectors].reshape(vectors, 3):
            total = weights[0, :, None] + weights[1 + start :].T @ x[at_x + base + plan[offsets + start : offsets + stop, None] + np.arange(count)]
            for i in range(used):
                y[at_y + out + i * step_y + np.arange(count) * step] = total[i]

    def channels_tile(code: int, rows: int, run: int, step: int, width: int, y: Any, at_y: int, x: Any, at_x: int, w: Any, at_w: int,
                      plan: Any, offsets: int, places: int, outs: int, step_out: int, depth: int, adding: int) -> None:  # fmt: skip
        """y[outs[i // run] + i % run * step_out, j] = w[0, j] (or +=) + sum over k of x[places[i // run] + i % run * step + offsets[k]] * w[1 + k, j]."""
        weights = w[at_w : at_w + (1 + depth) * width].reshape(1 + depth, width)
        pixels = (plan[places : places + rows // run, None] + np.arange(run) * step).reshape(-1, 1)
        to = (plan[outs : outs + rows // run, None] + np.arange(run) * step_out).reshape(-1, 1)
        total = x[at_x + pixels + plan[offsets : offsets + depth]] @ weights[1:]
        target = at_y + to * width + np.arange(width)
        y[target] = (y[target] if adding else weights[0]) + total

    def sums_tile(code: int, rows: int, width: int, swapped: int, y: Any, at_y: int, g: Any, at_g: int, x: Any, at_x: int,
                  plan: Any, offsets: int, depth: int, step_y: int, step_g: int, adding: int) -> None:  # fmt: skip
        """y[i * step_y + j] = (or +=) sum over p of g[p * step_g + i] * x[offsets[p] + j], or of g[p * step_g + j] * x[offsets[p] + i]."""
        of_g, of_x = (width, rows) if swapped else (rows, width)
        left = g[at_g + np.arange(depth)[:, None] * step_g + np.arange(of_g)]
        right = x[at_x + plan[offsets : offsets + depth, None] + np.arange(of_x)]
        total = right.T @ left if swapped else left.T @ right
        for i in range(rows):
            row = y[at_y + i * step_y :][:width]
            row[...] = row + total[i] if adding else total[i]

else:
    _call = tile._call

    @device
    def pixels_tile(code, rows, vectors, step, y, at_y, x, at_x, w, at_w, plan, offsets, pieces, start, stop, step_y, used, exact):  # type: ignore[no-untyped-def]
        """y[i * step_y + place + lane * step] = w[0, i] + sum over start <= k < stop of w[1 + k, i] * x[base + offsets[k] + lane], for each piece (base, place, lanes)."""
        _call(code, y, at_y, x, at_x, w, at_w + rows * (1 + start), w, at_w, plan, offsets + start, plan, pieces, stop - start, step_y, used, exact)

    @device
    def channels_tile(code, rows, run, step, width, y, at_y, x, at_x, w, at_w, plan, offsets, places, outs, step_out, depth, adding):  # type: ignore[no-untyped-def]
        """y[outs[i // run] + i % run * step_out, j] = w[0, j] (or +=) + sum over k of x[places[i // run] + i % run * step + offsets[k]] * w[1 + k, j]."""
        _call(code, y, at_y, x, at_x, w, at_w + width, w, at_w, plan, offsets, plan, places, plan, outs, depth, step_out, adding)

    @device
    def sums_tile(code, rows, width, swapped, y, at_y, g, at_g, x, at_x, plan, offsets, depth, step_y, step_g, adding):  # type: ignore[no-untyped-def]
        """y[i * step_y + j] = (or +=) sum over p of g[p * step_g + i] * x[offsets[p] + j], or of g[p * step_g + j] * x[offsets[p] + i]."""
        _call(code, y, at_y, g, at_g, x, at_x, plan, offsets, depth, step_y, step_g, adding)
