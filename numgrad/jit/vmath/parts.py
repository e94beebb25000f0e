"""The parts of floats, and the greatest common divisor of integers: exact."""
import math

from ..intrinsics import like, scalar, select, widen


@scalar
def mantissa(x):
    """m of x = m * 2**e with a magnitude from 0.5 to 1; x itself where it is 0, infinite or NaN."""
    x64 = widen(x)
    finite = x64 - x64 == 0.0
    return select(finite, like(x, math.frexp(select(finite, x64, 0.0))[0]), x)


@scalar
def exponent(x):
    """e of x = m * 2**e, as a float; 0 where x is 0, infinite or NaN."""
    x64 = widen(x)
    return like(x, math.frexp(select(x64 - x64 == 0.0, x64, 0.0))[1])


@scalar
def gcd(x, y):
    """The greatest common divisor of two integers, not negative."""
    while y != 0:
        x, y = y, x % y
    return abs(x)
