"""The matrix product of arrays: y[..., i, j] = bias[j] + sum over k of a[..., i, k] * b[..., k, j]."""

from __future__ import annotations

import numpy as np

from ..jit import empty, kernel, launch, prange
from .elementwise import broadcast_shape


@kernel
def _product(y, a, b, bias):  # type: ignore[no-untyped-def]
    batch, m, n = y.shape
    for unit in prange(batch * m):
        at, i = unit // m, unit % m
        row = y[at, i]
        for j in range(n):
            row[j] = bias[j] if bias.size else 0
        for k in range(a.shape[2]):
            factor, other = a[at, i, k], b[at, k]
            for j in range(n):
                row[j] += factor * other[j]


def product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """a (..., m, k) times b (..., k, n), plus bias (n); leading dimensions broadcast, dtypes agree."""
    batch = broadcast_shape([a.shape[:-2], b.shape[:-2]])
    m, k, n = *a.shape[-2:], b.shape[-1]
    y = empty((*batch, m, n), a.dtype)
    flat = np.broadcast_to(a, (*batch, m, k)).reshape(-1, m, k), np.broadcast_to(b, (*batch, k, n)).reshape(-1, k, n)
    launch(_product, y.reshape(flat[0].shape[0], m, n), *flat, empty(0, a.dtype) if bias is None else bias, work=y.size * k)
    return y
