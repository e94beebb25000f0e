"""Matrices copied, and transposed: what convolution does to images and weights before and after it multiplies them."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from . import convolution, tile
from .convolution import SHORT, _Emitter
from .kernel import DISABLED, device


def _square(e: _Emitter, source: Any, to: Any, step_x: Any, step_y: Any) -> None:
    """As many rows as lanes, written as columns."""
    places = [e.at(source, e.builder.mul(step_x, e.index(k))) for k in range(e.lanes)]
    rows = [e.load(place) for place in places]
    for place in places:  # more streams than the hardware follows by itself
        e.prefetch(e.at(place, 4 * e.lanes), writes=False)
    for k, row in enumerate(tile._transposed(e, rows)):
        e.store(row, e.at(to, e.builder.mul(step_y, e.index(k))))


def _part_of_square(e: _Emitter, source: Any, to: Any, step_x: Any, step_y: Any, down: Any, across: Any) -> None:
    """The first `down` rows and `across` columns of one."""
    builder, mask, rows = e.builder, e.mask(across), []
    for k in range(e.lanes):
        there = builder.icmp_signed("<", e.index(k), down)
        rows.append(e.load(e.at(source, builder.select(there, builder.mul(step_x, e.index(k)), e.index(0))), mask))
    columns, mask = tile._transposed(e, rows), e.mask(down)

    def store(one: Any) -> None:
        for k, column in enumerate(columns):
            with builder.if_then(builder.icmp_signed("<", e.index(k), across)):
                one(column, e.at(to, builder.mul(step_y, e.index(k))))

    with builder.if_else(builder.icmp_signed(">=", down, e.index(e.lanes))) as (whole, part):
        with whole:
            store(e.store)
        with part:
            store(lambda column, at: e.store_first(column, at, down, mask))


def _transpose(e: _Emitter, module: ir.Module, name: str) -> None:
    """y[j * step_y + i] = x[i * step_x + j] in square blocks."""
    y, x, m, n, step_y, step_x = e.begin(module, name, "y x", "", "m n step_y step_x")
    builder = e.builder

    def block(i: Any, j: Any) -> None:
        i, j = _back(e, i, m), _back(e, j, n)
        source, to = e.at(e.at(x, builder.mul(i, step_x)), j), e.at(e.at(y, builder.mul(j, step_y)), i)
        down, across = builder.sub(m, i), builder.sub(n, j)
        with builder.if_else(builder.and_(*(builder.icmp_signed(">=", count, e.index(e.lanes)) for count in (down, across)))) as (whole, part):
            with whole:
                _square(e, source, to, step_x, step_y)
            with part:
                _part_of_square(e, source, to, step_x, step_y, down, across)

    e.counted(m, lambda i: e.counted(n, lambda j: block(i, j)))
    builder.ret_void()


def _back(e: _Emitter, i: Any, count: Any) -> Any:
    """The beginning of a vector that, where it would end behind the last of `count` elements, is moved back: so it needs no mask."""
    if not SHORT:
        return i
    last = e.builder.sub(count, e.index(e.lanes))
    return e.builder.select(e.builder.or_(e.builder.icmp_signed("<=", i, last), e.builder.icmp_signed("<", last, e.index(0))), i, last)


def _panel(e: _Emitter, module: ir.Module, name: str, rows: int, scattered: int = 0) -> None:
    """The same of a known number of rows, into columns that follow one another, or that a table puts into an order."""
    y, x, *order, n, step_x = e.begin(module, name, "y x", "order" if scattered else "", "n step_x")
    builder = e.builder
    places = [e.at(x, builder.mul(step_x, e.index(i))) for i in range(rows)]

    def column(vector: Any, to: Any, count: int) -> None:
        done = 0
        for size in (8, 4, 2, 1):
            if count & size:
                e.store(e.shuffle(vector, vector, list(range(done, done + size))), e.at(to, done), lanes=size)
                done += size

    def block(j: Any) -> None:
        at = _back(e, j, n)
        if scattered:
            to = [e.at(y, builder.mul(e.entry(e.at(order[0], at), k), e.index(rows))) for k in range(e.lanes)]
        else:
            start = e.at(y, builder.mul(at, e.index(rows)))
            to = [e.at(start, k * rows) for k in range(e.lanes)]
        for first in range(0, rows, e.lanes):
            vectors = [e.load(e.at(place, at)) for place in places[first : first + e.lanes]]
            count = len(vectors)
            for k, vector in enumerate(tile._transposed(e, vectors + [vectors[0]] * (e.lanes - count))):
                column(vector, e.at(to[k], first), count)

    def single(pointers: list[Any], _: list[Any]) -> list[Any]:
        to = e.at(y, builder.mul(builder.load(pointers[0]), e.index(rows))) if scattered else pointers[0]
        for i in range(rows):
            builder.store(builder.load(e.at(pointers[1], builder.mul(step_x, e.index(i)))), e.at(to, i))
        return []

    with builder.if_else(builder.icmp_signed(">=", n, e.index(e.lanes))) as (long, short):
        with long:
            e.counted(n, block)
        with short:
            e.loop(n, [order[0] if scattered else y, x], [e.index(1 if scattered else rows), e.index(1)], 0, single)
    builder.ret_void()


def _copy(e: _Emitter, module: ir.Module, name: str) -> None:
    y, x, m, n, step_y, step_x = e.begin(module, name, "y x", "", "m n step_y step_x")
    builder = e.builder
    rest = builder.srem(n, e.index(e.lanes))
    whole, mask = builder.sub(n, rest), e.mask(rest)
    if SHORT:  # all of a row of at least a vector
        whole = builder.select(builder.icmp_signed("<", n, e.index(e.lanes)), e.index(0), n)
        rest = builder.sub(n, whole)

    def vector(to: Any, source: Any, j: Any) -> None:
        at = _back(e, j, n)
        e.store(e.load(e.at(source, at)), e.at(to, at))

    def row(pointers: list[Any], _: list[Any]) -> list[Any]:
        to, source = pointers
        e.counted(whole, lambda j: vector(to, source, j))
        with builder.if_then(builder.icmp_signed(">", rest, e.index(0))):
            e.store_first(e.load(e.at(source, whole), mask), e.at(to, whole), rest, mask)
        return []

    e.loop(m, [y, x], [step_y, step_x], 0, row)
    builder.ret_void()


convolution._WRITERS.update(transpose=_transpose, panel=_panel, copy=_copy)

# --- calling --------------------------------------------------------------------------------------------------------

if DISABLED:

    def transpose(code: int, y: Any, at_y: int, x: Any, at_x: int, m: int, n: int, step_y: int, step_x: int) -> None:
        """y[j * step_y + i] = x[i * step_x + j] for i < m, j < n."""
        i, j = np.arange(m), np.arange(n)[:, None]
        y[at_y + j * step_y + i] = x[at_x + i * step_x + j]

    def panel_of_rows(code: int, rows: int, y: Any, at_y: int, x: Any, at_x: int, n: int, step_x: int) -> None:
        """y[j * rows + i] = x[i * step_x + j] for j < n."""
        transpose(code, y, at_y, x, at_x, rows, n, rows, step_x)

    def scattered_panel(code: int, rows: int, y: Any, at_y: int, x: Any, at_x: int, plan: Any, order: int, n: int, step_x: int) -> None:
        """y[plan[order + j] * rows + i] = x[i * step_x + j] for j < n."""
        i, j = np.arange(rows), np.arange(n)[:, None]
        y[at_y + plan[order + j] * rows + i] = x[at_x + i * step_x + j]

    def copy(code: int, y: Any, at_y: int, x: Any, at_x: int, m: int, n: int, step_y: int, step_x: int) -> None:
        """y[i * step_y + j] = x[i * step_x + j] for i < m, j < n."""
        i, j = np.arange(m)[:, None], np.arange(n)
        y[at_y + i * step_y + j] = x[at_x + i * step_x + j]

else:
    _call = tile._call

    @device
    def transpose(code, y, at_y, x, at_x, m, n, step_y, step_x):  # type: ignore[no-untyped-def]
        """y[j * step_y + i] = x[i * step_x + j] for i < m, j < n."""
        _call(code, y, at_y, x, at_x, m, n, step_y, step_x)

    @device
    def panel_of_rows(code, rows, y, at_y, x, at_x, n, step_x):  # type: ignore[no-untyped-def]
        """y[j * rows + i] = x[i * step_x + j] for j < n."""
        _call(code, y, at_y, x, at_x, n, step_x)

    @device
    def scattered_panel(code, rows, y, at_y, x, at_x, plan, order, n, step_x):  # type: ignore[no-untyped-def]
        """y[plan[order + j] * rows + i] = x[i * step_x + j] for j < n."""
        _call(code, y, at_y, x, at_x, plan, order, n, step_x)

    @device
    def copy(code, y, at_y, x, at_x, m, n, step_y, step_x):  # type: ignore[no-untyped-def]
        """y[i * step_y + j] = x[i * step_x + j] for i < m, j < n."""
        _call(code, y, at_y, x, at_x, m, n, step_y, step_x)


@device
def first_of_line(scratch):  # type: ignore[no-untyped-def]
    """The first element that begins a line of the cache, which is one of the first lines: vectors then lie across fewer of them."""
    return -int(scratch.ctypes.data) % 64 // scratch.itemsize
