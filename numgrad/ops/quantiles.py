"""Medians, and quantiles in general."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from ..dtypes import BOOL, scalar_name
from ..tensor import Tensor, wrap
from .extreme import share_among_equals
from .record import REGISTRY, composite, op
from .selection import check_selectable, kth, kth_rows, kthvalue_reference
from .shape import dimension, reshape
from .sort import as_rows, take_rows

# --- medians ----------------------------------------------------------------------------------------------------------


def _median_forward(input: np.ndarray, ignore: bool) -> np.ndarray:
    if input.size == 0:
        lowest = np.nan if input.dtype.kind == "f" else np.iinfo(input.dtype).min
        return np.full((), lowest, input.dtype)
    rows = as_rows(input.reshape(-1), 0)
    return take_rows(rows, kth_rows(rows, -1, ignore)).reshape(())


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
        return result(*kth(input, -1, dim, keepdim, ignore))

    what = "ignoring NaN" if ignore else "NaN where there is one"
    function.__doc__ = (
        f"The median of all elements, or (values, indices) along `dim`: the lower of the two in the middle; {what}."
    )
    return function


def _median_reference(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:
        return np.sort(x.reshape(-1))[(x.size - 1) // 2] if not np.isnan(x).any() else np.asarray(np.nan, x.dtype)
    if x.ndim and np.isnan(x).any(dim).all():  # the first NaN
        at = np.isnan(x).argmax(dim, keepdims=keepdim)
        return np.full(at.shape, np.nan, x.dtype), at
    return kthvalue_reference(x, ((x.shape[dim] if x.ndim else 1) + 1) // 2, dim, keepdim)


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
