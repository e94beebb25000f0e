"""Interpolation of images: each dimension is a product with a small matrix of weights, made here; `nn.functional` multiplies.

Written with registered ops, it has gradients to any order and can be recorded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..tensor import Tensor, wrap


def _cubic(a: float) -> Callable[[np.ndarray], np.ndarray]:
    """Keys 1981, "Cubic convolution interpolation for digital image processing"."""

    def kernel(x: np.ndarray) -> np.ndarray:
        x = np.abs(x)
        near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return np.where(x < 1, near, np.where(x < 2, far, 0.0))

    return kernel


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _centres(length: int, size: int, scale: float, align_corners: bool) -> np.ndarray:
    """Where each output lies among the inputs."""
    out = np.arange(size, dtype=np.float64)
    if align_corners:
        return out * ((length - 1) / (size - 1) if size > 1 else 0.0)
    return (out + 0.5) * scale - 0.5


def weights(length: int, size: int, scale: float, mode: str, align_corners: bool, antialias: bool, dtype: np.dtype) -> Tensor:
    """A (size, length) matrix: what each input contributes to each output. `scale` is inputs per output."""
    if antialias:
        return wrap(_antialiased(length, size, scale, mode, align_corners).astype(dtype))
    at = _centres(length, size, scale, align_corners)
    matrix = np.zeros((size, length))
    rows = np.arange(size)
    if mode == "linear":
        at = np.maximum(at, 0.0)
    first = np.floor(at).astype(np.int64)
    kernel, reach = (_triangle, range(2)) if mode == "linear" else (_cubic(-0.75), range(-1, 3))
    for offset in reach:  # what lies outside repeats the border
        np.add.at(matrix, (rows, np.clip(first + offset, 0, length - 1)), kernel(at - (first + offset)))
    return wrap(matrix.astype(dtype))


def _antialiased(length: int, size: int, scale: float, mode: str, align_corners: bool) -> np.ndarray:
    """The kernel stretched over the inputs an output stands for; what falls outside is left out and the rest scaled up."""
    if align_corners:
        scale = (length - 1) / (size - 1) if size > 1 else 0.0
    kernel, support = (_triangle, 1.0) if mode == "linear" else (_cubic(-0.5), 2.0)
    stretch = max(scale, 1.0)
    centre = (np.arange(size) + 0.5) * scale
    low = np.maximum((centre - support * stretch + 0.5).astype(np.int64), 0)
    high = np.minimum((centre + support * stretch + 0.5).astype(np.int64), length)
    j = np.arange(length)
    inside = (j >= low[:, None]) & (j < high[:, None])
    found = np.where(inside, kernel((j - centre[:, None] + 0.5) / stretch), 0.0)
    return found / found.sum(1, keepdims=True)


def nearest(length: int, size: int, scale: float, exact: bool) -> Tensor:
    """The index of the input that each output takes; computed in float32, as PyTorch does."""
    at = (np.arange(size, dtype=np.float32) + np.float32(0.5 if exact else 0.0)) * np.float32(scale)
    return wrap(np.minimum(np.floor(at).astype(np.int64), length - 1))
