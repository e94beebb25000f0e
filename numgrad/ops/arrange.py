"""Elements in another order, or again: flip, roll, rot90, repeat, tile, repeat_interleave; and a part replaced."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import scalar_name
from ..jit import empty, read
from ..tensor import Tensor
from .elementwise import copy_along, copy_into, span
from .index import basic_view, index_at
from .inplace import VIEW_SCATTER
from .record import REGISTRY, composite, op
from .shape import dimension, dimensions, expand, reshape, sizes, transpose
from .walk import collapse, contiguous_strides

# --- flip -----------------------------------------------------------------------------------------------------------


def _flip_forward(input: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    """A copy from the last element back: each dimension's stride is negative."""
    y = empty(input.shape, input.dtype)
    if y.size:
        steps = [s // input.itemsize for s in input.strides]
        at = sum(steps[d] * (input.shape[d] - 1) for d in dims)
        back = [-s if d in dims else s for d, s in enumerate(steps)]
        copy_along(y, span(input), *collapse(input.shape, [contiguous_strides(input.shape), back]), at)
    return y


_flip: Any = op("flip_dims", _flip_forward, vjp=(lambda g, dims: _flip(g, dims),), public=False, method=False)


def _flip_function(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the order along some dimensions reversed."""
    if not dims:
        raise TypeError('flip() missing 1 required positional arguments: "dims"')
    return _flip(input, dimensions(sizes(dims), input.dim()) if input.dim() else ())


def _dims_sample(draw: Any) -> Any:
    x = draw.array(draw.shape())
    return (x, draw.dims(x.ndim)), {}


flip = composite("flip", _flip_function, reference=lambda x, dims: np.flip(x, dims), sample=_dims_sample,
                 errors=[((np.ones(2), (0, 0)), RuntimeError, "multiple times"), ((np.ones(2), (1,)), IndexError, "range")])  # fmt: skip


def _flipper(name: str, dim: int) -> Any:
    def function(input: Tensor) -> Tensor:
        if input.dim() <= dim:
            raise RuntimeError(f"{name}: Input must be >= {dim + 1}-d.")
        return _flip(input, (dim,))

    function.__doc__ = f"A copy with the order along dimension {dim} reversed."
    return composite(name, function, reference=getattr(np, name), errors=[((np.ones(()),), RuntimeError, "Input must be")],
                     sample=lambda draw: ((draw.array(draw.shape(min_dims=dim + 1)),), {}))  # fmt: skip


fliplr, flipud = _flipper("fliplr", 1), _flipper("flipud", 0)

# --- roll, rot90 ----------------------------------------------------------------------------------------------------


def _roll_forward(input: np.ndarray, shift: int, dim: int) -> np.ndarray:
    y, n, before = empty(input.shape, input.dtype), input.shape[dim], (slice(None),) * dim
    shift %= max(n, 1)
    if shift:
        copy_into(y[before + (slice(shift),)], input[before + (slice(n - shift, None),)])
    copy_into(y[before + (slice(shift, None),)], input[before + (slice(n - shift),)])
    return y


_roll: Any = op("roll_dim", _roll_forward, vjp=(lambda g, shift, dim: _roll(g, -shift, dim),), public=False, method=False)


def _roll_function(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """Elements moved along dimensions, those that leave at one end coming in at the other; without dims, as if flattened."""
    shifts = sizes(shifts) if isinstance(shifts, (tuple, list)) else (shifts.__index__(),)
    dims = () if dims is None else tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if not dims and len(shifts) == 1:
        return reshape(_roll(reshape(input, input.numel()), shifts[0], 0), input.shape)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if input.dim() == 0:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    for shift, dim in zip(shifts, dims, strict=True):
        input = _roll(input, shift, dimension(dim, input.dim()))
    return input


def _roll_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1))
    dims = draw.choice([(), tuple(range(x.ndim))])
    return (x, tuple(draw.integer(-5, 5) for _ in dims) if dims else draw.integer(-5, 5), dims), {}


roll = composite("roll", _roll_function, sample=_roll_sample, reference=lambda x, shifts, dims=(): np.roll(x, shifts, dims or None),
                 errors=[((np.ones(2), (1, 2), 0), RuntimeError, "must align"), ((np.ones(2), 1, 1), IndexError, "range")])  # fmt: skip


def _rot90_function(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """A copy rotated k times by 90 degrees in the plane of two dimensions, from the first towards the second."""
    if not isinstance(k, int):
        raise TypeError(f"rot90(): argument 'k' (position 2) must be int, not {type(k).__name__}")
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.dim() < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.dim()}")
    a, b = (dimension(d, input.dim()) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    turned = _flip(input, {0: (), 1: (b,), 2: (a, b), 3: (a,)}[k % 4])
    return transpose(turned, a, b) if k % 2 else turned


rot90 = composite("rot90", _rot90_function, reference=lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
                  sample=lambda draw: ((draw.array(draw.shape(min_dims=2)), draw.integer(-5, 5), draw.choice([(0, 1), (1, 0), (-1, 0)])), {}),
                  errors=[((np.ones(2),), RuntimeError, "total dims"), ((np.ones((2, 2)), 1, (0, 0)), RuntimeError, "different"),
                          ((np.ones((2, 2)), 1, (0,)), RuntimeError, "rotation dims == 2")])  # fmt: skip

# --- repetition -----------------------------------------------------------------------------------------------------


def _repeat_function(input: Tensor, *repeats: Any) -> Tensor:
    """Copies side by side, `repeats` of them in each dimension; further repeats in front make new dimensions."""
    times = sizes(repeats)
    extra = len(times) - input.dim()
    if extra < 0:
        raise RuntimeError(
            f"Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor, got {len(times)} and {input.dim()}"
        )
    shape = (1,) * extra + input._data.shape
    if any(r < 0 for r in times):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {list(times)} of shape {list(input.shape)}")
    apart = reshape(input, [n for side in shape for n in (1, side)])
    copies = expand(apart, [n for r, side in zip(times, shape, strict=True) for n in (r, side)]).clone()
    return reshape(copies, [r * n for r, n in zip(times, shape, strict=True)])


def _repeat_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(max_dims=2))
    return (x, tuple(draw.integer(0, 3) for _ in range(x.ndim + draw.integer(0, 1)))), {}


repeat = composite("repeat", _repeat_function, public=False, reference=lambda x, times: np.tile(x, times), sample=_repeat_sample,
                   errors=[((np.ones((2, 2)), 2), RuntimeError, "can not be smaller"), ((np.ones(2), -1), RuntimeError, "negative")])  # fmt: skip


def _tile_function(input: Tensor, *dims: Any) -> Tensor:
    """Copies side by side; where fewer numbers than dimensions are given, they count for the last ones."""
    times = sizes(dims)
    return _repeat_function(input, (1,) * (input.dim() - len(times)) + times)


tile = composite("tile", _tile_function, reference=lambda x, times: np.tile(x, times),
                 sample=lambda draw: ((draw.array(draw.shape(max_dims=2)), tuple(draw.integer(0, 2) for _ in range(draw.integer(0, 3)))), {}),
                 errors=[((np.ones(2), (-1,)), RuntimeError, "negative dimension"), ((np.ones(2), (2.5,)), TypeError, "must be ints"), (("text", (2,)), TypeError, "must be Tensor")])  # fmt: skip


def _repeated_positions(repeats: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(repeats.size), repeats)


_positions_of = op("repeated_positions", _repeated_positions, vjp=None, public=False, method=False)


def _times(repeats: Any, output_size: int | None) -> Tensor:
    """For each element of the result, which of the repeated it is."""
    if repeats._data.dtype.kind != "i" or repeats.element_size() < 4:
        raise NotImplementedError(f'"repeat_interleave_cpu" not implemented for \'{scalar_name(repeats._data.dtype)}\': repeats must be int64 or int32')
    if repeats.dim() > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if repeats.numel() and int(read(repeats._data).min()) < 0:
        raise RuntimeError("repeats can not be negative")
    found = _positions_of(repeats)
    if output_size is not None and found.numel() != output_size:
        raise RuntimeError(f"allocated size does not match required size: output_size={output_size}, but the repeats add up to {found.numel()}")
    return found


def _repeat_interleave_function(input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each index of `dim` (or each element of the flattened tensor) repeated in place, as often as a number or a vector says.

    `repeat_interleave(repeats)` of a vector alone gives its positions, each as often as the vector says.
    """
    if repeats is None:
        return _times(input, output_size)
    if dim is None:
        input, dim = reshape(input, input.numel()), 0
    if not isinstance(repeats, (int, Tensor)):
        raise TypeError(f"repeat_interleave(): argument 'repeats' must be an int or a Tensor, but got {type(repeats).__name__}")
    vector = reshape(input, 1) if input.dim() == 0 else input
    d = dimension(dim, vector.dim())
    n = vector._data.shape[d]
    if isinstance(repeats, Tensor) and repeats.numel() == 1 and repeats.dim() <= 1:
        repeats = int(repeats.item())
    if isinstance(repeats, Tensor):
        if repeats.dim() == 1 and repeats.numel() != n:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got "
                f"repeats.size(0) = {repeats.numel()} and input.size({d}) = {n}"
            )
        return index_at(vector, (*[None] * d, _times(repeats, output_size)), "index")
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    shape = vector._data.shape
    copies = expand(reshape(vector, (*shape[: d + 1], 1, *shape[d + 1 :])), (*shape[: d + 1], repeats, *shape[d + 1 :])).clone()
    return reshape(copies, (*shape[:d], n * repeats, *shape[d + 1 :]))


def _repeat_interleave_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1))
    d = draw.dim(x.ndim)
    return (x, draw.choice([draw.integer(0, 3), draw.integers((x.shape[d],), 0, 3)]), d), {}


