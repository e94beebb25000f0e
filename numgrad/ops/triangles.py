"""Triangles and diagonals of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import INT64, check_device, scalar_name, to_numpy
from ..jit import device, empty, kernel, launch, prange
from ..jit.codegen import TILE
from ..tensor import Tensor, wrap
from .elementwise import copied
from .operands import NOT_A_TENSOR
from .record import REGISTRY, composite, op
from .shape import dimension, reshape

# --- triangles ------------------------------------------------------------------------------------------------------


@device
def _triangle_tile(y, x, start, stop, rows, columns, diagonal, upper):  # type: ignore[no-untyped-def]
    for r in range(start, stop):
        out, row = y[r * columns : (r + 1) * columns], x[r * columns : (r + 1) * columns]
        edge = r % rows + diagonal + (0 if upper else 1)
        edge = max(0, min(columns, edge))
        for j in range(edge):
            out[j] = 0 if upper else row[j]
        for j in range(edge, columns):
            out[j] = row[j] if upper else 0


@kernel
def _triangle_kernel(y, x, rows, columns, diagonal, upper, block):  # type: ignore[no-untyped-def]
    count = y.size // columns
    for unit in prange(0, (count + block - 1) // block):
        _triangle_tile(y, x, unit * block, min(count, (unit + 1) * block), rows, columns, diagonal, upper)


def _triangle_forward(input: np.ndarray, diagonal: int, upper: bool) -> np.ndarray:
    y = empty(input.shape, input.dtype)
    if y.size:
        x = input if input.flags.c_contiguous else copied(input)
        rows, columns = input.shape[-2:]
        launch(_triangle_kernel, y.reshape(-1), x.reshape(-1), rows, columns, diagonal, upper, max(1, TILE // columns))
    return y


_triangle: Any = op("triangle", _triangle_forward, vjp=(lambda g, diagonal, upper: _triangle(g, diagonal, upper),), public=False, method=False)


def _triangular(name: str, upper: bool) -> Any:
    def function(input: Tensor, diagonal: int = 0) -> Tensor:
        if input.dim() < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return _triangle(input, diagonal.__index__(), upper)

    function.__doc__ = f"Matrices with zeros {'below' if upper else 'above'} a diagonal (0: the main one, 1: the one above it)."
    return composite(name, function, inplace=True, reference=getattr(np, name), errors=[((np.ones(2),), RuntimeError, "at least 2")],
                     sample=lambda draw: ((draw.array(draw.shape(min_dims=2)), draw.integer(-3, 3)), {}))  # fmt: skip


tril, triu = _triangular("tril", False), _triangular("triu", True)


def _triangle_indices(name: str) -> Any:
    def function(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None) -> Tensor:
        for what, value in (("row", row), ("col", col)):
            if value < 0:
                raise RuntimeError(f"{what} must be non-negative, got {value}")
        if not isinstance(offset, int):
            raise TypeError(f"{name}(): argument 'offset' (position 3) must be int, not {type(offset).__name__}")
        check_device(device, layout)
        wanted = INT64 if dtype is None else to_numpy(dtype)
        if wanted.kind != "i":
            raise NotImplementedError(f'"{name}" not implemented for \'{scalar_name(wanted)}\'')
        return wrap(np.stack(getattr(np, name)(row, offset, col)).astype(wanted))

    part = "lower" if name == "tril_indices" else "upper"
    function.__doc__ = f"Row and column numbers of the elements in the {part} triangle of a matrix, row by row."
    return composite(name, function, method=False, errors=[((-1, 2), RuntimeError, "non-negative")], reference=_triangle_indices_reference(name),
                     sample=lambda draw: ((draw.integer(0, 4), draw.integer(0, 4), draw.integer(-3, 3)), {}))  # fmt: skip


def _triangle_indices_reference(name: str) -> Any:
    def reference(row: int, col: int, offset: int = 0) -> Any:
        inside = [(i, j) for i in range(row) for j in range(col) if (j - i <= offset if name == "tril_indices" else j - i >= offset)]
        return np.array(inside, np.int64).reshape(-1, 2).T

    return reference


tril_indices, triu_indices = _triangle_indices("tril_indices"), _triangle_indices("triu_indices")

# --- diagonals ------------------------------------------------------------------------------------------------------


def _diag_embed_function(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros, with the last dimension of `input` on a diagonal of two new dimensions."""
    ndim = input.dim() + 1
    a, b = dimension(dim1, ndim), dimension(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    *shape, n = input._data.shape
    for d in sorted((a, b)):
        shape.insert(d, n + abs(offset))
    return REGISTRY["diagonal_backward"](input, tuple(shape), offset, a, b)


def _diag_embed_reference(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    n, side = x.shape[-1], x.shape[-1] + abs(offset)
    result = np.zeros((*x.shape[:-1], side, side), x.dtype)
    i = np.arange(n)
    result[..., i + max(-offset, 0), i + max(offset, 0)] = x
    return np.moveaxis(result, (-2, -1), (dim1, dim2))


def _diag_embed_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1, max_dims=2))
    return (x, draw.integer(-2, 2), *draw.choice([(-2, -1), (0, 1), (1, 0), (0, -1)])), {}


diag_embed = composite("diag_embed", _diag_embed_function, reference=_diag_embed_reference, sample=_diag_embed_sample,
                       errors=[((np.ones(2), 0, 1, 1), RuntimeError, "identical"), ((np.ones(2), 0, 2, 0), IndexError, "range")])  # fmt: skip


def _diag_function(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with a vector on a diagonal, or a copy of a matrix's diagonal."""
    if input.dim() == 1:
        return _diag_embed_function(input, diagonal)
    if input.dim() != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.dim()}D")
    return REGISTRY["diagonal"](input, diagonal).clone()


diag = composite("diag", _diag_function, reference=np.diag, errors=[((np.ones(()),), RuntimeError, "1D or 2D")],
                 sample=lambda draw: ((draw.array(draw.shape(min_dims=1, max_dims=2, min_side=1)), draw.integer(-2, 2)), {}))  # fmt: skip
diagflat = composite("diagflat", lambda input, offset=0: _diag_embed_function(reshape(input, input.numel()), offset), doc="A matrix with the elements, flattened, on a diagonal.", reference=np.diagflat,
                     sample=lambda draw: ((draw.array(draw.shape(max_dims=2)), draw.integer(-2, 2)), {}),
                     errors=[((np.ones(2), "text"), TypeError, "int|str"), ((np.ones(2), 1.5), TypeError, "float"), *NOT_A_TENSOR])  # fmt: skip


def _trace_function(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.dim() != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.dim()}")
    if input._data.dtype.kind == "b":
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    return REGISTRY["diagonal"](input).sum()


trace = composite("trace", _trace_function, reference=np.trace, sample=lambda draw: ((draw.array(draw.shape(min_dims=2, max_dims=2)),), {}),
                  errors=[((np.ones(2),), RuntimeError, "expected a matrix")])  # fmt: skip
