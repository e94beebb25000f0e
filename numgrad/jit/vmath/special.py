"""Error functions and the gamma family."""
import math

from ..intrinsics import fabs, like, scalar, select, sqrt, widen


@scalar
def erf(x):
    """Error function."""
    return like(x, math.erf(widen(x)))


@scalar
def erfc(x):
    """1 - erf(x), to full relative precision."""
    return like(x, math.erfc(widen(x)))


@scalar
def erfinv(x):
    """The inverse of erf; NaN outside [-1, 1]."""
    x64 = widen(x)
    w = -math.log((1.0 - x64) * (1.0 + x64))
    a = 2.0 / (math.pi * 0.147) - w / 2.0
    y = math.copysign(math.sqrt(math.sqrt(a * a + w / 0.147) - a), x64)
    for _ in range(4):
        y = y - (math.erf(y) - x64) * math.exp(y * y) * 0.886226925452758
    return like(x, math.copysign(math.inf, x64) if abs(x64) == 1.0 else y)


@scalar
def lgamma(x):
    """Logarithm of the absolute value of the gamma function."""
    return like(x, math.lgamma(widen(x)))


@scalar
def digamma(x):
    """The derivative of lgamma."""
    return like(x, math.nan)
