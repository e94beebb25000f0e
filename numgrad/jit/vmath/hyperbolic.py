"""Inverse hyperbolic functions."""
import math

from ..intrinsics import like, scalar, widen


@scalar
def asinh(x):
    """Inverse hyperbolic sine."""
    return like(x, math.asinh(widen(x)))


@scalar
def acosh(x):
    """Inverse hyperbolic cosine; NaN below 1."""
    return like(x, math.acosh(widen(x)))


@scalar
def atanh(x):
    """Inverse hyperbolic tangent; NaN outside [-1, 1]."""
    return like(x, math.atanh(widen(x)))
