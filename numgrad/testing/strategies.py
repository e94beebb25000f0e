"""Hypothesis strategies: where property tests of numgrad, and of your own ops, get their inputs (needs `hypothesis`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("numgrad.testing.strategies needs hypothesis: pip install hypothesis") from error

from .. import dtypes as _dtypes
from ..ops.record import Op
from ..tensor import Tensor, wrap
from .case import Case
from .draw import Draw


@st.composite
def draws(draw: Callable[..., Any], dtype: Any = np.float64, side: int = 4) -> Draw:
    """A `Draw` whose every choice is hypothesis's, so that failures shrink."""
    return Draw(lambda low, high: draw(st.integers(low, high)), dtype, side)


@st.composite
def cases(draw: Callable[..., Any], op: Op, dtype: Any = np.float64, side: int = 4) -> Case:
    """Calls of an op, by its sample."""
    return Case.drawn(op, draw(draws(dtype, side)))


@st.composite
def shapes(draw: Callable[..., Any], *, min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 4) -> tuple[int, ...]:
    """Shapes; sides of 0 and 1 occur unless `min_side` forbids."""
    return draw(draws(side=max_side)).shape(min_dims, max_dims, min_side)


@st.composite
def broadcastable(draw: Callable[..., Any], shape: Sequence[int]) -> tuple[int, ...]:
    """Shapes that broadcast to a shape: leading dimensions left out, others made 1."""
    return draw(draws()).broadcastable(tuple(shape))


def dtypes(*, floating: bool = True, integers: bool = True, boolean: bool = True) -> st.SearchStrategy[_dtypes.dtype]:
    """dtypes of these sorts, simplest first."""
    sorts = {"f": floating, "i": integers, "u": integers, "b": boolean}
    found = [d for d in dict.fromkeys(_dtypes.FROM_NUMPY.values()) if sorts.get(d.numpy.kind)]
    if not found:
        raise ValueError("dtypes(): at least one of floating, integers and boolean must be true")
    return st.sampled_from(sorted(found, key=lambda d: (d is not _dtypes.float32, d.numpy.kind != "f", d.numpy.itemsize)))


@st.composite
def tensors(
    draw: Callable[..., Any], dtype: _dtypes.dtype = _dtypes.float64, shape: tuple[int, ...] | None = None, *,
    low: float = -3.0, high: float = 3.0, max_dims: int = 3, max_side: int = 4, requires_grad: bool = False, any_layout: bool = False,
) -> Tensor:  # fmt: skip
    """Tensors of any shape, or of one shape, with values in [low, high]; `any_layout`: not only contiguous ones."""
    source = draw(draws(dtype.numpy, max_side))
    sizes = source.shape(max_dims=max_dims) if shape is None else shape
    if dtype.is_floating_point:
        values = source.array(sizes, low, high)
    elif dtype is _dtypes.bool:
        values = source.booleans(sizes)
    else:
        values = source.integers(sizes, int(np.ceil(low)), int(np.floor(high)), dtype=dtype.numpy)
    made = draw(layouts(values)) if any_layout else wrap(values)
    return made.requires_grad_(requires_grad)


@st.composite
def layouts(draw: Callable[..., Any], values: Any) -> Tensor:
    """A tensor of these values (a tensor or an array) somewhere else in memory: contiguous, its dimensions in another order,
    every second element of a larger block, or a block inside a larger one."""
    x = values.detach().numpy() if isinstance(values, Tensor) else np.asarray(values)
    how = draw(st.sampled_from(["contiguous", "permuted", "strided", "inside"]))
    if how == "permuted":
        order = draw(st.permutations(range(x.ndim)))
        return wrap(np.transpose(x, order).copy().transpose(np.argsort(order)))
    if how == "contiguous" or x.ndim == 0:
        return wrap(x.copy())
    step = 2 if how == "strided" else 1
    along = draw(st.integers(0, x.ndim - 1))
    memory = np.zeros([n * step + 2 if d == along else n for d, n in enumerate(x.shape)], x.dtype)
    part = memory[tuple([slice(1, 1 + n * step, step) if d == along else slice(None) for d, n in enumerate(x.shape)])]
    part[...] = x
    return wrap(part)


@st.composite
def indices(draw: Callable[..., Any], shape: Sequence[int], *, arrays: bool = True) -> Any:
    """What may stand in x[...] for a tensor x of this shape: numbers, slices, None, ..., and tensors of numbers or truth values."""
    parts: list[Any] = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        options: list[Any] = [st.slices(size).filter(lambda s: s.step is None or s.step > 0)]
        if size:
            options.append(st.integers(-size, size - 1))
        parts.append(draw(st.one_of(options)))
    places = [d for d, size in enumerate(shape[: len(parts)]) if size]
    if arrays and places and draw(st.booleans()):
        d = draw(st.sampled_from(places))
        source = draw(draws())
        mask = draw(st.booleans())
        parts[d] = wrap(source.booleans((shape[d],)) if mask else source.integers(source.shape(max_dims=2), -shape[d], shape[d] - 1))
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        parts.append(Ellipsis)
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)
