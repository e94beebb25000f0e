"""as_strided: any shape and strides over a tensor's memory, elements used several times or not at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tensor import Tensor
from .creation import arange, zeros
from .elementwise import copied
from .record import composite
from .shape import sizes
from .views import view_op


def _forward(input: np.ndarray, size: tuple[int, ...], stride: tuple[int, ...], start: int) -> np.ndarray:
    """A view of contiguous memory; of another input, as gradients may be, a view of a copy."""
    flat = (input if input.flags.c_contiguous else copied(input)).reshape(-1)[start:]
    steps = tuple(s * flat.itemsize for s in stride)
    return np.lib.stride_tricks.as_strided(flat, size, steps, writeable=input.flags.writeable)


def _end(size: tuple[int, ...], stride: tuple[int, ...], start: int) -> int:
    """The place behind the last element."""
    return start + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if math.prod(size) else start


def _gradient(g: Tensor, input_shape: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], start: int) -> Tensor:
    """Gradients are added up where elements lie."""
    place: Any = arange(1) + start
    for n, s in zip(size, stride, strict=True):
        place = place.unsqueeze(-1) + arange(n) * s
    memory: Any = zeros(math.prod(input_shape), dtype=g.dtype)
    return memory.index_add(0, place.reshape(g.numel()), g.reshape(g.numel())).reshape(input_shape)


def _reference(x: Any, size: Any, stride: Any, offset: int) -> Any:
    flat = np.ascontiguousarray(x).reshape(-1)
    found = np.empty(size, x.dtype)
    for i in np.ndindex(*size):
        found[i] = flat[offset + sum(a * b for a, b in zip(i, stride, strict=True))]
    return found


def _sample(draw: Any) -> Any:
    size = draw.shape(max_dims=3)
    stride = tuple(draw.integer(0, 3) for _ in size)
    offset = draw.integer(0, 2)
    need = offset + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True) if n)
    return (draw.array((need + draw.integer(0, 2),)), size, stride, offset), {}


_as_strided = view_op("as_strided_view", _forward, vjp=(_gradient,), reference=_reference, sample=_sample)


def _as_strided_function(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the memory under a tensor: `size` elements, `stride` apart, from element `storage_offset` (default: the tensor's own).

    The memory is that of the tensor it is a view of, if it is one; that has to be contiguous.
    """
    size, stride, own = sizes((size,)), sizes((stride,)), input.storage_offset()  # type: ignore[attr-defined]
    start = own if storage_offset is None else storage_offset
    base = input if input._base is None else input._base
    if len(size) != len(stride):
        raise RuntimeError(f"mismatch in length of strides and shape: got {list(stride)} for {list(size)}")
    if any(n < 0 for n in (*size, *stride)):
        raise RuntimeError(f"as_strided: Negative sizes and strides are not supported, got size={list(size)}, stride={list(stride)}")
    if start < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {start}")
    if not base._data.flags.c_contiguous:
        raise RuntimeError("as_strided: the tensor's memory is not contiguous in numgrad; call .contiguous() first")
    end = _end(size, stride, start)
    if end > base.numel():
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)} and storage offset {start} reach beyond the {base.numel()} elements of the tensor's memory"
        )
    if input._data.flags.c_contiguous and own <= start and end <= own + input.numel():
        return _as_strided(input, size, stride, start - own)
    return _as_strided(base, size, stride, start)


def _one_element(draw: Any) -> Any:
    """In any layout contiguous; `_sample` is the real one."""
    size = draw.shape()
    return (draw.array((1,)), size, (0,) * len(size), 0), {}


as_strided = composite("as_strided", _as_strided_function, reference=_reference, sample=_one_element,
                       errors=[((np.ones(4), (2,), (1, 1)), RuntimeError, "mismatch in length"), ((np.ones(4), (2,), (-1,)), RuntimeError, "Negative"),
                               ((np.ones(4), (2, 2), (2, 2)), RuntimeError, "reach beyond the 4"), ((np.ones(4), (1,), (1,), -1), RuntimeError, "offset")])  # fmt: skip
