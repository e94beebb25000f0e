"""Error functions and the gamma family. Where float64 is the simpler way to a good float32, both are computed in it."""
import math

from ..intrinsics import (
    by_width,
    copysign,
    fabs,
    fma,
    like,
    polynomial,
    polynomial_in_pairs,
    scalar,
    select,
    sqrt,
    widen,
)
from .exponential import ROUNDER, clamp, exp, exp_moderate, expm1_near_zero, power_of_two_raised, reduce, scale
from .logarithm import log
from .trigonometric import sin_cos_pi

# erf(x) / x - 1 in x² for |x| <= 1; greatest relative error 2**-29.6 and 2**-62.7.
_ERF = ((0.12837917, -0.37612626, 0.112835854, -0.026853815, 0.0051883305, -0.00080102024, 7.85385e-05),
        (0.1283791670955126, -0.3761263890318375, 0.11283791670954858, -0.02686617064507296, 0.00522397762478137,
         -0.0008548326978765149, 0.00012055331037551108, -1.4925593518728226e-05, 1.6460972954153765e-06,
         -1.635002619207727e-07, 1.4657883530919653e-08, -1.136567067182716e-09, 5.945255584223488e-11))  # fmt: skip
# -log(1 - erf(x)) from 1 to where erf(x) rounds to 1; error of erf 2**-29.8 and 2**-59.5.
_ERF_LOG = ((0.00034152524, 1.1270891, 0.63814485, 0.10310674, -0.021838056, 0.0029476562, -0.00018637897),
            (1.7962145192579736e-07, 1.128377329249075, 0.636628489002406, 0.102747251825976, -0.019078154217831347,
             -0.0002804911874696593, 0.0017690038974563446, -0.0006411758013915935, 4.482479390596996e-05,
             7.036522610398145e-05, -4.503669142124617e-05, 1.6513678423952683e-05, -4.326966710880054e-06,
             8.50558022176486e-07, -1.2570239383803065e-07, 1.3626413945549558e-08, -1.0256782904015209e-09,
             4.795928311032576e-11, -1.0495962545688161e-12))  # fmt: skip
_ERF_IS_ONE = (4.0, 6.0)
# -log2(2 - 2 ndtr(x)) / x for 0 <= x <= 5.7; error of ndtr 2**-27.3, and 1.2e-4 of 1 - ndtr.
_NDTR = (1.15110494, 0.459212256, 0.0524756423, -0.00701518953, 7.66516355e-05,
         0.000228495474, -5.6005685e-05, 6.22938284e-06, -2.78686176e-07)  # fmt: skip
# 2**x for |x| <= 1/2; error of 2**x 2**-23.4.
_EXP2 = (1.0, 0.69314698, 0.24022242, 0.055507337, 0.0096715126, 0.0013264727)
# exp(x²) erfc(x) (1 + 2 x) in t = (x - 4) / (x + 4) for 0.465 <= x <= 28; 2**-63.9.
_ERFC = (1.2329951186255526, -0.1396211168405625, 0.015379652102620009, 0.06809705425469156, -0.1010390660363224,
         0.09373283499839549, -0.06633036581173188, 0.03716751553664913, -0.016197734064566812, 0.005031969985911591,
         -0.0007577732332540743, -0.00019925673699591477, 0.00015062139408049418, -2.4399086090122523e-05,
         -1.1221115072370516e-05, 5.709534381694895e-06, 2.9191822204781717e-07, -8.253720689159775e-07,
         7.705103021481825e-08, 1.103681884273855e-07, -1.9665456263186693e-08, -1.4574944443758966e-08,
         2.386415741085323e-09, 1.4834535702746064e-09)  # fmt: skip
# erfinv(x) / x in -log(1 - x²) for |x| <= 0.95; 2**-67.
_ERFINV = (0.886226925452758, 0.2320136665346545, 0.011549342038270806, -0.002335101641609982, -0.00012804329425924945,
           4.661144035648338e-05, 2.0199892091885113e-06, -1.0125559124122465e-06, -3.729114293622903e-08,
           2.27860340314441e-08, 7.643389849871806e-10, -5.340369912398972e-10, -8.987664471470274e-12,
           8.202820600019186e-12, 2.070402804094826e-12, -8.118394106283314e-13, 9.800038989167995e-14,
           -4.434338533731242e-15)  # fmt: skip
