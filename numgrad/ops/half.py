"""Memory of two-byte floats: float16 and bfloat16 from float32 and back, rounded once to the nearest, ties to even.

Numba has no type for either, and NumPy none for bfloat16. So kernels see them as uint16, beside float32 as uint32, and move bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import BFLOAT16, FLOAT32, is_half
from ..jit import device, empty, kernel, launch, prange

_BITS, _WIDE_BITS = np.dtype(np.uint16), np.dtype(np.uint32)


@device
def _wide_of_float16(h: Any) -> Any:
    sign, rest = (h & 0x8000) << 16, h & 0x7FFF
    if rest >= 0x7C00:  # infinity, and NaN with what it carries
        return sign | 0x7F800000 | ((rest & 0x3FF) << 13)
    if rest >= 0x400:
        return sign | ((rest << 13) + 0x38000000)
    exponent = 113  # a subnormal: its highest bit becomes the one that is not written
    if rest == 0:
        return sign
    while rest < 0x400:
        rest = rest << 1
        exponent -= 1
    return sign | (exponent << 23) | ((rest & 0x3FF) << 13)


@device
def _float16_of_wide(x: Any) -> Any:
    sign, rest = (x >> 16) & 0x8000, x & 0x7FFFFFFF
    if rest > 0x7F800000:
        return sign | 0x7E00 | ((rest >> 13) & 0x1FF)
    if rest >= 0x477FF000:  # from halfway between the largest number and the next that would be
        return sign | 0x7C00
    if rest >= 0x38800000:
        return sign | ((rest - 0x38000000 + 0xFFF + ((rest >> 13) & 1)) >> 13)
    shift = min(126 - (rest >> 23), 25)  # a subnormal, or zero
    digits = (rest & 0x7FFFFF) | 0x800000
    found, lost, middle = digits >> shift, digits & ((1 << shift) - 1), 1 << (shift - 1)
    if lost > middle or (lost == middle and found & 1 == 1):
        found += 1
    return sign | found


@kernel
def _widen_float16(out: Any, x: Any) -> None:
    for i in prange(out.size):
        out[i] = _wide_of_float16(int(x[i]))


@kernel
def _narrow_float16(out: Any, x: Any) -> None:
    for i in prange(out.size):
        out[i] = _float16_of_wide(int(x[i]))


@kernel
def _widen_bfloat16(out: Any, x: Any) -> None:
    for i in prange(out.size):
        out[i] = int(x[i]) << 16


@kernel
def _narrow_bfloat16(out: Any, x: Any) -> None:
    for i in prange(out.size):
        bits = int(x[i])
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        out[i] = ((bits >> 16) | 0x40) & 0xFFFF if bits & 0x7FFFFFFF > 0x7F800000 else rounded


def bits(array: np.ndarray) -> np.ndarray:
    """Two-byte floats as the uint16 in their memory."""
    return array.view(_BITS)


def widened(array: np.ndarray) -> np.ndarray:
    """Contiguous two-byte floats as new float32, which holds them exactly."""
    out = empty(array.shape, FLOAT32)
    if out.size:
        made = _widen_bfloat16 if array.dtype == BFLOAT16 else _widen_float16
        launch(made, out.reshape(-1).view(_WIDE_BITS), bits(array).reshape(-1), work=4 * out.size)
    return out


def narrow(out: np.ndarray, source: np.ndarray) -> None:
    """Write contiguous float32 into contiguous two-byte floats."""
    if out.size:
        made = _narrow_bfloat16 if out.dtype == BFLOAT16 else _narrow_float16
        launch(made, bits(out).reshape(-1), source.reshape(-1).view(_WIDE_BITS), work=8 * out.size)


def number(value: Any, dtype: np.dtype) -> np.ndarray:
    """A Python number, or NumPy's, as an array of one two-byte float."""
    with np.errstate(over="ignore"):
        wide = np.array([value], np.float64).astype(FLOAT32)
    out = np.empty(1, dtype)
    narrow(out, wide)
    return out


__all__ = ["bits", "is_half", "narrow", "number", "widened"]
