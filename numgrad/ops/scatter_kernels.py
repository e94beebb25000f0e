"""An index for every element: gather reads `x[index[i, j], j]` (for dim 0), scatter writes there or adds, multiplies, compares.

Writes are shared out over what is written: a unit owns columns of the result and goes along `dim` in order, so that repeated
indices neither race nor depend on the number of threads; of several plain writes to one place the last wins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import INT64
from ..jit import device, empty, kernel, launch, launch_flat, maker, observers, prange, zeros
from ..jit.codegen import TILE
from ..tensor import Tensor, wrap
from .bounds import check_index, refuse, unsigned
from .creation import arange
from .elementwise import copied, copy_into, span
from .planned import planned
from .record import REGISTRY, op
from .walk import collapse

# --- geometry -------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2048)
@functools.lru_cache(maxsize=4096)
def _three(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, dim: int) -> tuple[int, int, int] | None:
    """Steps, in elements, outside of `dim`, along it and inside of it; None where what is outside or inside is not as one."""
    steps = [s // itemsize for s in strides]
    outer, outer_steps = collapse(shape[:dim], [steps[:dim]])
    inner, inner_steps = collapse(shape[dim + 1 :], [steps[dim + 1 :]])
    if len(outer) > 1 or len(inner) > 1:
        return None
    return outer_steps[0][0], steps[dim], inner_steps[0][0]


def _readable(x: np.ndarray, dim: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The array, or if need be a copy, as one dimension with three steps."""
    steps = _three(x.shape, x.strides, x.itemsize, dim)
    if steps is None:
        return _readable(copied(x), dim)
    return span(x), steps


def _within(x: np.ndarray, shape: tuple[int, ...], dim: int | None) -> np.ndarray:
    """The part of an array that an index of this shape reaches; all of `dim`."""
    if x.shape == shape or all(n == m or d == dim for d, (n, m) in enumerate(zip(x.shape, shape, strict=True))):
        return x
    return x[tuple([slice(None if d == dim else n) for d, n in enumerate(shape)])]