repeat_interleave = composite("repeat_interleave", _repeat_interleave_function, reference=lambda x, repeats, dim=None: np.repeat(x, repeats, dim),
                              sample=_repeat_interleave_sample,
                              errors=[((np.ones(2), -1, 0), RuntimeError, "non-negative"), ((np.ones(2), np.array([-1, 2]), 0), RuntimeError, "negative"),
                                      ((np.ones(2), np.array([1, 2, 3]), 0), RuntimeError, "same size"),
                                      ((np.ones(2), np.array([1.0, 2.0]), 0), NotImplementedError, "int64"), ((np.ones(2), [1, 2], 0), TypeError, "Tensor")])  # fmt: skip

# --- a part replaced --------------------------------------------------------------------------------------------------


def _replaced(name: str, input: Tensor, src: Tensor, view: Any, *rest: Any) -> Tensor:
    wanted = view.forward(input._data, *rest).shape
    if src._data.shape != wanted:
        raise RuntimeError(f"{name}: expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = {list(wanted)}")
    return VIEW_SCATTER(input, src, (None, (view, rest)))


def _slice_scatter_function(input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """A copy of `input` with a slice of one dimension replaced by `src`."""
    if step <= 0:
        raise ValueError("slice_scatter(): step must be greater than zero")
    d = dimension(dim, input.dim())
    return _replaced("slice_scatter", input, src, basic_view, (*[slice(None)] * d, slice(start, end, step), Ellipsis))


def _select_scatter_function(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with one index of one dimension replaced by `src`."""
    d = dimension(dim, input.dim())
    if not -input._data.shape[d] <= index < input._data.shape[d]:
        raise IndexError(f"select_scatter(): index {index} out of range for tensor of size {list(input.shape)} at dimension {d}")
    return _replaced("select_scatter", input, src, basic_view, (*[slice(None)] * d, index, Ellipsis))


def _diagonal_scatter_function(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with its diagonals of two dimensions replaced by `src`."""
    a, b = dimension(dim1, input.dim()), dimension(dim2, input.dim())
    return _replaced("diagonal_scatter", input, src, REGISTRY["diagonal_view"], offset, a, b)


def _with(x: Any, part: Any, src: Any) -> Any:
    x = x.copy()
    x[part] = src
    return x


slice_scatter = composite("slice_scatter", _slice_scatter_function, sample=lambda draw: ((draw.array((5, 2)), draw.array((2, 2)), 0, 1, -1, 2), {}),
                          reference=lambda x, src, dim, start, end, step: _with(x, slice(start, end, step), src),
                          errors=[((np.ones(3), np.ones(2), 0, 0, 1), RuntimeError, "size equal")])  # fmt: skip
select_scatter = composite("select_scatter", _select_scatter_function, sample=lambda draw: ((draw.array((3, 2)), draw.array((3,)), 1, -1), {}),
                           reference=lambda x, src, dim, index: _with(x, (slice(None), index), src),
                           errors=[((np.ones(3), np.ones(()), 0, 3), IndexError, "range")])  # fmt: skip
diagonal_scatter = composite("diagonal_scatter", _diagonal_scatter_function, sample=lambda draw: ((draw.array((3, 3)), draw.array((2,)), 1), {}),
                             reference=lambda x, src, offset: _with(x, (np.arange(2), np.arange(1, 3)), src),
                             errors=[((np.ones((2, 2)), np.ones(3)), RuntimeError, "size equal")])  # fmt: skip
