"""Sine and its family."""
import math

from ..intrinsics import like, scalar, widen


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


@scalar
def asin(x):
    """Arc sine; NaN outside [-1, 1]."""
    return like(x, math.asin(widen(x)))


@scalar
def acos(x):
    """Arc cosine; NaN outside [-1, 1]."""
    return like(x, math.acos(widen(x)))


@scalar
def atan(x):
    """Arc tangent."""
    return like(x, math.atan(widen(x)))


@scalar
def atan2(y, x):
    """The angle of the point (x, y), in (-pi, pi]."""
    return like(y, math.atan2(widen(y), widen(x)))
