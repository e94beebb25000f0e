"""Inverse hyperbolic functions, through log1p so that they keep their precision near their zeros."""

import math

from ..intrinsics import copysign, fabs, fma, like, scalar, select, sqrt
from .logarithm import log1p

_LN2 = 0.6931471805599453
_LARGE = (2.0**30, 2.0**60)                              # above, x² + 1 is x², or infinite


@scalar
def asinh(x):
    """Inverse hyperbolic sine."""
    one, magnitude = like(x, 1.0), fabs(x)
    large = magnitude > like(x, _LARGE)
    square = magnitude * magnitude
    near = magnitude + square / (one + sqrt(square + one))
    y = log1p(select(large, magnitude, near))                    # log(2 x) where x is large
    return copysign(select(large, y + like(x, _LN2), y), x)


@scalar
def acosh(x):
    """Inverse hyperbolic cosine; NaN below 1."""
    one = like(x, 1.0)
    t = x - one
    large = x > like(x, _LARGE)
    root = sqrt(fma(t, t, t + t))
    near = t + root
    lost = ((root - near) + t) / (one + near)                    # by the sum, through the derivative of log1p
    y = log1p(select(large, x, near))
    y = y + select(large, like(x, _LN2), lost)
    return select(x < one, like(x, math.nan), y)


@scalar
def atanh(x):
    """Inverse hyperbolic tangent; NaN outside [-1, 1]."""
    magnitude, one = fabs(x), like(x, 1.0)
    twice, below = magnitude + magnitude, one - magnitude
    ratio = twice / below
    # What the roundings of the ratio and of 1 - x lost, through the derivative of log1p.
    rest = fma(-ratio, below, twice) - ratio * ((one - below) - magnitude)
    lost = select(magnitude < one, rest / (one + magnitude), like(x, 0.0))
    return copysign(like(x, 0.5) * (log1p(ratio) + lost), x)
