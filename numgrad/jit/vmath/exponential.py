"""exp and what is made of it. Reduction to |r| <= ln(2)/2 (Cody & Waite, 1980), minimax polynomial, exponent bits."""
from ..intrinsics import (
    bits_float,
    by_width,
    copysign,
    fabs,
    float_bits,
    fma,
    like,
    maximum,
    minimum,
    polynomial,
    scalar,
    select,
    shift_left,
    shift_right,
    subtract_bits,
)  # fmt: skip
from .constants import EXPONENT_BIAS, HALF_EPSILON, LN2_HIGH, LN2_LOW, LOG2_E, MANTISSA_BITS
from .logarithm import log1p_of_unit

# Added to n it rounds n to an integer and leaves n + 2 * bias in the low bits of the sum.
ROUNDER = (1.5 * 2.0**23 + 254, 1.5 * 2.0**52 + 2046)
_LOW, _HIGH = (-104.0, -746.0), (91.0, 712.0)            # exp is 0 below; exp and sinh are inf above
_LOW2, _HIGH2 = (-151.0, -1076.0), (129.0, 1025.0)       # the same for exp2
_LOW_M1, _HIGH_M1 = (-18.0, -38.0), (89.0, 710.0)        # expm1 is -1 below, inf above
# (exp(r) - 1 - r) / r² on |r| <= ln(2) / 2; greatest relative error of exp 2**-28.2 and 2**-58.
_EXP = ((0.5, 0.16666518, 0.041666206, 0.008368918, 0.001395054),
        (0.5000000000000013, 0.166666666666667, 0.04166666666651505, 0.00833333333330704, 0.0013888888947133137,
         0.0001984126991770991, 2.4801489801764572e-05, 2.755721603014189e-06, 2.763133623500579e-07,
         2.511794192001183e-08))  # fmt: skip
# (tanh(x) / x - 1) / x² in x² for |x| <= 9/16; 2**-29.5 and 2**-59.9.
_TANH = ((-0.33333313, 0.13332473, -0.053839296, 0.0210144, -0.0061887307),
         (-0.3333333333333328, 0.1333333333332347, -0.05396825396190309, 0.02186948833197644, -0.008863231708223911,
          0.0035920829140680967, -0.0014554836092317085, 0.000588198829247465, -0.0002327522136632181,
          8.240909245351322e-05, -1.8931763602546468e-05))  # fmt: skip
# (sinh(x) / x - 1) / x² in x² for |x| <= 1; 2**-34 and 2**-63.
_SINH = ((0.16666667, 0.0083333505, 0.00019836066, 2.8174388e-06),
         (0.16666666666666669, 0.008333333333333139, 0.0001984126984143768, 2.7557319155337087e-06,
          2.505212339852576e-08, 1.605724034315494e-10, 7.759312156914383e-13))  # fmt: skip


@scalar
def clamp(x, low, high):
    """``x`` between two bounds; NaN stays."""
    x = select(x < low, low, x)
    return select(x > high, high, x)


@scalar
def reduce(x, extra):
    """n and r of x + extra = n ln(2) + r. n is given as a float that carries n + 2 * bias in its low bits."""
    shifted = fma(x, like(x, LOG2_E), like(x, ROUNDER))
    n = shifted - like(x, ROUNDER)
    high = fma(-n, like(x, LN2_HIGH), x)
    low = fma(-n, like(x, LN2_LOW), extra)
    r = high + low
    return shifted, r, (high - r) + low                          # r and what its rounding lost


@scalar
def expm1_near_zero(r, lost):
    """exp(r + lost) - 1 for |r| <= ln(2) / 2 and a lost that is below the last bit of r."""
    return r + fma(r * r, polynomial(r, _EXP), lost)


@scalar
def scale(x, shifted):
    """x 2**n in two steps, so that the result may be subnormal or infinite and is rounded once."""
    bits = float_bits(shifted)
    half = shift_right(bits, 1)
    places = like(bits, MANTISSA_BITS)
    return x * bits_float(shift_left(half, places)) * bits_float(shift_left(subtract_bits(bits, half), places))


@scalar
def power_of_two(shifted):
    """2**n where that is a normal number."""
    bits = float_bits(shifted)
    return bits_float(shift_left(subtract_bits(bits, like(bits, EXPONENT_BIAS)), like(bits, MANTISSA_BITS)))


@scalar
def power_of_two_raised(shifted, by):
    """2**(n + by) where that is a normal number."""
    bits = float_bits(shifted)
    return bits_float(shift_left(subtract_bits(bits, like(bits, EXPONENT_BIAS) - like(bits, by)), like(bits, MANTISSA_BITS)))


@scalar
def exp_moderate(x):
    """e to the power x where that is a normal number."""
    shifted, r, lost = reduce(x, like(x, 0.0))
    power = power_of_two(shifted)
    return fma(power, expm1_near_zero(r, lost), power)


