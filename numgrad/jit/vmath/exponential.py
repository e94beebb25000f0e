"""exp and what is made of it. Reduction to |r| <= ln(2)/2 (Cody & Waite, 1980), minimax polynomial, exponent bits."""
from ..intrinsics import (add_bits, bits_float, copysign, fabs, float_bits, fma, like, maximum, minimum,
                                    polynomial, scalar, select, shift_left, shift_right, subtract_bits)
from .constants import EXPONENT_BIAS, HALF_EPSILON, LN2_HIGH, LN2_LOW, LOG2_E, MANTISSA_BITS
from .logarithm import log1p

# Added to n it rounds n to an integer and leaves n + 2 * bias in the low bits of the sum.
_ROUNDER = (1.5 * 2.0**23 + 254, 1.5 * 2.0**52 + 2046)
_LOW, _HIGH = (-104.0, -746.0), (89.0, 710.0)            # exp is 0 below and inf above
_LOW2, _HIGH2 = (-151.0, -1076.0), (128.5, 1024.5)
_LOWEST_M1 = (-18.0, -38.0)                              # expm1 is -1 below
# (exp(r) - 1 - r) / r² on |r| <= ln(2) / 2; greatest relative error of exp 2**-28.2 and 2**-58.
_TAIL = ((0.5, 0.16666518, 0.041666206, 0.008368918, 0.001395054),
         (0.5000000000000013, 0.166666666666667, 0.04166666666651505, 0.00833333333330704, 0.0013888888947133137,
          0.0001984126991770991, 2.4801489801764572e-05, 2.755721603014189e-06, 2.763133623500579e-07,
          2.511794192001183e-08))


@scalar
def _clamp(x, low, high):
    """``x`` between two bounds; NaN stays."""
    x = select(x < low, low, x)
    return select(x > high, high, x)


@scalar
def _reduce(x):
    """x = n ln(2) + r: n as a float that carries it in its low bits as well, and r."""
    shifted = fma(x, like(x, LOG2_E), like(x, _ROUNDER))
    n = shifted - like(x, _ROUNDER)
    return shifted, fma(-n, like(x, LN2_LOW), fma(-n, like(x, LN2_HIGH), x))


@scalar
def _expm1_near_zero(r):
    return fma(r * r, polynomial(r, _TAIL), r)


@scalar
def scale(x, shifted):
    """x 2**n in two steps, so that the result may be subnormal or infinite and is rounded once."""
    bits = float_bits(shifted)
    half = shift_right(bits, 1)
    places = like(bits, MANTISSA_BITS)
    return x * bits_float(shift_left(half, places)) * bits_float(shift_left(subtract_bits(bits, half), places))


@scalar
def exp(x):
    """e to the power x."""
    x = _clamp(x, like(x, _LOW), like(x, _HIGH))
    shifted, r = _reduce(x)
    return scale(like(x, 1.0) + _expm1_near_zero(r), shifted)


@scalar
def exp2(x):
    """2 to the power x."""
    x = _clamp(x, like(x, _LOW2), like(x, _HIGH2))
    shifted = x + like(x, _ROUNDER)
    r = (x - (shifted - like(x, _ROUNDER))) * like(x, 0.6931471805599453)
    return scale(like(x, 1.0) + _expm1_near_zero(r), shifted)


@scalar
def expm1(x):
    """exp(x) - 1, exact to the last bits near zero as well."""
    high = like(x, _HIGH)
    limited = _clamp(x, like(x, _LOWEST_M1), high)
    shifted, r = _reduce(limited)
    bits = float_bits(shifted)
    # half of 2**n, for 2**n itself overflows before the result does
    places, bias = like(bits, MANTISSA_BITS), like(bits, EXPONENT_BIAS)
    power = bits_float(shift_left(subtract_bits(subtract_bits(bits, bias), 1), places))
    y = fma(power, _expm1_near_zero(r), power - like(x, 0.5))
    return select(fabs(x) < like(x, HALF_EPSILON), x, y + y)


@scalar
def tanh(x):
    """Hyperbolic tangent."""
    e = expm1(like(x, -2.0) * fabs(x))
    return copysign(e / (like(x, 2.0) + e), x)


@scalar
def sinh(x):
    """Hyperbolic sine."""
    e = expm1(minimum(fabs(x), like(x, _HIGH)))
    return copysign(like(x, 0.5) * (e + e / (e + like(x, 1.0))), x)


@scalar
def cosh(x):
    """Hyperbolic cosine."""
    half = like(x, 0.5) * exp(fabs(x))
    return half + like(x, 0.25) / half


@scalar
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    one, e = like(x, 1.0), exp(-fabs(x))
    return select(x < like(x, 0.0), e, one) / (one + e)


@scalar
def softplus(x):
    """log(1 + exp(x))."""
    return log1p(exp(-fabs(x))) + maximum(x, like(x, 0.0))


@scalar
def logsigmoid(x):
    """log(sigmoid(x))."""
    return minimum(x, like(x, 0.0)) - log1p(exp(-fabs(x)))
