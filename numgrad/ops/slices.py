"""Slices of a dimension, whole: split along a dimension by its name, bounded in norm, reduced by index; and the commonest element."""

from __future__ import annotations

import itertools
from collections import namedtuple
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .bounds import check_index
from .creation import arange
from .indexed import _slices_sample, _vector
from .operands import NOT_A_TENSOR
from .record import REGISTRY, composite
from .scatter import _as_vector, _shaped
from .shape import dimension

Mode = namedtuple("Mode", ["values", "indices"])

# --- splits along the dimension that a name says ----------------------------------------------------------------------


def _split_op(name: str, least: int, which: int) -> Any:
    def function(input: Tensor, indices_or_sections: Any = None, *, sections: Any = None, indices: Any = None) -> Any:
        given = next((v for v in (indices_or_sections, sections, indices) if v is not None), None)
        if input.dim() < least:
            raise RuntimeError(f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {input.dim()} dimensions!")
        dim = 0 if input.dim() == 1 else which
        if isinstance(given, int) and given > 0 and input.shape[dim] % given:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {input.shape[dim]} is not "
                f"divisible by the split_size {given}!"
            )
        return REGISTRY["tensor_split"](input, given, dim)

    def sample(draw: Any) -> Any:
        return (draw.array(draw.choice([(4, 2, 6), (2, 4, 2)])), draw.choice([1, 2, [1], [0, 1, 5]])), {}

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Views between given indices of dimension {which}, or as many equal ones as asked for."
    errors = [((np.ones(()), 1), RuntimeError, "at least"), ((np.ones((3, 3, 3)), 2), RuntimeError, "not divisible"), (("text", 1), TypeError, "must be Tensor")]
    return composite(name, function, reference=getattr(np, name), sample=sample, errors=errors)


hsplit, vsplit, dsplit = _split_op("hsplit", 1, 1), _split_op("vsplit", 2, 0), _split_op("dsplit", 3, 2)

# --- slices no longer than ... ----------------------------------------------------------------------------------------


