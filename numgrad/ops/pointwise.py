"""Arithmetic, powers, exponentials, trigonometry, rounding: each op a formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from . import widen
from .deprecated import factor
from .elementwise import pointwise
from .inplace import InPlace
from .operands import refuse_bools
from .record import REGISTRY, composite

_number: Any = {"kind": "number", "inplace": True}
_signed: Any = {"kind": "signed", "inplace": True}
_arithmetic: Any = {"kind": "arithmetic", "inplace": True}
_float: Any = {"kind": "float", "inplace": True}
_floating: Any = {"kind": "floating", "inplace": True}


def _scaled(input: Any, other: Any, alpha: Any, made: Any) -> Any:
    """other * alpha, as a part of a sum or difference with input: alpha becomes a number of its kind."""
    if alpha == 1 and not isinstance(alpha, bool):
        return other
    if made is minus:
        refuse_bools([x._data if isinstance(x, Tensor) else x for x in (input, other)])
    common = dtypes.promote(tuple((x._data.dtype, x.dim()) if isinstance(x, Tensor) else (type(x), -1) for x in (input, other)))
    if isinstance(alpha, float) and common.kind not in dtypes.FLOATING:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, bool) and common.kind != "b":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if common.kind == "b":
        return other & bool(alpha) if isinstance(other, Tensor) else bool(other and alpha)
    return (other.to(dtypes.FROM_NUMPY[common]) if isinstance(other, Tensor) else other) * alpha


def _two(draw: Any, low: float = -3.0, high: float = 3.0, **kwargs: Any) -> tuple[np.ndarray, Any]:
    """Two operands that broadcast, the second sometimes a number."""
    shape = draw.shape()
    second = draw.number(low, high) if draw.integer(0, 4) == 0 else draw.array(draw.broadcastable(shape), low, high, **kwargs)
    return draw.array(shape, low, high, **kwargs), second


# --- arithmetic -----------------------------------------------------------------------------------------------------

plus = pointwise("plus", "x + z", grad=("g", "g"), **_arithmetic, told="add", numbers=True, public=False, method=False, reference=np.add)
minus = pointwise("minus", "x - z", grad=("g", "-g"), **_signed, told="sub", numbers=True, public=False, method=False, reference=np.subtract)


def _add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other."""
    return plus(input, _scaled(input, other, alpha, plus))


def _sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
    return minus(input, _scaled(input, other, alpha, minus))


def _add_reference(x: Any, z: Any, alpha: Any = 1) -> Any:
    x, z = np.asarray(x), np.asarray(z)
    return x | z & bool(alpha) if x.dtype == z.dtype == bool else x + alpha * z


def _alpha_sample(draw: Any) -> Any:
    return _two(draw), {"alpha": draw.choice([1, 2, 0.5])}


def _in_place(name: str, of: Any) -> Any:
    plain = InPlace(of)

    def function(input: Tensor, other: Any, *old: Any, alpha: Any = 1) -> Tensor:
        if old:
            input, other, alpha = factor(f"{name}_", input, other, *old)
        if dtypes.HALVES and alpha != 1 and widen.concerned((input, other), {}):  # the product is not rounded
            return InPlace(REGISTRY[name])(input, other, alpha=alpha)
        return plain(input, _scaled(input, other, alpha, of))

    return function


add = composite("add", _add, reference=_add_reference, sample=_alpha_sample, errors=plus.errors,
                inplace=_in_place("add", plus))  # fmt: skip
for _name in ("sub", "subtract"):
    composite(_name, _sub, reference=lambda x, z, alpha=1: x - alpha * z, sample=_alpha_sample, errors=minus.errors,
              inplace=_in_place(_name, minus))  # fmt: skip
rsub = composite("rsub", lambda input, other, *, alpha=1: _sub(other, input, alpha=alpha), doc="other - alpha * input.", method=False,
                 reference=lambda x, z, alpha=1: z - alpha * x, sample=_alpha_sample, errors=minus.errors)  # fmt: skip

for _name in ("mul", "multiply"):
    mul = pointwise(_name, "x * z", grad=("g * z", "g * x"), **_arithmetic, reference=np.multiply, numbers=True)
