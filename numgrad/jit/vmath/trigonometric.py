"""Sine and its family."""
import math

from ..intrinsics import fabs, floor, fma, like, polynomial, round_even, scalar, select
from .angle import reduce
from .constants import HALF_EPSILON

# (sin(r) / r - 1) / r² and (cos(r) - 1 + r² / 2) / r⁴ in r² for |r| <= pi / 4, float64; 2**-58 and 2**-64.
_SIN = (-0.16666666666666632, 0.008333333333322413, -0.0001984126982980784, 2.7557313691927935e-06,
        -2.5050758116676803e-08, 1.589679572702933e-10)  # fmt: skip
_COS = (0.0416666666666666, -0.001388888888887413, 2.4801587289484397e-05, -2.7557314352784064e-07,
        2.087572331623078e-09, -1.135964933528134e-11)  # fmt: skip


@scalar
def sin_near_zero(r, lost):
    """sin(r + lost) for |r| <= pi / 4."""
    z = r * r
    return r + fma(r * z, polynomial(z, _SIN), lost * fma(z, -0.5, 1.0))


@scalar
def cos_near_zero(r, lost):
    """cos(r + lost) for |r| <= pi / 4."""
    z = r * r
    half = 0.5 * z
    near = 1.0 - half
    return near + (((1.0 - near) - half) + fma(z * z, polynomial(z, _COS), -r * lost))


@scalar
def _parity(n):
    """Whether an integer in a float64 is odd, and whether it is 2 or 3 modulo 4."""
    n = n - 4.0 * floor(0.25 * n)
    return (n == 1.0) | (n == 3.0), n >= 2.0


@scalar
def sin_pi(x):
    """sin(pi x) of a float64."""
    n = round_even(2.0 * x)
    r = fma(-0.5, n, x) * math.pi
    odd, negative = _parity(n)
    y = select(odd, cos_near_zero(r, 0.0), sin_near_zero(r, 0.0))
    return select(negative, -y, y)


@scalar
def cos_pi(x):
    """cos(pi x) of a float64."""
    n = round_even(2.0 * x)
    r = fma(-0.5, n, x) * math.pi
    odd, negative = _parity(n + 1.0)
    y = select(odd, cos_near_zero(r, 0.0), sin_near_zero(r, 0.0))
    return select(negative, -y, y)


@scalar
def sin(x):
    """Sine of an angle in radians; NaN at infinity."""
    n, r, lost = reduce(x)
    odd, negative = _parity(n)
    y = select(odd, cos_near_zero(r, lost), sin_near_zero(r, lost))
    return select(fabs(x) < like(x, HALF_EPSILON), x, like(x, select(negative, -y, y)))


@scalar
def cos(x):
    """Cosine of an angle in radians; NaN at infinity."""
    n, r, lost = reduce(x)
    odd, negative = _parity(n + 1.0)
    y = select(odd, cos_near_zero(r, lost), sin_near_zero(r, lost))
    return like(x, select(negative, -y, y))


@scalar
def tan(x):
    """Tangent of an angle in radians; NaN at infinity."""
    n, r, lost = reduce(x)
    odd, _ = _parity(n)
    sine, cosine = sin_near_zero(r, lost), cos_near_zero(r, lost)
    y = select(odd, -cosine, sine) / select(odd, sine, cosine)
    return select(fabs(x) < like(x, HALF_EPSILON), x, like(x, y))
