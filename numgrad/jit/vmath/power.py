"""Powers and roots."""
from ..intrinsics import like, scalar, sqrt, widen


@scalar
def rsqrt(x):
    """1 / sqrt(x)."""
    return like(x, 1.0) / sqrt(x)


@scalar
def pow(x, y):
    """x to the power y."""
    return like(x, widen(x) ** widen(y))
