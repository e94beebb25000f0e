"""Views of some elements: slices, single indices, diagonals, windows; each with the op that puts a gradient back in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import zeros
from ..tensor import Tensor
from . import shape
from .elementwise import copy_into
from .record import REGISTRY, composite, op
from .shape import dimension, reshape, unsqueeze
from .views import view_op


def _array(draw: Any, **kwargs: Any) -> Any:
    return draw.array(draw.shape(**kwargs))


def _narrow_forward(input: np.ndarray, dim: int, start: int, length: int) -> np.ndarray:
    return input[(slice(None),) * dim + (slice(start, start + length),)]


def _narrow_backward(g: Tensor, input_shape: tuple[int, ...], dim: int, start: int, length: int) -> Tensor:
    return slice_backward(g, input_shape, dim, start, 1)


_narrow = view_op("narrow_view", _narrow_forward, vjp=(_narrow_backward,))


def _slice_backward_forward(g: np.ndarray, shape: tuple[int, ...], dim: int, start: int, step: int) -> np.ndarray:
    result = zeros(shape, g.dtype)
    copy_into(result[(slice(None),) * dim + (slice(start, start + step * (g.shape[dim] - 1) + 1 if g.shape[dim] else start, step),)], g)
    return result


slice_backward = op("slice_backward", _slice_backward_forward, public=False, method=False,
                    vjp=(lambda g, g_shape, dim, start, step: _slice(g, dim, start, start + step * g_shape[dim], step),))  # fmt: skip


def _slice_forward(input: np.ndarray, dim: int, start: int, stop: int, step: int) -> np.ndarray:
    return input[(slice(None),) * dim + (slice(start, stop, step),)]


_slice = view_op("slice_view", _slice_forward,
            vjp=(lambda g, input_shape, dim, start, stop, step: slice_backward(g, input_shape, dim, start, step),))  # fmt: skip


def _narrow_function(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """A view of `length` indices of one dimension, from `start` (negative: from the end)."""
    if input.dim() == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    d, start = dimension(dim, input.dim()), start.__index__()
    n = input._data.shape[d]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return _narrow(input, d, start, length)


def _narrow_sample(draw: Any) -> Any:
    x = _array(draw, min_dims=1)
    d = draw.dim(x.ndim)
    start = draw.integer(0, x.shape[d])
    return (x, d, start, draw.integer(0, x.shape[d] - start)), {}


narrow = composite("narrow", _narrow_function, sample=_narrow_sample,
                   reference=lambda x, dim, start, length: np.take(x, np.arange(start, start + length), axis=dim),
                   errors=[((np.ones(3), 0, 2, 2), RuntimeError, "exceeds"), ((np.ones(3), 0, 4, 0), IndexError, "range")])  # fmt: skip


def _select_forward(input: np.ndarray, dim: int, index: int) -> np.ndarray:
    return input[(slice(None),) * dim + (index, ...)]


_select = view_op("select_view", _select_forward,
             vjp=(lambda g, input_shape, dim, index: slice_backward(unsqueeze(g, dim), input_shape, dim, index, 1),))  # fmt: skip


def _select_function(input: Tensor, dim: int, index: Any) -> Tensor:
    """A view of one index of one dimension, which goes."""
    if input.dim() == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, index = dimension(dim, input.dim()), index.__index__()
    n = input._data.shape[d]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {d}")
    return _select(input, d, index % n)


def _select_sample(draw: Any) -> Any:
    x = _array(draw, min_dims=1, min_side=1)
    d = draw.dim(x.ndim)
    return (x, d, draw.integer(-x.shape[d], x.shape[d] - 1)), {}


select = composite("select", _select_function, sample=_select_sample, reference=lambda x, dim, index: np.take(x, index, axis=dim),
                   errors=[((np.ones(3), 0, 3), IndexError, "range")])  # fmt: skip


def _diagonal_forward(input: np.ndarray, offset: int, dim1: int, dim2: int) -> np.ndarray:
    part = np.moveaxis(input, (dim1, dim2), (-2, -1))[..., max(-offset, 0) :, max(offset, 0) :]
    shape, strides = (*part.shape[:-2], min(part.shape[-2:])), (*part.strides[:-2], sum(part.strides[-2:]))
    return np.lib.stride_tricks.as_strided(part, shape, strides, writeable=input.flags.writeable)  # np.diagonal's is read-only


def _diagonal_backward_forward(g: np.ndarray, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> np.ndarray:
    result = zeros(shape, g.dtype)
    copy_into(_diagonal_forward(result, offset, dim1, dim2), g)
    return result


_diagonal_backward = op("diagonal_backward", _diagonal_backward_forward, public=False, method=False,
                        vjp=(lambda g, offset, dim1, dim2: _diagonal(g, offset, dim1, dim2),))  # fmt: skip
_diagonal = view_op("diagonal_view", _diagonal_forward,
               vjp=(lambda g, input_shape, offset, dim1, dim2: _diagonal_backward(g, input_shape, offset, dim1, dim2),))  # fmt: skip


def _diagonal_function(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the diagonals of dimensions dim1 and dim2, as last dimension."""
    a, b = dimension(dim1, input.dim()), dimension(dim2, input.dim())
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _diagonal(input, offset, a, b)


