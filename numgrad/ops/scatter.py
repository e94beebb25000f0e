"""gather, scatter and their relatives: one index for every element, along one dimension."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import INT64, scalar_name
from ..tensor import Tensor, wrap
from .index import basic_view
from .inplace import InPlace
from .masks import number_as
from .record import REGISTRY, composite
from .scatter_kernels import (
    gather_elements,
    scatter_maximum,
    scatter_minimum,
    scatter_multiply,
    scatter_plus,
    scatter_write,
)
from .shape import dimension, expand, reshape


def _as_vector(x: Any) -> Any:
    return reshape(x, 1) if isinstance(x, Tensor) and x._data.ndim == 0 else x


def _shaped(result: Tensor, like: Tensor) -> Tensor:
    return result if result._data.shape == like._data.shape else reshape(result, like.shape)


def _checked(name: str, input: Tensor, dim: int, index: Any, src: Any) -> tuple[Tensor, int, Tensor, Any]:
    """The arguments with 0-d tensors as vectors, once shapes and dtypes are known to fit."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' (position 2) must be Tensor, not {type(index).__name__}")
    d = dimension(dim, input.dim())
    if index._data.dtype.kind != "i" or index.element_size() < 4:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index, but got {scalar_name(index._data.dtype)}")
    if isinstance(src, Tensor) and src._data.dtype != input._data.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype, but got {input.dtype} and {src.dtype}")
    input, index, src = _as_vector(input), _as_vector(index), _as_vector(src)
    shape = index._data.shape
    if not index.numel():  # nothing of src is read, whatever its shape
        return input, d, index, reshape(basic_view(reshape(src, (-1,)), (slice(0),)), shape) if isinstance(src, Tensor) else src
    if shape == input._data.shape == (src._data.shape if isinstance(src, Tensor) else shape):
        return input, d, index, src
    if len(shape) != input._data.ndim:
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {'input' if src is None else 'self'} tensor, "
                           f"but got {len(shape)} and {input._data.ndim}")  # fmt: skip
    large = any(n > m for k, (n, m) in enumerate(zip(shape, input._data.shape, strict=True)) if k != d)
    if src is None and large:
        raise RuntimeError(f"Size does not match at some dimension: expected index {list(shape)} to be no larger than self "
                           f"{list(input._data.shape)} apart from dimension {d}")  # fmt: skip
    if isinstance(src, Tensor) and src._data.ndim != len(shape):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as src tensor, but got {len(shape)} and {src._data.ndim}")
    sources = src._data.shape if isinstance(src, Tensor) else shape
    if large or any(n > m for n, m in zip(shape, sources, strict=True)):
        raise RuntimeError(
            f"Expected index {list(shape)} to be no larger than self {list(input._data.shape)} apart from dimension {d} and to be no "
            f"larger size than src {list(sources)}"
        )
    if sources != shape:
        src = basic_view(src, (*[slice(n) for n in shape], Ellipsis))
    return input, d, index, src


