"""New tensors."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.tensor import Tensor

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace", "meshgrid", "ones", "ones_like", "tril",
    "triu", "zeros", "zeros_like",
]  # fmt: skip


def _shape(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Any:
    """start, start + step, ... before stop; without `stop` from 0 to `start`."""
    start, stop = (0, start) if stop is None else (start, stop)
    if step != 0 and math.ceil((stop - start) / step) <= 0:
        whole = all(isinstance(n, int) for n in (start, stop, step))
        return numgrad.empty(0, dtype=dtype or (numgrad.int64 if whole else None), device=device)
    return numgrad.arange(start, stop, step, dtype=dtype, device=device)


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor of numbers, nested lists, arrays or tensors; `copy` False is a ValueError where memory cannot be shared."""
    found = numgrad.asarray(obj, dtype=dtype, device=device)
    shared = isinstance(obj, Tensor) and found.data_ptr() == obj.data_ptr() or hasattr(obj, "__array_interface__") and found.dtype == dtype
    if copy is False and not (shared or hasattr(obj, "__array_interface__") and dtype is None):
        raise ValueError("asarray: this cannot be had without a copy")
    return found.clone() if copy and not isinstance(obj, (bool, int, float, list, tuple)) else found


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Uninitialised."""
    return numgrad.empty(_shape(shape), dtype=dtype, device=device)


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros."""
    return numgrad.zeros(_shape(shape), dtype=dtype, device=device)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Ones."""
    return numgrad.ones(_shape(shape), dtype=dtype, device=device)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """One value everywhere, of the dtype that goes with it."""
    return numgrad.full(_shape(shape), fill_value, dtype=dtype, device=device)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Uninitialised, in the shape of `x`."""
    return numgrad.empty_like(x, dtype=dtype, device=device)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Zeros in the shape of `x`."""
    return numgrad.zeros_like(x, dtype=dtype, device=device)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Ones in the shape of `x`."""
    return numgrad.ones_like(x, dtype=dtype, device=device)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """One value in the shape of `x`."""
    return numgrad.full_like(x, fill_value, dtype=dtype, device=device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """Ones on the k-th diagonal, else zeros."""
    rows, columns = numgrad.arange(n_rows), numgrad.arange(n_rows if n_cols is None else n_cols)
    k = min(max(k, -n_rows), columns.numel())  # further away there is nothing, and int64 ends somewhere
    return (rows.unsqueeze(1) + k == columns).to(dtype or numgrad.get_default_dtype()).to(device or "cpu")


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor on the memory of another library's array."""
    found = numgrad.from_dlpack(x)
    return found.clone() if copy else found


def linspace(start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True) -> Any:
    """`num` numbers with equal steps from start to stop, which is left out if `endpoint` is False."""
    if endpoint:
        return numgrad.linspace(start, stop, num, dtype=dtype, device=device)
    return numgrad.linspace(start, stop, num + 1, dtype=dtype, device=device)[:-1]


def meshgrid(*arrays: Any, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinates of a grid; "xy" has the first array along the second dimension."""
    return tuple(numgrad.meshgrid(*arrays, indexing=indexing))


def tril(x: Any, /, *, k: int = 0) -> Any:
    """Matrices with zeros above the k-th diagonal."""
    return numgrad.tril(x, k)


def triu(x: Any, /, *, k: int = 0) -> Any:
    """Matrices with zeros below the k-th diagonal."""
    return numgrad.triu(x, k)
