"""Selection without sorting everything: the largest, the k-th, medians and quantiles.

The k-th smallest of a row is found byte by byte, from the highest down, in as many passes as an element has bytes.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from ..dtypes import BOOL, INT64, scalar_name
from ..jit import device, empty, kernel, launch, prange
from ..tensor import Tensor, wrap
from .extreme import put, share_among_equals
from .record import REGISTRY, composite, op
from .scan import add_at
from .shape import dimension, reshape
from .sort import as_rows, digit, from_rows, reference_order, scratch, sort_keys, sort_row, take_rows, taken

# --- the k-th ---------------------------------------------------------------------------------------------------------


@device
def _select_key(keys, counts, k, bytes):
    """The k-th smallest key, from 0: its bytes from the highest down, by counting the keys that begin as it does."""
    found = np.int64(0)
    for step in range(bytes):
        byte = bytes - 1 - step
        flip = 128 if byte == 7 else 0
        for d in range(256):
            counts[d] = 0
        for j in range(keys.size):
            if step == 0 or (keys[j] >> (8 * (byte + 1))) == found:
                counts[digit(keys[j], byte, flip)] += 1
        d = 0
        while k >= counts[d]:
            k -= counts[d]
            d += 1
        d ^= flip
        if step == 0:
            found = np.int64(d - 256 if byte == 7 and d > 127 else d)
        else:
            found = (found << 8) | d
    return found


@device
def _first_below(keys, order, source, threshold, k):
    """The k smallest keys in the order they stand: all below the threshold, and of its equals the first."""
    below = 0
    for j in range(source.size):
        below += 1 if source[j] < threshold else 0
    equals, at = k - below, 0
    for j in range(source.size):
        key = source[j]
        if key < threshold or (key == threshold and equals > 0):
            equals -= 1 if key == threshold else 0
            keys[at], order[at] = key, j
            at += 1


@kernel
def _top_rows(order, keys, spare_order, spare_keys, counts, source, bytes):
    for i in prange(source.shape[0]):
        k = order.shape[1]
        threshold = _select_key(source[i], counts[i], k - 1, bytes)
        _first_below(keys[i], order[i], source[i], threshold, k)
        sort_row(keys[i], order[i], spare_keys[i], spare_order[i], counts[i], bytes)


def _top_forward(input: np.ndarray, k: int, dim: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    shape = tuple(k if d == dim else n for d, n in enumerate(input.shape))
    if 0 in shape:
        return empty(shape, input.dtype), empty(shape, INT64)
    rows = as_rows(input, dim)
    source, bytes, m = sort_keys(rows, largest), rows.itemsize, rows.shape[0]
    order, keys, counts = empty((m, k), INT64), empty((m, k), INT64), empty((m, 256 * bytes), INT64)
    launch(_top_rows, order, keys, *scratch(m, k, bytes)[:2], counts, source, bytes, work=(4 + bytes) * rows.size)
    return from_rows(take_rows(rows, order), shape, dim), from_rows(order, shape, dim)


_top = op(
    "top_along",
    _top_forward,
    public=False,
    method=False,
    vjp=(lambda g, y, input_shape, dim: add_at(g[0], y[1], input_shape, dim),),
)
_Top = namedtuple("topk", ["values", "indices"])


def _topk_function(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k largest (or smallest) elements along `dim`, sorted whether asked for or not; NaN
    is greatest.
    """
    dim, k = dimension(dim, input.dim()), k.__index__()
    if not 0 <= k <= (input._data.shape[dim] if input.dim() else 1):
        raise RuntimeError(
            f"selected index k out of range: k is {k}, but dimension {dim} of {list(input.shape)} was asked for"
        )
    if input._data.dtype == BOOL:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    return _Top(*_top(input, k if input.dim() else 1, dim, largest))


def _topk_reference(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    order = reference_order(x, dim, largest)
    order = np.take(order, np.arange(k), dim) if x.ndim else order
    return taken(x, order, dim), order


def _topk_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(), distinct=True)
    dim = draw.dim(x.ndim)
    return (x, draw.integer(0 if x.ndim else 1, x.shape[dim] if x.ndim else 1), dim, draw.boolean()), {}


topk = composite(
    "topk",
    _topk_function,
    reference=_topk_reference,
    sample=_topk_sample,
    errors=[((np.ones(3), 4), RuntimeError, "out of range"), ((np.ones(3, bool), 1), RuntimeError, "bool")],
)


