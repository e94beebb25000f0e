"""Sine and its family."""
import math

from ..intrinsics import fabs, fma, like, polynomial, round_even, scalar, select, widen

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
def _quarter_turns(x):
    """n in 0..3 and r of x pi = 2 k pi + n pi / 2 + r, for a float64."""
    x = x - 2.0 * round_even(0.5 * x)
    n = round_even(2.0 * x)
    return select(n < 0.0, n + 4.0, n), (x - 0.5 * n) * math.pi


@scalar
def sin_pi(x):
    """sin(pi x) of a float64, without large angles."""
    n, r = _quarter_turns(x)
    odd = (n == 1.0) | (n == 3.0)
    y = select(odd, cos_near_zero(r, 0.0), sin_near_zero(r, 0.0))
    return select(n >= 2.0, -y, y)


@scalar
def cos_pi(x):
    """cos(pi x) of a float64, without large angles."""
    return sin_pi(x - 2.0 * round_even(0.5 * x) + 0.5)


@scalar
def sin(x):
    """Sine of an angle in radians."""
    return like(x, math.sin(widen(x)))


@scalar
def cos(x):
    """Cosine of an angle in radians."""
    return like(x, math.cos(widen(x)))


@scalar
def tan(x):
    """Tangent of an angle in radians."""
    return like(x, math.tan(widen(x)))
