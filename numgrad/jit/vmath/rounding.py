"""Rounding, remainders, signs and tests of one float; maximum and minimum serve integers too."""
import math

from ..intrinsics import ceil, copysign, fabs, floor, fmod, like, maximum, minimum, round_even, scalar, select, trunc

__all__ = ["ceil", "copysign", "fabs", "floor", "fmod", "isfinite", "isinf", "isnan", "maximum", "minimum", "remainder",
           "round", "sign", "trunc"]  # fmt: skip

round = round_even


@scalar
def remainder(x, y):
    """``x - floor(x / y) y``: the remainder with the sign of the divisor; NaN where y is 0."""
    rest = fmod(x, y)
    zero = like(x, 0)
    return select((rest != zero) & ((y < zero) != (rest < zero)), rest + y, rest)


@scalar
def sign(x):
    """-1, 0 or 1; 0 for NaN."""
    zero, one = like(x, 0), like(x, 1)
    return select(x > zero, one, select(x < zero, -one, zero))


@scalar
def isnan(x):
    """Whether x is not a number."""
    return x != x


@scalar
def isinf(x):
    """Whether x is infinite."""
    return fabs(x) == like(x, math.inf)


@scalar
def isfinite(x):
    """Whether x is neither infinite nor NaN."""
    return fabs(x) < like(x, math.inf)