true_divide = pointwise("true_divide", "x / z", grad=("g / z", "-g * (x / z / z)"), **_float, numbers=True, reference=np.true_divide, low=0.2, high=3)

floor_divide_formula = pointwise("floor_quotient", "x // z", grad=(None, None), **_number, told="floor_divide", numbers=True, public=False, method=False,
                                 reference=np.floor_divide, sample=lambda draw: _div_sample(draw)[:1] + ({},))  # fmt: skip
_truncated = pointwise("truncated_quotient", "where((x % z != 0) & ((x < 0) != (z < 0)), x // z + 1, x // z)", kind="number", told="div", numbers=True,
                       public=False, method=False, sample=lambda draw: ((draw.integers((3,), -9, 9), draw.integers((3,), 1, 4)), {}),
                       reference=lambda x, z: np.trunc(x / z).astype(np.int64))  # fmt: skip


def _is_integer(value: Any) -> bool:
    return not value.is_floating_point() if isinstance(value, Tensor) else isinstance(value, int)


def _refuse_zero(input: Any, other: Any) -> bool:
    """Whether both are integers; then a zero divisor is an error, for there is no integer to return."""
    if not (_is_integer(input) and _is_integer(other)):
        return False
    if bool((other == 0).any()) if isinstance(other, Tensor) else other == 0:
        raise RuntimeError("ZeroDivisionError")
    return True


def _div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; rounding_mode "trunc" rounds the quotient towards zero, "floor" down."""
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode == "floor":
        return _floor_divide(input, other)
    if rounding_mode == "trunc":
        return _truncated(input, other) if _refuse_zero(input, other) else true_divide(input, other).trunc()
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")


def _floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down."""
    _refuse_zero(input, other)
    return floor_divide_formula(input, other)


def _div_reference(x: Any, z: Any, rounding_mode: str | None = None) -> Any:
    q = np.true_divide(x, z)
    return q if rounding_mode is None else np.floor(q) if rounding_mode == "floor" else np.trunc(q)


def _div_sample(draw: Any) -> Any:
    shape = draw.shape()
    # quotients away from whole numbers, where rounding jumps
    x, z = draw.array(shape, 0.1, 0.9) + draw.integers(shape, 0, 2), draw.integers(draw.broadcastable(shape), 1, 1).astype(draw.dtype)
    return (x.astype(draw.dtype), z), {"rounding_mode": draw.choice([None, "floor", "trunc"])}


for _name in ("div", "divide"):
    div = composite(_name, _div, reference=_div_reference, sample=_div_sample, errors=true_divide.errors, inplace=True)
_by_zero: Any = ((np.array([1]), 0), RuntimeError, "ZeroDivision")
floor_divide = composite("floor_divide", _floor_divide, reference=lambda x, z: np.floor_divide(x, z), inplace=True, errors=(_by_zero, *floor_divide_formula.errors),
                         sample=lambda draw: _div_sample(draw)[:1] + ({},))  # fmt: skip
_remainder = pointwise("remainder_formula", "x % z", grad=("g", "-g * (x // z)"), **_number, public=False, method=False,
                       reference=np.remainder, low=0.3, high=0.9, sample=lambda draw: (_div_sample(draw)[0], {}))  # fmt: skip
_fmod = pointwise("fmod_formula", "fmod(x, z)", **_float, public=False, method=False, reference=np.fmod,
                  sample=lambda draw: (_div_sample(draw)[0], {}))  # fmt: skip


def _remainder_function(input: Any, other: Any) -> Tensor:
    """The remainder of the division rounded down: it has the divisor's sign."""
    _refuse_zero(input, other)
    return _remainder(input, other)


def _fmod_function(input: Any, other: Any) -> Tensor:
    """The remainder of the division rounded towards zero: it has the dividend's sign."""
    return input - _truncated(input, other) * other if _refuse_zero(input, other) else _fmod(input, other)


remainder = composite("remainder", _remainder_function, errors=(_by_zero, *_remainder.errors), reference=np.remainder, sample=lambda draw: (_div_sample(draw)[0], {}), inplace=True)
fmod = composite("fmod", _fmod_function, errors=(_by_zero, *_fmod.errors), reference=np.fmod, sample=lambda draw: (_div_sample(draw)[0], {}), inplace=True)

