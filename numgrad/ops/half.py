"""Memory of two-byte floats: float16 and bfloat16 from float32 and back, rounded once to the nearest, ties to even.

Numba has no type for either, and NumPy none for bfloat16. So kernels see them as uint16, and move bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import BFLOAT16, FLOAT32
from ..jit import device, empty, kernel, launch, prange
from ..jit.intrinsics import (
    add_bits,
    and_bits,
    bits_float,
    fabs,
    float_bits,
    like,
    select,
    shift_left,
    shift_right,
    subtract_bits,
    xor_bits,
)

_BITS = np.dtype(np.uint16)


@device
def _wide_of_float16(h: Any) -> Any:
    """From bits as int32: moved to where float32 has them, the exponent lacks 112, which also makes subnormals what they are."""
    sign, moved = and_bits(h, 0x8000), shift_left(and_bits(h, 0x7FFF), 13)
    found = float_bits(bits_float(moved) * like(bits_float(moved), 2.0**112))
    found = select(moved >= like(h, 0x7C00 << 13), add_bits(moved, 0x70000000), found)  # infinity and NaN
    return bits_float(xor_bits(found, shift_left(sign, 16)))


@device
def _float16_of_wide(x: Any) -> Any:
    """The bits, as int32. A subnormal's are the last of the sum with 1/2, which rounds it where they end."""
    all_bits = float_bits(x)
    rest = and_bits(all_bits, 0x7FFFFFFF)
    tiny = subtract_bits(float_bits(fabs(x) + like(x, 0.5)), 0x3F000000)
    found = shift_right(add_bits(subtract_bits(rest, 0x38000000 - 0xFFF), and_bits(shift_right(rest, 13), 1)), 13)
    found = select(rest < like(rest, 0x38800000), tiny, found)
    found = select(rest >= like(rest, 0x47800000), like(rest, 0x7C00), found)
    found = select(rest > like(rest, 0x7F800000), like(rest, 0x7E00), found)
    return xor_bits(found, and_bits(shift_right(all_bits, 16), 0x8000))


@device
def _bfloat16_of_wide(x: Any) -> Any:
    """The bits, as int32: the upper half, one more where the lower half is more than half of one, or half of one and that is odd."""
    all_bits = float_bits(x)
    high = shift_right(all_bits, 16)
    rounded = shift_right(add_bits(all_bits, add_bits(and_bits(high, 1), 0x7FFF)), 16)
    return select(x == x, rounded, xor_bits(and_bits(high, 0x8000), 0x7FC0))


@kernel
def _widen_float16(out: Any, x: Any) -> None:
    for i in prange(out.size):
        out[i] = _wide_of_float16(np.int32(x[i]))


@kernel
def _narrow_float16(out: Any, x: Any) -> None:
    for i in prange(out.size):
        out[i] = _float16_of_wide(x[i])


@kernel
def _widen_bfloat16(out: Any, x: Any) -> None:
    for i in prange(out.size):
        out[i] = bits_float(shift_left(np.int32(x[i]), 16))


@kernel
def _narrow_bfloat16(out: Any, x: Any) -> None:
    for i in prange(out.size):
        out[i] = _bfloat16_of_wide(x[i])


def bits(array: np.ndarray) -> np.ndarray:
    """Two-byte floats as the uint16 in their memory."""
    return array.view(_BITS)


def widened(array: np.ndarray) -> np.ndarray:
    """Contiguous two-byte floats as new float32, which holds them exactly."""
    out = empty(array.shape, FLOAT32)
    if out.size:
        made = _widen_bfloat16 if array.dtype == BFLOAT16 else _widen_float16
        launch(made, out.reshape(-1), bits(array).reshape(-1), work=2 * out.size)
    return out


def narrow(out: np.ndarray, source: np.ndarray) -> None:
    """Write contiguous float32 into contiguous two-byte floats."""
    if out.size:
        made = _narrow_bfloat16 if out.dtype == BFLOAT16 else _narrow_float16
        launch(made, bits(out).reshape(-1), source.reshape(-1), work=4 * out.size)


def number(value: Any, dtype: np.dtype) -> np.ndarray:
    """A Python number, or NumPy's, as an array of one two-byte float."""
    with np.errstate(over="ignore"):
        wide = np.array([value], np.float64).astype(FLOAT32)
    out = np.empty(1, dtype)
    narrow(out, wide)
    return out


__all__ = ["bits", "narrow", "number", "widened"]