@functools.lru_cache(maxsize=4096)
def _sides(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    outer = inner = 1
    for n in shape[:dim]:
        outer *= n
    for n in shape[dim + 1 :]:
        inner *= n
    return outer, shape[dim], inner


def _index64(index: np.ndarray) -> np.ndarray:
    return index if index.dtype == INT64 else copied(index, INT64)


# --- gather ---------------------------------------------------------------------------------------------------------


@device
def _gather_tile(y, x, index, y_at, x_at, index_at, x_along, x_step, index_step, size, first, last):  # type: ignore[no-untyped-def]
    out = y[y_at + first : y_at + last]
    at, end = index_at + first * index_step, unsigned(size)
    bad = -1
    for b in range(last - first):
        i = index[unsigned(at + b * index_step)]
        if unsigned(i) >= end:
            i, bad = 0, at + b * index_step
        out[b] = x[unsigned(x_at + i * x_along + (first + b) * x_step)]
    return bad


@kernel
def _gather_kernel(  # type: ignore[no-untyped-def]
    y, bad, x, index, count, inner, x_outer, x_along, x_step, index_outer, index_along, index_step, size, rows, columns
):
    row_blocks = (y.size // inner + rows - 1) // rows
    for unit in prange(0, bad.size):
        first = unit // row_blocks * columns
        last, start = min(inner, first + columns), unit % row_blocks * rows
        wrong = -1
        for r in range(start, min(y.size // inner, start + rows)):
            a, i = r // count, r % count
            at = a * index_outer + i * index_along
            found = _gather_tile(y, x, index, r * inner, a * x_outer, at, x_along, x_step, index_step, size, first, last)
            wrong = max(wrong, found)
        bad[unit] = wrong


def _gather_geometry(shape: tuple[int, ...], x: tuple[int, int, int], index: tuple[int, int, int], dim: int, size: int) -> tuple[int, tuple[int, ...]]:
    """Units of work, and the kernel's numbers, for an index of a shape; `x` and `index`: their steps, as `_three` has them."""
    (outer, count, inner), (x_outer, x_along, x_step), (index_outer, index_along, index_step) = _sides(shape, dim), x, index
    if inner == 1 and count > 1:  # the inner loop runs along `dim`, or over all rows
        outer, count, inner, x_step, index_step = outer, 1, count, 0, index_along
    elif inner == 1:
        inner, x_step, index_step, outer = outer, x_outer, index_outer, 1
    columns = min(inner, TILE)
    rows = max(1, TILE // columns)
    units = -(-(outer * count) // rows) * -(-inner // columns)
    return units, (count, inner, x_outer, x_along, x_step, index_outer, index_along, index_step, size, rows, columns)


def _gather_forward(input: np.ndarray, index: np.ndarray, dim: int) -> np.ndarray:
    y = empty(index.shape, input.dtype)
    if not y.size:
        return y
    input, index = _within(input, index.shape, dim), _index64(index)
    size = input.shape[dim]
    if size == 0:
        check_index(index, "gather", dim, size)
    (x, x_steps), (flat, index_steps) = _readable(input, dim), _readable(index, dim)
    units, numbers = _gather_geometry(index.shape, x_steps, index_steps, dim, size)
    bad = empty(units, INT64)
    launch_flat(_gather_kernel, None, (y, bad, x, flat), numbers, y.size)
    refuse(bad, flat, "gather", dim, size)
    return y


def _prepare_gather(input: np.ndarray, index: np.ndarray, dim: int) -> Any:
    part, shape, dtype = _within(input, index.shape, dim), index.shape, input.dtype
    x_steps, index_steps = (_three(a.shape, a.strides, a.itemsize, dim) for a in (part, index))
    if not part.size or not index.size or index.dtype != INT64 or x_steps is None or index_steps is None:
        return None
    size = part.shape[dim]
    units, numbers = _gather_geometry(shape, x_steps, index_steps, dim, size)
    entry, make = _gather_kernel.entry((part, index, part, index), numbers, work=index.size), maker(shape, dtype)

    def run(x: np.ndarray, index: np.ndarray) -> np.ndarray:
        if observers:
            return _gather_forward(x, index, dim)
        y, bad = make(shape, dtype), np.empty(units, INT64)
        entry(y, bad, x, index, *numbers)
        refuse(bad, span(index), "gather", dim, size)
        return y

    return run


def _gather_backward_forward(g: np.ndarray, shape: tuple[int, ...], dim: int, index: np.ndarray) -> np.ndarray:
    result = zeros(shape, g.dtype)
    _scatter_into(result, dim, index, g, ADD)
    return result


gather_elements: Any = planned("gather_elements", _gather_forward, prepare=_prepare_gather,
             vjp=(lambda g, input_shape, dim, index: _gather_backward(g, input_shape, dim, index),))  # fmt: skip
_gather_backward: Any = op("gather_backward", _gather_backward_forward, public=False, method=False,
                      vjp=(lambda g, dim, index: gather_elements(g, index, dim),))  # fmt: skip

# --- scatter --------------------------------------------------------------------------------------------------------

WRITE, ADD, MULTIPLY, MAXIMUM, MINIMUM = range(5)


@device
def _scatter_tile(  # type: ignore[no-untyped-def]
    y, x, index, y_at, x_at, index_at, y_along, y_step, x_along, x_step, index_along, index_step, count, width, mode
):
    for i in range(count):
        for b in range(width):
            at = unsigned(y_at + index[unsigned(index_at + i * index_along + b * index_step)] * y_along + b * y_step)
            v = x[unsigned(x_at + i * x_along + b * x_step)]
            if mode == 0:
                y[at] = v
            elif mode == 2:
                y[at] *= v
            elif mode == 3:
                if not v <= y[at] and y[at] == y[at]:
                    y[at] = v
            elif not v >= y[at] and y[at] == y[at]:
                y[at] = v


@device
def _scatter_add_tile(  # type: ignore[no-untyped-def]
    y, x, index, y_at, x_at, index_at, y_along, y_step, x_along, x_step, index_along, index_step, count, width
):
    if width == 1:  # one loop, not a loop of loops of one
        for i in range(count):
            at = y_at + index[unsigned(index_at + i * index_along)] * y_along
            y[unsigned(at)] += x[unsigned(x_at + i * x_along)]
        return
    for i in range(count):
        for b in range(width):
            at = y_at + index[unsigned(index_at + i * index_along + b * index_step)] * y_along + b * y_step
            y[unsigned(at)] += x[unsigned(x_at + i * x_along + b * x_step)]


@kernel
def _scatter_kernel(  # type: ignore[no-untyped-def]
    y, x, index, outer, count, inner, y_outer, y_along, y_step, x_outer, x_along, x_step, index_outer, index_along, index_step, columns, mode
):
    blocks = (inner + columns - 1) // columns
    for unit in prange(0, outer * blocks):
        a, first = unit // blocks, unit % blocks * columns
        y_at, x_at, index_at = a * y_outer + first * y_step, a * x_outer + first * x_step, a * index_outer + first * index_step
        width = min(columns, inner - first)
        if mode == 1:
            _scatter_add_tile(y, x, index, y_at, x_at, index_at, y_along, y_step, x_along, x_step, index_along, index_step, count, width)
        else:
            _scatter_tile(y, x, index, y_at, x_at, index_at, y_along, y_step, x_along, x_step, index_along, index_step, count, width, mode)


def _scatter_into(out: np.ndarray, dim: int, index: np.ndarray, src: Any, mode: int) -> None:
    """Write into `out` at an index for each element of `src` (an array at least as large as the index, or a number)."""
    if not index.size:
        return
    index = _index64(index)
    check_index(index, "gather", dim, out.shape[dim])
    target = _within(out, index.shape, dim)
    steps = _three(target.shape, target.strides, target.itemsize, dim)
    if steps is None:
        temporary = copied(target)
        _scatter_into(temporary, dim, index, src, mode)
        copy_into(target, temporary)
        return
    if isinstance(src, np.ndarray):
        src = _within(src, index.shape, None)
        if np.may_share_memory(src, out) or src.dtype != out.dtype:
            src = copied(src, out.dtype)
        x, x_steps = _readable(src, dim)
    else:
        x, x_steps = np.array([src]).astype(out.dtype), (0, 0, 0)
    flat, index_steps = _readable(index, dim)
    outer, count, inner = _sides(index.shape, dim)
    launch(
        _scatter_kernel, span(target), x, flat, outer, count, inner, *steps, *x_steps, *index_steps, max(16, -(-inner // 64)), mode,
        work=index.size,
    )  # fmt: skip


def _scatter_op(name: str, mode: int, vjp: Any) -> Any:
    def into(out: np.ndarray, dim: int, index: np.ndarray, src: Any) -> None:
        _scatter_into(out, dim, index, src, mode)

    def forward(input: np.ndarray, dim: int, index: np.ndarray, src: Any) -> np.ndarray:
        result = copied(input)
        _scatter_into(result, dim, index, src, mode)
        return result

    return op(name, forward, into=into, vjp=vjp, public=False, method=False)


def _product_gradients(g: Tensor, y: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor) -> tuple[Any, ...]:
    """Of a product, for each factor, the product of all others: y / factor, and where the factor is 0, by what else is 0.

    With P the product of the other nonzero factors, that is P for a single 0, and P times the other 0 for two.
    """
    zero_self, zero_src = input == 0, src == 0
    rest = scatter_multiply(REGISTRY["where"](zero_self, 1.0, input), dim, index, REGISTRY["where"](zero_src, 1.0, src))
    count = scatter_plus(zero_self.to(g.dtype), dim, index, zero_src.to(g.dtype))
    zeros_sum = scatter_plus(REGISTRY["where"](zero_self, input, 0.0), dim, index, REGISTRY["where"](zero_src, src, 0.0))

    def others(factor: Tensor, zero: Tensor, at: Callable[[Tensor], Tensor]) -> Tensor:
        where, n = REGISTRY["where"], at(count)
        of_zero = where(n == 1, at(rest), where(n == 2, at(rest) * (at(zeros_sum) - factor), 0.0))
        return at(g) * where(zero, of_zero, at(y) / where(zero, 1.0, factor))

    return others(input, zero_self, lambda t: t), None, None, others(src, zero_src, lambda t: gather_elements(t, index, dim))


def _extreme_gradients(g: Tensor, y: Tensor, input: Tensor, dim: int, index: Tensor, src: Tensor) -> tuple[Any, ...]:
    """The gradient, in equal parts, to those that equal the extreme."""
    best_self, best_src = (input == y).to(g.dtype), (src == gather_elements(y, index, dim)).to(g.dtype)
    share = g / scatter_plus(best_self, dim, index, best_src).clamp(min=1)
    return share * best_self, None, None, gather_elements(share, index, dim) * best_src


def _gather_last_forward(input: np.ndarray, dim: int, index: np.ndarray) -> np.ndarray:
    y, writers = _gather_forward(input, index, dim), empty(input.shape, INT64)
    numbers = arange(index.size)._data.reshape(index.shape)
    _scatter_into(writers, dim, index, numbers, WRITE)
    last = REGISTRY["eq"].forward(_gather_forward(writers, index, dim), numbers)
    return REGISTRY["where_formula"].forward(last, y, 0.0)


def _gather_last_gradient(g: Tensor, input_shape: tuple[int, ...], dim: int, index: Tensor) -> Tensor:
    return scatter_write(wrap(zeros(input_shape, g._data.dtype)), dim, index, g)


#: gather, but 0 where a later index is the same: what of the gradient goes to values of which the last was kept.
gather_last: Any = op("gather_last", _gather_last_forward, vjp=(_gather_last_gradient,), public=False, method=False)
scatter_write: Any = _scatter_op("scatter_write", WRITE, (
    lambda g, dim, index: scatter_write(g, dim, index, 0), None, None, lambda g, dim, index: gather_last(g, dim, index)))  # fmt: skip
scatter_plus = _scatter_op("scatter_plus", ADD, (lambda g: g, None, None, lambda g, dim, index: gather_elements(g, index, dim)))
scatter_multiply = _scatter_op("scatter_multiply", MULTIPLY, _product_gradients)
scatter_maximum = _scatter_op("scatter_maximum", MAXIMUM, _extreme_gradients)
scatter_minimum = _scatter_op("scatter_minimum", MINIMUM, _extreme_gradients)
