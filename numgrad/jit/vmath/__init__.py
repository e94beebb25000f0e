"""Elementary functions of one float, without branches, so that LLVM vectorises the loop that calls them.

Each is called from kernels with float32 or float64 and returns what it was given. Worst error 2 units in the last place
over all floats; lgamma and digamma are looser. IEEE results at zeros, infinities, NaN and subnormals.
"""
from ..intrinsics import sqrt
from .bessel import i0, i0e, i1, i1e  # noqa: F401 - with a bound of their own, not in __all__
from .exponential import cosh, exp, exp2, expm1, logsigmoid, sigmoid, sinh, softplus, tanh
from .hyperbolic import acosh, asinh, atanh
from .inverse_trigonometric import acos, asin, atan, atan2
from .logarithm import log, log1p, log2, log10
from .parts import exponent, gcd, mantissa  # noqa: F401 - exact, so not in __all__
from .power import pow, rsqrt
from .rounding import (
    ceil,
    copysign,
    fabs,
    floor,
    fmod,
    isfinite,
    isinf,
    isnan,
    maximum,
    minimum,
    nextafter,
    remainder,
    round,
    sign,
    trunc,
)  # fmt: skip
from .special import digamma, erf, erfc, erfinv, lgamma, ndtr, polygamma  # noqa: F401 - two with bounds of their own, not in __all__
from .tails import erfcx, gammainc, gammaincc, log_ndtr, ndtri, zeta  # noqa: F401 - with bounds of their own
from .trigonometric import cos, cos_near, sin, sin_near, tan  # noqa: F401 - the near ones are for formulas that know where x lies

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos", "cosh", "digamma", "erf",
    "erfc", "erfinv", "exp", "exp2", "expm1", "fabs", "floor", "fmod", "isfinite", "isinf", "isnan", "lgamma", "log",
    "log1p", "log2", "log10", "logsigmoid", "maximum", "minimum", "nextafter", "pow", "remainder", "round", "rsqrt", "sigmoid",
    "sign", "sin", "sinh", "softplus", "sqrt", "tan", "tanh", "trunc",
]  # fmt: skip