# erfinv(x) in sqrt(-log(1 - x)) from 0.95 to 1; 2**-19.8, then one step of Halley's method cubes it.
_ERFINV_START = (-0.21195271656585288, 0.5784569483051601, 0.42450991783247294, -0.2110015935160993,
                 0.06424895859517127, -0.01245233533537565, 0.0015008230154933996, -0.00010267485358165604,
                 3.0478418604151864e-06)  # fmt: skip
# lgamma(2 + t) / t for |t| <= 0.5; 2**-59.5.
_LGAMMA = (0.42278433509846713, 0.32246703342411326, -0.06735230105319831, 0.02058080842778057, -0.007385551028649712,
           0.002890510331023567, -0.0011927539127581969, 0.000509669515680181, -0.0002231547351712936,
           9.945766998072185e-05, -4.492653105160591e-05, 2.0505617786172063e-05, -9.437237338929991e-06,
           4.384588073546445e-06, -2.0497517025832743e-06, 9.203184720747703e-07, -4.20049020593531e-07,
           2.784909326295533e-07, -1.43289500367756e-07)  # fmt: skip
# The Bernoulli numbers of Stirling's series, B(2k) / (2k (2k - 1)) for lgamma and B(2k) / 2k for digamma.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)


@scalar
def erf(x):
    """Error function."""
    one, square = like(x, 1.0), x * x
    small = fma(x, polynomial(square, _ERF), x)
    limited = clamp(fabs(x), one, like(x, _ERF_IS_ONE))
    large = one - exp_moderate(-polynomial(limited, _ERF_LOG))
    return select(fabs(x) < one, small, copysign(large, x))


@scalar
def _erfc_above(x):
    """erfc of a float64 from 0.465 to 28."""
    square = x * x
    shifted, r, lost = reduce(-square, -fma(x, x, -square))
    t = (x - 4.0) / (x + 4.0)
    bend = t * polynomial(t, _ERFC[1:])
    numerator, denominator = _ERFC[0] + bend, fma(2.0, x, 1.0)
    inverse = 1.0 / denominator
    quotient = numerator * inverse
    rest = fma(-quotient, denominator, numerator) - quotient * fma(2.0, x, 1.0 - denominator)
    rest = rest + ((_ERFC[0] - numerator) + bend)                # what the sum lost
    quotient = fma(rest, inverse, quotient)
    return scale(fma(quotient, expm1_near_zero(r, lost), quotient), shifted)


@scalar
def erfc(x):
    """1 - erf(x), to full relative precision."""
    x64 = widen(x)
    square, magnitude = x64 * x64, fabs(x64)
    small = 1.0 - fma(x64, polynomial(square, _ERF), x64)
    large = _erfc_above(clamp(magnitude, 0.465, 28.0))
    return like(x, select(magnitude < 0.47, small, select(x64 < 0.0, 2.0 - large, large)))


@scalar
def _ndtr_narrow(x):
    one, magnitude, end = like(x, 1.0), fabs(x), like(x, 5.7)
    limited = select(magnitude > end, end, magnitude)
    slope = polynomial_in_pairs(limited, _NDTR)
    shifted = fma(-limited, slope, like(x, ROUNDER))
    r = fma(-limited, slope, like(x, ROUNDER) - shifted)
    tail = power_of_two_raised(shifted, -1) * polynomial_in_pairs(r, _EXP2)
    tail = select(magnitude > end, like(x, 0.0), tail)           # what 1 would not notice
    return select(x < like(x, 0.0), tail, one - tail)


@scalar
def _ndtr_wide(x):
    return 0.5 + 0.5 * erf(x * 0.7071067811865476)


ndtr = by_width(_ndtr_narrow, _ndtr_wide)
ndtr.__doc__ = """The normal distribution's probability of less than x, to the last bit of 1 (not of small values)."""


@scalar
def erfinv(x):
    """The inverse of erf; NaN outside [-1, 1]."""
    x64 = widen(x)
    magnitude = fabs(x64)
    central, rest = magnitude <= 0.95, 1.0 - magnitude
    logarithm = -log(select(central, rest * (1.0 + magnitude), rest))
    small = x64 * polynomial(logarithm, _ERFINV)
    y = polynomial(sqrt(logarithm), _ERFINV_START)
    step = (_erfc_above(clamp(y, 0.465, 28.0)) - rest) * exp(y * y) * 0.886226925452758
    y = y + step / fma(-y, step, 1.0)
    y = select(magnitude == 1.0, math.inf, y)
    return like(x, select(central, small, copysign(y, x64)))


