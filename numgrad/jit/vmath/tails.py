"""What the tails of distributions need: erfcx, log_ndtr, ndtri, the incomplete gamma functions, and Hurwitz's zeta function."""
import math

from ..intrinsics import fabs, fma, like, polynomial, scalar, select, sqrt, widen
from .exponential import exp, expm1
from .logarithm import log, log1p
from .special import _BERNOULLI, _ERFC, _LGAMMA, _STIRLING, erfc, erfinv, lgamma

_SQRT_PI, _SQRT_HALF = 1.7724538509055159, 0.7071067811865476
_ENOUGH = 2.0**-54


@scalar
def _erfcx(x):
    """erfcx of a float64."""
    if x > 28.0:  # the asymptotic series
        inverse = 0.5 / (x * x)
        return (1.0 - inverse * (1.0 - 3.0 * inverse * (1.0 - 5.0 * inverse * (1.0 - 7.0 * inverse * (1.0 - 9.0 * inverse))))) / (x * _SQRT_PI)
    if x >= 0.47:
        return polynomial((x - 4.0) / (x + 4.0), _ERFC) / fma(2.0, x, 1.0)
    square = x * x
    scale = exp(square)
    return select(scale == math.inf, scale, fma(scale, fma(x, x, -square), scale) * erfc(x))


@scalar
def erfcx(x):
    """exp(x²) erfc(x); infinite below -26.6. 4e-16 of it."""
    return like(x, _erfcx(widen(x)))


@scalar
def log_ndtr(x):
    """The logarithm of the normal distribution's probability of less than x; 1e-15 of it."""
    z = widen(x)
    if z > -1.0:
        return like(x, log1p(-0.5 * erfc(z * _SQRT_HALF)))
    return like(x, log(0.5 * _erfcx(-z * _SQRT_HALF)) - 0.5 * z * z)


@scalar
def _erfc_inverse(q):
    """The y with erfc(y) = q, of q from 0 to 1."""
    if q >= 0.05:
        return erfinv(1.0 - q)
    goal = -log(q)
    y = sqrt(goal - 0.5 * log(math.pi * goal))
    for _ in range(4):  # Newton's method for log(erfc(y))
        scaled = _erfcx(y)
        y += (log(scaled) - y * y + goal) * scaled * (0.5 * _SQRT_PI)
    return y


@scalar
def ndtri(x):
    """The number of which the normal distribution is less with probability x; NaN outside [0, 1]. 4e-15 of it, down to the smallest."""
    p = widen(x)
    if not (p >= 0.0 and p <= 1.0):
        return like(x, math.nan)
    if p == 0.0 or p == 1.0:
        return like(x, select(p == 0.0, -math.inf, math.inf))
    if p <= 0.5:
        return like(x, -_erfc_inverse(2.0 * p) / _SQRT_HALF)
    return like(x, _erfc_inverse(2.0 * (1.0 - p)) / _SQRT_HALF)


# --- incomplete gamma functions: series below, continued fraction above (Gautschi 1979, "A computational procedure for ...") --------


@scalar
def _density(a, x):
    """x**a exp(-x) / gamma(a + 1)."""
    if a < 10.0:
        return exp(a * log(x) - x - lgamma(a + 1.0))
    d = (x - a) / a
    if fabs(d) < 0.4:  # log1p(d) - d by its series: the difference would lose digits
        total, power, k = 0.0, d, 1.0
        term = 1.0
        while fabs(term) > _ENOUGH * fabs(total):
            k += 1.0
            power *= -d
            term = power / k
            total += term
            if power == 0.0:
                break
    else:
        total = log(x / a) - d
    inverse = 1.0 / a
    return exp(a * total - inverse * polynomial(inverse * inverse, _STIRLING)) / sqrt(2.0 * math.pi * a)


@scalar
def _lower(a, x):
    """P(a, x) by the series, for x up to about a + 1."""
    total, term, k = 1.0, 1.0, a
    while term > _ENOUGH * total:
        k += 1.0
        term *= x / k
        total += term
    return total * _density(a, x)


@scalar
def _upper(a, x):
    """Q(a, x) by Lentz's continued fraction, for x beyond a + 1."""
    b = x + 1.0 - a
    c, d = 1e300, 1.0 / b
    h, i, change = d, 0.0, 0.0
    while fabs(change - 1.0) > 2.0 * _ENOUGH and i < 1e7:
        i += 1.0
        factor = i * (a - i)
        b += 2.0
        d = 1.0 / fma(factor, d, b)
        c = b + factor / c
        change = c * d
        h *= change
    return h * a * _density(a, x)


@scalar
def _upper_small(a, x):
    """Q(a, x) for a <= 0.5 and x <= 1.1, where 1 - P would lose it: 1 - x**a / gamma(a + 1) (1 + a sum (-x)**n / ((a + n) n!))."""
    power = a * log(x) - (a * polynomial(a, _LGAMMA) - log1p(a))
    total, term, n = 0.0, 1.0, 0.0
    while fabs(term) > 0.1 * _ENOUGH:
        n += 1.0
        term *= -x / n
        total += term / (a + n)
    return -expm1(power) - exp(power) * a * total


@scalar
def _incomplete(a, x, lower):
    if not (a >= 0.0 and x >= 0.0) or (a == 0.0 and x == 0.0) or (a == math.inf and x == math.inf):
        return math.nan
    if a == 0.0 or x == math.inf:
        return select(lower, 1.0, 0.0)
    if x == 0.0 or a == math.inf:
        return select(lower, 0.0, 1.0)
    if x > a + 1.0 and x > 1.1:
        q = _upper(a, x)
        return select(lower, 1.0 - q, q)
    if not lower and a <= 0.5 and x <= 1.1:
        return _upper_small(a, x)
    p = _lower(a, x)
    return select(lower, p, 1.0 - p)


@scalar
def gammainc(a, x):
    """The lower incomplete gamma function over gamma(a); 1e-14 of it, 1e-13 far out. It takes some sqrt(a) steps."""
    return like(a, _incomplete(widen(a), widen(x), True))


@scalar
def gammaincc(a, x):
    """The upper incomplete gamma function over gamma(a); accurate as `gammainc` is."""
    return like(a, _incomplete(widen(a), widen(x), False))


# --- zeta -------------------------------------------------------------------------------------------------------------

_LOWEST = -1e6


@scalar
def zeta(s, q):
    """The sum of (k + q)**-s over k >= 0, by Euler and Maclaurin's formula; 1e-14 of it.

    Infinite at s = 1 and at q = 0, -1, ...; NaN for s below 1, below -1e6 in q, and for other s of negative q than whole ones.
    """
    x, z = widen(s), widen(q)
    if x == 1.0:
        return like(s, math.inf)
    if not (x > 1.0) or z != z or z < _LOWEST:
        return like(s, math.nan)
    if z <= 0.0 and (z == math.floor(z) or x != math.floor(x)):
        return like(s, select(z == math.floor(z), math.inf, math.nan))
    total, k = 0.0, 0
    while k < 12 or z < 15.0:
        total += z**-x
        z += 1.0
        k += 1
    power = z**-x
    total += power * z / (x - 1.0) + 0.5 * power
    rising = x
    for k in range(9):
        power /= z
        step = _BERNOULLI[k] * rising * power
        total += step
        if fabs(step) < 1e-18 * fabs(total):
            break
        rising *= (x + 2.0 * k + 1.0) * (x + 2.0 * k + 2.0)
        power /= z
    return like(s, total)