@scalar
def exp(x):
    """e to the power x."""
    x = clamp(x, like(x, _LOW), like(x, _HIGH))
    shifted, r, lost = reduce(x, like(x, 0.0))
    return scale(like(x, 1.0) + expm1_near_zero(r, lost), shifted)


@scalar
def exp2(x):
    """2 to the power x."""
    x = clamp(x, like(x, _LOW2), like(x, _HIGH2))
    shifted = x + like(x, ROUNDER)
    r = (x - (shifted - like(x, ROUNDER))) * like(x, 0.6931471805599453)
    return scale(like(x, 1.0) + expm1_near_zero(r, like(x, 0.0)), shifted)


@scalar
def expm1(x):
    """exp(x) - 1, to full precision near zero as well."""
    limited = clamp(x, like(x, _LOW_M1), like(x, _HIGH_M1))
    shifted, r, lost = reduce(limited, like(x, 0.0))
    half = power_of_two(shifted - like(x, 1.0))                  # 2**n itself overflows before the result does
    y = fma(half, expm1_near_zero(r, lost), half - like(x, 0.5))
    return select(fabs(x) < like(x, HALF_EPSILON), x, y + y)


@scalar
def _half_exp(x):
    """exp(x) / 2, which overflows only where sinh and cosh do."""
    shifted, r, lost = reduce(minimum(x, like(x, _HIGH)), like(x, 0.0))
    return scale(like(x, 1.0) + expm1_near_zero(r, lost), shifted - like(x, 1.0))


@scalar
def sinh(x):
    """Hyperbolic sine."""
    half, square = _half_exp(fabs(x)), x * x
    small = fma(x * square, polynomial(square, _SINH), x)
    return select(fabs(x) < like(x, 1.0), small, copysign(half - like(x, 0.25) / half, x))


@scalar
def cosh(x):
    """Hyperbolic cosine."""
    half = _half_exp(fabs(x))
    return half + like(x, 0.25) / half


@scalar
def tanh(x):
    """Hyperbolic tangent."""
    one, two, square = like(x, 1.0), like(x, 2.0), x * x
    small = fma(x * square, polynomial(square, _TANH), x)
    large = one - two / (exp_moderate(two * clamp(fabs(x), one - one, like(x, 20.0))) + one)
    return copysign(select(fabs(x) < like(x, 0.5625), small, large), x)          # small rounds -0 to 0


@scalar
def _brief_exp(x):
    """exp(x) 2**64 of x from -104 (in float64 -746) to 0, in few instructions."""
    shifted = fma(x, like(x, LOG2_E), like(x, ROUNDER))
    n = shifted - like(x, ROUNDER)
    r = fma(-n, like(x, LN2_LOW), fma(-n, like(x, LN2_HIGH), x))
    power = power_of_two_raised(shifted, 64)
    return fma(power, fma(r * r, polynomial(r, _EXP), r), power)


@scalar
def exp_raised(x):
    """exp(x) 2**64 of x that is not above 0, in few instructions: what is divided by a sum of such loses nothing below."""
    low = like(x, _LOW)
    return _brief_exp(select(x < low, low, x))


@scalar
def exp_lowered(x):
    """exp(x) of x that is not above 0, in few instructions."""
    return exp_raised(x) * like(x, 2.0**-64)


@scalar
def _sigmoid_narrow(x):
    """1 / (1 + exp(-x)), both times 2**-64, so that the quotient alone rounds what is subnormal."""
    limited = clamp(x, like(x, -104.0), like(x, 40.0))
    shifted = fma(-limited, like(x, LOG2_E), like(x, ROUNDER))
    n = shifted - like(x, ROUNDER)
    r = fma(-n, like(x, LN2_LOW), fma(-n, like(x, LN2_HIGH), -limited))
    one, power = like(x, 2.0**-64), power_of_two_raised(shifted, -64)
    # The sum of powers of two is exact but where the one or the other is too small; it is rounded again with what that lost.
    total = power + one
    return one / (fma(power, fma(r * r, polynomial(r, _EXP), r), (power - total) + one) + total)


@scalar
def _sigmoid_wide(x):
    one, e = like(x, 1.0), exp(-fabs(x))
    numerator = select(x < like(x, 0.0), e, one)
    # One step of refinement, with what the rounding of 1 + e lost, leaves the error of e and of the last rounding.
    denominator = one + e
    inverse = one / denominator
    quotient = numerator * inverse
    rest = fma(-quotient, denominator, numerator) - quotient * ((one - denominator) + e)
    return fma(rest, inverse, quotient)


sigmoid = by_width(_sigmoid_narrow, _sigmoid_wide)
sigmoid.__doc__ = """1 / (1 + exp(-x))."""


@scalar
def softplus(x):
    """log(1 + exp(x))."""
    return log1p_of_unit(exp(-fabs(x))) + maximum(x, like(x, 0.0))


@scalar
def logsigmoid(x):
    """log(sigmoid(x))."""
    return minimum(x, like(x, 0.0)) - log1p_of_unit(exp(-fabs(x)))
