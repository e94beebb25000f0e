"""Maxima and minima, and where they are. NaN counts as greater than everything for max and smaller for min; of
equals the first is found.
"""

from __future__ import annotations

import functools
import math
from collections import namedtuple
from typing import Any

import numpy as np

from ..dtypes import BOOL, INT64, scalar_name
from ..jit import empty, launch, launch_flat, whole
from ..tensor import Tensor
from .compare import _apart
from .elementwise import copied
from .extreme_kernels import places_kernel
from .planned import front, planned
from .record import REGISTRY, composite
from .reduce import bad_dims, numpy_reduction, prepared, reduced_dims, spread
from .reduction import ROWS, RUN, Reduction, along, reduced_shape
from .scan import add_at
from .shape import dimension, unsqueeze


def _lowest(dtype: np.dtype) -> Any:
    return float("-inf") if dtype.kind == "f" else int(np.iinfo(dtype).min)


def _highest(dtype: np.dtype) -> Any:
    return float("inf") if dtype.kind == "f" else int(np.iinfo(dtype).max)


_reductions = {
    "max": Reduction("amax", "maximum(a, b)", _lowest, of_run="largest", of_rows="largest_columns"),
    "min": Reduction("amin", "minimum(a, b)", _highest, of_run="smallest", of_rows="smallest_columns"),
}


def as_bytes(x: np.ndarray) -> np.ndarray:
    """Bool arrays as the same memory of uint8, which have an order in kernels."""
    return x.view(np.uint8) if x.dtype == BOOL else x


