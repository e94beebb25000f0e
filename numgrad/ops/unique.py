"""Distinct elements, and which of them each element is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import BOOL, INT64
from ..jit import device, empty, kernel, launch, prange, read
from ..tensor import Tensor, wrap
from .elementwise import copied
from .extreme import as_bytes
from .operands import NOT_A_TENSOR
from .record import REGISTRY, composite, op
from .shape import dimension
from .sort import sort_rows, take_rows

# --- groups of equals -----------------------------------------------------------------------------------------------


@device
def _differs(items, i, before):
    for j in range(items.shape[1]):
        if items[i, j] != items[before, j]:
            return 1
    return 0


@kernel
def _mark_changes(changes, items, order):
    """1 where an item differs from the one before it in `order`."""
    for i in prange(changes.size):
        changes[i] = 1 if i == 0 else _differs(items, order[i], order[i - 1])


@kernel
def _as_they_stand(order):
    for i in prange(order.size):
        order[i] = i


@kernel
def _find_starts(starts, groups):
    """Where in the order each group (counted from 1) starts."""
    for i in prange(groups.size):
        if i == 0 or groups[i] != groups[i - 1]:
            starts[groups[i] - 1] = i


@kernel
def _group_sizes(sizes, starts, total):
    for i in prange(starts.size):
        sizes[i] = (starts[i + 1] if i + 1 < starts.size else total) - starts[i]


@kernel
def _group_of_each(inverse, groups, order):
    for i in prange(order.size):
        inverse[order[i]] = groups[i] - 1


@kernel
def _first_items(values, items, order, starts):
    for i in prange(starts.size):
        for j in range(items.shape[1]):
            values[i, j] = items[order[starts[i]], j]


def _lexicographic(items: np.ndarray) -> np.ndarray:
    """The order that sorts items by their first number, then by their second, and so on: stable sorts from the last
    to the first.
    """
    n, m = items.shape
    order = sort_rows(copied(items[:, m - 1]).reshape(1, n))
    for j in range(m - 2, -1, -1):
        column = copied(items[:, j]).reshape(1, n)
        order = take_rows(order, sort_rows(take_rows(column, order)))
    return order.reshape(n)


def _distinct(items: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct rows of (n, m) items, the number of each item's group, and the groups' sizes; equals are
    neighbours in `order`.
    """
    n, m = items.shape
    if n == 0:
        return items, empty((0,), INT64), empty((0,), INT64)
    bits, changes, inverse = as_bytes(items), empty((n,), INT64), empty((n,), INT64)
    launch(_mark_changes, changes, bits, order, work=n * m)
    groups = REGISTRY["cumsum_along"].forward(changes, 0, False, INT64)
    total = int(read(groups)[-1])
    starts, sizes, values = empty((total,), INT64), empty((total,), INT64), empty((total, m), items.dtype)
    launch(_find_starts, starts, groups, work=n)
    launch(_group_sizes, sizes, starts, n)
    launch(_group_of_each, inverse, groups, order, work=2 * n)
    launch(_first_items, as_bytes(values), bits, order, starts)
    return values, inverse, sizes