neg = pointwise("neg", "-x", grad="-g", **_signed, reference=np.negative)
negative = pointwise("negative", "-x", grad="-g", **_signed, reference=np.negative)


def _positive(input: Tensor) -> Tensor:
    """The tensor itself."""
    if input.dtype is dtypes.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


positive = composite("positive", _positive, reference=np.positive, sample=lambda draw: ((draw.array(draw.shape()),), {}), errors=[
    ((np.ones(2, bool),), RuntimeError, "bool"), (("text",), TypeError, "must be Tensor"), ((1.0,), TypeError, "must be Tensor")])  # fmt: skip
for _name in ("abs", "absolute"):
    absolute = pointwise(_name, "abs(x)", grad="g * sign(x)", **_number, avoid=(0,), reference=np.abs)
reciprocal = pointwise("reciprocal", "1 / x", grad="-g * y * y", **_float, low=0.3, high=3, reference=np.reciprocal)
_square = pointwise("square_formula", "x * x", grad="2 * g * x", **_arithmetic, public=False, method=False, reference=np.square)
for _name in ("sign", "sgn"):
    sign = pointwise(_name, "sign(x)", **_arithmetic, avoid=(0,), reference=np.sign)
lerp = pointwise("lerp", "where(abs(weight) < 0.5, x + weight * (end - x), end - (end - x) * (1 - weight))",
                 variables=("x", "end", "weight"), kind="floating", alike=True, inplace=True, avoid=(0.5, -0.5), reference=lambda x, end, weight: x + weight * (end - x))  # fmt: skip
_addcmul = pointwise("addcmul_formula", "x + value * a * b", variables=("x", "a", "b", "value"), constants=("value",), defaults=(1,),
                     **_arithmetic, public=False, method=False, reference=lambda x, a, b, value=1: x + value * a * b)  # fmt: skip
_addcdiv = pointwise("addcdiv_formula", "x + value * a / b", variables=("x", "a", "b", "value"), constants=("value",), defaults=(1,), low=0.3, high=3,
                     **_float, public=False, method=False, reference=lambda x, a, b, value=1: x + value * a / b)  # fmt: skip
_addcmul_in_place, _addcdiv_in_place = InPlace(_addcmul), InPlace(_addcdiv)


def _three(draw: Any) -> Any:
    shape = draw.shape()
    arrays = [draw.array(shape, 0.3, 3), *(draw.array(draw.broadcastable(shape), 0.3, 3) for _ in range(2))]
    return tuple(arrays), {"value": draw.choice([1, 2, -0.5])}


def _valued(name: str, of: Any) -> Any:
    def function(input: Tensor, tensor1: Any, tensor2: Any, *old: Any, value: Any = 1) -> Tensor:
        if old:
            input, tensor1, tensor2, value = factor(f"{name}_", input, tensor1, tensor2, *old)
        return of(input, tensor1, tensor2, value)

    return function


addcmul = composite("addcmul", lambda input, tensor1, tensor2, *, value=1: _addcmul(input, tensor1, tensor2, value), doc="input + value * tensor1 * tensor2.", sample=_three, errors=_addcmul.errors,
                    reference=lambda x, a, b, value=1: x + value * a * b,
                    inplace=_valued("addcmul", _addcmul_in_place))  # fmt: skip
addcdiv = composite("addcdiv", lambda input, tensor1, tensor2, *, value=1: _addcdiv(input, tensor1, tensor2, value), doc="input + value * tensor1 / tensor2.", sample=_three, errors=_addcdiv.errors,
                    reference=lambda x, a, b, value=1: x + value * a / b,
                    inplace=_valued("addcdiv", _addcdiv_in_place))  # fmt: skip

# --- powers ---------------------------------------------------------------------------------------------------------

_pow = pointwise("pow_formula", "pow(x, z)", grad=("where(z == 0, 0, g * z * pow(x, z - 1))", "where((x == 0) & (z >= 0), 0, g * y * log(x))"),
                 **_number, public=False, method=False, low=0.3, high=3, reference=np.power)  # fmt: skip
