"""Logarithms: x = 2**k (1 + f) with 1 + f near 1, and log(1 + f) = 2 atanh(f / (2 + f)) as a short polynomial."""
import math

from ..intrinsics import (
    add_bits,
    and_bits,
    bits_float,
    fabs,
    float_bits,
    fma,
    like,
    polynomial,
    scalar,
    select,
    shift_right,
)
from .constants import HALF_EPSILON, LN2_HIGH, LN2_LOW, MANTISSA_BITS, SMALLEST_NORMAL

_ROOT_HALF_BITS = (0x3f3504f3, 0x3fe6a09e667f3bcd)
_ONE_ABOVE_ROOT_HALF = (0x3f800000 - 0x3f3504f3, 0x3ff0000000000000 - 0x3fe6a09e667f3bcd)
_MANTISSA = (0x007fffff, 0x000fffffffffffff)
# A float whose low bits are an integer k + bias, less this, is k.
_COUNTER_BITS = (0x4b000000, 0x4330000000000000)
_COUNTER = (2.0**23 + 127, 2.0**52 + 1023)
_UP = (2.0**25, 2.0**54)
_UP_EXPONENT = (25.0, 54.0)
# (2 atanh(s) - 2 s) / s³ in z = s² for |s| <= (sqrt(2) - 1)²; greatest relative error of log 2**-29 and 2**-58.
_ATANH = ((0.6666677640294701, 0.3997753671516961, 0.29871888211958375),
          (0.6666666666666734, 0.39999999999414326, 0.28571428742474303, 0.22222198563536535, 0.18183564864312615,
           0.1531403588992738, 0.14796104940570373))
_LOG2_E_HIGH = (1.4426950216293335, 1.4426950408889634)
_LOG2_E_LOW = (1.925963e-08, 2.0355273740931033e-17)
_LOG10_E_HIGH = (0.4342944622039795, 0.4342944819032518)
_LOG10_E_LOW = (1.9699272e-08, 1.098319650216765e-17)
_LOG10_2_HIGH = (0.301025390625, 0.30102999566395283)
_LOG10_2_LOW = (4.605039e-06, 2.8363394551044964e-14)


@scalar
def split(x):
    """k and f of x = 2**k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for finite x > 0."""
    tiny = x < like(x, SMALLEST_NORMAL)
    bits = float_bits(select(tiny, x * like(x, _UP), x))
    bits = add_bits(bits, like(bits, _ONE_ABOVE_ROOT_HALF))
    counted = add_bits(shift_right(bits, like(bits, MANTISSA_BITS)), like(bits, _COUNTER_BITS))
    k = bits_float(counted) - like(x, _COUNTER)
    mantissa = add_bits(and_bits(bits, like(bits, _MANTISSA)), like(bits, _ROOT_HALF_BITS))
    return select(tiny, k - like(x, _UP_EXPONENT), k), bits_float(mantissa) - like(x, 1.0)


@scalar
def log_tail(f):
    """log(1 + f) - f for 1 + f between sqrt(1/2) and sqrt(2)."""
    s = f / (like(f, 2.0) + f)
    z, half_square = s * s, like(f, 0.5) * f * f
    return fma(s, fma(z, polynomial(z, _ATANH), half_square), -half_square)


@scalar
def _ends(x, y):
    """The logarithm y of a positive finite x, and what the logarithm of 0, a negative number, inf and NaN is."""
    infinity = like(x, math.inf)
    y = select(x < infinity, y, x)                      # inf and NaN are their own
    y = select(x == like(x, 0.0), -infinity, y)
    return select(x < like(x, 0.0), like(x, math.nan), y)


@scalar
def log(x):
    """Natural logarithm."""
    k, f = split(x)
    y = fma(k, like(x, LN2_HIGH), f + fma(k, like(x, LN2_LOW), log_tail(f)))
    return _ends(x, y)


@scalar
def log1p(x):
    """log(1 + x), exact to the last bits near zero as well."""
    one = like(x, 1.0)
    u = one + x
    lost = select(x > one, one - (u - x), x - (u - one))             # u + lost is 1 + x
    k, f = split(u)
    # lost, in units of 2**k: the mantissa of u over u is 2**-k
    f = f + lost * ((one + f) / u)
    y = fma(k, like(x, LN2_HIGH), f + fma(k, like(x, LN2_LOW), log_tail(f)))
    return select(fabs(x) < like(x, HALF_EPSILON), x, _ends(u, y))


@scalar
def log1p_of_unit(x):
    """log(1 + x) for 0 <= x <= 1, where 1 + x is 1 + f or 2 (1 + f) and f is exact."""
    upper, zero = x > like(x, 0.41421356), like(x, 0.0)
    f = select(upper, fma(x, like(x, 0.5), like(x, -0.5)), x)
    tail = log_tail(f) + select(upper, like(x, LN2_LOW), zero)
    return select(upper, like(x, LN2_HIGH), zero) + (f + tail)


@scalar
def log2(x):
    """Logarithm to base 2; exact at powers of 2."""
    k, f = split(x)
    high = like(x, _LOG2_E_HIGH)
    y = k + fma(f, high, fma(f, like(x, _LOG2_E_LOW), log_tail(f) * high))
    return _ends(x, y)


@scalar
def log10(x):
    """Logarithm to base 10."""
    k, f = split(x)
    high = like(x, _LOG10_E_HIGH)
    low = fma(k, like(x, _LOG10_2_LOW), fma(f, like(x, _LOG10_E_LOW), log_tail(f) * high))
    y = fma(k, like(x, _LOG10_2_HIGH), fma(f, high, low))
    return _ends(x, y)
