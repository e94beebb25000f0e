"""Truth values as indices: nonzero, where, and reading, filling and writing under a mask."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from ..dtypes import BOOL, FLOATING, FROM_NUMPY, INT64, scalar_name
from ..jit import device, empty, kernel, launch, prange, read
from ..jit.codegen import TILE
from ..tensor import Tensor
from .elementwise import broadcast_shape, copied, pointwise
from .index import index_at, put_at
from .inplace import InPlace
from .operands import NOT_A_TENSOR
from .record import REGISTRY, composite, op
from .shape import expand, reshape

_UINT8 = np.dtype(np.uint8)

# --- nonzero --------------------------------------------------------------------------------------------------------


@device
def _count_tile(counts, truth, unit):  # type: ignore[no-untyped-def]
    row = truth[unit * TILE : min(truth.size, (unit + 1) * TILE)]
    count = 0
    for j in range(row.size):
        count += np.int64(row[j])  # without the JIT a sum of bytes is a byte
    counts[unit] = count


@kernel
def _count_kernel(counts, truth):  # type: ignore[no-untyped-def]
    for unit in prange(0, counts.size):
        _count_tile(counts, truth, unit)


@device
def _positions_tile(positions, starts, truth, unit):  # type: ignore[no-untyped-def]
    start, at, stop = unit * TILE, starts[unit], starts[unit + 1]
    row = truth[start : min(truth.size, start + TILE)]
    for j in range(row.size):
        if at < stop:  # always so until the last one: no branch to mispredict
            positions[at] = start + j
        at += row[j]


@kernel
def _positions_kernel(positions, starts, truth):  # type: ignore[no-untyped-def]
    for unit in prange(0, starts.size - 1):
        _positions_tile(positions, starts, truth, unit)


def _positions_forward(input: np.ndarray) -> np.ndarray:
    """The positions of nonzero elements, counted through all dimensions."""
    truth = input if input.dtype == BOOL and input.flags.c_contiguous else copied(input, BOOL)
    truth = truth.reshape(-1).view(_UINT8)
    counts = empty(-(-truth.size // TILE), INT64)
    launch(_count_kernel, counts, truth, work=truth.size)
    starts = list(itertools.accumulate(read(counts).tolist(), initial=0))
    positions = empty(starts[-1], INT64)
    if starts[-1]:
        launch(_positions_kernel, positions, np.array(starts, INT64), truth, work=truth.size)
    return positions


@device
def _coordinates_tile(result, positions, sides, unit):  # type: ignore[no-untyped-def]
    n = sides.size
    for j in range(unit * TILE, min(positions.size, (unit + 1) * TILE)):
        rest = positions[j]
        for d in range(n - 1, 0, -1):
            whole = rest // sides[d]
            result[j * n + d] = rest - whole * sides[d]
            rest = whole
        result[j * n] = rest


@kernel
def _coordinates_kernel(result, positions, sides):  # type: ignore[no-untyped-def]
    for unit in prange(0, (positions.size + TILE - 1) // TILE):
        _coordinates_tile(result, positions, sides, unit)


def _coordinates_forward(positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Positions as one index for each dimension of a shape."""
    result = empty((positions.size, len(shape)), INT64)
    if result.size:
        launch(_coordinates_kernel, result.reshape(-1), positions, np.array(shape, INT64))
    return result


positions = op("positions", _positions_forward, vjp=None, public=False, method=False)
coordinates = op("coordinates", _coordinates_forward, vjp=None, public=False, method=False)