@device
def _place_of(keys, counts, k, nan, bytes, ignore):
    n = keys.size
    if k < 0:
        missing = 0
        if bytes > 0:
            for j in range(n):
                missing += 1 if keys[j] == nan else 0
        k = (n - 1) // 2
        if missing:
            k = max((n - missing - 1) // 2, 0) if ignore else n - missing
    key = _select_key(keys, counts, k, abs(bytes))
    below = 0
    for j in range(n):
        below += 1 if keys[j] < key else 0
    place, equals = -1, k - below
    while equals >= 0:
        place += 1
        equals -= 1 if keys[place] == key else 0
    return place


@kernel
def _place_rows(places, keys, counts, k, nan, bytes, ignore):
    """Where each row's k-th smallest key is; k = -1 asks for the median, which is NaN where there is one, unless
    told to ignore it.
    """
    for i in prange(keys.shape[0]):
        places[i, 0] = _place_of(keys[i], counts[i], k, nan, bytes, ignore)


def _kth_rows(rows: np.ndarray, k: int, ignore: bool = False) -> np.ndarray:
    """Where each row's k-th smallest element is (from 0; -1: its median)."""
    places, keys = empty((rows.shape[0], 1), INT64), sort_keys(rows)
    nan = int(sort_keys(np.full((1, 1), np.nan, rows.dtype))[0, 0]) if rows.dtype.kind == "f" else 0
    bytes = rows.itemsize if rows.dtype.kind == "f" else -rows.itemsize  # the sign says that there is no NaN
    launch(
        _place_rows,
        places,
        keys,
        empty((rows.shape[0], 256), INT64),
        k,
        nan,
        bytes,
        int(ignore),
        work=(2 + abs(bytes)) * rows.size,
    )
    return places


def _kth_forward(input: np.ndarray, k: int, dim: int, keepdim: bool, ignore: bool) -> tuple[np.ndarray, np.ndarray]:
    shape = tuple(1 if d == dim else n for d, n in enumerate(input.shape))
    final = shape if keepdim else shape[:dim] + shape[dim + 1 :]
    if 0 in shape:
        return empty(final, input.dtype), empty(final, INT64)
    rows = as_rows(input, dim)
    places = _kth_rows(rows, k, ignore)
    return take_rows(rows, places).reshape(final), places.reshape(final)


_kth = op(
    "kth_along",
    _kth_forward,
    public=False,
    method=False,
    vjp=(lambda g, y, input_shape, dim, keepdim: put(g[0], y[1], input_shape, dim, keepdim),),
)
_Kth = namedtuple("kthvalue", ["values", "indices"])


def check_selectable(name: str, input: Tensor, dim: int) -> None:
    """Raise as PyTorch does where there is nothing to select from, or no order."""
    if input.dim() and input._data.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    if input._data.dtype == BOOL:
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(BOOL)}'")


