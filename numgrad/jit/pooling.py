"""Rows of windows at even distances as vectors: a lane for each window, a step for each tap. For distances up to MOST."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from . import convolution, tile
from .convolution import _Emitter
from .kernel import DISABLED, device

_I32, _I64 = ir.IntType(32), ir.IntType(64)
#: the largest distance of windows
MOST = 4


def _every(e: _Emitter, pointer: Any, stride: int, left: Any) -> Any:
    """A vector of every stride-th element; `left`: how many of them there are, where not all."""
    if stride == 1:
        return e.load(pointer, None if left is None else e.mask(left))
    result, covered = None, 0
    elements = None if left is None else e.builder.add(e.builder.mul(e.builder.sub(left, e.index(1)), e.index(stride)), e.index(1))
    for m in range(stride):
        # The last vector ends with the last element that is wanted, so that nothing behind it is read.
        start = m * e.lanes if left is not None or m < stride - 1 else (e.lanes - 1) * stride + 1 - e.lanes
        part = e.load(e.at(pointer, start), None if elements is None else e.mask(e.builder.sub(elements, e.index(start))))
        picks = [e.lanes + i * stride - start if covered <= i * stride < start + e.lanes else i for i in range(e.lanes)]
        result = e.shuffle(part if result is None else result, part, picks)
        covered = start + e.lanes
    return result


def _store(e: _Emitter, value: Any, pointer: Any, left: Any) -> None:
    """A vector, or its first `left` lanes, where there are not as many windows."""
    if left is None:
        e.builder.store(value, e.builder.bitcast(pointer, value.type.as_pointer()), align=1)
    else:
        e.store_first(value, pointer, left, e.mask(left))


def _whole_or_part(e: _Emitter, count: Any, body: Any) -> None:
    """body(j, left) for vectors of windows from j on, with left = None where the vector is whole."""

    def step(j: Any) -> None:
        left = e.builder.sub(count, j)
        with e.builder.if_else(e.builder.icmp_signed(">=", left, e.index(e.lanes))) as (whole, part):
            with whole:
                body(j, None)
            with part:
                body(j, left)

    e.counted(count, step)


def _over_taps(e: _Emitter, start: int, count: Any, firsts: list[Any], body: Any) -> list[Any]:
    """Carry values through body(tap, values) for the taps from `start` on."""
    builder, before = e.builder, e.builder.block
    head, inside, after = (builder.append_basic_block(n) for n in ("taps", "tap", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    tap, values = builder.phi(_I64), [builder.phi(v.type) for v in firsts]
    builder.cbranch(builder.icmp_signed("<", tap, count), inside, after)
    builder.position_at_end(inside)
    new = [builder.add(tap, e.index(1)), *body(tap, values)]
    for phi, first, then in zip([tap, *values], [e.index(start), *firsts], new, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values


def _largest(e: _Emitter, module: ir.Module, name: str, stride: int, unsigned: int) -> None:
    y, x, index, taps, corner, count, outputs = e.begin(module, name, "y x", "index taps", "corner count outputs")
    builder, narrow, wide = e.builder, ir.VectorType(_I32, e.lanes), ir.VectorType(_I64, e.lanes)
    steps = ir.Constant(narrow, [i * stride for i in range(e.lanes)])

    def better(value: Any, best: Any) -> Any:
        if not e.floating:
            return (builder.icmp_unsigned if unsigned else builder.icmp_signed)(">", value, best)
        return builder.or_(builder.fcmp_ordered(">", value, best), builder.fcmp_unordered("uno", value, value))

    def some(j: Any, left: Any) -> None:
        first = builder.add(corner, builder.mul(j, e.index(stride)))
        places = builder.add(e.splat(builder.trunc(first, _I32), narrow), steps)

        def candidate(tap: Any) -> tuple[Any, Any]:
            at = builder.load(e.at(taps, tap))
            value = _every(e, e.at(x, builder.add(first, at)), stride, left)
            return value, builder.add(places, e.splat(builder.trunc(at, _I32), narrow))

        def compare(tap: Any, values: list[Any]) -> list[Any]:
            value, place = candidate(tap)
            found = better(value, values[0])
            return [builder.select(found, value, values[0]), builder.select(found, place, values[1])]

        best, place = _over_taps(e, 1, count, list(candidate(e.index(0))), compare)
        _store(e, best, e.at(y, j), left)
        _store(e, builder.sext(place, wide), e.at(index, j), left)

    _whole_or_part(e, outputs, some)
    builder.ret_void()


def _means(e: _Emitter, module: ir.Module, name: str, stride: int) -> None:
    y, x, taps, count, outputs, divisor = e.begin(module, name, "y x", "taps", "count outputs divisor")
    builder = e.builder
    share = e.splat(builder.sitofp(divisor, e.scalar))

    def some(j: Any, left: Any) -> None:
        first = builder.mul(j, e.index(stride))

        def add(tap: Any, values: list[Any]) -> list[Any]:
            return [builder.fadd(values[0], _every(e, e.at(x, builder.add(first, builder.load(e.at(taps, tap)))), stride, left))]

        total = _over_taps(e, 0, count, [e.zero], add)[0]
        _store(e, builder.fdiv(total, share), e.at(y, j), left)

    _whole_or_part(e, outputs, some)
    builder.ret_void()


def _spread(e: _Emitter, module: ir.Module, name: str, stride: int, kernel: int) -> None:
    """The transpose of means, one line of taps (`kernel` neighbours) after another."""
    x, y, lines, count, outputs, divisor = e.begin(module, name, "x y", "lines", "count outputs divisor")
    builder = e.builder
    share = e.splat(builder.sitofp(divisor, e.scalar))

    def some(j: Any, left: Any) -> None:
        given = builder.fdiv(e.load(e.at(y, j), None if left is None else e.mask(left)), share)
        windows = e.index(e.lanes) if left is None else left
        first = builder.mul(j, e.index(stride))

        def line(tap: Any, _: list[Any]) -> list[Any]:
            at = e.at(x, builder.add(first, builder.load(e.at(lines, builder.mul(tap, e.index(kernel))))))
            for k in range(0, kernel, stride):
                reached = min(stride, kernel - k)  # taps of a window in this stretch
                stop = builder.add(builder.mul(builder.sub(windows, e.index(1)), e.index(stride)), e.index(reached))
                for m in range(stride):
                    lanes = [m * e.lanes + i for i in range(e.lanes)]
                    more = e.shuffle(given, e.zero, [n // stride if n % stride < reached else e.lanes for n in lanes])
                    to, whole = e.at(at, k + m * e.lanes), left is None and (reached == stride or m < stride - 1)
                    mask = None if whole else e.mask(builder.sub(stop, e.index(m * e.lanes)))
                    e.store(builder.fadd(e.load(to, mask), more), to, mask)
            return []

        _over_taps(e, 0, count, [], line)

    _whole_or_part(e, outputs, some)
    builder.ret_void()


convolution._WRITERS.update(largest=_largest, means=_means, spread=_spread)

# --- calling --------------------------------------------------------------------------------------------------------

if DISABLED:

    def _windows(x: Any, at_x: int, plan: Any, taps: int, count: int, outputs: int, stride: int) -> Any:
        return x[at_x + plan[taps : taps + count, None] + np.arange(outputs) * stride]

    def largest_row(code: int, stride: int, y: Any, at_y: int, index: Any, x: Any, at_x: int, plan: Any, taps: int, corner: int, count: int, outputs: int) -> None:
        """The largest of each window that begins at corner + stride * j, and its place: the first of equals, the last NaN."""
        values = _windows(x, at_x + corner, plan, taps, count, outputs, stride)
        best = np.where(np.isnan(values).any(0), count - 1 - np.isnan(values)[::-1].argmax(0), values.argmax(0))
        y[at_y : at_y + outputs] = values[best, np.arange(outputs)]
        index[at_y : at_y + outputs] = corner + np.arange(outputs) * stride + plan[taps + best]

    def means_row(code: int, stride: int, y: Any, at_y: int, x: Any, at_x: int, plan: Any, taps: int, count: int, outputs: int, divisor: int) -> None:
        """The sum of each window that begins at at_x + stride * j, over the divisor."""
        y[at_y : at_y + outputs] = _windows(x, at_x, plan, taps, count, outputs, stride).sum(0) / divisor

    def spread_row(code: int, stride: int, kernel: int, x: Any, at_x: int, y: Any, at_y: int, plan: Any, taps: int, count: int, outputs: int, divisor: int) -> None:
        """Add y over the divisor to each element of its window."""
        for tap in plan[taps : taps + count]:
            x[at_x + tap + np.arange(outputs) * stride] += y[at_y : at_y + outputs] / divisor

else:
    _call = tile._call

    @device
    def largest_row(code, stride, y, at_y, index, x, at_x, plan, taps, corner, count, outputs):  # type: ignore[no-untyped-def]
        """The largest of each window that begins at corner + stride * j, and its place: the first of equals, the last NaN."""
        _call(code, y, at_y, x, at_x, index, at_y, plan, taps, corner, count, outputs)

    @device
    def means_row(code, stride, y, at_y, x, at_x, plan, taps, count, outputs, divisor):  # type: ignore[no-untyped-def]
        """The sum of each window that begins at at_x + stride * j, over the divisor."""
        _call(code, y, at_y, x, at_x, plan, taps, count, outputs, divisor)

    @device
    def spread_row(code, stride, kernel, x, at_x, y, at_y, plan, taps, count, outputs, divisor):  # type: ignore[no-untyped-def]
        """Add y over the divisor to each element of its window."""
        _call(code, x, at_x, y, at_y, plan, taps, count // kernel, outputs, divisor)