def _unique_forward(input: np.ndarray, dim: int | None, sort: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if dim is None:
        x = input if input.flags.c_contiguous else copied(input)
        items, rest = x.reshape(-1, 1), ()
    else:
        moved = np.moveaxis(input, dim, 0)
        x = moved if moved.flags.c_contiguous else copied(moved)
        rest = x.shape[1:]
        items = x.reshape(x.shape[0], x.size // x.shape[0] if x.shape[0] else 0)
    n = items.shape[0]
    if sort and n:
        order = _lexicographic(items)
    else:
        order = empty((n,), INT64)
        launch(_as_they_stand, order)
    values, inverse, sizes = _distinct(items, order)
    if dim is None:
        return values.reshape(-1), inverse.reshape(input.shape), sizes
    back = np.moveaxis(values.reshape(values.shape[0], *rest), 0, dim)
    return back if back.flags.c_contiguous else copied(back), inverse, sizes


_unique = op("unique_of", _unique_forward, public=False, method=False)


def _results(input: Tensor, dim: int | None, sort: bool, return_inverse: bool, return_counts: bool) -> Any:
    if dim is not None:
        if input.dim() == 0:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        dim = dimension(dim, input.dim())
        if 0 in input._data.shape and input._data.shape[dim] != 0:
            raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
    values, inverse, sizes = _unique(input, dim, sort)
    found = (values, *([inverse] if return_inverse else []), *([sizes] if return_counts else []))
    return found if len(found) > 1 else values


def _unique_function(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements in ascending order, or the distinct slices along `dim`. Every NaN is distinct.

    If asked for, also which of them each element is, and how often each occurs.
    """
    return _results(input, dim, True, return_inverse, return_counts)


def _unique_consecutive_function(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Like `unique`, but only neighbours that are equal become one, and the order stays."""
    return _results(input, dim, False, return_inverse, return_counts)


def _unique_reference(
    x: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    found = (values, inverse.reshape(x.shape if dim is None else -1), counts)
    kept = [f for f, wanted in zip(found, (True, return_inverse, return_counts), strict=True) if wanted]
    return tuple(kept) if len(kept) > 1 else values


def _unique_sample(draw: Any) -> Any:
    x = draw.integers(draw.shape(min_dims=1, min_side=1), 0, 3)
    x = draw.choice([x, x.astype(np.uint8), x > 1])
    return (x, True, draw.boolean(), draw.boolean(), draw.choice([None, draw.dim(x.ndim)])), {}


def _consecutive_reference(
    x: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    items = x.reshape(-1, 1) if dim is None else np.moveaxis(x, dim, 0)
    starts = [i for i in range(len(items)) if i == 0 or np.any(items[i] != items[i - 1])]
    values = x.reshape(-1)[starts] if dim is None else np.take(x, starts, dim)
    inverse = np.cumsum([i in starts for i in range(len(items))]) - 1
    found = (values, inverse.reshape(x.shape if dim is None else -1), np.diff([*starts, len(items)]))
    kept = [f for f, wanted in zip(found, (True, return_inverse, return_counts), strict=True) if wanted]
    return tuple(kept) if len(kept) > 1 else values


def _consecutive_sample(draw: Any) -> Any:
    (x, _, inverse, counts, dim), kwargs = _unique_sample(draw)
    return (x, inverse, counts, dim), kwargs


_unique_errors: Any = [
    ((np.ones((2, 3)), True, False, False, 2), IndexError, "range"),
    ((np.ones((0, 3)), True, False, False, 1), RuntimeError, "0 sized"),
]
composite("unique", _unique_function, reference=_unique_reference, sample=_unique_sample, errors=_unique_errors)
composite(
    "unique_consecutive", _unique_consecutive_function, reference=_consecutive_reference, sample=_consecutive_sample,
    errors=[((np.ones(2), False, False, 3), IndexError, "range"), *NOT_A_TENSOR],
)  # fmt: skip

# --- membership -----------------------------------------------------------------------------------------------------


@device
def _is_among(x, known):
    low, high = 0, known.size
    while low < high:
        middle = (low + high) // 2
        if known[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low < known.size and known[low] == x


@kernel
def _mark_members(found, elements, known, invert):
    for i in prange(elements.size):
        found[i] = _is_among(elements[i], known) != (invert != 0)


def _isin_forward(elements: np.ndarray, test_elements: np.ndarray, invert: bool) -> np.ndarray:
    dtype = np.promote_types(elements.dtype, test_elements.dtype)
    x, known = (as_bytes(copied(a, dtype)).reshape(-1) for a in (elements, test_elements))
    order = sort_rows(known.reshape(1, -1)) if known.size else empty((1, 0), INT64)
    found = empty(elements.shape, BOOL)
    launch(
        _mark_members,
        found.reshape(-1),
        x,
        take_rows(known.reshape(1, -1), order).reshape(-1),
        int(invert),
        work=16 * x.size,
    )
    return found


_isin = op("isin_of", _isin_forward, public=False, method=False, vjp=None)


def _member(name: str, x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    if not isinstance(x, (bool, int, float, np.number, np.bool_)):
        raise TypeError(f"isin(): argument '{name}' must be Tensor or number, not {type(x).__name__}")
    if isinstance(x, int) and not -(2**63) <= x < 2**63:
        raise RuntimeError(f"isin(): argument '{name}' is {x}, which no int64 can hold")
    return wrap(np.asarray(x))


def _isin_function(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among the test elements (or, inverted, is not); either may be a number. NaN is among
    nothing.
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin(): elements or test_elements must be a Tensor, but got two numbers")
    elements, test_elements = _member("elements", elements), _member("test_elements", test_elements)
    return _isin(elements.detach(), test_elements.detach(), invert)


def _isin_sample(draw: Any) -> Any:
    x, known = draw.integers(draw.shape(), 0, 5), draw.integers(draw.shape(max_dims=2), 0, 5)
    return draw.choice([(x, known), (x, 3), (2, known)]), {"invert": draw.boolean()}


isin = composite(
    "isin",
    _isin_function,
    method=False,
    sample=_isin_sample,
    errors=[((1, 2), TypeError, "two numbers"), ((np.arange(3), None), TypeError, "test_elements"), ((2**70, np.arange(3)), RuntimeError, "int64")],
    reference=lambda x, known, *, invert=False: np.isin(x, known, invert=invert),
)
