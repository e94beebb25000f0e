"""The register tiles of the matrix product, as explicit vector code: a block of the result lives in registers while a loop over
the depth streams both operands past it (Goto and van de Geijn 2008, Van Zee and van de Geijn 2015).

There is one function for each number of rows and columns of a tile. They are compiled once for each dtype, apart from the
kernels that call them: `addresses(dtype)` goes to the kernel as an argument, and `outer_tile` or `dot_tile` calls from there.
Operands are one-dimensional spans of memory, an element offset into each, and strides in elements.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .emitter import MASKS, REGISTERS, VECTOR_BYTES, Emitter
from .kernel import DISABLED, device
from .machine import functions

#: rows of a tile two vectors wide: as many as fit in the registers beside two vectors of b and one broadcast element of a
ROWS: int = 14 if REGISTERS == 32 else 6
#: rows and columns of a tile of dot products
DOT_ROWS: int = 4 if REGISTERS == 32 else 2
DOT_COLUMNS: int = 4
_ROW_FUNCTIONS: int = 2 * ROWS + DOT_ROWS * DOT_COLUMNS
#: how many addresses a dtype has
COUNT: int = _ROW_FUNCTIONS + 3


def _outer(e: Emitter, module: ir.Module, rows: int, vectors: int) -> str:
    """A tile of `rows` rows by `vectors` vectors of columns, the last of them in part."""
    name = f"outer_{rows}_{vectors}"
    arguments = e.function(module, name, "y step_y a row_a column_a b row_b depth columns accumulate")
    last = e.builder.sub(arguments[8], e.index((vectors - 1) * e.lanes))
    if MASKS:
        _outer_body(e, arguments, rows, vectors, last)
    else:
        with e.builder.if_else(e.builder.icmp_signed("==", last, e.index(e.lanes))) as (whole, part):
            with whole:
                _outer_body(e, arguments, rows, vectors, None)
            with part:
                _outer_body(e, arguments, rows, vectors, last)
    e.builder.ret_void()
    return name


def _outer_body(e: Emitter, arguments: list[Any], rows: int, vectors: int, last: Any) -> None:
    """`last`: how many lanes of the last vector there are, None for all of them."""
    y, step_y, a, row_a, column_a, b, row_b, depth, _, accumulate = arguments
    builder = e.builder
    # Three rows share a pointer: base, base + stride, base + 2 * stride are addresses that x86 computes while loading.
    groups = [builder.gep(a, [builder.mul(row_a, e.index(i))]) for i in range(0, rows, 3)]
    masks = [None] * (vectors - 1) + [None if last is None else e.mask(last)]

    def body(pointers: list[Any], sums: list[Any], fetch: Any = None) -> list[Any]:
        *lefts, right = pointers
        row = [e.load(builder.gep(right, [e.index(j * e.lanes)]), masks[j]) for j in range(vectors)]
        result = []
        for i in range(rows):
            factor = e.splat(builder.load(builder.gep(lefts[i // 3], [builder.mul(row_a, e.index(i % 3))])))
            result += [e.multiply_add(factor, row[j], sums[i * vectors + j]) for j in range(vectors)]
        for j in range(vectors if fetch else 0):
            e.prefetch(builder.gep(fetch, [e.index(j * e.lanes)]))
        return result

    # Rows of a large y are far away, and asked for one a step: all at once they keep operands waiting, and where rows are a
    # power of two apart, so that they compete for one place in the cache, they are gone before they are written.
    early = builder.select(builder.icmp_signed("<", depth, e.index(rows)), depth, e.index(rows))
    steps = [column_a] * len(groups) + [row_b]
    sums = e.loop(early, [y, *groups, b], [step_y, *steps], rows * vectors, lambda p, sums: body(p[1:], sums, p[0]))
    starts = [builder.gep(p, [builder.mul(s, early)]) for p, s in zip([*groups, b], steps, strict=True)]
    sums = e.loop(builder.sub(depth, early), starts, steps, rows * vectors, body, sums)
    for index, total in enumerate(sums):
        i, j = divmod(index, vectors)
        at = builder.gep(y, [builder.add(builder.mul(step_y, e.index(i)), e.index(j * e.lanes))])
        e.put(total, at, accumulate, count=last, mask=masks[j])


def _dots(e: Emitter, module: ir.Module, rows: int, columns: int) -> str:
    """A tile of `rows` by `columns` dot products, vectors along the depth."""
    name = f"dots_{rows}_{columns}"
    y, step_y, a, row_a, b, row_b, depth, accumulate = e.function(module, name, "y step_y a row_a b row_b depth accumulate")
    builder = e.builder
    starts = [builder.gep(a, [builder.mul(row_a, e.index(i))]) for i in range(rows)]
    starts += [builder.gep(b, [builder.mul(row_b, e.index(j))]) for j in range(columns)]

    def step(pointers: list[Any], sums: list[Any], mask: Any = None) -> list[Any]:
        loaded = [e.load(p, mask) for p in pointers]
        return [e.multiply_add(loaded[i], loaded[rows + j], sums[i * columns + j]) for i in range(rows) for j in range(columns)]

    whole = builder.sdiv(depth, e.index(e.lanes))
    done = builder.mul(whole, e.index(e.lanes))
    sums = e.loop(whole, starts, [e.index(e.lanes)] * len(starts), rows * columns, step)
    before, inside, after = builder.block, builder.append_basic_block("rest"), builder.append_basic_block("sums")
    rest = builder.sub(depth, done)
    builder.cbranch(builder.icmp_signed(">", rest, e.index(0)), inside, after)
    builder.position_at_end(inside)
    totals = step([builder.gep(p, [done]) for p in starts], sums, e.mask(rest))
    inside = builder.block
    builder.branch(after)
    builder.position_at_end(after)
    for i, total in enumerate(totals):
        phi = builder.phi(e.vector)
        phi.add_incoming(sums[i], before)
        phi.add_incoming(total, inside)
        totals[i] = phi
    _store_sums(e, totals, y, step_y, rows, columns, accumulate)
    builder.ret_void()
    return name


def _store_sums(e: Emitter, totals: list[Any], y: Any, step_y: Any, rows: int, columns: int, accumulate: Any) -> None:
    """Sum each vector over its lanes, all together: lanes of neighbours are added pairwise until lane i holds sum i."""
    even, odd = list(range(0, 2 * e.lanes, 2)), list(range(1, 2 * e.lanes, 2))
    room = 1 << (columns - 1).bit_length()  # lanes for a row, so that none lies across two vectors
    count = 1 << (rows * room - 1).bit_length()
    vectors = [totals[i // room * columns + i % room] if i // room < rows and i % room < columns else e.zero for i in range(count)]
    for _ in range(e.lanes.bit_length() - 1):
        pairs = zip(vectors[::2], vectors[1::2], strict=True) if len(vectors) > 1 else [(vectors[0], vectors[0])]
        vectors = [e.add(e.shuffle(a, b, even), e.shuffle(a, b, odd)) for a, b in pairs]
    for i in range(rows):
        for j in range(0, columns, e.lanes):
            (vector, first), width = divmod(i * room + j, e.lanes), min(columns - j, e.lanes)
            total = e.shuffle(vectors[vector], vectors[vector], list(range(first, first + width)))
            at = e.builder.gep(y, [e.builder.add(e.builder.mul(step_y, e.index(i)), e.index(j))])
            e.put(total, at, accumulate, lanes=width)


def _rows(e: Emitter, module: ir.Module, adding: bool) -> str:
    """Rows of a matrix written into, or added to, those of another."""
    name = "add_rows" if adding else "copy_rows"
    y, step_y, x, step_x, rows, columns = e.function(module, name, "y step_y x step_x rows columns")
    builder = e.builder
    whole = builder.mul(builder.sdiv(columns, e.index(e.lanes)), e.index(e.lanes))
    rest = builder.sub(columns, whole)
    rest_mask = e.mask(rest)

    def move(to: Any, source: Any, mask: Any = None, lanes: int | None = None) -> None:
        value = e.load(source, mask, lanes)
        e.store(e.add(e.load(to, mask, lanes), value) if adding else value, to, mask, lanes)

    def move_rest(to: Any, source: Any) -> None:
        if MASKS:
            move(to, source, rest_mask)
        else:
            e.pieces(rest, lambda first, lanes: move(builder.gep(to, [first]), builder.gep(source, [first]), lanes=lanes))

    def vector(pointers: list[Any], _: list[Any]) -> list[Any]:
        move(*pointers)
        return []

    def row(pointers: list[Any], _: list[Any]) -> list[Any]:
        e.loop(builder.sdiv(columns, e.index(e.lanes)), pointers, [e.index(e.lanes)] * 2, 0, vector)
        with builder.if_then(builder.icmp_signed("<", whole, columns)):
            move_rest(*[builder.gep(p, [whole]) for p in pointers])
        return []

    e.loop(rows, [y, x], [step_y, step_x], 0, row)
    builder.ret_void()
    return name


def _transposed(e: Emitter, vectors: list[Any]) -> list[Any]:
    """A square of as many vectors as lanes, transposed: halves are interleaved until lane i of vector k is lane k of vector i.

    Two halves of 16 bytes are transposed each by itself, and change places at last: to cross them takes longest.
    """
    parts = 2 if VECTOR_BYTES == 32 else 1
    size = e.lanes // parts
    half = size // 2
    low, high = ([at + lane for at in range(0, e.lanes, size) for i in range(start, start + half) for lane in (i, i + e.lanes)] for start in (0, half))
    groups = []
    for first in range(0, e.lanes, size):
        group = vectors[first : first + size]
        for _ in range(size.bit_length() - 1):
            pairs = list(zip(group[:half], group[half:], strict=True))
            group = [e.shuffle(a, b, lanes) for a, b in pairs for lanes in (low, high)]
        groups.append(group)
    if parts == 1:
        return groups[0]
    return [e.shuffle(a, b, [*range(at, at + size), *range(at + e.lanes, at + e.lanes + size)]) for at in (0, size) for a, b in zip(*groups, strict=True)]


def _transpose(e: Emitter, module: ir.Module) -> str:
    """Up to a vector of rows, written as columns: whole vectors are stored, also where there are fewer rows, and for a whole
    number of vectors of columns."""
    name = "transpose_rows"
    y, step_y, x, step_x, rows, columns = e.function(module, name, "y step_y x step_x rows columns")
    builder = e.builder
    last = builder.sub(rows, e.index(1))
    places = []
    for i in range(e.lanes):  # rows that do not exist are the last one again
        row = builder.select(builder.icmp_signed("<", e.index(i), rows), e.index(i), last)
        places.append(builder.gep(x, [builder.mul(step_x, row)]))

    def square(pointers: list[Any], mask: Any = None) -> list[Any]:
        target, *sources = pointers
        for k, vector in enumerate(_transposed(e, [e.load(p, mask) for p in sources])):
            e.store(vector, builder.gep(target, [builder.mul(step_y, e.index(k))]))
        return []

    count = builder.sdiv(columns, e.index(e.lanes))
    done = builder.mul(count, e.index(e.lanes))
    e.loop(count, [y, *places], [builder.mul(step_y, e.index(e.lanes)), *[e.index(e.lanes)] * e.lanes], 0, lambda p, _: square(p))
    with builder.if_then(builder.icmp_signed("<", done, columns)):
        square([builder.gep(y, [builder.mul(step_y, done)]), *[builder.gep(p, [done]) for p in places]], e.mask(builder.sub(columns, done)))
    builder.ret_void()
    return name


@functools.cache
def addresses(dtype: np.dtype) -> np.ndarray:
    """Where the tiles of a dtype are: what kernels pass to `outer_tile` and `dot_tile`."""
    found = [0] * COUNT if DISABLED else functions(f"numgrad_tiles_{dtype.name}", lambda module: _write_tiles(module, dtype))
    return np.array(found, np.int64)


def _write_tiles(module: ir.Module, dtype: np.dtype) -> list[str]:
    emitter = Emitter(dtype)
    names = [_outer(emitter, module, rows, vectors) for rows in range(1, ROWS + 1) for vectors in (1, 2)]
    names += [_dots(emitter, module, rows, columns) for rows in range(1, DOT_ROWS + 1) for columns in range(1, DOT_COLUMNS + 1)]
    names += [_rows(emitter, module, adding) for adding in (False, True)]
    return names + ([_transpose(emitter, module)] if dtype.itemsize >= 4 else names[-1:])


# --- calling --------------------------------------------------------------------------------------------------------


def _strided(x: np.ndarray, at: int, shape: tuple[int, int], strides: tuple[int, int]) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(x[at:], shape, (strides[0] * x.itemsize, strides[1] * x.itemsize))


if DISABLED:
    _call: Any = None

    def _write(y: np.ndarray, total: np.ndarray, accumulate: int) -> None:
        y[...] = y + total if accumulate else total

    def outer_tile(tiles: Any, rows: int, y: Any, at_y: int, step_y: int, a: Any, at_a: int, row_a: int, column_a: int,
                   b: Any, at_b: int, row_b: int, depth: int, columns: int, accumulate: int) -> None:  # fmt: skip
        """y[i, j] = (or +=) sum of a[i, k] * b[k, j] over k < depth: up to ROWS rows and two vectors of columns."""
        total = _strided(a, at_a, (rows, depth), (row_a, column_a)) @ _strided(b, at_b, (depth, columns), (row_b, 1))
        _write(_strided(y, at_y, (rows, columns), (step_y, 1)), total, accumulate)

    def dot_tile(tiles: Any, rows: int, columns: int, y: Any, at_y: int, step_y: int, a: Any, at_a: int, row_a: int,
                 b: Any, at_b: int, row_b: int, depth: int, accumulate: int) -> None:  # fmt: skip
        """y[i, j] = (or +=) sum of a[i, k] * b[j, k] over k < depth: up to DOT_ROWS rows and DOT_COLUMNS columns."""
        total = _strided(a, at_a, (rows, depth), (row_a, 1)) @ _strided(b, at_b, (columns, depth), (row_b, 1)).T
        _write(_strided(y, at_y, (rows, columns), (step_y, 1)), total, accumulate)

    def move_rows(tiles: Any, adding: int, y: Any, at_y: int, step_y: int, x: Any, at_x: int, step_x: int, rows: int, columns: int) -> None:
        """y[i, j] = (or +=) x[i, j]."""
        _write(_strided(y, at_y, (rows, columns), (step_y, 1)), _strided(x, at_x, (rows, columns), (step_x, 1)), adding)

    def transpose_rows(tiles: Any, y: Any, at_y: int, step_y: int, x: Any, at_x: int, step_x: int, rows: int, columns: int) -> None:
        """y[j, i] = x[i, j], for up to a vector of rows, of elements of 4 or 8 bytes. Writes whole squares of vectors: y must have the room."""
        _strided(y, at_y, (columns, rows), (step_y, 1))[...] = _strided(x, at_x, (rows, columns), (step_x, 1)).T

else:

    @intrinsic
    def _call(typing_context, address, *arguments):  # type: ignore[no-untyped-def]
        """Call a function at an address. An array and the integer after it become the address of that element."""
        arguments = arguments[0] if isinstance(arguments[0], (tuple, types.BaseTuple)) else arguments
        wanted = [a if isinstance(a, types.Array) else types.int64 for a in arguments]

        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            kinds, passed, waiting = list(signature.args[1]), [], None
            for kind, value in zip(kinds, (builder.extract_value(values[1], i) for i in range(len(kinds))), strict=True):
                if isinstance(kind, types.Array):
                    waiting = context.make_array(kind)(context, builder, value).data
                elif waiting is not None:
                    passed.append(builder.gep(waiting, [value]))
                    waiting = None
                else:
                    passed.append(value)
            shape = ir.FunctionType(ir.VoidType(), [p.type for p in passed])
            builder.call(builder.inttoptr(values[0], shape.as_pointer()), passed)
            return context.get_dummy_value()

        return types.void(types.int64, types.StarArgTuple(wanted)), generate

    @device
    def outer_tile(tiles, rows, y, at_y, step_y, a, at_a, row_a, column_a, b, at_b, row_b, depth, columns, accumulate):  # type: ignore[no-untyped-def]
        """y[i, j] = (or +=) sum of a[i, k] * b[k, j] over k < depth: up to ROWS rows and two vectors of columns."""
        wide = 1 if columns * y.itemsize > VECTOR_BYTES else 0
        _call(tiles[2 * (rows - 1) + wide], y, at_y, step_y, a, at_a, row_a, column_a, b, at_b, row_b, depth, columns, accumulate)

    @device
    def dot_tile(tiles, rows, columns, y, at_y, step_y, a, at_a, row_a, b, at_b, row_b, depth, accumulate):  # type: ignore[no-untyped-def]
        """y[i, j] = (or +=) sum of a[i, k] * b[j, k] over k < depth: up to DOT_ROWS rows and DOT_COLUMNS columns."""
        _call(tiles[2 * ROWS + DOT_COLUMNS * (rows - 1) + columns - 1], y, at_y, step_y, a, at_a, row_a, b, at_b, row_b, depth, accumulate)

    @device
    def move_rows(tiles, adding, y, at_y, step_y, x, at_x, step_x, rows, columns):  # type: ignore[no-untyped-def]
        """y[i, j] = (or +=) x[i, j]."""
        _call(tiles[_ROW_FUNCTIONS + adding], y, at_y, step_y, x, at_x, step_x, rows, columns)

    @device
    def transpose_rows(tiles, y, at_y, step_y, x, at_x, step_x, rows, columns):  # type: ignore[no-untyped-def]
        """y[j, i] = x[i, j], for up to a vector of rows, of elements of 4 or 8 bytes. Writes whole squares of vectors: y must have the room."""
        _call(tiles[_ROW_FUNCTIONS + 2], y, at_y, step_y, x, at_x, step_x, rows, columns)
