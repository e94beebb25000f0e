"""Special functions: Bessel's, the tails of the normal distribution, incomplete gamma functions, Hurwitz's zeta function."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..tensor import Tensor
from .elementwise import pointwise
from .record import REGISTRY
from .variates import gamma_slope

_namespace: Any = {"kind": "float", "public": False, "method": False}

# --- references: sums and integrals in long double, by other ways than the kernels go -----------------------------------


def _bessel(order: int, scaled: bool, x: Any) -> Any:
    """The integral of exp(x cos t) cos(order t) over t from 0 to pi, over pi, by the trapezoidal rule, which converges like exp(-steps)."""
    t = np.linspace(0, math.pi, 129, dtype=np.longdouble)
    wide = np.asarray(x, np.longdouble)[..., None]
    values = np.exp(wide * np.cos(t) - (abs(wide) if scaled else 0)) * np.cos(order * t)
    return ((values.sum(-1) - (values[..., 0] + values[..., -1]) / 2) / 128).astype(_kind(x))


def _kind(x: Any) -> Any:
    return x.dtype if x.dtype.kind == "f" else np.float32


def _erfcx_at(x: float) -> float:
    return math.exp(x * x) * math.erfc(x)


def _normal(x: float) -> float:
    return math.log1p(-math.erfc(x / math.sqrt(2)) / 2) if x > 0 else math.log(math.erfc(-x / math.sqrt(2)) / 2)


def _quantile(p: float) -> float:
    """By bisection."""
    low, high = -40.0, 40.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(-middle / math.sqrt(2)) / 2 < p else (low, middle)
    return low


def _each(function: Any) -> Any:
    return lambda x: np.vectorize(function, otypes=[float])(np.asarray(x, float)).astype(_kind(x))


def _lower_at(a: float, x: float) -> float:
    """The integral by its series with alternating signs, in long double."""
    if not (a >= 0 and x >= 0) or a == x == 0:
        return math.nan
    if a == 0 or x == 0:
        return float(a == 0)
    if math.inf in (a, x):
        return math.nan if a == x else float(x == math.inf)
    term, total = np.longdouble(1), np.longdouble(0)
    for n in range(200):
        total += term / (a + n)
        term *= -np.longdouble(x) / (n + 1)
    return float(total * np.longdouble(x) ** a / math.gamma(a))


def _pair(function: Any) -> Any:
    def reference(a: Any, x: Any) -> Any:
        kind = np.result_type(a, x)
        return np.vectorize(function, otypes=[float])(a, x).astype(kind if kind.kind == "f" else np.float32)

    return reference


def _zeta_at(s: float, q: float) -> float:
    if s == 1:
        return math.inf
    if not s > 1:
        return math.nan
    if q <= 0 and (q == math.floor(q) or s != math.floor(s)):
        return math.inf if q == math.floor(q) else math.nan
    k = np.arange(4000, dtype=np.longdouble)
    end = q + 4000 - np.longdouble(0.5)  # the tail by the midpoint rule
    return float(((q + k) ** -s)[::-1].sum() + end ** (1 - s) / (s - 1) - s * end ** (-s - 1) / 24)


# --- ops --------------------------------------------------------------------------------------------------------------

for _order in (0, 1):
    _bounds: Any = {"low": 0.3, "high": 20}  # at 0 the second derivative of I1 is lost in a difference
    pointwise(f"i{_order}", f"i{_order}(x)", **_bounds, kind="float", method=_order == 0, inplace=_order == 0, public=_order == 0,
              reference=functools.partial(_bessel, _order, False), doc=f"The modified Bessel function of the first kind of order {_order}.")  # fmt: skip
    pointwise(f"i{_order}e", f"i{_order}e(x)", **_bounds, **_namespace, reference=functools.partial(_bessel, _order, True),
              doc=f"exp(-|x|) times the modified Bessel function of the first kind of order {_order}.")  # fmt: skip
erfcx = pointwise("erfcx", "erfcx(x)", **_namespace, low=-3, high=5, reference=_each(_erfcx_at), doc="exp(x²) erfc(x), which does not vanish where erfc does.")
log_ndtr = pointwise("log_ndtr", "log_ndtr(x)", **_namespace, low=-8, high=3, reference=_each(_normal), doc="The logarithm of the probability that a standard normal number is less.")
ndtri = pointwise("ndtri", "ndtri(x)", **_namespace, low=0.01, high=0.99, reference=_each(lambda p: _quantile(p) if 0 < p < 1 else math.inf if p == 1 else -math.inf if p == 0 else math.nan),
                  doc="The number of which a standard normal number is less with probability x; accurate down to the smallest.")  # fmt: skip


def _refused(name: str) -> Any:
    def rule(g: Tensor) -> Tensor:
        raise RuntimeError(f"the derivative for '{name}: self' is not implemented")

    return rule


_density = pointwise("gamma_density", "where(x == 0, where(a == 1, 1, where(a < 1, 1 / x, 0)), exp((a - 1) * log(where(x == 0, 1, x)) - x - lgamma(a)))",
                     variables=("a", "x"), **_namespace, low=0.3, high=6,
                     reference=_pair(lambda a, x: x ** (a - 1) * math.exp(-x) / math.gamma(a)))  # fmt: skip


def _gamma_sample(draw: Any) -> Any:
    """The gradient of the first is of first order only, so that it is of whole numbers here."""
    shape = draw.shape()
    return (draw.integers(draw.broadcastable(shape), 1, 5), draw.array(shape, 0.2, 9)), {}


def _upper_at(a: float, x: float) -> float:
    """Of whole a the closed form, which keeps its digits where the function is small; else one less the lower one."""
    if 1 <= a < 50 and a == int(a) and 0 <= x < math.inf:
        return math.exp(-x) * math.fsum(x**k / math.factorial(k) for k in range(int(a)))
    return 1 - _lower_at(a, x)


def _lower_shape_rule(g: Tensor, input: Any, other: Any) -> Tensor:
    """The function is constant where x moves with a as `gamma_slope` says."""
    a, x = (t.to(g.dtype) for t in REGISTRY["broadcast_tensors"](input, other))
    return -g * _density(a, x) * gamma_slope(a, x)  # type: ignore[operator]


def _upper_shape_rule(g: Tensor, input: Any, other: Any) -> Tensor:
    return -_lower_shape_rule(g, input, other)  # type: ignore[operator]


def _lower_rule(g: Tensor, input: Any, other: Any) -> Tensor:
    return g * _density(input, other)  # type: ignore[operator]


def _upper_rule(g: Tensor, input: Any, other: Any) -> Tensor:
    return -g * _density(input, other)  # type: ignore[operator]


for _name, _of, _at, _sign in (("igamma", "gammainc", _lower_at, 1), ("igammac", "gammaincc", _upper_at, -1)):
    pointwise(_name, f"{_of}(x, z)", kind="floating", numbers=None, inplace=True, reference=_pair(_at), sample=_gamma_sample,
              vjp=(_lower_shape_rule, _lower_rule) if _sign > 0 else (_upper_shape_rule, _upper_rule),
              doc=f"The {'lower' if _sign > 0 else 'upper'} incomplete gamma function of a > 0 and x >= 0 over gamma(a).")  # fmt: skip

_zeta = pointwise("zeta_formula", "zeta(x, z)", **_namespace, told="zeta", numbers=True, reference=_pair(_zeta_at),
                  vjp=(_refused("special_zeta"), lambda g, input, other: -g * input * _zeta(input + 1, other)),
                  sample=lambda draw: ((draw.integers((3,), 2, 6), draw.array((3,), 0.3, 9)), {}))  # fmt: skip