def _nonzero_function(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of nonzero elements, a row each; `as_tuple`: an index tensor for each dimension, ready for `x[...]`."""
    shape = tuple(input.shape)
    if as_tuple and not shape:
        return _nonzero_function(reshape(input, 1), as_tuple=True)
    found = coordinates(positions(input), shape)
    return found.unbind(1) if as_tuple else found


def _some_zeros(draw: Any, **kwargs: Any) -> Any:
    return draw.integers(draw.shape(**kwargs), -1, 1)


def _argwhere(x: Any) -> Any:
    return np.array([place for place in np.ndindex(x.shape) if x[place]], np.int64).reshape(np.count_nonzero(x), x.ndim)


nonzero = composite("nonzero", _nonzero_function, reference=lambda x: _argwhere(x), errors=NOT_A_TENSOR,
                    sample=lambda draw: ((_some_zeros(draw),), {}))  # fmt: skip
argwhere = composite("argwhere", lambda input: _nonzero_function(input), doc="The indices of the elements that are not zero, a row each.", reference=lambda x: _argwhere(x), errors=NOT_A_TENSOR,
                     sample=lambda draw: ((_some_zeros(draw),), {}))  # fmt: skip

# --- where ----------------------------------------------------------------------------------------------------------

_where = pointwise("where_formula", "where(condition != 0, x, z)", kind="arithmetic", public=False, method=False, constants=("condition",),
                   variables=("condition", "x", "z"), grad=(None, "where(condition != 0, g, 0)", "where(condition != 0, 0, g)"),
                   sample=lambda draw: _where_sample(draw), reference=np.where)  # fmt: skip


def _where_function(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, else `other` (tensors or numbers); `where(condition)` is `nonzero(condition, as_tuple=True)`."""
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' must be a Tensor, but got {type(condition).__name__}")
    if input is None and other is None:
        return _nonzero_function(condition, as_tuple=True)
    for name, value in (("input", input), ("other", other)):
        if not isinstance(value, (Tensor, bool, int, float)):
            raise TypeError(f"where(): argument '{name}' must be a Tensor or a number, but got {type(value).__name__}")
    if condition._data.dtype == _UINT8:
        warnings.warn("where received a uint8 condition tensor, which is deprecated; use a boolean condition instead", stacklevel=3)
    elif condition._data.dtype != BOOL:
        found = scalar_name(condition._data.dtype)
        raise RuntimeError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {found}")
    if condition._data.dtype == _UINT8 and not any(isinstance(v, Tensor) and v._data.ndim for v in (input, other)):
        condition = REGISTRY["to_dtype"](condition, BOOL)  # else it would count in the promotion
    return _where(condition, input, other)


def _where_sample(draw: Any) -> Any:
    shape = draw.shape()
    other = draw.choice([0.5, draw.array(draw.broadcastable(shape))])
    return (draw.booleans(shape), draw.array(draw.broadcastable(shape)), other), {}


where = composite("where", _where_function, method=False, reference=np.where, sample=_where_sample,
                  errors=[((np.ones(2), 1, 2), RuntimeError, "boolean")])  # fmt: skip


def where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """This tensor's elements where the condition holds, else those of `other`."""
    return _where_function(condition, self, other)


# --- masked ---------------------------------------------------------------------------------------------------------


def _check_mask(mask: Any, message: str) -> None:
    if not isinstance(mask, Tensor):
        raise TypeError(f"argument 'mask' must be Tensor, not {type(mask).__name__}")
    if mask._data.dtype != BOOL:
        raise RuntimeError(message.format(dtype=FROM_NUMPY[mask._data.dtype]))


def number_as(value: Any, dtype: np.dtype) -> Any:
    """A Python number as an element of a dtype would hold it; RuntimeError where it cannot."""
    if dtype.kind == "b":
        return bool(value)
    if dtype.kind in FLOATING:
        return float(value)
    limits = np.iinfo(dtype)
    if not limits.min <= value <= limits.max:  # NaN, too
        raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}")
    return int(value)


def fill_value(value: Any, dtype: np.dtype, name: str) -> Any:
    """A number, or a tensor without dimensions, in the dtype it is to be stored in."""
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise RuntimeError(f"{name}_ only supports a 0-dimensional value tensor, but got tensor with {value._data.ndim} dimension(s).")
        return value if value._data.dtype == dtype else REGISTRY["to_dtype"](value, dtype)
    if not isinstance(value, (bool, int, float, np.number, np.bool_)):
        raise TypeError(f"{name}(): argument 'value' must be a number or a 0-d Tensor, not {type(value).__name__}")
    return number_as(value, dtype)