_cube = pointwise("cube", "x * x * x", grad="3 * g * x * x", **_arithmetic, public=False, method=False, reference=lambda x: x * x * x)


def _pow_function(input: Any, exponent: Any) -> Tensor:
    """input ** exponent."""
    if isinstance(exponent, (int, float)) and isinstance(input, Tensor):
        if exponent == 2:
            return _as_float(input, exponent, _square)
        if exponent == 3:
            return _as_float(input, exponent, _cube)
        if input.is_floating_point() and exponent in (0.5, -1, -0.5):
            return _POWERS[exponent](input)
        if exponent < 0 and isinstance(exponent, int) and not input.is_floating_point():
            raise RuntimeError("Integers to negative integer powers are not allowed.")
    return _pow(input, exponent)


_internal: Any = {"kind": "float", "public": False, "method": False}
#: Powers with short formulas. Unlike `sqrt` and its kin, none needs its result for its gradient, so it may be overwritten.
_POWERS = {
    0.5: pointwise("pow_half", "sqrt(x)", grad="0.5 * g / sqrt(x)", **_internal, low=0.2, high=4, reference=np.sqrt),
    -0.5: pointwise("pow_minus_half", "rsqrt(x)", grad="-0.5 * g * rsqrt(x) / x", **_internal, low=0.2, high=4, reference=lambda x: 1 / np.sqrt(x)),
    -1: pointwise("pow_minus_one", "1 / x", grad="-g / (x * x)", **_internal, low=0.2, high=3, reference=lambda x: 1 / x),
}


def _as_float(input: Tensor, exponent: Any, power: Any) -> Tensor:
    """The power of integers by a float is a float; of bools by an integer, an integer."""
    if isinstance(exponent, float) and not input.is_floating_point():
        return power(input.to(dtypes.get_default_dtype()))  # type: ignore[attr-defined]
    return power(input.to(dtypes.int64) if input.dtype is dtypes.bool else input)  # type: ignore[attr-defined]


square = composite("square", lambda input: _as_float(input, 2, _square), doc="The square of each element.", reference=np.square, inplace=True, errors=_square.errors,
                   sample=lambda draw: ((draw.array(draw.shape()),), {}))  # fmt: skip


def _pow_sample(draw: Any) -> Any:
    x, z = _two(draw, 0.3, 3)
    return (x, draw.choice([z, 2, 3, 0.5, -1, -0.5, 1.5])), {}


pow = composite("pow", _pow_function, reference=np.power, sample=_pow_sample, inplace=True,
                errors=[((np.array([2]), -1), RuntimeError, "negative integer powers"), *_pow.errors])  # fmt: skip
float_power = composite("float_power", lambda input, exponent: _pow(_double(input), _double(exponent)), doc="input ** exponent, computed in float64.", sample=_pow_sample,
                        errors=_pow.errors[:-1], reference=lambda x, z: np.float_power(x, z))  # fmt: skip


def _double(value: Any) -> Any:
    return value.to(dtypes.float64) if isinstance(value, Tensor) else value


sqrt = pointwise("sqrt", "sqrt(x)", grad="g / (2 * y)", **_float, low=0.2, high=4, reference=np.sqrt)
rsqrt = pointwise("rsqrt", "rsqrt(x)", grad="-0.5 * g * y * y * y", **_float, low=0.2, high=4, reference=lambda x: 1 / np.sqrt(x))
hypot = pointwise("hypot", "where(isinf(x), abs(x), where(isinf(z), abs(z), where(maximum(abs(x), abs(z)) == 0, 0, "
                  "maximum(abs(x), abs(z)) * sqrt(1 + (minimum(abs(x), abs(z)) / maximum(abs(x), abs(z))) ** 2))))",
                  grad=("g * x / y", "g * z / y"), **_floating, numbers=None, low=0.3, reference=np.hypot)  # fmt: skip

# --- exponentials, logarithms ---------------------------------------------------------------------------------------

