"""Whole slices by a vector of indices: index_select, index_add, index_copy, index_fill; and single elements: take, put."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import INT64, scalar_name
from ..tensor import Tensor
from .index import index_at, put_at
from .masks import fill_value, number_as
from .record import composite
from .scatter import _as_vector, _pair
from .shape import dimension, reshape


def _vector(name: str, index: Any, wide: bool = True) -> Tensor:
    """The index as a vector, once its dtype and shape are known to fit; `wide`: only int64 will do."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' (position 2) must be Tensor, not {type(index).__name__}")
    found = scalar_name(index._data.dtype)
    if index._data.dtype != INT64 and (wide or found != "Int"):
        message = {
            "index_copy_": f"index_copy_(): Expected a long tensor for index, but got {found}",
            "index_fill_": "index_fill_(): Expected dtype int64 for index.",
            "index_add_": f"index_add_(): Expected dtype int32/int64 for index but got: {found}",
            "index_select": "index_select(): Expected dtype int32 or int64 for index",
        }[name]
        raise (IndexError if name == "index_fill_" else RuntimeError)(message)
    if index._data.ndim > 1:
        if name == "index_fill_":
            raise RuntimeError("Index has to be a vector/scalar")
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got {index._data.ndim} dimensions")
    return _as_vector(index)


def _at(dim: int, index: Tensor) -> tuple[Any, ...]:
    return (*[None] * dim, index)


# --- index_select ---------------------------------------------------------------------------------------------------


def _index_select_function(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of `dim` that a vector of indices (not negative) names."""
    d, vector = dimension(dim, input.dim()), _vector("index_select", index, False)
    if input.dim() == 0:
        if vector.numel() != 1:
            raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {vector.numel()} value(s)")
        return reshape(index_at(reshape(input, 1), (vector,), "index_select"), ())
    return index_at(input, _at(d, vector), "index_select")


def _slices_sample(draw: Any) -> tuple[Any, int, Any]:
    x = draw.array(draw.shape(min_dims=1, min_side=1))
    d = draw.dim(x.ndim)
    return x, d, draw.integers((draw.integer(0, 5),), 0, x.shape[d] - 1)


_matrix, _far = np.ones((2, 2)), np.array([2])
_errors: Any = [((_matrix, 0, np.array([[0]])), (IndexError, RuntimeError), "vector"), ((_matrix, 2, np.array([0])), IndexError, "range"),
                ((_matrix, 0, _far), (IndexError, RuntimeError), "out of"), ((_matrix, 0, np.array([0.0])), (IndexError, RuntimeError), "Expected")]  # fmt: skip
index_select = composite("index_select", _index_select_function, reference=lambda x, dim, index: np.take(x, index, dim),
                         sample=lambda draw: (_slices_sample(draw), {}), errors=_errors)  # fmt: skip

# --- index_add, index_copy, index_fill --------------------------------------------------------------------------------


def _index_add_arguments(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Any:
    """`alpha` times each slice of `source` added to the slice of `dim` that its index names."""
    d, vector = dimension(dim, input.dim()), _vector("index_add_", index, False)
    if source._data.dtype != input._data.dtype:
        raise RuntimeError(
            f"index_add_(): self ({scalar_name(input._data.dtype)}) and source ({scalar_name(source._data.dtype)}) must have the same scalar type"
        )
    x, source = _as_vector(input), _as_vector(source)
    wanted, found = list(x._data.shape), list(source._data.shape)
    if len(found) > d and vector.numel() != found[d]:
        raise RuntimeError(f"index_add_(): Number of indices ({vector.numel()}) should be equal to source.size(dim): ({found[d]}), for dim: {d}")
    if wanted[:d] + wanted[d + 1 :] != found[:d] + found[d + 1 :]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {wanted} source.shape = {found}"
        )
    if alpha != 1:
        source = source * number_as(alpha, x._data.dtype)
    return put_at, (x, _at(d, vector), source, True, "index_add")


def _index_copy_arguments(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Any:
    """Each slice of `source` written to the slice of `dim` that its index names; of repeated indices the last wins."""
    d, vector = dimension(dim, input.dim()), _vector("index_copy_", index)
    if source._data.dtype != input._data.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{scalar_name(input._data.dtype)} and (source) {scalar_name(source._data.dtype)}"
        )
    if source.dim() != input.dim() and source.dim() and input.dim():
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source dimensionality "
            f"({source.dim()}), destination dimensionality ({input.dim()})"
        )
    x, source = _as_vector(input), _as_vector(source)
    if source.dim() < x.dim():
        source = reshape(source, [1] * x.dim())
    wanted, found = list(x._data.shape), list(source._data.shape)
    if wanted[:d] + wanted[d + 1 :] != found[:d] + found[d + 1 :]:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{wanted[:d] + wanted[d + 1 :]} at dimension {d} and source slice shape: {found[:d] + found[d + 1 :]} at dimension {d}."
        )
    if vector.numel() != found[d]:
        raise IndexError(f"index_copy_(): Number of indices ({vector.numel()}) should be equal to source.size(dim) ({found[d]})")
    return put_at, (x, _at(d, vector), source, False, "index_copy")


def _index_fill_arguments(input: Tensor, dim: int, index: Tensor, value: Any) -> Any:
    """The slices of `dim` that a vector of indices names filled with a number or a 0-d tensor."""
    d, vector = dimension(dim, input.dim()), _vector("index_fill_", index)
    return put_at, (_as_vector(input), _at(d, vector), fill_value(value, input._data.dtype, "index_fill"), False, "index_fill")


def _index_add_sample(draw: Any) -> Any:
    x, d, index = _slices_sample(draw)
    shape = list(x.shape)
    shape[d] = index.size
    return (x, d, index, draw.array(shape)), {"alpha": draw.choice([1, -2])}


def _index_copy_sample(draw: Any) -> Any:
    x, d, index = _slices_sample(draw)
    shape = list(x.shape)
    shape[d] = index.size
    return (x, d, index, draw.array(shape)), {}


def _slices_reference(x: Any, dim: int, index: Any, source: Any, alpha: Any = None) -> Any:
    x = x.copy()
    moved = np.moveaxis(x, dim, 0)
    values = np.moveaxis(source, dim, 0) if np.ndim(source) else source
    if alpha is None:
        moved[index] = values
    else:
        np.add.at(moved, index, alpha * values)
    return x


index_add = _pair("index_add", _index_add_arguments, sample=_index_add_sample,
                  reference=lambda x, dim, index, source, alpha=1: _slices_reference(x, dim, index, source, alpha),
                  errors=[*(((*args, np.ones((1, 2))), *rest) for args, *rest in _errors),
                          ((_matrix, 0, np.array([0, 1]), np.ones((3, 2))), RuntimeError, "Number of indices"),
                          ((_matrix, 0, np.array([0, 1]), np.ones((2, 3))), RuntimeError, "must match self")])  # fmt: skip
index_copy = _pair("index_copy", _index_copy_arguments, sample=_index_copy_sample, reference=_slices_reference,
                   errors=[*(((*args, np.ones((1, 2))), *rest) for args, *rest in _errors),
                           ((_matrix, 0, np.array([0, 1]), np.ones((3, 2))), IndexError, "Number of indices"),
                           ((_matrix, 0, np.array([0, 1]), np.ones((2, 3))), RuntimeError, "same slice shapes")])  # fmt: skip
index_fill = _pair("index_fill", _index_fill_arguments, reference=_slices_reference,
                   sample=lambda draw: ((*_slices_sample(draw), draw.choice([0.5, draw.array()])), {}),
                   errors=[((*args, 1.0), *rest) for args, *rest in _errors])  # fmt: skip

# --- take, put ------------------------------------------------------------------------------------------------------


def _check_long(name: str, index: Any) -> None:
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' (position 1) must be Tensor, not {type(index).__name__}")
    if index._data.dtype != INT64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {scalar_name(index._data.dtype)}")


def _take_function(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions counted through all dimensions, in the shape of `index`."""
    _check_long("take", index)
    if not input.numel() and index.numel():
        raise IndexError("take(): tried to take from an empty tensor")
    return index_at(reshape(input, input.numel()), (index,), "take")


def _take_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1))
    return (x, draw.integers(draw.shape(), -x.size, x.size - 1)), {}


