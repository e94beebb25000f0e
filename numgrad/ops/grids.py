"""Grids, products and blocks made of vectors and matrices: meshgrid, cartesian_prod, combinations, block_diag."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..jit import zeros
from ..tensor import Tensor, wrap
from .index import index_at
from .join import _promoted, cat, stack
from .record import composite
from .shape import expand, reshape


def _several(tensors: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors


def _meshgrid_function(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """For each vector, a view of it along its own dimension of the grid of all; "xy" exchanges the first two dimensions."""
    parts = _several(tensors)
    if not parts:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for p in parts:
        if p.dim() > 1:
            raise RuntimeError(f"meshgrid: Expected 0D or 1D tensor in the tensor list but got one of shape {list(p.shape)}")
        if p.dtype is not parts[0].dtype:
            raise RuntimeError(f"meshgrid expects all tensors to have the same dtype, but got {parts[0].dtype} and {p.dtype}")
    if indexing is None:
        warnings.warn("meshgrid: in an upcoming release, it will be required to pass the indexing argument.", stacklevel=3)
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    swap = indexing == "xy" and len(parts) > 1
    if swap:
        parts = (parts[1], parts[0], *parts[2:])
    shape = [p.numel() for p in parts]
    grids = [expand(reshape(p, [n if k == d else 1 for k in range(len(parts))]), shape) for d, (p, n) in enumerate(zip(parts, shape, strict=True))]
    if swap:
        grids[:2] = grids[1], grids[0]
    return tuple(grids)


def _vectors(draw: Any) -> list[Any]:
    return [draw.array((draw.integer(0, 3),)) for _ in range(draw.integer(1, 3))]


meshgrid = composite("meshgrid", _meshgrid_function, method=False, sample=lambda draw: (tuple(_vectors(draw)), {"indexing": draw.choice(["ij", "xy"])}),
                     reference=lambda *x, indexing: tuple(np.meshgrid(*x, indexing=indexing)), errors=[
                         ((), RuntimeError, "non-empty"), ((np.ones(2), np.ones((2, 2))), RuntimeError, "0D or 1D"), ((np.ones(2), np.ones(2, np.float32)), RuntimeError, "same dtype"),
                         ((np.ones(2), 2), TypeError, "must be Tensor")])  # fmt: skip


def _vector_check(x: Tensor) -> None:
    if x.dim() != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.shape)}")


def _cartesian_prod_function(*tensors: Any) -> Tensor:
    """All combinations of one element of each vector, a row each."""
    parts = _several(tensors)
    for p in parts:
        _vector_check(p)
    if len(parts) == 1:
        return parts[0]
    return stack([reshape(g, g.numel()) for g in _meshgrid_function(*parts, indexing="ij")], 1)


cartesian_prod = composite("cartesian_prod", _cartesian_prod_function, method=False, sample=lambda draw: (tuple(_vectors(draw)), {}),
                           reference=lambda *x: np.array(list(itertools.product(*x)), x[0].dtype).reshape(-1, len(x)) if len(x) > 1 else x[0],
                           errors=[((np.ones((1, 1)), np.ones(1)), RuntimeError, "1D vector")])  # fmt: skip


def _combinations_function(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to choose r elements of a vector in order, a row each."""
    _vector_check(input)
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(zeros(0, input._data.dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return index_at(input, (wrap(rows),), "index")


def _combinations_reference(x: Any, r: int = 2, with_replacement: bool = False) -> Any:
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    return np.array(list(choose(x, r)), x.dtype).reshape(-1, r)


combinations = composite("combinations", _combinations_function, reference=_combinations_reference,
                         sample=lambda draw: ((draw.array((draw.integer(0, 4),)), draw.integer(1, 3), draw.boolean()), {}),
                         errors=[((np.ones((1, 1)),), RuntimeError, "1D vector"), ((np.ones(1), -1), RuntimeError, "non-negative")])  # fmt: skip


def _block_diag_function(*tensors: Tensor) -> Tensor:
    """Matrices (also vectors, as rows, and numbers) along the diagonal of one matrix, zeros elsewhere."""
    for i, t in enumerate(tensors):
        if t.dim() > 2:
            raise RuntimeError(f"block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.dim()} dimensions")
    if not tensors:
        return wrap(zeros((1, 0), dtypes.default()))
    dtype = dtypes.FROM_NUMPY[_promoted([t._data for t in tensors])]
    blocks = [reshape(t, [1] * (2 - t.dim()) + list(t.shape)).to(dtype) for t in tensors]
    width, at, rows = sum(b._data.shape[1] for b in blocks), 0, []
    for b in blocks:
        n, m = b._data.shape
        sides = [wrap(zeros((n, at), b._data.dtype)), b, wrap(zeros((n, width - at - m), b._data.dtype))]
        rows.append(cat(sides, 1))
        at += m
    return cat(rows, 0)


def _block_diag_reference(*tensors: Any) -> Any:
    blocks = [np.atleast_2d(t) for t in tensors]
    result = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)), np.result_type(*blocks))
    i = j = 0
    for b in blocks:
        result[i : i + b.shape[0], j : j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return result


block_diag = composite("block_diag", _block_diag_function, method=False, reference=_block_diag_reference,
                       sample=lambda draw: (tuple(draw.array(draw.shape(max_dims=2)) for _ in range(draw.integer(1, 3))), {}),
                       errors=[((np.ones((1, 1, 1)),), RuntimeError, "2 or fewer")])  # fmt: skip