def _kthvalue_function(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the k-th smallest element along `dim`, counted from 1; equals count in their order, NaN
    is greatest.
    """
    dim, k = dimension(dim, input.dim()), k.__index__()
    n = input._data.shape[dim] if input.dim() else 1
    if n and not 1 <= k <= n:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {dim}: k is {k}, but there are {n} elements"
        )
    check_selectable("kthvalue", input, dim)
    return _Kth(*_kth(input, k - 1, dim, keepdim, False))


def _kthvalue_reference(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    order = reference_order(x, dim, False)
    order = np.take(order, [k - 1], dim) if x.ndim else order
    found = taken(x, order, dim), order
    return found if keepdim or not x.ndim else tuple(np.squeeze(f, dim) for f in found)


def _kthvalue_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1), distinct=True)
    dim = draw.dim(x.ndim)
    return (x, draw.integer(1, x.shape[dim] if x.ndim else 1), dim, draw.boolean()), {}


kthvalue = composite(
    "kthvalue",
    _kthvalue_function,
    reference=_kthvalue_reference,
    sample=_kthvalue_sample,
    errors=[
        ((np.ones(3), 0), RuntimeError, "out of range"),
        ((np.ones((0, 3)), 1, 0), IndexError, "non-zero"),
        ((np.ones(3, bool), 1), NotImplementedError, "Bool"),
    ],
)

# --- medians ----------------------------------------------------------------------------------------------------------


def _median_forward(input: np.ndarray, ignore: bool) -> np.ndarray:
    if input.size == 0:
        lowest = np.nan if input.dtype.kind == "f" else np.iinfo(input.dtype).min
        return np.full((), lowest, input.dtype)
    rows = as_rows(input.reshape(-1), 0)
    return take_rows(rows, _kth_rows(rows, -1, ignore)).reshape(())


_median = op(
    "median_of_all",
    _median_forward,
    public=False,
    method=False,
    vjp=(lambda g, y, input: share_among_equals(g, y, input, tuple(range(input.dim()))),),
)


def _median_like(name: str, ignore: bool) -> Any:
    result = namedtuple(name, ["values", "indices"])  # type: ignore[misc]

    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        if input._data.dtype == BOOL:
            raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(BOOL)}'")
        if dim is None:
            return _median(input, ignore)
        dim = dimension(dim, input.dim())
        check_selectable(name, input, dim)
        return result(*_kth(input, -1, dim, keepdim, ignore))

    what = "ignoring NaN" if ignore else "NaN where there is one"
    function.__doc__ = (
        f"The median of all elements, or (values, indices) along `dim`: the lower of the two in the middle; {what}."
    )
    return function


def _median_reference(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:
        return np.sort(x.reshape(-1))[(x.size - 1) // 2]
    return _kthvalue_reference(x, ((x.shape[dim] if x.ndim else 1) + 1) // 2, dim, keepdim)


def _median_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1), distinct=True)
    return (x, *draw.choice([(), (draw.dim(x.ndim), draw.boolean())])), {}


_median_errors: Any = [
    ((np.ones(3, bool),), NotImplementedError, "Bool"),
    ((np.ones((0, 3)), 0), IndexError, "non-zero"),
]
for _name, _ignore in (("median", False), ("nanmedian", True)):
    composite(
        _name, _median_like(_name, _ignore), reference=_median_reference, sample=_median_sample, errors=_median_errors
    )

# --- quantiles --------------------------------------------------------------------------------------------------------

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(name: str, input: Tensor, q: Tensor, interpolation: str) -> None:
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if input._data.dtype.kind != "f":
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if input.numel() == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if q.dim() > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if q._data.dtype != input._data.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if not bool(((q >= 0) & (q <= 1)).all()):
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q.tolist()}")


def _between(rows: Tensor, ranks: Tensor, interpolation: str) -> Tensor:
    """Elements of sorted rows at ranks that may fall between two."""
    gather = REGISTRY["gather"]
    if interpolation == "nearest":
        return gather(rows, -1, ranks.round().long())
    low = ranks.floor()
    if interpolation == "lower":
        return gather(rows, -1, low.long())
    below, above = gather(rows, -1, low.long()), gather(rows, -1, ranks.ceil().long())
    if interpolation == "higher":
        return above
    return REGISTRY["lerp"](below, above, ranks - low if interpolation == "linear" else 0.5)


def _quantile_like(name: str, ignore: bool) -> Any:
    def function(
        input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Tensor:
        q = q if isinstance(q, Tensor) else wrap(np.full((), q, input._data.dtype))
        _check_quantile(name, input, q, interpolation)
        ndim, at = input.dim(), 0 if dim is None else dimension(dim, input.dim())
        x = reshape(input, (input.numel(),)) if dim is None or ndim == 0 else REGISTRY["movedim"](input, at, -1)
        rows = REGISTRY["sort"](x, -1)[0]
        missing, last = rows.isnan(), rows._data.shape[-1] - 1
        if ignore:  # NaN sorts last
            ranks = q.reshape(-1) * (last - missing.sum(-1, keepdim=True)).clamp(min=0).to(rows.dtype)
        else:  # a NaN in a row is all of its quantiles
            ranks = REGISTRY["where"](missing.any(-1, keepdim=True), last, q.reshape(-1) * last)
        found = _between(rows, ranks, interpolation)
        if keepdim and ndim:
            found = found.reshape((1,) * ndim + (-1,)) if dim is None else found.unsqueeze(at)
        return REGISTRY["movedim"](found, -1, 0) if q.dim() else found.squeeze(-1)

    function.__doc__ = (
        f"The q-quantiles along `dim` (None: of all elements), {'ignoring NaN' if ignore else 'NaN where there is one'}, "
        "with one more dimension in front where q has one. Between two elements `interpolation` decides: linear, lower, "
        "higher, midpoint, nearest."
    )
    return function


def _quantile_reference(
    x: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    return np.asarray(np.quantile(x, q, axis=dim if x.ndim else None, keepdims=keepdim, method=interpolation)).astype(
        x.dtype
    )


def _quantile_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1), distinct=True)
    dim, q = draw.choice([None, draw.dim(x.ndim)]), draw.choice([0.5, 0.3])
    if draw.boolean():  # ranks that stay between two elements as q moves a little
        x, q = draw.array((2, 4), distinct=True), np.asarray([0.2, 0.9, 0.45], draw.dtype)
        dim = draw.choice([None, draw.dim(2)])
    return (x, q, dim, draw.boolean()), {"interpolation": draw.choice(_INTERPOLATIONS)}


_quantile_errors: Any = [
    ((np.ones(3), 2.0), RuntimeError, "range"),
    ((np.arange(3), 0.5), RuntimeError, "float or double"),
    ((np.ones(0), 0.5), RuntimeError, "non-empty"),
    ((np.ones(3), np.ones((1, 1))), RuntimeError, "1D"),
]
for _name, _ignore in (("quantile", False), ("nanquantile", True)):
    composite(
        _name,
        _quantile_like(_name, _ignore),
        reference=_quantile_reference,
        sample=_quantile_sample,
        errors=_quantile_errors,
    )