def _gather_function(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """For each element of `index` (int64 or int32), the element of `input` at that index of `dim` and the same other indices."""
    if isinstance(index, Tensor) and type(dim) is int and _plain(input._data.shape, index._data.shape, dim) and index._data.dtype == INT64:
        return gather_elements(input, index, dim)
    x, d, i, _ = _checked("gather", input, dim, index, None)
    if not i.numel():
        return input.flatten()[:0].clone().view(index.shape)  # with a gradient, of zeros
    return _shaped(gather_elements(x, i, d), index)


@functools.lru_cache(maxsize=4096)
def _plain(shape: tuple[int, ...], index: tuple[int, ...], dim: int) -> bool:
    """Whether an index fits a tensor without a further look, `dim` counted from the front."""
    return 0 <= dim < len(shape) == len(index) and 0 not in index and all(n <= m or k == dim for k, (n, m) in enumerate(zip(index, shape, strict=True)))


def _index_sample(draw: Any) -> tuple[Any, int, Any]:
    """A tensor, a dimension, and an index of its number of dimensions."""
    x = draw.array(draw.shape(min_dims=1, min_side=1))
    d = draw.dim(x.ndim)
    shape = [draw.integer(1, n) for n in x.shape]
    shape[d] = draw.integer(0, 4)
    return x, d, draw.integers(shape, 0, x.shape[d] - 1)


def _places(shape: Any, dim: int, index: Any) -> Any:
    """NumPy's index for every element of `index`."""
    places = list(np.indices(index.shape))
    places[dim] = index
    return tuple(places)


_two_by_two, _bad = np.ones((2, 2)), np.array([[0, 2]])
_index_errors: Any = [((_two_by_two, 0, _bad), RuntimeError, "out of bounds for dimension 0 with size 2"), ((_two_by_two, 2, _bad), IndexError, "range"),
                      ((_two_by_two, 0, np.array([0])), RuntimeError, "same number of dimensions"),
                      ((_two_by_two, 0, np.array([[0.0]])), RuntimeError, "int32/int64"),
                      ((_two_by_two, 1, np.array([[0]] * 3)), RuntimeError, "no larger")]  # fmt: skip
gather = composite("gather", _gather_function, sample=lambda draw: (_index_sample(draw), {}), errors=_index_errors,
                   reference=lambda x, dim, index: x[_places(x.shape, dim, index)])  # fmt: skip


def _take_along_dim_function(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with broadcasting and with negative indices; without `dim`, of the flattened tensors."""
    if indices._data.dtype != INT64:
        raise RuntimeError(f"take_along_dim(): dtype of indices should be Long but got {scalar_name(indices._data.dtype)}")
    if dim is None:
        return _take_along_dim_function(reshape(input, -1), reshape(indices, -1), 0)
    if input.dim() != indices.dim():
        raise RuntimeError(
            f"take_along_dim(): input and indices should have the same number of dimensions, but got {input.dim()} dimensions for "
            f"input, and {indices.dim()} dimensions for indices"
        )
    d = dimension(dim, input.dim())
    sides = zip(input._data.shape, indices._data.shape, strict=True)
    shape = [n if k != d and m == 1 else m for k, (n, m) in enumerate(sides)]
    size = input._data.shape[d]
    wanted = [size if k == d else n for k, n in enumerate(shape)]
    wrapped = REGISTRY["where"](indices < 0, indices + size, indices)
    return _gather_function(expand(input, wanted), d, expand(wrapped, shape))


def _take_along_dim_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1, min_side=1))
    return (x, draw.integers((4, *x.shape[1:]), -x.shape[0], x.shape[0] - 1), 0), {}


take_along_dim = composite("take_along_dim", _take_along_dim_function, reference=lambda x, i, dim=None: np.take_along_axis(x, i, dim),
                           sample=_take_along_dim_sample,
                           errors=[((_two_by_two, np.array([[0.0]]), 0), RuntimeError, "Long"), ((_two_by_two, np.array([0]), 0), RuntimeError, "dim")])  # fmt: skip


def _pair(name: str, prepare: Callable[..., Any], **record: Any) -> Any:
    """A function and its in-place form from `prepare(input, ...) -> op, arguments`; 0-d tensors are written through a view."""

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        made, prepared = prepare(input, *args, **kwargs)
        return _shaped(made(*prepared), input)

    def in_place(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        made, prepared = prepare(input, *args, **kwargs)
        InPlace(made)(*prepared)
        return input

    prepare.__qualname__ = name  # errors about arguments begin with it
    for made in (function, in_place):
        functools.update_wrapper(made, prepare)
    return composite(name, function, inplace=in_place, **record)


def _scatter_arguments(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Any:  # fmt: skip
    """`src` (a tensor or a number) written at an index of `dim` for each of its elements; `reduce`: "add" or "multiply"."""
    src = value if src is None else src
    made = {None: scatter_write, "add": scatter_plus, "multiply": scatter_multiply}.get(reduce)
    if made is None:
        raise RuntimeError(f"reduce argument must be either add or multiply, but got {reduce}")
    if not isinstance(src, (Tensor, bool, int, float)):
        raise TypeError(f"scatter(): argument 'src' must be a Tensor or a number, but got {type(src).__name__}")
    if not isinstance(src, Tensor):
        src = number_as(src, input._data.dtype)
    if reduce == "multiply" and not isinstance(src, Tensor):
        src = wrap(np.broadcast_to(np.array(src, input._data.dtype), index._data.shape))
    return made, _checked("scatter", input, dim, index, src)


def _scatter_sample(draw: Any) -> Any:
    x, d, index = _index_sample(draw)
    return (x, d, index, draw.choice([0.5, draw.array([n + draw.integer(0, 1) for n in index.shape])])), {}


def _scatter_reference(x: Any, dim: int, index: Any, src: Any, reduce: Any = None) -> Any:
    x = x.copy()
    src = src[tuple(slice(n) for n in index.shape)] if isinstance(src, np.ndarray) else src
    if reduce is None:
        x[_places(x.shape, dim, index)] = src
    else:
        {"add": np.add, "multiply": np.multiply}[reduce].at(x, _places(x.shape, dim, index), src)
    return x


scatter = _pair("scatter", _scatter_arguments, sample=_scatter_sample, reference=_scatter_reference,
                errors=[((*args, 1.0), *rest) for args, *rest in _index_errors])  # fmt: skip


def _scatter_add_arguments(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:
    """`src` added at an index of `dim` for each of its elements."""
    if not isinstance(src, Tensor):
        raise TypeError(f"scatter_add(): argument 'src' (position 3) must be Tensor, not {type(src).__name__}")
    return scatter_plus, _checked("scatter_add", input, dim, index, src)


def _scatter_add_sample(draw: Any) -> Any:
    x, d, index = _index_sample(draw)
    return (x, d, index, draw.array(index.shape)), {}


scatter_add = _pair("scatter_add", _scatter_add_arguments, sample=_scatter_add_sample,
                    reference=lambda x, dim, index, src: _scatter_reference(x, dim, index, src, "add"),
                    errors=[((*args, np.ones((4, 4))), *rest) for args, *rest in _index_errors])  # fmt: skip

_REDUCTIONS: Any = {"sum": (scatter_plus, 0), "mean": (scatter_plus, 0), "prod": (scatter_multiply, 1),
               "amax": (scatter_maximum, -np.inf), "amin": (scatter_minimum, np.inf)}  # fmt: skip


def _identity(reduce: str, dtype: np.dtype) -> Any:
    """What a reduction starts from: its result for nothing."""
    start = _REDUCTIONS[reduce][1]
    if dtype.kind == "f" or start in (0, 1):
        return start
    limits = (False, True) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return limits[start > 0]


def _scatter_reduce_function(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """`input` reduced with the elements of `src` that `index` sends to each place: sum, prod, mean, amax (or max) or amin (min).

    Without `include_self`, places that get elements forget their own. amax and amin share the gradient among equals.
    """
    reduce = {"max": "amax", "min": "amin"}.get(reduce, reduce)
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if reduce == "mean" and input._data.dtype.kind == "b":
        raise NotImplementedError("scatter_reduce() with reduce='mean' is not implemented for 'Bool'")
    made = _REDUCTIONS[reduce][0]
    x, d, i, src = _checked("scatter_reduce", input, dim, index, src)
    if not i.numel():
        return input.clone()
    start = x if include_self else scatter_write(x, d, i, _identity(reduce, x._data.dtype))
    result = made(start, d, i, src)
    if reduce == "mean":
        count = REGISTRY["ones_like"](x.detach())
        count = scatter_plus(count if include_self else scatter_write(count, d, i, 0), d, i, 1).clamp(min=1)
        result = result / count if x.is_floating_point() else result // count
    return _shaped(result, input)


def _scatter_reduce_sample(draw: Any) -> Any:
    x, d, index = _index_sample(draw)
    reduce = draw.choice(list(_REDUCTIONS))
    values = draw.array((x.size + index.size,), distinct=True)  # ties have no derivative
    return (values[: x.size].reshape(x.shape), d, index, values[x.size :].reshape(index.shape), reduce), {"include_self": draw.boolean()}


def _scatter_reduce_reference(x: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool = True) -> Any:
    groups: dict[Any, list[Any]] = {}
    for place in np.ndindex(index.shape):
        to = list(place)
        to[dim] = index[place]
        groups.setdefault(tuple(to), []).append(src[place])
    function: Any = {"sum": np.sum, "mean": np.mean, "prod": np.prod, "amax": np.max, "amin": np.min}[reduce]
    result = x.copy()
    for to, values in groups.items():
        result[to] = function([*([x[to]] if include_self else []), *values])
    return result


scatter_reduce = composite("scatter_reduce", _scatter_reduce_function, inplace=True, sample=_scatter_reduce_sample,
                           reference=_scatter_reduce_reference,
                           errors=[((*args, np.ones((4, 4)), "sum"), *rest) for args, *rest in _index_errors]
                           + [((_two_by_two, 0, np.array([[0]]), _two_by_two, "maximum"), RuntimeError, "reduce argument")])  # fmt: skip