def check_not_empty(
    name: str, shape: tuple[int, ...], dims: tuple[int, ...], everything: bool, error: type = RuntimeError
) -> None:
    """Raise as PyTorch does where nothing would be reduced: there is no maximum of nothing."""
    if everything and 0 in shape:
        raise error(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    for d in dims:
        if shape and shape[d] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")


# --- values ---------------------------------------------------------------------------------------------------------


def _extreme_forward(input: np.ndarray, which: str, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    return _reductions[which](as_bytes(input), dims, keepdim).view(input.dtype)


def share_among_equals(g: Tensor, y: Tensor, input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The gradient of an extreme value or median of `dims`: in equal parts for all elements that have the value."""
    shape = input._data.shape
    equal = REGISTRY["eq"](input, spread(y, shape, dims)).to(g.dtype)
    return spread(g / equal.sum(dims, keepdim=True).reshape(g.shape), shape, dims) * equal if dims else g


_prepare = {which: prepared(reduction) for which, reduction in _reductions.items()}


def _prepare_extreme(input: np.ndarray, which: str, dims: tuple[int, ...], keepdim: bool) -> Any:
    return None if input.dtype == BOOL else _prepare[which](input, dims, keepdim, input.dtype)


_extreme = planned(
    "extreme_over",
    _extreme_forward,
    prepare=_prepare_extreme,
    vjp=(lambda g, y, input, dims: share_among_equals(g, y, input, dims),),
)


def _values_arguments(name: str, which: str) -> Any:
    def function(input: Tensor, dim: Any = (), keepdim: bool = False) -> Any:
        dims = reduced_dims(dim, input.dim())
        check_not_empty(name, input._data.shape, dims, dim == ())
        return input, which, dims, keepdim

    function.__doc__ = f"The {which}imum over dimensions `dim` (none: all); its gradient is shared among equals."
    return function


def _distinct_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1), distinct=True)
    return (x, draw.choice([(), draw.dim(x.ndim), draw.dims(x.ndim)]), draw.boolean()), {}


_nothing = np.ones((0, 2))
_no_elements: Any = [((_nothing,), RuntimeError, "specified"), ((_nothing, 0), IndexError, "non-zero size")]
amax = front(
    "amax",
    _extreme,
    _values_arguments("amax", "max"),
    reference=numpy_reduction(np.max),
    sample=_distinct_sample,
    errors=bad_dims + _no_elements,
)
amin = front(
    "amin",
    _extreme,
    _values_arguments("amin", "min"),
    reference=numpy_reduction(np.min),
    sample=_distinct_sample,
    errors=bad_dims + _no_elements,
)

_Both = namedtuple("aminmax", ["min", "max"])


def _aminmax_function(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(min, max) of all elements or over one dimension."""
    if dim is None and input.numel() == 0:
        raise RuntimeError("aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.")
    dims = reduced_dims(None if dim is None else dimension(dim, input.dim()), input.dim())
    check_not_empty("aminmax", input._data.shape, dims, False)
    return _Both(_extreme(input, "min", dims, keepdim), _extreme(input, "max", dims, keepdim))


def _aminmax_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1), distinct=True)
    return (x,), {"dim": draw.choice([None, draw.dim(x.ndim)]), "keepdim": draw.boolean()}


aminmax = composite(
    "aminmax",
    _aminmax_function,
    sample=_aminmax_sample,
    errors=_no_elements[:0] + [((_nothing,), RuntimeError, "no identity")],
    reference=lambda x, *, dim=None, keepdim=False: (
        numpy_reduction(np.min)(x, dim, keepdim),
        numpy_reduction(np.max)(x, dim, keepdim),
    ),
)

# --- places ---------------------------------------------------------------------------------------------------------

_NO_ORIGINS = np.empty((0, 0), INT64)


def places(x: np.ndarray, which: str, origins: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Extreme values of (outer, n, inner) along n, and their places there (or what `origins` says of those places)."""
    outer, n, inner = x.shape
    pieces = -(-n // (RUN if inner == 1 else ROWS))
    at = empty((outer, pieces, inner), INT64)
    values = empty((outer, pieces, inner), x.dtype)
    floats = x.dtype.kind == "f"
    if inner == 1:
        known = _NO_ORIGINS if origins is None else origins.reshape(outer, n)
        arrays = (a.reshape(outer, -1) for a in (at, values, x))
        launch(places_kernel(which, "search", floats), *arrays, known, work=x.size)
    else:
        known = _NO_ORIGINS[None] if origins is None else origins
        launch(places_kernel(which, "rows", floats), at, values, empty(values.shape, x.dtype), x, known, work=x.size)
    return (values, at) if pieces == 1 else places(values, which, at)


@functools.lru_cache(maxsize=2048)
def _geometry(shape: tuple[int, ...], dim: int | None, keepdim: bool) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """The result's shape, and the input's as (outer, n, inner); no dimension: all are one."""
    if dim is None:
        return reduced_shape(shape, range(len(shape)), keepdim), (1, math.prod(shape), 1)
    return reduced_shape(shape, (dim,), keepdim), along(shape, dim)


def _extreme_at_forward(input: np.ndarray, which: str, dim: int | None, keepdim: bool) -> tuple[np.ndarray, np.ndarray]:
    x = as_bytes(input if input.flags.c_contiguous else copied(input))
    shape, view = _geometry(x.shape, dim, keepdim)
    if 0 in shape:
        return empty(shape, input.dtype), empty(shape, INT64)
    values, at = places(x.reshape(view), which)
    return values.view(input.dtype).reshape(shape), at.reshape(shape)


class _Search:
    """Extreme values of a contiguous array, and their places, or these alone, where rows or columns are searched in one launch."""

    __slots__ = ("dtype", "entry", "kernel", "runs", "shape", "values", "view", "views", "work")

    def __init__(self, x: np.ndarray, which: str, dim: int | None, keepdim: bool, values: bool):
        self.shape, (outer, n, inner) = _geometry(x.shape, dim, keepdim)
        self.values, self.runs, self.dtype, self.work = values, inner == 1, x.dtype, x.size
        self.kernel = places_kernel(which, "search" if self.runs else "rows", x.dtype.kind == "f")
        self.view, self.views = ((outer, n), (outer, 1)) if self.runs else ((outer, n, inner), (outer, 1, inner))
        seen = [np.empty((0,) * len(self.view), d) for d in (INT64, *[x.dtype] * len(self.view), INT64)]  # as they are launched
        self.entry = self.kernel.entry(seen, (), False, x.size)

    def __call__(self, x: np.ndarray) -> Any:
        at, values = empty(self.shape, INT64), empty(self.shape, self.dtype)
        found = at.reshape(self.views), values.reshape(self.views)
        if self.runs:
            arrays: Any = *found, x.reshape(self.view), _NO_ORIGINS
        else:  # of which the numbers are kept, too, in the dtype of x
            arrays = *found, empty(self.views, self.dtype), x.reshape(self.view), _NO_ORIGINS[None]
        launch_flat(self.kernel, self.entry, arrays, (), self.work, whole)
        return (values, at) if self.values else at


def _prepared_search(values: bool) -> Any:
    def prepare(input: np.ndarray, which: str, dim: int | None, keepdim: bool) -> Any:
        shape, (_, n, inner) = _geometry(input.shape, dim, keepdim)
        single = input.flags.c_contiguous and 0 not in shape and n <= (RUN if inner == 1 else ROWS) and input.dtype != BOOL
        return _Search(input, which, dim, keepdim, values) if single else None

    return prepare


_place = planned(
    "place_of_extreme",
    lambda input, which, dim, keepdim: _extreme_at_forward(input, which, dim, keepdim)[1],
    prepare=_prepared_search(False),
    vjp=None,
)


def put(g: Tensor, at: Tensor, shape: tuple[int, ...], dim: int, keepdim: bool) -> Tensor:
    """Zeros of a shape, with the elements of a reduced g where `at` says along `dim`."""
    if not shape:
        return g
    return add_at(g, at, shape, dim) if keepdim else add_at(unsqueeze(g, dim), unsqueeze(at, dim), shape, dim)


_extreme_at = planned(
    "extreme_at",
    _extreme_at_forward,
    prepare=_prepared_search(True),
    saved=1,
    vjp=(lambda g, y, input_shape, dim, keepdim: put(g[0], y[1], input_shape, dim, keepdim),),
)


def _overloaded(name: str, pair: str) -> Any:
    result = namedtuple(name, ["values", "indices"])  # type: ignore[misc]
    of_all = REGISTRY[f"a{name}"].function

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            check_not_empty(name, input._data.shape, (), True)
            return of_all(input)
        first = args[0] if args else kwargs.get("other", kwargs.get("dim"))
        if isinstance(first, Tensor) and "dim" not in kwargs:
            return REGISTRY[pair](input, *args, **kwargs)
        return along_dim(input, *args, **kwargs)

    def along_dim(input: Tensor, dim: int, keepdim: bool = False) -> Any:
        dim = dimension(dim, input.dim())
        check_not_empty(name, input._data.shape, (dim,), False)
        return result(*_extreme_at(input, name, dim, keepdim))

    along_dim.__qualname__ = name  # errors about arguments begin with it
    function.__doc__ = (
        f"{name}(input): the {name}imum of all elements. {name}(input, dim, keepdim=False): (values, indices) along one "
        f"dimension. {name}(input, other): the {name}imum of each pair."
    )
    return function


def _overloaded_sample(draw: Any) -> Any:
    if draw.integer(0, 3) == 0:
        return _apart(draw)
    x = draw.array(draw.shape(min_side=1), distinct=True)
    return (x, *draw.choice([(), (draw.dim(x.ndim),), (draw.dim(x.ndim), True)])), {}


def _overloaded_reference(best: Any, place: Any, pair: Any) -> Any:
    def reference(x: Any, *rest: Any) -> Any:
        if not rest:
            return best(x)
        if isinstance(rest[0], np.ndarray):
            return pair(x, rest[0])
        dim, keepdim = rest[0] if x.ndim else None, len(rest) > 1
        at = place(x, axis=dim, keepdims=keepdim) if x.ndim else np.asarray(0)
        return best(x, axis=dim, keepdims=keepdim and x.ndim > 0), at

    return reference


_overload_errors: Any = _no_elements + [((np.ones((2, 3)), (0, 1)), TypeError, "must be int")]
composite("max", _overloaded("max", "maximum"), reference=_overloaded_reference(np.max, np.argmax, np.maximum), sample=_overloaded_sample, errors=_overload_errors)
composite("min", _overloaded("min", "minimum"), reference=_overloaded_reference(np.min, np.argmin, np.minimum), sample=_overloaded_sample, errors=_overload_errors)


def _place_arguments(name: str, which: str) -> Any:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        if input._data.dtype == BOOL:
            raise RuntimeError(f"{name}(): does not support {scalar_name(BOOL).lower()} input")
        if dim is None:
            check_not_empty(name, input._data.shape, (), True, IndexError)
        else:
            dim = dimension(dim, input.dim())
            check_not_empty(name, input._data.shape, (dim,), False)
        return input, which, dim, keepdim

    function.__doc__ = f"Where the {which}imum is along `dim`, or in the flattened tensor; of equals the first, NaN before all."
    return function


def _place_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1), distinct=True)
    return (x, draw.choice([None, draw.dim(x.ndim)]), draw.boolean()), {}


_place_errors: Any = [
    ((_nothing,), IndexError, "specified"),
    ((_nothing, 0), IndexError, "non-zero size"),
    ((np.ones(2, bool),), RuntimeError, "bool"),
]
argmax = front(
    "argmax",
    _place,
    _place_arguments("argmax", "max"),
    reference=numpy_reduction(np.argmax),
    sample=_place_sample,
    errors=_place_errors,
)
argmin = front(
    "argmin",
    _place,
    _place_arguments("argmin", "min"),
    reference=numpy_reduction(np.argmin),
    sample=_place_sample,
    errors=_place_errors,
)