def _renorm_function(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice of `dim` with a p-norm over `maxnorm` scaled down to that."""
    if input.dim() < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.dim()} dimensions")
    if not p > 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if not maxnorm >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    d = dimension(dim, input.dim())
    others = tuple(i for i in range(input.dim()) if i != d)
    norm = REGISTRY["linalg_vector_norm"](input, p, others, True)
    return input * REGISTRY["where"](norm > maxnorm, maxnorm / (norm + 1e-7), 1.0)  # type: ignore[operator]


def _renorm_reference(x: Any, p: float, dim: int, maxnorm: float) -> Any:
    result = x.copy()
    for part in np.moveaxis(result, dim, 0):
        sizes = np.abs(part.astype(np.float64))
        largest = sizes.max(initial=0)  # divided by it, no power is too large
        norm = largest * ((sizes / largest) ** p).sum() ** (1 / p) if largest > 0 else largest
        if norm > maxnorm:
            part *= maxnorm / (norm + 1e-7)
    return result


def _renorm_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=2, min_side=2), 0.3, 3)
    return (x, draw.choice([1, 2, 3.5]), draw.dim(x.ndim), draw.choice([0.25, 100.0])), {}


renorm = composite("renorm", _renorm_function, inplace=True, reference=_renorm_reference, sample=_renorm_sample,
                   errors=[((np.ones(3), 1, 0, 5.0), RuntimeError, "at least 2 dim"), ((np.ones((3, 3)), -1, 0, 5.0), RuntimeError, "non-positive"),
                           ((np.ones((3, 3)), 1, 0, -5.0), RuntimeError, ">= 0"), ((np.ones((3, 3)), 1, 2, 5.0), IndexError, "range")])  # fmt: skip

# --- reduced by index -------------------------------------------------------------------------------------------------


def _index_reduce_function(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """The slices of `dim` reduced with the slices of `source` that an index sends there: "prod", "mean", "amax" or "amin"."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    d, vector = dimension(dim, input.dim()), _vector("index_add_", index, False).to(dtypes.int64)  # type: ignore[attr-defined]
    x, given = _as_vector(input), _as_vector(source)
    wanted, found = list(x.shape), list(given.shape)
    if len(found) <= d or vector.numel() != found[d]:
        raise RuntimeError(f"index_reduce(): Number of indices ({vector.numel()}) should be equal to source.size(dim): ({found}), for dim: {d}")
    if wanted[:d] + wanted[d + 1 :] != found[:d] + found[d + 1 :]:
        raise RuntimeError(f"source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = {wanted} source.shape = {found}")
    check_index(vector._data, "index_reduce", d, wanted[d])
    places = vector.reshape(*[-1 if i == d else 1 for i in range(len(found))]).expand(*found)
    return _shaped(REGISTRY["scatter_reduce"](x, d, places, given, reduce, include_self=include_self), input)


def _index_reduce_sample(draw: Any) -> Any:
    x, d, index = _slices_sample(draw)
    shape = list(x.shape)
    shape[d] = index.size
    values = draw.array((x.size + int(np.prod(shape)),), distinct=True)
    return (values[: x.size].reshape(x.shape), d, index, values[x.size :].reshape(shape), draw.choice(["prod", "mean", "amax", "amin"])), {"include_self": draw.boolean()}


def _index_reduce_reference(x: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool = True) -> Any:
    function = {"mean": np.mean, "prod": np.prod, "amax": np.max, "amin": np.min}[reduce]
    result, source = np.moveaxis(x.copy(), dim, 0), np.moveaxis(source, dim, 0)
    for i in set(index.tolist()):
        parts = source[index == i]
        result[i] = function(np.concatenate([result[i : i + 1], parts]) if include_self else parts, axis=0)
    return np.moveaxis(result, 0, dim)


_square = np.ones((2, 2))
index_reduce = composite("index_reduce", _index_reduce_function, inplace=True, reference=_index_reduce_reference, sample=_index_reduce_sample, errors=[
    ((_square, 0, np.array([0]), np.ones((1, 2)), "sum"), RuntimeError, "one of prod"), ((_square, 0, np.array([0, 1]), np.ones((1, 2)), "prod"), RuntimeError, "Number of"),
    ((_square, 0, np.array([2]), np.ones((1, 2)), "prod"), IndexError, "out of"), ((_square, 0, np.array([0]), np.ones((1, 3)), "prod"), RuntimeError, "must match")])  # fmt: skip

# --- the commonest element --------------------------------------------------------------------------------------------


def _mode_function(input: Tensor, dim: int = -1, keepdim: bool = False) -> Mode:
    """The commonest value of each row of `dim` (of several the smallest), and the index of its last occurrence."""
    d = dimension(dim, input.dim())
    if input.dim() == 0:
        return Mode(input.clone(), REGISTRY["zeros_like"](input, dtype=dtypes.int64))  # type: ignore[attr-defined]
    n = input.shape[d]
    if n == 0:
        raise IndexError(f"mode(): Expected reduction dim {d} to have non-zero size.")
    values, order = REGISTRY["sort"](input.detach().transpose(d, -1), stable=True)  # type: ignore[attr-defined]
    places = arange(n)
    fresh = REGISTRY["pad"](values[..., 1:] != values[..., :-1], (1, 0), True)
    first = REGISTRY["where"](fresh, places, 0)
    length = places - (REGISTRY["cummax"](first, -1)[0] if first.numel() else first)  # type: ignore[operator]
    index = order.gather(-1, length.argmax(-1, keepdim=True)).transpose(d, -1)
    found = input.gather(d, index)  # type: ignore[attr-defined]
    return Mode(found, index) if keepdim else Mode(found.squeeze(d), index.squeeze(d))


def _mode_reference(x: Any, dim: int = -1, keepdim: bool = False) -> Any:
    rows = np.moveaxis(x, dim, -1) if x.ndim else x.reshape(1)
    values, indices = np.empty(rows.shape[:-1], x.dtype), np.empty(rows.shape[:-1], np.int64)
    for i in np.ndindex(*rows.shape[:-1]):
        row = rows[i].tolist()
        values[i] = min(row, key=lambda v: (-row.count(v), v))
        indices[i] = len(row) - 1 - row[::-1].index(float(values[i]))
    return tuple(np.expand_dims(a, dim) if keepdim and x.ndim else a for a in (values, indices))


def _mode_sample(draw: Any) -> Any:
    shape = draw.shape(min_dims=1, min_side=1)
    return (draw.array(shape, distinct=True), draw.dim(len(shape)), draw.boolean()), {}  # of equal ones, the last alone has a gradient


mode = composite("mode", _mode_function, reference=_mode_reference, sample=_mode_sample,
                 errors=[((np.ones((2, 0)),), IndexError, "non-zero size"), ((np.ones(2), 1), IndexError, "range"), *NOT_A_TENSOR])  # fmt: skip

# --- places from their numbers ----------------------------------------------------------------------------------------


def _unravel_index_function(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The indices along each dimension of elements that are counted through all dimensions of a shape."""
    if not isinstance(indices, Tensor):
        raise TypeError(f"unravel_index(): argument 'indices' must be Tensor, not {type(indices).__name__}")
    if indices.is_floating_point() or indices.dtype is dtypes.bool:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sides = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if any(n < 0 for n in sides):
        raise ValueError(f"'shape' cannot have negative values, but got {sides}")
    steps = [*itertools.accumulate(reversed(sides[1:]), lambda a, b: a * b, initial=1)][::-1]
    divide, rest = REGISTRY["floor_divide"], REGISTRY["remainder"]
    return tuple([rest(divide(indices, step), n) for step, n in zip(steps, sides, strict=True)]) if sides else ()


def _unravel_sample(draw: Any) -> Any:
    shape = draw.shape(min_dims=1, min_side=1)
    return (draw.integers(draw.shape(), 0, int(np.prod(shape)) - 1), shape), {}


unravel_index = composite("unravel_index", _unravel_index_function, method=False, reference=np.unravel_index, sample=_unravel_sample,
                          errors=[((np.ones(2), (2, 2)), TypeError, "integer dtype"), ((np.array([1]), (-1, 2)), ValueError, "negative")])  # fmt: skip