def _diagonal_sample(draw: Any) -> Any:
    x = _array(draw, min_dims=2, min_side=1)
    return (x, draw.integer(-2, 2)), {}


diagonal = composite("diagonal", _diagonal_function, reference=np.diagonal, sample=_diagonal_sample,
                     errors=[((np.ones((2, 2)), 0, 1, 1), RuntimeError, "identical")])  # fmt: skip


def _unfold_forward(input: np.ndarray, dim: int, size: int, step: int) -> np.ndarray:
    count = (input.shape[dim] - size) // step + 1
    shape = (*input.shape[:dim], count, *input.shape[dim + 1 :], size)
    strides = (*input.strides[:dim], input.strides[dim] * step, *input.strides[dim + 1 :], input.strides[dim])
    return np.lib.stride_tricks.as_strided(input, shape, strides, writeable=input.flags.writeable)


def _unfold_backward_forward(g: np.ndarray, shape: tuple[int, ...], dim: int, size: int, step: int) -> np.ndarray:
    result = zeros(shape, g.dtype)
    plus = REGISTRY["plus"]
    for offset in range(size):  # windows overlap only between different offsets
        part = _slice_forward(result, dim, offset, offset + step * (g.shape[dim] - 1) + 1, step)
        plus.forward(part, g[..., offset], out=part)
    return result


_unfold_backward = op("unfold_backward", _unfold_backward_forward, public=False, method=False,
                      vjp=(lambda g, dim, size, step: _unfold(g, dim, size, step),))  # fmt: skip
_unfold = view_op("unfold_view", _unfold_forward,
             vjp=(lambda g, input_shape, dim, size, step: _unfold_backward(g, input_shape, dim, size, step),))  # fmt: skip


def _unfold_function(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of all windows of `size` in one dimension, `step` apart; the window is the last dimension."""
    if input.dim() == 0:
        input = reshape(input, 1)
    d = shape.dimension(dimension, input.dim())
    n = input._data.shape[d]
    if size < 0 or size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return _unfold(input, d, size, step)


def _unfold_sample(draw: Any) -> Any:
    size, step = draw.integer(1, 3), draw.integer(1, 3)
    return (draw.array((draw.integer(3, 7), 2)), 0, size, step), {}


def _unfold_reference(x: Any, dimension: int, size: int, step: int) -> Any:
    dimension %= x.ndim
    windows = np.lib.stride_tricks.sliding_window_view(x, size, dimension)
    return np.take(windows, np.arange(0, windows.shape[dimension], step), axis=dimension)


unfold = composite("unfold", _unfold_function, public=False, reference=_unfold_reference, sample=_unfold_sample,
                   errors=[((np.ones(3), 0, 4, 1), RuntimeError, "maximum size"), ((np.ones(3), 0, 1, 0), RuntimeError, "step")])  # fmt: skip