@scalar
def _lgamma_positive(x):
    """lgamma of a positive float64."""
    # Up to 8: to 2 + t, |t| <= 0.5, by the recurrence, so that the zeros at 1 and 2 keep their digits.
    limited = clamp(x, 0.0, 8.0)
    below, product = limited < 1.5, select(limited < 0.5, limited * (limited + 1.0), limited)
    rising, shifted = 1.0, limited
    for _ in range(6):
        above = shifted > 2.5
        rising, shifted = select(above, rising * (shifted - 1.0), rising), select(above, shifted - 1.0, shifted)
    t = select(limited < 0.5, limited, select(below, limited - 1.0, shifted - 2.0))
    logarithm = log(select(x < 8.0, select(below, product, rising), x))
    small = fma(t, polynomial(t, _LGAMMA), select(below, -logarithm, logarithm))
    inverse = 1.0 / x
    tail = fma(inverse, polynomial(inverse * inverse, _STIRLING), 0.9189385332046727)
    return select(x < 8.0, small, fma(x - 0.5, logarithm - 1.0, tail - 0.5))


@scalar
def lgamma(x):
    """Logarithm of the absolute value of the gamma function; 1e-14 of it away from its zeros."""
    x64 = widen(x)
    magnitude = fabs(x64)
    y = _lgamma_positive(magnitude)
    sine, _ = sin_cos_pi(x64)
    reflected = -log(magnitude * fabs(sine) * 0.3183098861837907) - y
    y = select(x64 > -1e-30, y, reflected)                       # the same so near 0, where the product underflows
    return like(x, select(magnitude == math.inf, magnitude, y))


@scalar
def digamma(x):
    """The derivative of lgamma; 1e-14 of it away from its zeros. NaN at the negative integers and -inf."""
    x64 = widen(x)
    negative = x64 < 0.0
    t = select(negative, 1.0 - x64, x64)
    # psi(t) = psi(t + 10) - (1 / t + ... + 1 / (t + 9)); the sum as one fraction
    small = t < 10.0
    top, bottom, rising = 0.0, 1.0, select(small, t, 1.0)
    for _ in range(10):
        top, bottom, rising = fma(top, rising, bottom), bottom * rising, rising + 1.0
    t = select(small, t + 10.0, t)
    inverse = 1.0 / t
    y = log(t) - inverse * fma(inverse, polynomial(inverse * inverse, _DIGAMMA), 0.5)
    y = select(small, y - top / bottom, y)
    sine, cosine = sin_cos_pi(x64)
    reflected = select(sine == 0.0, math.nan, y - math.pi * (cosine / sine))
    return like(x, select(negative, reflected, y))


# B_2k / (2k)! for k = 1 ... 9, of the Euler and Maclaurin sum below
_BERNOULLI = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000, 1 / 74724249600,
    -3617 / 10670622842880000, 43867 / 5109094217170944000,
)  # fmt: skip
_FARTHEST = -1000.0


@scalar
def polygamma(order, x):
    """The order-th derivative of digamma, order >= 1: (-1)**(n+1) n! zeta(n+1, x), by recurrence and Euler-Maclaurin.

    NaN below -1000 for orders above 1, where the recurrence would be long.
    """
    n, z, reflected = widen(order), widen(x), 0.0
    sine, _ = sin_cos_pi(z)
    if z < 0.0 and n == 1.0:  # trigamma(1 - z) + trigamma(z) = (pi / sin(pi z))**2
        reflected = math.pi * math.pi / (sine * sine)
        z = 1.0 - z
    total, factorial = 0.0, 1.0
    for i in range(1, int(min(n, 171.0)) + 1):  # beyond 170 it is infinite
        factorial *= i
    if z < _FARTHEST or z != z:
        return like(x, math.nan)
    while z < 15.0:
        total += z ** -(n + 1.0)
        z += 1.0
    power = z ** -(n + 1.0)
    total += power * z / n + 0.5 * power
    rising = n + 1.0
    for k in range(9):
        power /= z
        total += _BERNOULLI[k] * rising * power
        rising *= (n + 2.0 * k + 2.0) * (n + 2.0 * k + 3.0)
        power /= z
    result = factorial * total * (1.0 if int(n) & 1 else -1.0)
    return like(x, reflected - result if reflected > 0.0 else result)
