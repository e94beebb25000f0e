"""Rounding, remainders, signs and tests of one float; maximum and minimum serve integers too."""
import math

from ..intrinsics import (
    add_bits,
    bits_float,
    ceil,
    copysign,
    fabs,
    float_bits,
    floor,
    fmod,
    like,
    maximum,
    minimum,
    round_even,
    scalar,
    select,
    subtract_bits,
    trunc,
)

__all__ = ["ceil", "copysign", "fabs", "floor", "fmod", "isfinite", "isinf", "isnan", "maximum", "minimum", "nextafter",
           "remainder", "round", "sign", "trunc"]  # fmt: skip

round = round_even


@scalar
def remainder(x, y):
    """``x - floor(x / y) y``: the remainder with the sign of the divisor; NaN where y is 0."""
    rest = fmod(x, y)
    zero = like(x, 0)
    return select((rest != zero) & ((y < zero) != (rest < zero)), rest + y, rest)


@scalar
def nextafter(x, y):
    """The float next to x on the way to y; y where they are equal."""
    zero, bits = like(x, 0), float_bits(x)
    one = like(bits, 1)
    grows = (x > zero) == (y > x)  # away from 0: the bits of floats of one sign are in the order of their magnitudes
    moved = select(grows, bits_float(add_bits(bits, one)), bits_float(subtract_bits(bits, one)))
    moved = select(x == zero, copysign(bits_float(one), y), moved)
    return select(x == y, y, select((x != x) | (y != y), x + y, moved))


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
