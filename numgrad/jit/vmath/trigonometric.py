"""Sine, cosine and tangent: the angle reduced to |r| <= pi / 4, then minimax polynomials in float64."""

import math

from ..intrinsics import (
    and_bits,
    bits_float,
    by_width,
    by_width_of_first,
    fabs,
    float_bits,
    fma,
    like,
    polynomial,
    round_even,
    scalar,
    select,
    shift_left,
    xor_bits,
)
from .angle import ROUNDER, less_turns, quarters32, quarters32_near, reduce32, reduce64, reduce64_near
from .constants import HALF_EPSILON

# (sin(r) / r - 1) / r² and (cos(r) - 1 + r² / 2) / r⁴ in r² for |r| <= pi / 4; for float32 good to 2**-37.6 and 2**-43,
# for float64 to 2**-58 and 2**-64.
_SIN32 = (-0.16666666641622652, 0.00833332938451179, -0.0001983933420776038, 2.718304434946951e-06)
_COS32 = (0.041666666622793655, -0.0013888883750363152, 2.4799519188979475e-05, -2.7210168981318603e-07)
# sin(q pi / 2) / q in q² for |q| <= 1, good to 2**-35.
_SIN32_QUARTERS = (1.5707963267948966, -0.64596409593428, 0.07969260495342849, -0.004681659308455909, 0.00016025518245824148, -3.431711269109834e-06)
_SIN64 = (-0.16666666666666632, 0.008333333333322413, -0.0001984126982980784, 2.7557313691927935e-06,
          -2.5050758116676803e-08, 1.589679572702933e-10)  # fmt: skip
_COS64 = (0.0416666666666666, -0.001388888888887413, 2.4801587289484397e-05, -2.7557314352784064e-07,
          2.087572331623078e-09, -1.135964933528134e-11)  # fmt: skip


@scalar
def _sine_cosine64(r, lost):
    """sin and cos of r + lost for |r| <= pi / 4, lost below the last bit of r."""
    z = r * r
    half = 0.5 * z
    near = 1.0 - half
    sine = r + fma(r * z, polynomial(z, _SIN64), lost * near)
    return sine, near + (((1.0 - near) - half) + fma(z * z, polynomial(z, _COS64), -r * lost))


@scalar
def _parts32(x):
    shifted, r = reduce32(x)
    z = r * r
    return shifted, fma(r * z, polynomial(z, _SIN32), r), fma(z * z, polynomial(z, _COS32), fma(-0.5, z, 1.0))


@scalar
def _turned(shifted, sine, cosine):
    """The sine of r + n pi / 2."""
    n = float_bits(shifted)
    y = select(and_bits(n, 1) == 0, sine, cosine)
    return bits_float(xor_bits(float_bits(y), shift_left(and_bits(n, 2), 62)))


@scalar
def _of_quarters(shifted, q):
    """The sine of q quarter turns, and of as many half turns as the last bits of `shifted` say."""
    sine = q * polynomial(q * q, _SIN32_QUARTERS)
    return bits_float(xor_bits(float_bits(sine), shift_left(float_bits(shifted), 63)))


@scalar
def _turned32(x, turn):
    """The sine of x and so many quarter turns, 0 or 1."""
    shifted, q = quarters32(x, turn)
    return _of_quarters(shifted, q)


@scalar
def _turned32_near(x, turn):
    shifted, q = quarters32_near(x, turn)
    return _of_quarters(shifted, q)


@scalar
def _turned64(x, turn):
    shifted, r, lost = reduce64(x)
    sine, cosine = _sine_cosine64(r, lost)
    return _turned(shifted + turn, sine, cosine)


@scalar
def _turned64_near(x, turn):
    shifted, r, lost = reduce64_near(x)
    sine, cosine = _sine_cosine64(r, lost)
    return _turned(shifted + turn, sine, cosine)


_turned_by = by_width_of_first(_turned32, _turned64)
_turned_by_near = by_width_of_first(_turned32_near, _turned64_near)


@scalar
def sin(x):
    """Sine of an angle in radians; NaN at infinity."""
    return select(fabs(x) < like(x, HALF_EPSILON), x, like(x, _turned_by(x, 0.0)))


@scalar
def cos(x):
    """Cosine of an angle in radians; NaN at infinity."""
    return like(x, _turned_by(x, 1.0))


# The same bits in fewer operations where |x| is below NEAR.


@scalar
def sin_near(x):
    """`sin` of |x| below NEAR."""
    return select(fabs(x) < like(x, HALF_EPSILON), x, like(x, _turned_by_near(x, 0.0)))


@scalar
def cos_near(x):
    """`cos` of |x| below NEAR."""
    return like(x, _turned_by_near(x, 1.0))


@scalar
def _tan32(x):
    shifted, sine, cosine = _parts32(x)
    even = and_bits(float_bits(shifted), 1) == 0
    return select(even, sine, -cosine) / select(even, cosine, sine)


@scalar
def _tan64(x):
    shifted, r, lost = reduce64(x)
    z = r * r
    half = 0.5 * z
    near = 1.0 - half
    sine_tail = fma(r * z, polynomial(z, _SIN64), lost * near)
    cosine_tail = ((1.0 - near) - half) + fma(z * z, polynomial(z, _COS64), -r * lost)
    sine, cosine = r + sine_tail, near + cosine_tail
    sine_lost, cosine_lost = (r - sine) + sine_tail, (near - cosine) + cosine_tail
    even = and_bits(float_bits(shifted), 1) == 0
    top, top_lost = select(even, sine, -cosine), select(even, sine_lost, -cosine_lost)
    bottom, bottom_lost = select(even, cosine, sine), select(even, cosine_lost, sine_lost)
    inverse = 1.0 / bottom
    y = top * inverse
    return fma(fma(-y, bottom, top) + fma(-y, bottom_lost, top_lost), inverse, y)


_tan = by_width(_tan32, _tan64)


@scalar
def tan(x):
    """Tangent of an angle in radians; NaN at infinity."""
    return select(fabs(x) < like(x, HALF_EPSILON), x, like(x, _tan(x)))


@scalar
def sin_cos_pi(x):
    """sin(pi x) and cos(pi x) of a float64."""
    n = round_even(2.0 * x)
    shifted = less_turns(n) + ROUNDER
    sine, cosine = _sine_cosine64(fma(-0.5, n, x) * math.pi, 0.0)
    return _turned(shifted, sine, cosine), _turned(shifted + 1.0, sine, cosine)
