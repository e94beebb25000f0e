"""Reading and writing at index tensors: `x[i, :, j]` and `x[i, :, j] = v`, what the tape sees of them, and views by index.

Index tensors become one offset into memory for each combination of their elements; the rest is copying rows. A write is
shared out over what is written: each unit owns places of the result and goes through all offsets in order, so that
repeated indices neither race nor depend on the number of threads.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from ..autograd import mode
from ..dtypes import INT64, is_half
from ..jit import device, empty, kernel, launch, observers, prange, zeros
from ..jit.codegen import TILE
from ..tensor import Tensor, wrap
from .bounds import add_offsets, as_index, unsigned
from .creation import arange
from .elementwise import broadcast_shape, copied, copy_into, copy_plan, copy_to_new, span
from .planned import planned
from .record import REGISTRY, op
from .views import view_op
from .walk import collapse

# --- views ----------------------------------------------------------------------------------------------------------


def _basic_forward(input: np.ndarray, plan: tuple[Any, ...]) -> np.ndarray:
    return input[plan]


class _Placed:
    """Zeros with an array at a place in them, with all known but the memory."""

    __slots__ = ("copy", "dtype", "place", "shape")

    def __init__(self, g: np.ndarray, shape: tuple[int, ...], place: tuple[Any, ...]):
        self.shape, self.dtype, self.place = shape, g.dtype, place
        self.copy = copy_plan(np.empty(shape, g.dtype)[place], g)

    def __call__(self, g: np.ndarray) -> np.ndarray:
        result = zeros(self.shape, self.dtype)
        if observers or self.copy.entry is None:
            copy_to_new(result[self.place], g)
        else:
            self.copy.entry(result[self.place], g, *self.copy.geometry)
        return result


def _prepare_basic_backward(g: np.ndarray, shape: tuple[int, ...], plan: tuple[Any, ...]) -> Any:
    return None if is_half(g.dtype) else _Placed(g, shape, plan)


def _basic_backward_forward(g: np.ndarray, shape: tuple[int, ...], plan: tuple[Any, ...]) -> np.ndarray:
    result = zeros(shape, g.dtype)
    copy_into(result[plan], g)
    return result


#: A view by a tuple of ints, slices, None and an Ellipsis, as NumPy takes them; the ints are in range, the steps positive.
basic_view: Any = view_op("basic_view", _basic_forward,
                vjp=(lambda g, input_shape, plan: basic_backward(g, input_shape, plan),), plain=False, prepare=lambda input, plan: itemgetter(plan))  # fmt: skip
basic_backward: Any = planned("basic_backward", _basic_backward_forward, prepare=_prepare_basic_backward, plain=False,
                              vjp=(lambda g, plan: basic_view(g, plan),))  # fmt: skip


def basic_part(g: Tensor, plan: tuple[Any, ...]) -> Tensor:
    """`basic_view` for the way back: what nobody will follow needs no recipe."""
    return basic_view(g, plan) if mode.enabled else wrap(g._data[plan])


# --- geometry -------------------------------------------------------------------------------------------------------

Indices = Sequence[np.ndarray | None]


class Layout(NamedTuple):
    """How an array relates to what is read from or written to it at indices.

    For outer index a, offset number j and inner index b, its element at `a * outer_step + offsets[j] + b * inner_step` is
    the result's element at `a * steps[0] + j * steps[1] + b`. `groups` are the result's dimensions that a, j and b run over.
    """

    shape: tuple[int, ...]
    of_indices: tuple[int, ...]
    outer: int
    inner: int
    outer_step: int
    inner_step: int
    steps: tuple[int, int]
    groups: tuple[range, range, range]


def _positions(indices: Sequence[Any]) -> list[int]:
    return [d for d, i in enumerate(indices) if i is not None]


def _adjacent(dims: Sequence[int]) -> bool:
    return dims[-1] - dims[0] == len(dims) - 1


def _lay_out(data: np.ndarray, indices: Indices) -> Layout | None:
    """The layout; None where the dimensions that are not indexed do not lie in memory as (at most) two."""
    steps = tuple([s // data.itemsize for s in data.strides])
    return _layout(data.shape, steps, tuple([None if i is None else i.shape for i in indices]))


@functools.lru_cache(maxsize=2048)
def _layout(shape: tuple[int, ...], steps: tuple[int, ...], indices: tuple[tuple[int, ...] | None, ...]) -> Layout | None:
    """Dimensions indexed side by side are replaced where they are; otherwise the dimensions of the indices come first."""
    at = _positions(indices)
    try:
        of_indices = broadcast_shape([i for i in indices if i is not None])
    except RuntimeError:
        shapes = ", ".join(str(list(i)) for i in indices if i is not None)
        raise IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}") from None
    rest = [d for d in range(len(shape)) if d not in at]
    n, j = len(of_indices), math.prod(of_indices)
    for split in [at[0]] if _adjacent(at) else range(len(rest) + 1):
        before, behind = rest[:split], rest[split:]
        outer, outer_steps = _merged([shape[d] for d in before], [steps[d] for d in before])
        inner, inner_steps = _merged([shape[d] for d in behind], [steps[d] for d in behind])
        if len(outer) > 1 or len(inner) > 1:
            continue
        a, b = math.prod(outer), math.prod(inner)
        sides = [tuple([shape[d] for d in part]) for part in (before, behind)]
        if _adjacent(at):
            groups = range(split), range(split, split + n), range(split + n, n + len(rest))
            return Layout((*sides[0], *of_indices, *sides[1]), of_indices, a, b, outer_steps[-1], inner_steps[-1], (j * b, b), groups)
        groups = range(n, n + split), range(n), range(n + split, n + len(rest))
        return Layout((*of_indices, *sides[0], *sides[1]), of_indices, a, b, outer_steps[-1], inner_steps[-1], (b, a * b), groups)
    return None


def _merged(sides: Sequence[int], steps: Sequence[int]) -> tuple[list[int], list[int]]:
    """Sides and steps, once dimensions that lie in memory as one are one; no sides for a single element."""
    merged, kept = collapse(sides, [steps])
    return ([], [0]) if merged == [1] else (merged, kept[0])


def _in_front(data: np.ndarray, indices: Indices) -> tuple[np.ndarray, tuple[Any, ...]]:
    """The array with its indexed dimensions first, as a view."""
    at = _positions(indices)
    return data.transpose(*at, *[d for d in range(data.ndim) if d not in at]), tuple([indices[d] for d in at])


def _offsets(data: np.ndarray, indices: Indices, layout: Layout, caller: str) -> np.ndarray:
    """Where in memory, in elements from the first, each combination of indices points."""
    offsets, fresh = empty(math.prod(layout.of_indices), INT64), True
    if offsets.size:
        for dim, index in enumerate(indices):
            if index is not None:
                flat = as_index(index, layout.of_indices)
                add_offsets(offsets, flat, caller, dim, data.shape[dim], data.strides[dim] // data.itemsize, fresh)
                fresh = False
    return offsets


# --- reading --------------------------------------------------------------------------------------------------------


@device
def _take_tile(y, x, offsets, y_at, x_at, y_row, x_step, start, stop, first, last):  # type: ignore[no-untyped-def]
    count = last - first
    if count == 1:
        for j in range(start, stop):
            y[unsigned(y_at + j * y_row + first)] = x[unsigned(x_at + offsets[unsigned(j)] + first * x_step)]
        return
    for j in range(start, stop):
        out = y[y_at + j * y_row + first : y_at + j * y_row + last]
        place = x_at + offsets[j] + first * x_step
        if x_step == 1:
            row = x[place : place + count]
            for b in range(count):
                out[b] = row[b]
        else:
            for b in range(count):
                out[b] = x[unsigned(place + b * x_step)]


@kernel
def _take_kernel(y, x, offsets, outer, inner, x_outer, x_step, y_outer, y_row, rows, columns):  # type: ignore[no-untyped-def]
    row_blocks = (offsets.size + rows - 1) // rows
    blocks = row_blocks * ((inner + columns - 1) // columns)
    for unit in prange(0, outer * blocks):
        a, r, c = unit // blocks, unit % blocks % row_blocks, unit % blocks // row_blocks
        stop, last = min(offsets.size, (r + 1) * rows), min(inner, (c + 1) * columns)
        _take_tile(y, x, offsets, a * y_outer, a * x_outer, y_row, x_step, r * rows, stop, c * columns, last)


def _index_forward(input: np.ndarray, indices: Indices, caller: str = "index") -> np.ndarray:
    layout = _lay_out(input, indices)
    if layout is None:
        if not _adjacent(_positions(indices)):
            input, indices = _in_front(input, indices)
        return _index_forward(copied(input), indices, caller)
    y = empty(layout.shape, input.dtype)
    offsets = _offsets(input, indices, layout, caller)
    if y.size:
        columns = min(layout.inner, TILE)
        launch(
            _take_kernel, y.reshape(-1), span(input), offsets, layout.outer, layout.inner, layout.outer_step, layout.inner_step,
            *layout.steps, max(1, TILE // columns), columns, work=y.size,
        )  # fmt: skip
    return y


def _index_backward_forward(g: np.ndarray, shape: tuple[int, ...], indices: Indices, caller: str) -> np.ndarray:
    result = zeros(shape, g.dtype)
    _put_into(result, indices, g, True, caller)
    return result


#: `input[indices]` for a tuple of index arrays (int64 or int32) and None; masks have become positions before.
index_at: Any = op("index_at", _index_forward, public=False, method=False,
           vjp=(lambda g, input_shape, indices, caller: index_at_backward(g, input_shape, indices, caller),))  # fmt: skip
index_at_backward: Any = op("index_at_backward", _index_backward_forward, public=False, method=False,
                    vjp=(lambda g, indices, caller: index_at(g, indices, caller),))  # fmt: skip

# --- writing --------------------------------------------------------------------------------------------------------

#: A write of rows at least so long is shared out: each unit owns a range of places, of which there are at most so many.
_LONG, _RANGES = 32, 16


@device
def _put_tile(y, v, offsets, y_at, v_at, y_step, v_row, v_step, inner, low, high, adds):  # type: ignore[no-untyped-def]
    for j in range(offsets.size):
        offset = offsets[unsigned(j)]
        if offset < low or offset >= high:
            continue
        place, source = y_at + offset, v_at + j * v_row
        if inner == 1 or y_step != 1 or v_step != 1:
            for b in range(inner):
                at = unsigned(place + b * y_step)
                if adds:
                    y[at] += v[unsigned(source + b * v_step)]
                else:
                    y[at] = v[unsigned(source + b * v_step)]
        else:
            out, row = y[place : place + inner], v[source : source + inner]
            if adds:
                for b in range(inner):
                    out[b] += row[b]
            else:
                for b in range(inner):
                    out[b] = row[b]


@kernel
def _put_kernel(y, v, offsets, outer, inner, y_outer, y_step, v_outer, v_row, v_step, ranges, reach, adds):  # type: ignore[no-untyped-def]
    for unit in prange(0, outer * ranges):
        a, r = unit // ranges, unit % ranges
        low, high = reach * r // ranges, reach * (r + 1) // ranges
        _put_tile(y, v, offsets, a * y_outer, a * v_outer, y_step, v_row, v_step, inner, low, high, adds)


def _put_into(out: np.ndarray, indices: Indices, values: Any, accumulate: bool = False, caller: str = "index") -> None:
    """Write values, broadcast, to `out[indices]`, or add them there; of repeated indices the last wins."""
    layout = _lay_out(out, indices)
    if layout is None:
        _put_into_copy(out, indices, values, accumulate, caller)
        return
    offsets = _offsets(out, indices, layout, caller)
    v, v_steps = _values(values, layout, out)
    work = layout.outer * offsets.size * layout.inner
    if work:
        reach = 1 + sum((n - 1) * s // out.itemsize for n, s, i in zip(out.shape, out.strides, indices, strict=False) if i is not None)
        launch(
            _put_kernel, span(out), span(v), offsets, layout.outer, layout.inner, layout.outer_step, layout.inner_step, *v_steps,
            _RANGES if layout.inner >= _LONG else 1, reach, bool(accumulate), work=work,
        )  # fmt: skip


def _put_into_copy(out: np.ndarray, indices: Indices, values: Any, accumulate: bool, caller: str) -> None:
    """Memory that does not fit the kernel: write into a copy, with the indexed dimensions first if they are apart."""
    target = out
    if not _adjacent(_positions(indices)):
        target, indices = _in_front(out, indices)
    temporary = copied(target)
    _put_into(temporary, indices, values, accumulate, caller)
    copy_into(target, temporary)


def _values(values: Any, layout: Layout, out: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Values in the dtype of `out`, and their steps over outer dimensions, offsets and inner dimensions."""
    if not isinstance(values, np.ndarray):
        return np.array([values]).astype(out.dtype), (0, 0, 0)
    if values.dtype != out.dtype or np.may_share_memory(values, out):
        values = copied(values, out.dtype)
    steps = _value_steps(values.shape, tuple([s // values.itemsize for s in values.strides]), layout.shape, layout.groups)
    if steps is None:
        extra = max(values.ndim - len(layout.shape), 0)
        values = copied(np.broadcast_to(values[(0,) * extra], layout.shape))
        return _values(values, layout, out)
    return values, steps


@functools.lru_cache(maxsize=2048)
def _value_steps(
    shape: tuple[int, ...], steps: tuple[int, ...], wanted: tuple[int, ...], groups: tuple[range, ...]
) -> tuple[int, ...] | None:  # fmt: skip
    """Steps of values that are broadcast to the result, over each group of its dimensions; None where a group needs several."""
    extra = len(shape) - len(wanted)
    sides = (1,) * -extra + shape[max(extra, 0) :]
    if any(n != 1 for n in shape[: max(extra, 0)]) or any(n not in (1, m) for n, m in zip(sides, wanted, strict=True)):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(shape)} cannot be broadcast to indexing result of shape {list(wanted)}"
        )
    own = [0 if n == 1 else s for n, s in zip(sides, (0,) * -extra + steps[max(extra, 0) :], strict=True)]
    merged = [_merged([wanted[d] for d in group], [own[d] for d in group]) for group in groups]
    return None if any(len(found) > 1 for found, _ in merged) else tuple([kept[-1] for _, kept in merged])


def _put_forward(input: np.ndarray, indices: Indices, values: Any, accumulate: bool = False, caller: str = "index") -> np.ndarray:
    result = copied(input)
    _put_into(result, indices, values, accumulate, caller)
    return result


def _put_input_gradient(g: Tensor, indices: Any, accumulate: bool, caller: str) -> Tensor:
    return g if accumulate else put_at(g, indices, wrap(np.zeros((), g._data.dtype)), False, caller)


def _put_values_gradient(g: Tensor, indices: Any, accumulate: bool, caller: str) -> Tensor:
    return index_at(g, indices, caller) if accumulate else index_last(g, indices, caller)


#: `input` with values written to `input[indices]`, or added there.
put_at: Any = op("put_at", _put_forward, into=_put_into, public=False, method=False,
            vjp=(_put_input_gradient, None, _put_values_gradient))  # fmt: skip


def _index_last_forward(input: np.ndarray, indices: Indices, caller: str) -> np.ndarray:
    y = _index_forward(input, indices, caller)
    writers = empty(tuple([1 if i is None else n for n, i in itertools.zip_longest(input.shape, indices)]), INT64)
    layout = _lay_out(writers, indices)
    assert layout is not None
    numbers = arange(math.prod(layout.shape))._data.reshape(layout.shape)
    _put_into(writers, indices, numbers, False, caller)
    last = REGISTRY["eq"].forward(_index_forward(writers, indices, caller), numbers)
    return REGISTRY["where_formula"].forward(last, y, 0.0)


#: `input[indices]`, but 0 where a later index is the same: what of the gradient goes to values of which the last was kept.
index_last: Any = op("index_last", _index_last_forward, public=False, method=False,
                vjp=(lambda g, input_shape, indices, caller: put_at(wrap(zeros(input_shape, g._data.dtype)), indices, g, False, caller),))  # fmt: skip