exp = pointwise("exp", "exp(x)", grad="g * y", **_float, reference=np.exp)
exp2 = pointwise("exp2", "exp2(x)", grad="g * y * 0.6931471805599453", **_float, reference=np.exp2)
expm1 = pointwise("expm1", "expm1(x)", grad="g * (y + 1)", **_float, reference=np.expm1)
log = pointwise("log", "log(x)", grad="g / x", **_float, low=0.1, high=9, reference=np.log)
log2 = pointwise("log2", "log2(x)", **_float, low=0.1, high=9, reference=np.log2)
log10 = pointwise("log10", "log10(x)", **_float, low=0.1, high=9, reference=np.log10)
log1p = pointwise("log1p", "log1p(x)", **_float, low=-0.8, high=9, reference=np.log1p)
logaddexp = pointwise("logaddexp", "where(x == z, x + 0.6931471805599453, maximum(x, z) + log1p(exp(-abs(x - z))))",
                      grad=("g * sigmoid(x - z)", "g * sigmoid(z - x)"), kind="floating", numbers=None, reference=np.logaddexp)  # fmt: skip
xlogy = pointwise("xlogy", "where(isnan(z), z, where(x == 0, 0, x * log(z)))", grad=("where((x == 0) & (z <= 0), 0, g * log(z))", "g * x / z"),
                  **_float, low=0.1, high=3, reference=lambda x, z: x * np.log(z))  # fmt: skip

# --- trigonometry, hyperbolics --------------------------------------------------------------------------------------

for _name, _inverse in (("sin", "arcsin"), ("cos", "arccos"), ("tan", "arctan"), ("sinh", "arcsinh"), ("cosh", "arccosh")):
    pointwise(_name, f"{_name}(x)", grad="g * (1 + y * y)" if _name == "tan" else None, **_float, low=-1.4, high=1.4, reference=getattr(np, _name))
    _range = (1.2, 3.0) if _name == "cosh" else (-0.8, 0.8)
    for _spelling in (f"a{_inverse[3:]}", _inverse):
        pointwise(_spelling, f"a{_name}(x)", **_float, low=_range[0], high=_range[1], reference=getattr(np, _inverse))
for _spelling in ("atanh", "arctanh"):
    pointwise(_spelling, "atanh(x)", **_float, low=-0.8, high=0.8, reference=np.arctanh)
for _spelling in ("atan2", "arctan2"):
    pointwise(_spelling, "atan2(x, z)", **_float, numbers=None, grad=("where(x * x + z * z == 0, 0, g * z / (x * x + z * z))", "where(x * x + z * z == 0, 0, -g * x / (x * x + z * z))"), low=0.2, high=3, reference=np.arctan2)
sinc = pointwise("sinc", "where(x == 0, 1, sin(3.141592653589793 * x) / (3.141592653589793 * x))", **_float, low=0.1, high=2.9,
                 grad="where(x == 0, 0, g * (cos(3.141592653589793 * x) - sin(3.141592653589793 * x) / (3.141592653589793 * x)) / x)", reference=np.sinc)  # fmt: skip
deg2rad = pointwise("deg2rad", "x * 0.017453292519943295", **_float, reference=np.deg2rad)
rad2deg = pointwise("rad2deg", "x * 57.29577951308232", **_float, reference=np.rad2deg)

# --- special functions ----------------------------------------------------------------------------------------------

_erf = np.vectorize(math.erf, otypes=[float])
erf = pointwise("erf", "erf(x)", **_float, reference=_erf)
erfc = pointwise("erfc", "erfc(x)", **_float, reference=np.vectorize(math.erfc, otypes=[float]))
erfinv = pointwise("erfinv", "erfinv(x)", **_float, low=-0.9, high=0.9, reference=lambda x: _solve_erf(np.asarray(x, np.float64)))
lgamma = pointwise("lgamma", "lgamma(x)", **_float, low=0.3, high=6, reference=np.vectorize(math.lgamma, otypes=[float]))
digamma = pointwise("digamma", "digamma(x)", **_float, low=0.3, high=6, reference=lambda x: _digamma(np.asarray(x)))
_polygamma = pointwise("polygamma_formula", "polygamma(order, x)", variables=("order", "x"), constants=("order",), **_float, public=False, method=False,
                       sample=lambda draw: ((draw.integer(1, 4), draw.array(draw.shape(), 0.5, 6)), {}), reference=lambda n, x: _zeta_sum(n, np.asarray(x, np.float64)))  # fmt: skip


