"""The register tiles of the matrix product, as explicit vector code: a block of the result lives in registers while a loop over
the depth streams both operands past it (Goto and van de Geijn 2008, Van Zee and van de Geijn 2015).

There is one function for each number of rows and columns of a tile. They are compiled once for each dtype, apart from the
kernels that call them: `addresses(dtype)` goes to the kernel as an argument, and `outer_tile` or `dot_tile` calls from there.
Operands are one-dimensional spans of memory, an element offset into each, and strides in elements.
"""

from __future__ import annotations

import functools
import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .kernel import DISABLED, device
from .machine import features, functions

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _target() -> tuple[int, int, bool]:
    """Bytes of a vector register, their number, and whether loads and stores take a mask; of the CPU compiled for."""
    found = features()
    if "+avx512f" in found:
        return 64, 32, True
    if "+avx" in found:
        return 32, 16, True
    return 16, 32 if platform.machine().lower() in ("arm64", "aarch64") else 16, False


VECTOR_BYTES, _REGISTERS, _MASKS = _target()
#: rows of a tile two vectors wide: as many as fit in the registers beside two vectors of b and one broadcast element of a
ROWS: int = 14 if _REGISTERS == 32 else 6
#: rows and columns of a tile of dot products
DOT_ROWS: int = 4 if _REGISTERS == 32 else 2
DOT_COLUMNS: int = 4
_ROW_FUNCTIONS: int = 2 * ROWS + DOT_ROWS * DOT_COLUMNS
#: how many addresses a dtype has
COUNT: int = _ROW_FUNCTIONS + 3


