"""Sums and what is made of sums: over any dimensions, accurate in float32, the same bits on any number of threads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import BOOL, INT64, scalar_name, to_numpy
from ..tensor import Tensor
from .elementwise import copied
from .record import composite, op
from .reduction import Reduction, reduced_shape
from .shape import dimensions, expand, reshape

# --- dimensions -----------------------------------------------------------------------------------------------------


def reduced_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions to reduce, counted from the front; all for None and for ()."""
    if dim is None or (isinstance(dim, (tuple, list)) and len(dim) == 0):
        return tuple(range(ndim))
    found = dimensions(dim, ndim)
    return found if ndim else ()


def count(shape: Sequence[int], dims: Sequence[int]) -> int:
    """How many elements each element of the result is made of."""
    return math.prod(shape[d] for d in dims)


def spread(g: Tensor, shape: tuple[int, ...], dims: tuple[int, ...]) -> Tensor:
    """A reduced tensor as a view of the shape it had before, each element repeated."""
    return expand(reshape(g, reduced_shape(shape, dims, True)), shape)


# --- sum ------------------------------------------------------------------------------------------------------------

summed = Reduction("sum", "a + b", 0, wide=True)


def _sum_forward(input: np.ndarray, dims: tuple[int, ...], keepdim: bool, dtype: np.dtype) -> np.ndarray:
    x = input if input.dtype == dtype else copied(input, dtype)
    return summed(x, dims, keepdim)


_sum = op("sum_over", _sum_forward, public=False, method=False, vjp=(lambda g, input_shape, dims: spread(g, input_shape, dims),))


def sum_dtype(input: Tensor, dtype: Any) -> np.dtype:
    """What a sum computes in: the dtype asked for, else the input's, int64 for integers and bool."""
    if dtype is not None:
        return to_numpy(dtype)
    return input._data.dtype if input._data.dtype.kind == "f" else INT64


def _sum_function(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dimensions `dim` (None: all); integers and bool sum to int64 unless `dtype` says otherwise."""
    return _sum(input, reduced_dims(dim, input.dim()), keepdim, sum_dtype(input, dtype))


def axis(dim: Any) -> Any:
    """What NumPy calls the dimensions that a reference gets."""
    return tuple(dim) if isinstance(dim, (tuple, list)) and len(dim) else None if dim in ((), []) else dim


def numpy_reduction(function: Any) -> Any:
    """A reference for a reduction from NumPy's function of (x, axis, keepdims)."""

    def reference(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        x = x if dtype is None else x.astype(dtype.numpy)
        return function(x, axis=axis(dim) if x.ndim else None, keepdims=keepdim)

    return reference


def reduction_sample(draw: Any, **kwargs: Any) -> Any:
    """An array of any shape with no dimension, one or several to reduce."""
    x = draw.array(draw.shape(**kwargs))
    return (x, draw.choice([None, draw.dim(x.ndim), draw.dims(x.ndim)]), draw.boolean()), {}


bad_dims: Any = [((np.ones((2, 3)), 2), IndexError, "range"), ((np.ones((2, 3)), (0, -2)), RuntimeError, "multiple")]

sum = composite("sum", _sum_function, reference=numpy_reduction(np.sum), sample=reduction_sample, errors=bad_dims)


def _sum_to_size_function(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions in which a tensor of shape `size` would be repeated to get the input's shape."""
    wanted = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    shape = input._data.shape
    if wanted == shape:
        return input
    extra = len(shape) - len(wanted)
    if extra < 0 or any(n not in (1, m) for n, m in zip(wanted, shape[extra:], strict=True)):
        raise RuntimeError(f"size {{{list(wanted)}}} is not expandable to size {{{list(shape)}}}.")
    dims = tuple(d for d in range(len(shape)) if d < extra or wanted[d - extra] != shape[d])
    summed = _sum(input, dims, True, input._data.dtype) if dims else input
    return reshape(summed, wanted)


def _sum_to_size_reference(x: Any, size: Any) -> Any:
    extra = x.ndim - len(size)
    dims = tuple(d for d in range(x.ndim) if d < extra or size[d - extra] != x.shape[d])
    return np.sum(x, axis=dims).reshape(size) if dims else x


def _sum_to_size_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.broadcastable(shape)), {}


sum_to_size = composite("sum_to_size", _sum_to_size_function, public=False, reference=_sum_to_size_reference, sample=_sum_to_size_sample,
                        errors=[((np.ones((2, 3)), (2,)), RuntimeError, "expandable")])  # fmt: skip

# --- made of sums ---------------------------------------------------------------------------------------------------


def float_dtype(input: Tensor, dtype: Any, name: str) -> np.dtype:
    """What a mean computes in; RuntimeError where that is not a float dtype."""
    wanted = input._data.dtype if dtype is None else to_numpy(dtype)
    if wanted.kind != "f":
        whose = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"{name}(): could not infer output dtype. {whose} dtype must be either a floating point or complex dtype. Got: {scalar_name(wanted)}"
        )
    return wanted


def _mean_function(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over dimensions `dim` (None: all) of floating-point values, or of values cast to `dtype`; NaN of nothing."""
    wanted = float_dtype(input, dtype, "mean")
    dims = reduced_dims(dim, input.dim())
    return _sum(input, dims, keepdim, wanted) / count(input._data.shape, dims)


def _mean_reference(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    with np.errstate(all="ignore"):
        total = numpy_reduction(np.sum)(x, dim, keepdim, dtype=dtype)
        return total / np.asarray(x.size // max(total.size, 1) if x.size else 0, total.dtype)


mean = composite("mean", _mean_function, reference=_mean_reference, sample=lambda draw: reduction_sample(draw, min_side=1),
                 errors=[((np.arange(3),), RuntimeError, "Got: Long"), *bad_dims])  # fmt: skip