def _polygamma_function(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma."""
    if not isinstance(n, int) or n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.") if isinstance(n, int) else TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    return digamma(input) if n == 0 else _polygamma(n, input)


def _zeta_sum(n: int, x: np.ndarray) -> np.ndarray:
    """(-1)**(n+1) n! times the sum over k of 1 / (x + k)**(n+1), its tail by the midpoint integral: the reference for `polygamma`."""
    k, terms = np.arange(2000).reshape(-1, *[1] * x.ndim), 2000
    end = x + terms - 0.5
    tail = end**-n / n - (n + 1) * end ** -(n + 2) / 24
    return (-1) ** (n + 1) * math.factorial(n) * ((1 / (x + k) ** (n + 1))[::-1].sum(0) + tail)


polygamma = composite("polygamma", _polygamma_function, method=False, reference=lambda n, x: _zeta_sum(n, np.asarray(x, np.float64)),
                      sample=lambda draw: ((draw.integer(1, 3), draw.array(draw.shape(), 0.5, 6)), {}),
                      errors=[((-1, np.ones(2)), RuntimeError, "negative"), ((1.5, np.ones(2)), TypeError, "must be int, not float")])  # fmt: skip
logit_formula = pointwise("logit_formula", "log(x / (1 - x))", grad="where((x < 0) | (x > 1), (x - x) / (x - x), g / (x * (1 - x)))", kind="float", public=False, method=False, low=0.1, high=0.9,
                          reference=lambda x: np.log(x / (1 - x)))  # fmt: skip


def _solve_erf(y: np.ndarray) -> np.ndarray:
    """The inverse of erf by Newton's method: the reference for `erfinv`."""
    x = np.zeros_like(y)
    for _ in range(60):
        x = x - (_erf(x) - y) / (2 / math.sqrt(math.pi) * np.exp(-x * x))
    return x


def _digamma(x: np.ndarray) -> np.ndarray:
    """Recurrence up to 20, then the asymptotic series: the reference for `digamma`."""
    kind, x = x.dtype, x.astype(np.longdouble)
    total = np.zeros_like(x)
    for _ in range(20):
        total, x = total - 1 / x, x + 1
    series = -1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6) + 1 / (240 * x**8)
    return (total + np.log(x) + series).astype(kind)


def _logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)); `eps` clamps x to [eps, 1 - eps] first."""
    return logit_formula(input if eps is None else input.clamp(eps, 1 - eps))  # type: ignore[attr-defined]


def _logit_reference(x: Any, eps: float | None = None) -> Any:
    x = x if eps is None else np.clip(x, eps, 1 - eps)
    return np.log(x / (1 - x))


logit = composite("logit", _logit, inplace=True, sample=lambda draw: ((draw.array(draw.shape(), 0.1, 0.9), draw.choice([None, 1e-3])), {}),
                  reference=_logit_reference, errors=logit_formula.errors)  # fmt: skip

# --- rounding -------------------------------------------------------------------------------------------------------

_half, _whole = (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5), (-3, -2, -1, 0, 1, 2, 3)
floor = pointwise("floor", "floor(x)", **_number, avoid=_whole, reference=np.floor)
ceil = pointwise("ceil", "ceil(x)", **_number, avoid=_whole, reference=np.ceil)
for _name in ("trunc", "fix"):
    trunc = pointwise(_name, "trunc(x)", **_number, avoid=_whole, reference=np.trunc)
frac = pointwise("frac", "x - trunc(x)", grad="g", **_floating, avoid=_whole, reference=lambda x: x - np.trunc(x))
_round = pointwise("round_formula", "round(x)", **_number, public=False, method=False, avoid=_half, reference=np.round)


def _round_function(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounded to `decimals` places, halves to even."""
    if decimals == 0:
        return _round(input)
    scale = 10.0 ** abs(decimals)
    return _round(input * scale) / scale if decimals > 0 else _round(input / scale) * scale


round = composite("round", _round_function, inplace=True, errors=_round.errors, reference=lambda x, decimals=0: np.round(x, decimals),
                  sample=lambda draw: ((draw.array(draw.shape(), avoid=_half),), {"decimals": 0}))  # fmt: skip
