"""Hypothesis strategies: where property tests of numgrad, and of your own ops, get their inputs (needs `hypothesis`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from .. import dtypes
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
def tensors(
    draw: Callable[..., Any], dtype: dtypes.dtype = dtypes.float64, shape: tuple[int, ...] | None = None, *,
    low: float = -3.0, high: float = 3.0, max_dims: int = 3, max_side: int = 4, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Tensors of any shape, or of one shape, with values in [low, high]."""
    source = draw(draws(dtype.numpy, max_side))
    sizes = source.shape(max_dims=max_dims) if shape is None else shape
    if dtype.is_floating_point:
        return wrap(source.array(sizes, low, high)).requires_grad_(requires_grad)
    if dtype is dtypes.bool:
        return wrap(source.booleans(sizes))
    return wrap(source.integers(sizes, int(np.ceil(low)), int(np.floor(high)), dtype=dtype.numpy))
