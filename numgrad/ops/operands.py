"""What formulas take: shapes that broadcast, and numbers as arrays."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np


def scalar(value: Any, dtype: np.dtype) -> np.ndarray:
    """A Python number as an array of one element, only to be read."""
    return _scalar(value, dtype) if value else np.array([value], dtype)  # -0.0 is 0.0 to a cache


@functools.lru_cache(maxsize=1024)
def _scalar(value: Any, dtype: np.dtype) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            return np.array([value], dtype)
    except OverflowError:
        if dtype.kind == "f" or (dtype.kind == "u" and -np.iinfo(dtype).max <= value < 0):  # which wraps: x + (-3) is x - 3
            return np.array([value + np.iinfo(dtype).max + 1 if dtype.kind == "u" else float("inf") if value > 0 else -float("inf")], dtype)
        raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}") from None


def broadcast_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that several broadcast to; RuntimeError where they do not."""
    if not shapes:
        return ()
    result = shapes[0]
    for shape in shapes[1:]:
        if shape != result:
            result = _broadcast_two(result, shape)
    return result


def _broadcast_two(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    for d, (i, j) in enumerate(zip(a, b, strict=True)):
        if i != j and i != 1 and j != 1:
            raise RuntimeError(
                f"The size of tensor a ({i}) must match the size of tensor b ({j}) at non-singleton dimension {d}"
            )
    return tuple(j if i == 1 else i for i, j in zip(a, b, strict=True))
