"""Sums and what is made of sums: over any dimensions, accurate in float32, the same bits on any number of threads."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import BOOL, INT64, scalar_name, to_numpy
from ..tensor import Tensor
from .convert import to_dtype
from .elementwise import copied, pointwise
from .planned import front, planned
from .record import REGISTRY, composite, op
from .reduction import Reduction, Turned, memory_order, reduced_shape
from .scan import products_before
from .shape import _expand, dimension, dimensions, reshape

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
    return _expand.function(g if g._data.ndim == 0 else reshape.function(g, reduced_shape(shape, dims, True)), shape)


# --- sum ------------------------------------------------------------------------------------------------------------

summed = Reduction("sum", "a + b", 0, wide=True, of_run="total", of_rows="sum_columns")


def _sum_forward(input: np.ndarray, dims: tuple[int, ...], keepdim: bool, dtype: np.dtype) -> np.ndarray:
    x = input if input.dtype == dtype else copied(input, dtype)
    return summed(x, dims, keepdim)


def prepared(reduction: Reduction) -> Any:
    """What prepares a call: the one launch that reduces the array, its dimensions turned to be contiguous, or a copy."""

    def prepare(input: np.ndarray, dims: tuple[int, ...], keepdim: bool, dtype: np.dtype) -> Any:
        if input.dtype != dtype:
            return None
        order = memory_order(input, dims)
        copies, order = (order is None,), order or list(range(input.ndim))
        turned = order != sorted(order)
        moved = input.transpose(order) if turned else input
        shape = reduced_shape(input.shape, dims, keepdim)
        launch = reduction.launch_of(moved.shape, tuple([order.index(d) for d in dims]), dtype, shape, copies)
        return Turned(order, launch) if launch and turned else launch

    return prepare


_sum = planned(
    "sum_over",
    _sum_forward,
    prepare=prepared(summed),
    vjp=(lambda g, input_shape, dims: spread(g, input_shape, dims),),
)


def sum_dtype(input: Tensor, dtype: Any) -> np.dtype:
    """What a sum computes in: the dtype asked for, else the input's, int64 for integers and bool."""
    if dtype is not None:
        return to_numpy(dtype)
    return input._data.dtype if input._data.dtype.kind == "f" else INT64


def _sum_arguments(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum over dimensions `dim` (None: all); integers and bool sum to int64 unless `dtype` says otherwise."""
    return input, reduced_dims(dim, input.dim()), keepdim, sum_dtype(input, dtype)


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

front("sum", _sum, _sum_arguments, reference=numpy_reduction(np.sum), sample=reduction_sample, errors=bad_dims)


def _sum_to_size_arguments(input: Tensor, *size: Any) -> Any:
    """The sum over the dimensions in which a tensor of shape `size` would be repeated to get the input's shape."""
    wanted = tuple(size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size)
    shape = input._data.shape
    if wanted == shape:
        return input
    dims, keepdim = _repeated(shape, wanted)
    if dims and reduced_shape(shape, dims, keepdim) == wanted:
        return input, dims, keepdim, sum_dtype(input, None)
    total = _sum(input, dims, keepdim, sum_dtype(input, None)) if dims else input
    return total if total._data.shape == wanted else reshape(total, wanted)


@functools.lru_cache(maxsize=2048)
def _repeated(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """The dimensions that `shape` repeats of `wanted`, and whether to keep them, at size 1, in a sum."""
    extra = len(shape) - len(wanted)
    if extra < 0 or any(n not in (1, m) for n, m in zip(wanted, shape[extra:], strict=True)):
        raise RuntimeError(f"size {{{list(wanted)}}} is not expandable to size {{{list(shape)}}}.")
    dims = tuple(d for d in range(len(shape)) if d < extra or wanted[d - extra] != shape[d])
    return dims, any(d >= extra for d in dims)


def _sum_to_size_reference(x: Any, size: Any) -> Any:
    extra = x.ndim - len(size)
    dims = tuple(d for d in range(x.ndim) if d < extra or size[d - extra] != x.shape[d])
    return np.sum(x, axis=dims).reshape(size) if dims else x


def _sum_to_size_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.broadcastable(shape)), {}


sum_to_size = front(
    "sum_to_size",
    _sum,
    _sum_to_size_arguments,
    public=False,
    reference=_sum_to_size_reference,
    sample=_sum_to_size_sample,
    errors=[((np.ones((2, 3)), (2,)), RuntimeError, "expandable")],
)

# --- made of sums ---------------------------------------------------------------------------------------------------


def float_dtype(input: Tensor, dtype: Any, name: str) -> np.dtype:
    """What a mean computes in; RuntimeError where that is not a float dtype."""
    wanted = input._data.dtype if dtype is None else to_numpy(dtype)
    if wanted.kind != "f":
        whose = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"{name}(): could not infer output dtype. {whose} dtype must be either a floating point or complex dtype. "
            f"Got: {scalar_name(wanted)}"
        )
    return wanted


