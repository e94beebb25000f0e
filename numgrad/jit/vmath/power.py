"""Powers. x**y = exp(y log(x)) needs the logarithm to more bits than a float64 has, for y multiplies its error."""
import math

from ..intrinsics import (
    add_bits,
    and_bits,
    bits_float,
    by_width_of_first,
    copysign,
    fabs,
    float_bits,
    fma,
    like,
    polynomial,
    scalar,
    select,
    shift_right,
    sqrt,
    trunc,
    widen,
)
from .constants import LN2_HIGH, LN2_LOW
from .exponential import ROUNDER, clamp, expm1_near_zero, power_of_two, reduce, scale
from .logarithm import log, split

_TWO_THIRDS_HIGH, _TWO_THIRDS_LOW = 0.6666666666666666, 3.700743415417188e-17
_LN2 = LN2_HIGH[1], LN2_LOW[1]
# (2 atanh(s) - 2 s - 2 s³ / 3) / s⁵ in z = s² for |s| <= (sqrt(2) - 1)²; greatest relative error of log 2**-72.5.
_ATANH = (0.3999999999999998, 0.2857142857144511, 0.22222222217536486, 0.18181818870312827, 0.15384556871066785,
          0.13336317418274554, 0.11674818489001451, 0.11989013555490864)  # fmt: skip

# Of a float64 with the range of a float32: log2(1 + f) / s in s², s = f / (2 + f), relative error 2**-45; 2**r, |r| <= 1/2, 2**-34.
_LOG2 = (2.8853900817778504, 0.9617966941123595, 0.5770779426302618, 0.41220922733052445, 0.3199066608891474, 0.28288718263073565)
_EXP2 = (0.9999999999595618, 0.6931471805568324, 0.24022651213498092, 0.055504109063258665, 0.009618025613318034,
         0.0013333478473685416, 0.00015469729214118296, 1.5303700711365693e-05)  # fmt: skip
_ROOT_HALF_BITS, _ABOVE_ROOT_HALF = 0x3fe6a09e667f3bcd, 0x3ff0000000000000 - 0x3fe6a09e667f3bcd
_MANTISSA, _COUNTER_BITS, _COUNTER = 0x000fffffffffffff, 0x4330000000000000, 2.0**52 + 1023
#: Added to the bits of a float it makes the first negative one 0; where the last finite one is then.
_FROM_NEGATIVE, _LAST_NEGATIVE = (0x7fffffff, 0x7fffffffffffffff), (0x7f7ffffe, 0x7feffffffffffffe)


@scalar
def rsqrt(x):
    """1 / sqrt(x)."""
    return like(x, 1.0) / sqrt(x)


@scalar
def _power32(x, y):
    """x**y of float32 x >= 0 as a float64, which has bits enough for 2**(y log2(x)), and an exponent that does not end at theirs."""
    wide = widen(x)
    bits = add_bits(float_bits(wide), _ABOVE_ROOT_HALF)
    k = bits_float(add_bits(shift_right(bits, 52), _COUNTER_BITS)) - _COUNTER
    f = bits_float(add_bits(and_bits(bits, _MANTISSA), _ROOT_HALF_BITS)) - 1.0
    s = f / (2.0 + f)
    logarithm = fma(s, polynomial(s * s, _LOG2), k)
    logarithm = select(wide < math.inf, logarithm, wide)          # inf and NaN are their own
    # A finite y, so that 1 to the power inf is 1.
    exponent = clamp(clamp(widen(y), -1e200, 1e200) * select(wide == 0.0, -math.inf, logarithm), -160.0, 140.0)
    shifted = exponent + ROUNDER[1]
    return polynomial(exponent - (shifted - ROUNDER[1]), _EXP2) * power_of_two(shifted)


@scalar
def _log64(x):
    """log of a float64 as the sum of two, good to about 66 bits (Dekker's arithmetic)."""
    k, f = split(x)
    denominator = 2.0 + f
    inverse = 1.0 / denominator
    s = f * inverse
    s_low = (fma(-s, denominator, f) - s * (f - (denominator - 2.0))) * inverse
    z = s * s
    z_low = fma(s, s, -z) + 2.0 * s * s_low
    # log(1 + f) = 2 s + s (2 z / 3 + z² P(z))
    cubic = z * _TWO_THIRDS_HIGH
    cubic_low = fma(z, _TWO_THIRDS_HIGH, -cubic) + fma(z, _TWO_THIRDS_LOW, z_low * _TWO_THIRDS_HIGH)
    rest = z * z * polynomial(z, _ATANH)
    tail = cubic + rest
    tail_low = ((cubic - tail) + rest) + cubic_low
    product = s * tail
    product_low = fma(s, tail, -product) + fma(s, tail_low, s_low * tail)
    mantissa = 2.0 * s + product
    mantissa_low = ((2.0 * s - mantissa) + product) + fma(2.0, s_low, product_low)
    exponent = k * _LN2[0]
    high = exponent + mantissa
    low = ((exponent - high) + mantissa) + fma(k, _LN2[1], mantissa_low)
    regular = (x > 0.0) & (x < math.inf)
    return select(regular, high, log(x)), select(regular, low, 0.0)


@scalar
def _power64(x, y):
    """x**y of x >= 0."""
    high, low = _log64(x)
    y = clamp(y, -1e200, 1e200)                                  # 1 to the power inf is 1
    exponent = y * high
    extra = select(fabs(exponent) < 1000.0, fma(y, high, -exponent) + y * low, 0.0)
    shifted, r, lost = reduce(clamp(exponent, -746.0, 712.0), extra)
    return scale(1.0 + expm1_near_zero(r, lost), shifted)


_power = by_width_of_first(_power32, _power64)


@scalar
def pow(x, y):
    """x to the power y, as in IEEE 754: 1 where x is 1 or y is 0; NaN where x is negative and y no integer."""
    one, half = like(x, 1.0), like(x, 0.5) * y
    result = like(x, _power(fabs(x), y))
    whole, odd = trunc(y) == y, trunc(half) != half              # of a whole y
    result = select(whole & odd, copysign(result, x), result)
    place = add_bits(float_bits(x), like(float_bits(x), _FROM_NEGATIVE))  # of a negative number that is finite: 0 and above
    negative = (place >= 0) & (place <= like(place, _LAST_NEGATIVE))  # in integers: LLVM makes many of such tests of floats
    result = select(negative & (trunc(y) != y), like(x, math.nan), result)
    return select((y == like(x, 0.0)) | (x == one), one, result)