_masked_fill = pointwise("masked_fill_formula", "where(mask != 0, value, x)", kind="arithmetic", public=False, method=False,
                         variables=("x", "mask", "value"), constants=("mask",), reference=lambda x, mask, value: np.where(mask, value, x),
                         grad=("where(mask != 0, 0, g)", None, "where(mask != 0, g, 0)"),
                         sample=lambda draw: _masked_fill_sample(draw))  # fmt: skip


def _masked_fill_arguments(input: Tensor, mask: Tensor, value: Any) -> tuple[Any, ...]:
    _check_mask(mask, "masked_fill_ only supports boolean masks, but got mask with dtype {dtype}")
    return input, mask, fill_value(value, input._data.dtype, "masked_fill")


def _masked_fill_function(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """A copy with `value` (a number or 0-d tensor) where the mask, which is broadcast, holds."""
    return _masked_fill(*_masked_fill_arguments(input, mask, value))


def masked_fill_(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """In-place `masked_fill`."""
    return InPlace(_masked_fill)(*_masked_fill_arguments(input, mask, value))


def _masked_fill_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.booleans(draw.broadcastable(shape)), draw.choice([0.5, draw.array()])), {}


masked_fill = composite("masked_fill", _masked_fill_function, inplace=masked_fill_, sample=_masked_fill_sample,
                        reference=lambda x, mask, value: np.where(mask, np.asarray(value).astype(x.dtype), x),
                        errors=[((np.ones(2), np.ones(2), 1.0), RuntimeError, "boolean"),
                                ((np.ones(2), np.ones(2, bool), np.ones(1)), RuntimeError, "0-dimensional")])  # fmt: skip


def _masked_select_function(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, in one dimension; input and mask are broadcast together."""
    _check_mask(mask, "masked_select: expected BoolTensor for mask, but got {dtype}")
    shape = broadcast_shape([input._data.shape, mask._data.shape])
    return index_at(reshape(expand(input, shape), -1 if input.numel() else 0), (positions(expand(mask, shape)),), "index")


def _masked_select_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(draw.broadcastable(shape)), draw.booleans(shape)), {}


masked_select = composite("masked_select", _masked_select_function, sample=_masked_select_sample,
                          reference=lambda x, mask: np.broadcast_to(x, np.broadcast_shapes(x.shape, mask.shape))[mask],
                          errors=[((np.ones(2), np.ones(2)), RuntimeError, "BoolTensor")])  # fmt: skip


def _masked_scatter_function(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy whose elements where the mask holds are, one after the other, the first elements of `source`."""
    _check_mask(mask, "masked_scatter_ only supports boolean masks, but got mask with dtype {dtype}")
    if source._data.dtype != input._data.dtype:
        raise RuntimeError(f"masked_scatter: expected self and source to have same dtypes but got {input.dtype} and {source.dtype}")
    shape = broadcast_shape([input._data.shape, mask._data.shape])
    at = positions(expand(mask, shape))
    if at.numel() > source.numel():
        raise RuntimeError(f"Number of elements of source ({source.numel()}) < number of ones in mask ({at.numel()})")
    if not at.numel():
        return expand(input, shape).clone()
    flat = reshape(expand(input, shape), -1)
    return reshape(put_at(flat, (at,), reshape(source, -1)[: at.numel()], False, "index"), shape)


def _masked_scatter_reference(x: Any, mask: Any, source: Any) -> Any:
    x, mask = (a.copy() for a in np.broadcast_arrays(x, mask))
    x[mask] = source.reshape(-1)[: mask.sum()]
    return x


def _masked_scatter_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.booleans(draw.broadcastable(shape)), draw.array((int(np.prod(shape)) + draw.integer(0, 2),))), {}


masked_scatter = composite("masked_scatter", _masked_scatter_function, inplace=True, reference=_masked_scatter_reference,
                           sample=_masked_scatter_sample,
                           errors=[((np.ones(2), np.ones(2, bool), np.ones(1)), RuntimeError, "Number of elements"),
                                   ((np.ones(2), np.ones(2), np.ones(2)), RuntimeError, "boolean")])  # fmt: skip
