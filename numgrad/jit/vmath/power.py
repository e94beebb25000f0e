"""Powers. x**y = exp(y log(x)) needs the logarithm to more bits than a float64 has, for y multiplies its error."""
import math

from ..intrinsics import by_width, fabs, float_bits, fma, like, polynomial, scalar, select, sqrt, trunc, widen
from .constants import LN2_HIGH, LN2_LOW
from .exponential import clamp, expm1_near_zero, reduce, scale
from .logarithm import log, split

_TWO_THIRDS_HIGH, _TWO_THIRDS_LOW = 0.6666666666666666, 3.700743415417188e-17
_LN2 = LN2_HIGH[1], LN2_LOW[1]
# (2 atanh(s) - 2 s - 2 s³ / 3) / s⁵ in z = s² for |s| <= (sqrt(2) - 1)²; greatest relative error of log 2**-72.5.
_ATANH = (0.3999999999999998, 0.2857142857144511, 0.22222222217536486, 0.18181818870312827, 0.15384556871066785,
          0.13336317418274554, 0.11674818489001451, 0.11989013555490864)  # fmt: skip


@scalar
def rsqrt(x):
    """1 / sqrt(x)."""
    return like(x, 1.0) / sqrt(x)


@scalar
def _log32(x):
    """log of a float32 as a float64, which has bits enough, and 0."""
    return log(widen(x)), 0.0


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


_log_parts = by_width(_log32, _log64)


@scalar
def pow(x, y):
    """x to the power y, as in IEEE 754: 1 where x is 1 or y is 0; NaN where x is negative and y no integer."""
    size, y64 = fabs(x), widen(y)
    high, low = _log_parts(size)
    exponent = y64 * high
    extra = select(fabs(exponent) < 1000.0, fma(y64, high, -exponent) + y64 * low, 0.0)
    shifted, r, lost = reduce(clamp(exponent, -746.0, 712.0), extra)
    result = like(x, scale(1.0 + expm1_near_zero(r, lost), shifted))
    zero, one, half = like(x, 0.0), like(x, 1.0), like(x, 0.5) * y
    result = select((y == zero) | ((size == one) & (y == y)), one, result)
    whole, odd = trunc(y) == y, trunc(half) != half              # of a whole y
    result = select((float_bits(x) < 0) & whole & odd, -result, result)
    impossible = (x < zero) & (size < like(x, math.inf)) & (not whole)
    return select((x == one) | (not impossible), select(x == one, one, result), like(x, math.nan))