class _Emitter:
    """Writes vector code for one element type."""

    def __init__(self, dtype: np.dtype):
        self.builder: Any = None
        self.floating = dtype.kind == "f"
        self.scalar = {4: ir.FloatType(), 8: ir.DoubleType()}[dtype.itemsize] if self.floating else ir.IntType(8 * dtype.itemsize)
        self.lanes = VECTOR_BYTES // dtype.itemsize
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.zero = ir.Constant(self.vector, [0] * self.lanes)
        self._suffix = f"v{self.lanes}{'f' if self.floating else 'i'}{VECTOR_BYTES * 8 // self.lanes}"

    def function(self, module: ir.Module, name: str, parameters: str) -> list[Any]:
        """Begin a function; of its parameters, those of one letter are pointers, the others integers. Returns its arguments."""
        kinds = [self.scalar.as_pointer() if len(p) == 1 else _I64 for p in parameters.split()]
        made = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        self.builder = ir.IRBuilder(made.append_basic_block("entry"))
        return list(made.args)

    def index(self, value: int) -> Any:
        return ir.Constant(_I64, value)

    def _as_vector(self, pointer: Any, lanes: int | None = None) -> Any:
        return self.builder.bitcast(pointer, (self.vector if lanes is None else ir.VectorType(self.scalar, lanes)).as_pointer())

    def _intrinsic(self, name: str, result: Any, arguments: list[Any]) -> Any:
        module = self.builder.module
        found = module.globals.get(name) or ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.builder.call(found, arguments)

    def mask(self, count: Any) -> Any:
        """True for the first `count` lanes."""
        lanes = ir.Constant(ir.VectorType(_I32, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, self.splat(self.builder.trunc(count, _I32), lanes.type))

    def load(self, pointer: Any, mask: Any = None, lanes: int | None = None) -> Any:
        address = self._as_vector(pointer, lanes)
        if mask is None:
            return self.builder.load(address, align=1)
        one = ir.Constant(_I32, 1)
        return self._intrinsic(f"llvm.masked.load.{self._suffix}.p0", self.vector, [address, one, mask, self.zero])

    def store(self, value: Any, pointer: Any, mask: Any = None, lanes: int | None = None) -> None:
        address = self._as_vector(pointer, lanes)
        if mask is None:
            self.builder.store(value, address, align=1)
        else:
            one = ir.Constant(_I32, 1)
            self._intrinsic(f"llvm.masked.store.{self._suffix}.p0", ir.VoidType(), [value, address, one, mask])

    def splat(self, scalar: Any, kind: Any = None) -> Any:
        undefined = ir.Constant(kind or self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes))

    def multiply_add(self, a: Any, b: Any, total: Any) -> Any:
        if not self.floating:
            return self.builder.add(self.builder.mul(a, b), total)
        return self._intrinsic(f"llvm.fmuladd.{self._suffix}", self.vector, [a, b, total])  # one instruction where the CPU has it

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b) if self.floating else self.builder.add(a, b)

    def shuffle(self, a: Any, b: Any, lanes: list[int]) -> Any:
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))

    def loop(self, count: Any, starts: list[Any], steps: list[Any], sums: int, body: Any, initial: list[Any] | None = None) -> list[Any]:
        """Run body(pointers, sums) -> sums `count` times, each pointer moving on by its step; the sums start at `initial`, else 0."""
        builder = self.builder
        before = builder.block
        head, inside, after = (builder.append_basic_block(n) for n in ("head", "depth", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        counter, pointers = builder.phi(_I64), [builder.phi(p.type) for p in starts]
        totals = [builder.phi(self.vector) for _ in range(sums)]
        builder.cbranch(builder.icmp_signed("<", counter, count), inside, after)
        builder.position_at_end(inside)
        new = body(pointers, totals)
        moved = [builder.gep(p, [s]) for p, s in zip(pointers, steps, strict=True)]
        firsts, thens = [self.index(0), *starts, *(initial or [self.zero] * sums)], [builder.add(counter, self.index(1)), *moved, *new]
        for phi, first, then in zip([counter, *pointers, *totals], firsts, thens, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(then, builder.block)  # the body may have made blocks of its own
        builder.branch(head)
        builder.position_at_end(after)
        return totals

    def prefetch(self, pointer: Any, writes: bool = True) -> None:
        """Ask for the cache line of an element that is going to be written, or read: kept in all caches, 3, and data, 1."""
        self._intrinsic("llvm.prefetch.p0", ir.VoidType(), [pointer, *[ir.Constant(_I32, v) for v in (int(writes), 3, 1)]])

    def put(self, total: Any, pointer: Any, accumulate: Any, **kwargs: Any) -> None:
        """Store, or add to what is there."""
        with self.builder.if_else(self.builder.icmp_signed("!=", accumulate, self.index(0))) as (adds, sets):
            with adds:
                self.store(self.add(self.load(pointer, **kwargs), total), pointer, **kwargs)
            with sets:
                self.store(total, pointer, **kwargs)


def _outer(e: _Emitter, module: ir.Module, rows: int, vectors: int) -> str:
    """A tile of `rows` rows by `vectors` vectors of columns, the last of them in part."""
    name = f"outer_{rows}_{vectors}"
    arguments = e.function(module, name, "y step_y a row_a column_a b row_b depth columns accumulate")
    last = e.builder.sub(arguments[8], e.index((vectors - 1) * e.lanes))
    if _MASKS:
        _outer_body(e, arguments, rows, vectors, e.mask(last))
    else:
        with e.builder.if_else(e.builder.icmp_signed("==", last, e.index(e.lanes))) as (whole, part):
            with whole:
                _outer_body(e, arguments, rows, vectors, None)
            with part:
                _outer_body(e, arguments, rows, vectors, e.mask(last))
    e.builder.ret_void()
    return name


def _outer_body(e: _Emitter, arguments: list[Any], rows: int, vectors: int, mask: Any) -> None:
    y, step_y, a, row_a, column_a, b, row_b, depth, _, accumulate = arguments
    builder = e.builder
    # Three rows share a pointer: base, base + stride, base + 2 * stride are addresses that x86 computes while loading.
    groups = [builder.gep(a, [builder.mul(row_a, e.index(i))]) for i in range(0, rows, 3)]
    masks = [None] * (vectors - 1) + [mask]

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
        e.put(total, builder.gep(y, [builder.add(builder.mul(step_y, e.index(i)), e.index(j * e.lanes))]), accumulate, mask=masks[j])


def _dots(e: _Emitter, module: ir.Module, rows: int, columns: int) -> str:
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


def _store_sums(e: _Emitter, totals: list[Any], y: Any, step_y: Any, rows: int, columns: int, accumulate: Any) -> None:
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


def _rows(e: _Emitter, module: ir.Module, adding: bool) -> str:
    """Rows of a matrix written into, or added to, those of another."""
    name = "add_rows" if adding else "copy_rows"
    y, step_y, x, step_x, rows, columns = e.function(module, name, "y step_y x step_x rows columns")
    builder = e.builder
    whole = builder.mul(builder.sdiv(columns, e.index(e.lanes)), e.index(e.lanes))
    rest = e.mask(builder.sub(columns, whole))

    def move(to: Any, source: Any, mask: Any = None) -> None:
        value = e.load(source, mask)
        e.store(e.add(e.load(to, mask), value) if adding else value, to, mask)

    def vector(pointers: list[Any], _: list[Any]) -> list[Any]:
        move(*pointers)
        return []

    def row(pointers: list[Any], _: list[Any]) -> list[Any]:
        e.loop(builder.sdiv(columns, e.index(e.lanes)), pointers, [e.index(e.lanes)] * 2, 0, vector)
        with builder.if_then(builder.icmp_signed("<", whole, columns)):
            move(*[builder.gep(p, [whole]) for p in pointers], rest)
        return []

    e.loop(rows, [y, x], [step_y, step_x], 0, row)
    builder.ret_void()
    return name


def _transposed(e: _Emitter, vectors: list[Any]) -> list[Any]:
    """A square of as many vectors as lanes, transposed: halves are interleaved until lane i of vector k is lane k of vector i."""
    half = e.lanes // 2
    low, high = ([lane for i in range(start, start + half) for lane in (i, i + e.lanes)] for start in (0, half))
    for _ in range(e.lanes.bit_length() - 1):
        pairs = list(zip(vectors[:half], vectors[half:], strict=True))
        vectors = [e.shuffle(a, b, lanes) for a, b in pairs for lanes in (low, high)]
    return vectors


def _transpose(e: _Emitter, module: ir.Module) -> str:
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
    emitter = _Emitter(dtype)
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