take = composite("take", _take_function, sample=_take_sample, reference=lambda x, index: x.reshape(-1)[index],
                 errors=[((np.ones(2), np.array([2])), IndexError, "out of range"), ((np.ones(0), np.array([0])), IndexError, "empty"),
                         ((np.ones(2), np.array([0.0])), RuntimeError, "long tensor")])  # fmt: skip


def _put_function(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with the elements of `source` written, or added, at positions counted through all dimensions."""
    _check_long("put_", index)
    if source._data.dtype != input._data.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{scalar_name(input._data.dtype)} and source.dtype = {scalar_name(source._data.dtype)}"
        )
    if source.numel() != index.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.numel()}, index.numel() = {index.numel()}"
        )
    flat = reshape(input, input.numel())
    return reshape(put_at(flat, (reshape(index, index.numel()),), reshape(source, source.numel()), accumulate, "take"), input.shape)


def _put_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1))
    index = draw.integers((draw.integer(0, 4),), -x.size, x.size - 1)
    return (x, index, draw.array(index.shape), draw.boolean()), {}


def _put_reference(x: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    flat = x.reshape(-1).copy()
    if accumulate:
        np.add.at(flat, index, source)
    else:
        flat[index] = source
    return flat.reshape(x.shape)


put = composite("put", _put_function, inplace=True, sample=_put_sample, reference=_put_reference,
                errors=[((np.ones(2), np.array([0]), np.ones(2)), IndexError, "same number"),
                        ((np.ones(2), np.array([-3]), np.ones(1)), IndexError, "out of range")])  # fmt: skip