_averaged = Reduction("mean", "a + b", 0, wide=True, of_run="total", of_rows="sum_columns", mean=True)


def _mean_arguments(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean over dimensions `dim` (None: all) of floating-point values, or of values cast to `dtype`; NaN of
    nothing.
    """
    wanted = float_dtype(input, dtype, "mean")
    return input, reduced_dims(dim, input._data.ndim), keepdim, wanted


def _mean_forward(input: np.ndarray, dims: tuple[int, ...], keepdim: bool, dtype: np.dtype) -> np.ndarray:
    if input.dtype == dtype and input.flags.c_contiguous and (y := _averaged.once(input, dims, keepdim, dtype)) is not None:
        return y
    return REGISTRY["true_divide"].forward(_sum_forward(input, dims, keepdim, dtype), count(input.shape, dims))


_mean = planned(
    "mean_over",
    _mean_forward,
    prepare=prepared(_averaged),
    vjp=(lambda g, input_shape, dims: spread(g / count(input_shape, dims), input_shape, dims),),
)


def _mean_reference(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    with np.errstate(all="ignore"):
        total = numpy_reduction(np.sum)(x, dim, keepdim, dtype=dtype)
        return total / np.asarray(x.size // max(total.size, 1) if x.size else 0, total.dtype)


mean = front(
    "mean",
    _mean,
    _mean_arguments,
    reference=_mean_reference,
    sample=lambda draw: reduction_sample(draw, min_side=1),
    errors=[((np.arange(3),), RuntimeError, "Got: Long"), *bad_dims],
)

# --- products, counts and truth -------------------------------------------------------------------------------------

_multiplied = Reduction("prod", "a * b", 1, wide=True)


def _prod_forward(input: np.ndarray, dim: int, keepdim: bool, dtype: np.dtype) -> np.ndarray:
    x = input if input.dtype == dtype else copied(input, dtype)
    return _multiplied(x, (dim,) if x.ndim else (), keepdim)


def _prod_backward(g: Tensor, input: Tensor, dim: int) -> Tensor:
    """Each element's gradient is the product of the others: of those before it, times those after it."""
    x = input if input._data.dtype == g._data.dtype else to_dtype(input, g._data.dtype)
    if input.dim() == 0:
        return g
    shape = input._data.shape
    return spread(g, shape, (dim,)) * (products_before(x, dim, False) * products_before(x, dim, True))


_prod = op("prod_over", _prod_forward, public=False, method=False, vjp=(_prod_backward,))


def _prod_function(input: Tensor, dim: Any = ..., keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements, or, where `dim` is given, over that dimension; integers and bool multiply in int64 unless
    `dtype` says otherwise.
    """
    if dim is ...:
        if keepdim:
            raise TypeError("prod(): keepdim=True needs a dimension to keep: argument 'dim' is missing")
        return _prod(reshape(input, (input.numel(),)), 0, False, sum_dtype(input, dtype))
    return _prod(input, dimension(dim, input.dim()), keepdim, sum_dtype(input, dtype))


def _prod_sample(draw: Any) -> Any:
    x = draw.array(draw.shape())
    if x.size and draw.boolean():  # a zero or two, where dividing by the element would fail
        x.reshape(-1)[draw.integer(0, x.size - 1)] = 0
        x.reshape(-1)[draw.integer(0, x.size - 1)] = 0
    return draw.choice([((x,), {}), ((x, draw.dim(x.ndim), draw.boolean()), {})])


prod = composite(
    "prod",
    _prod_function,
    reference=numpy_reduction(np.prod),
    sample=_prod_sample,
    errors=[
        ((np.ones((2, 3)), 2), IndexError, "range"), ((np.ones((2, 3)), (0, 1)), TypeError, "must be int"),
        ((np.ones((2, 3)), None), TypeError, "must be int"), ((np.ones((2, 3)), ..., True), TypeError, "keepdim"),
    ],
)  # fmt: skip

_numbers_summed = Reduction("nansum", "a + b", 0, "where(x != x, 0, x)", wide=True)
_mask_numbers = pointwise("mask_numbers", "where(z != z, 0, x)", constants=("z",), public=False, method=False)
_nansum = op(
    "nansum_over",
    lambda input, dims, keepdim: _numbers_summed(input, dims, keepdim),
    public=False,
    method=False,
    vjp=(lambda g, input, dims: _mask_numbers(spread(g, input._data.shape, dims), input),),
)


def _nansum_function(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dimensions `dim` (None: all), NaN counting as zero."""
    wanted, dims = sum_dtype(input, dtype), reduced_dims(dim, input.dim())
    if input._data.dtype.kind != "f":
        return _sum(input, dims, keepdim, wanted)
    x = input if wanted.kind != "f" or wanted == input._data.dtype else to_dtype(input, wanted)
    total = _nansum(x, dims, keepdim)
    return total if wanted == x._data.dtype else to_dtype(total, wanted)


def _holes_sample(draw: Any) -> Any:
    args, kwargs = reduction_sample(draw)
    args[0][draw.booleans(args[0].shape)] = np.nan
    return args, kwargs


nansum = composite(
    "nansum", _nansum_function, reference=numpy_reduction(np.nansum), sample=_holes_sample, errors=bad_dims
)


def _nanmean_function(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over dimensions `dim` (None: all) of what is not NaN; NaN where nothing is."""
    if input._data.dtype.kind != "f":
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{scalar_name(input._data.dtype)}"
        )
    return _nansum_function(input, dim, keepdim, dtype=dtype) / REGISTRY["sum"](
        REGISTRY["isnan"](input).logical_not(), dim, keepdim
    )


def _nanmean_reference(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    with np.errstate(all="ignore"):
        return numpy_reduction(np.nansum)(x, dim, keepdim) / numpy_reduction(np.sum)(~np.isnan(x), dim, keepdim).astype(
            x.dtype
        )


def _one_hole_sample(draw: Any) -> Any:
    args, kwargs = reduction_sample(draw, min_side=2)
    if args[0].ndim:
        args[0].reshape(-1)[draw.integer(0, args[0].size - 1)] = np.nan
    return args, kwargs


nanmean = composite(
    "nanmean",
    _nanmean_function,
    reference=_nanmean_reference,
    sample=_one_hole_sample,
    errors=[((np.arange(3),), RuntimeError, "got Long"), *bad_dims],
)

_nonzero = {
    "count": Reduction("count_nonzero", "a + b", 0, "x != 0"),
    "any": Reduction("any", "a | b", 0, "x != 0"),
    "all": Reduction("all", "a & b", 1, "x != 0"),
}


def _nonzero_forward(input: np.ndarray, what: str, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    x = input.view(np.uint8) if input.dtype == BOOL else input
    result = _nonzero[what](x, dims, keepdim, INT64 if what == "count" else np.dtype(np.uint8))
    return result if what == "count" or input.dtype == np.uint8 else result.view(np.bool_)


_about_nonzero = op("about_nonzero", _nonzero_forward, public=False, method=False, vjp=None)


def _count_nonzero_function(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not zero, over dimensions `dim` (None: all)."""
    return _about_nonzero(input, "count", reduced_dims(dim, input.dim()), False)


def _zeros_sample(draw: Any) -> Any:
    (x, *rest), kwargs = reduction_sample(draw)
    x = draw.choice([x * draw.booleans(x.shape), draw.integers(x.shape, 0, 1), draw.booleans(x.shape)])
    return (np.asarray(x), *rest), kwargs


count_nonzero = composite(
    "count_nonzero",
    _count_nonzero_function,
    errors=bad_dims,
    sample=lambda draw: (_zeros_sample(draw)[0][:2], {}),
    reference=lambda x, dim=None: np.asarray(np.count_nonzero(x, axis=axis(dim) if x.ndim else None)),
)


def _truth(what: str) -> Any:
    def function(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        dims = () if isinstance(dim, tuple) and not dim else reduced_dims(dim, input.dim())
        return _about_nonzero(input, what, dims, keepdim)

    verb = "is" if what == "any" else "are"
    function.__doc__ = f"Whether {what} of the elements {verb} not zero, over dimensions `dim` (None: all)."
    return function


def _truth_reference(function: Any) -> Any:
    def reference(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        given = np.uint8 if x.dtype == np.uint8 else np.bool_
        if isinstance(dim, tuple) and not dim:
            return np.asarray(x != 0).astype(given)
        return np.asarray(function(x, axis=dim if x.ndim else None, keepdims=keepdim)).astype(given)

    return reference


composite("any", _truth("any"), reference=_truth_reference(np.any), sample=_zeros_sample, errors=bad_dims)
composite("all", _truth("all"), reference=_truth_reference(np.all), sample=_zeros_sample, errors=bad_dims)
