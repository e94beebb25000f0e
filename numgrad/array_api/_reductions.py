"""Sums and other statistics, searching, sorting, sets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numgrad
from numgrad.tensor import Tensor

from ._elementwise import promoted

__all__ = [
    "all", "any", "argmax", "argmin", "argsort", "count_nonzero", "cumulative_prod", "cumulative_sum", "diff", "isin", "max", "mean", "min",
    "nonzero", "prod", "searchsorted", "sort", "std", "sum", "unique_all", "unique_counts", "unique_inverse", "unique_values", "var",
]  # fmt: skip


def _axes(x: Any, axis: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)


def over(function: Any, x: Any, axis: Any, keepdims: bool, **more: Any) -> Any:
    """A reduction over axes, over none of which PyTorch's functions would take all."""
    axes = _axes(x, axis)
    if not axes:
        return function(x.unsqueeze(0), dim=0, keepdim=False, **more)
    return function(x, dim=axes, keepdim=keepdims, **more)


def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Sums; of integers as int64."""
    return over(numgrad.sum, x, axis, keepdims, dtype=dtype)


def mean(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Means."""
    return over(numgrad.mean, x, axis, keepdims)


def prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Products; of integers as int64."""
    found = x if dtype is None else x.to(dtype)
    for a in sorted((a % x.ndim for a in _axes(x, axis)), reverse=True):
        found = numgrad.prod(found, a, keepdim=keepdims)
    whole = not found.is_floating_point()
    return found.to(dtype or numgrad.int64) if whole else found


def max(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest elements."""
    return over(numgrad.amax, x, axis, keepdims)


def min(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Least elements."""
    return over(numgrad.amin, x, axis, keepdims)


def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Variances: squared distances from the mean, summed, over their number less `correction`."""
    return over(numgrad.var, x, axis, keepdims, correction=correction)


def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Standard deviations."""
    return over(numgrad.std, x, axis, keepdims, correction=correction)


def all(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements are true, or not 0."""
    return over(numgrad.all, x, axis, keepdims).to(numgrad.bool)  # as PyTorch gives it, of uint8 it is uint8


def any(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether an element is true, or not 0."""
    return over(numgrad.any, x, axis, keepdims).to(numgrad.bool)  # as PyTorch gives it, of uint8 it is uint8


def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements are not 0."""
    return sum(x != 0, axis=axis, keepdims=keepdims)


def _cumulative(function: Any, first: int, x: Any, axis: int | None, dtype: Any, include_initial: bool) -> Any:
    if axis is None and x.ndim > 1:
        raise ValueError("axis must be given where there are several")
    axis = 0 if axis is None else axis
    found = function(x, axis, dtype=dtype)
    if not include_initial:
        return found
    start = found.new_full([1 if d == axis % x.ndim else n for d, n in enumerate(x.shape)], first)
    return numgrad.cat([start, found], axis)


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Sums of all up to each element; with `include_initial` a 0 comes first."""
    return _cumulative(numgrad.cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Products of all up to each element; with `include_initial` a 1 comes first."""
    return _cumulative(numgrad.cumprod, 1, x, axis, dtype, include_initial)


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours, n times."""
    return numgrad.diff(x, n, axis, prepend, append)


# --- searching and sorting ------------------------------------------------------------------------------------------


def _place(function: Any, x: Any, axis: int | None, keepdims: bool) -> Any:
    found = function(x, axis, keepdims and axis is not None)
    return found.reshape((1,) * x.ndim) if keepdims and axis is None else found


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the largest element is; the first of equal ones."""
    return _place(numgrad.argmax, x, axis, keepdims)


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the least element is; the first of equal ones."""
    return _place(numgrad.argmin, x, axis, keepdims)


def nonzero(x: Any, /) -> tuple[Any, ...]:
    """Where elements are not 0: an index an axis."""
    if x.ndim == 0:
        raise ValueError("nonzero: a tensor without dimensions has no indices")
    return tuple(numgrad.nonzero(x, as_tuple=True))


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """Where elements of `x2` would go into the sorted `x1`."""
    one, two = promoted(x1, x2)
    return numgrad.searchsorted(one, two, side=side, sorter=sorter)


def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Any:
    """Whether each element of `x1` is one of `x2`."""
    one, two = promoted(x1, x2)
    return numgrad.isin(one, two, invert=invert)


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Sorted along an axis."""
    return numgrad.sort(x, dim=axis, descending=descending, stable=stable)[0]


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The indices that sort along an axis."""
    return numgrad.argsort(x, dim=axis, descending=descending, stable=stable)


# --- sets -----------------------------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """Each value once, in order: where it comes first, where each element's value is, and how often it comes."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """Each value once, in order, and how often it comes."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """Each value once, in order, and where each element's value is."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Any, /) -> UniqueAll:
    """Each value once, with its first place, the places of elements' values, and counts."""
    values, inverse, counts = numgrad.unique(x, return_inverse=True, return_counts=True)
    order = numgrad.argsort(inverse.reshape(x.numel()), stable=True)
    return UniqueAll(values, order[numgrad.cumsum(counts, 0) - counts], inverse.reshape(x.shape), counts)


def unique_counts(x: Any, /) -> UniqueCounts:
    """Each value once, and how often it comes."""
    return UniqueCounts(*numgrad.unique(x, return_counts=True))


def unique_inverse(x: Any, /) -> UniqueInverse:
    """Each value once, and where each element's value is among them."""
    values, inverse = numgrad.unique(x, return_inverse=True)
    return UniqueInverse(values, inverse.reshape(x.shape))


def unique_values(x: Any, /) -> Any:
    """Each value once."""
    return numgrad.unique(x)
