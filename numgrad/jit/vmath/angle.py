"""Reduction of an angle, however large, to an eighth of a turn either way: x = n pi / 2 + r.

Payne and Hanek's way (1983) in floating point. x is a multiple of its last bit, so those bits of 2 / pi that are 4 or
more when multiplied by it count whole turns and are left out; which ones depends on the exponent of x alone. A window
of exponents shares one run of bits, long enough for the float that comes nearest to a multiple of pi / 2. n comes as a
float64 that carries it, modulo 4, in its last bits.
"""
import math

import numpy as np

from ..intrinsics import fabs, float_bits, fma, round_even, scalar, select, shift_left, shift_right, widen

_BITS = 1312
_TWO_OVER_PI = int(                                      # times 2**1312
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006"
    "492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c84"
    "5f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d7527ba"
    "c7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6babf0cfbc209af4361da9e39161", 16
)  # fmt: skip
ROUNDER = 1.5 * 2.0**52                                 # its sum with a number below 2**51 is rounded to an integer
_HALF_PI_HIGH, _HALF_PI_LOW = 1.5707963267948966, 6.123233995736766e-17


def _run(top: int, parts: int, shift: int = 0) -> tuple[float, ...]:
    """The bits of 2 / pi from weight 2**top down, 53 in each of some floats, times 2**shift."""
    rest = _TWO_OVER_PI & ((1 << (_BITS + top + 1)) - 1)
    floats = []
    for part in range(1, parts + 1):
        last = _BITS + top + 1 - 53 * part
        floats.append(math.ldexp(rest >> last, last - _BITS + shift))
        rest &= (1 << last) - 1
    return tuple(floats)


# float32: |x| up to 2**41, then windows of 22 exponents, two parts each.
_X1, _X2, _X3, _X4 = 2.0**41, 2.0**63, 2.0**85, 2.0**107
(_A0, _B0), (_A1, _B1), (_A2, _B2), (_A3, _B3), (_A4, _B4) = (_run(24 - e, 2) for e in (25, 41, 63, 85, 107))

# float64: windows of 8 exponents, four parts each, in a table. From 2**513 on the parts are those of x 2**-256, for
# their last bits would be too small for a float.
_HUGE, _DOWN = 2.0**513, 2.0**-256
_T0, _T1, _T2, _T3 = _run(-1, 4)
_TABLE = np.array([_run(53 - max(e, 54), 4, 256 if e > 512 else 0) for e in range(-1023, 1025, 8)])

#: Below, the first of the windows serves, for float32 and float64.
NEAR = _X1, 2.0**57


@scalar
def less_turns(quarters):
    """Quarter turns less whole turns."""
    return fma(-4.0, round_even(0.25 * quarters), quarters)


@scalar
def _two_sum(a, b):
    """a + b and what its rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@scalar
def _window32(x64):
    """The two runs of bits of 2 / pi for a float32."""
    size = fabs(x64)
    high = select(size < _X1, _A0, select(size < _X2, _A1, select(size < _X3, _A2, select(size < _X4, _A3, _A4))))
    low = select(size < _X1, _B0, select(size < _X2, _B1, select(size < _X3, _B2, select(size < _X4, _B3, _B4))))
    return high, low


@scalar
def reduce32(x):
    """n and r of a float32; r is a float64 good to 35 bits."""
    x64 = widen(x)
    high, low = _window32(x64)
    product = x64 * high                                 # below 2**48
    shifted = product + ROUNDER
    quarters = (product - (shifted - ROUNDER)) + fma(x64, high, -product)
    return shifted, fma(x64, low, quarters) * _HALF_PI_HIGH


@scalar
def _even_quarters(x64, turn, high, low):
    """m and q of a float64 that was a float32: x = (2 m - turn + q) pi / 2, |q| <= 1, by a run of bits of 2 / pi."""
    rounder = 2.0 * ROUNDER  # the sum with it is an even number
    if turn == 0.0:
        shifted = fma(x64, high, rounder)
        q = fma(x64, high, rounder - shifted)
    else:
        shifted = fma(x64, high, turn) + rounder
        q = fma(x64, high, (rounder - shifted) + turn)
    return shifted, fma(x64, low, q)


@scalar
def quarters32(x, turn):
    """m and q of a float32 x = (2 m - turn + q) pi / 2, |q| <= 1, for a turn of 0 or 1 quarters: m in the last bits of a float64."""
    x64 = widen(x)
    high, low = _window32(x64)
    return _even_quarters(x64, turn, high, low)


@scalar
def quarters32_near(x, turn):
    """`quarters32` of |x| below NEAR."""
    return _even_quarters(widen(x), turn, _A0, _B0)


@scalar
def reduce64(x):
    """n, r and what the rounding of r lost, of a float64."""
    window = shift_right(shift_left(float_bits(x), 1), 56)
    t0, t1, t2, t3 = _TABLE[window, 0], _TABLE[window, 1], _TABLE[window, 2], _TABLE[window, 3]
    return _reduce64(x * select(fabs(x) < _HUGE, 1.0, _DOWN), t0, t1, t2, t3)


@scalar
def reduce64_near(x):
    """`reduce64` of |x| below NEAR."""
    return _reduce64(x, _T0, _T1, _T2, _T3)


@scalar
def _reduce64(x, t0, t1, t2, t3):
    first, second, third = x * t0, x * t1, x * t2
    coarse, fine, finer = less_turns(first), less_turns(fma(x, t0, -first)), less_turns(second)
    shifted = (coarse + fine + finer) + ROUNDER
    total, lost = _two_sum(coarse - (shifted - ROUNDER), fine)
    total, more_lost = _two_sum(total, finer)
    tail, tail_lost = _two_sum(fma(x, t1, -second), third)
    tail, more_tail_lost = _two_sum(tail, lost + more_lost)
    total, lost = _two_sum(total, tail)
    lost = lost + ((tail_lost + more_tail_lost) + (fma(x, t2, -third) + x * t3))
    quarters = total + lost
    lost = (total - quarters) + lost
    r = quarters * _HALF_PI_HIGH
    return shifted, r, fma(quarters, _HALF_PI_HIGH, -r) + fma(quarters, _HALF_PI_LOW, lost * _HALF_PI_HIGH)
