"""Element-wise functions: numgrad's, after promoting dtypes as the standard says."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.ops import creation
from numgrad.tensor import Tensor

from ._dtypes import result_type

_ONE = {
    **{n: n for n in ("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "conj", "cos", "cosh", "exp", "expm1", "floor", "isfinite",
                      "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not", "negative", "positive", "real", "reciprocal", "round",
                      "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc")},
    "bitwise_invert": "bitwise_not",
}  # fmt: skip
_TWO = {
    **{n: n for n in ("add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "copysign", "divide",
                      "floor_divide", "greater", "greater_equal", "hypot", "less", "less_equal", "logaddexp", "logical_and", "logical_or",
                      "logical_xor", "maximum", "minimum", "multiply", "nextafter", "not_equal", "pow", "remainder", "subtract")},
    "equal": "eq",
}  # fmt: skip

__all__ = ["clip", "imag", "sign", "where", *_ONE, *_TWO]


def promoted(*values: Any) -> list[Any]:
    """Tensors of one dtype, whatever their dimensions; numbers as 0-d tensors of it."""
    dtype = result_type(*values)
    return [v.to(dtype) if isinstance(v, Tensor) else creation.tensor(v, dtype=dtype) for v in values]


def _unary(name: str, function: Any) -> Any:
    def of_one(x: Any, /) -> Any:
        return function(x)

    of_one.__name__ = of_one.__qualname__ = name
    of_one.__doc__ = f"`{name}` of each element."
    return of_one


def _binary(name: str, function: Any) -> Any:
    def of_two(x1: Any, x2: Any, /) -> Any:
        return function(*promoted(x1, x2))

    of_two.__name__ = of_two.__qualname__ = name
    of_two.__doc__ = f"`{name}` of each pair of elements."
    return of_two


for _name, _own in _ONE.items():
    globals()[_name] = _unary(_name, getattr(numgrad, _own))
for _name, _own in _TWO.items():
    globals()[_name] = _binary(_name, getattr(numgrad, _own))


def imag(x: Any, /) -> Any:
    """The imaginary part of real numbers: zeros."""
    return numgrad.zeros_like(x)


def sign(x: Any, /) -> Any:
    """-1, 0 or 1; NaN of NaN, unlike PyTorch's."""
    found = numgrad.sign(x)
    return numgrad.where(x != x, x, found) if x.is_floating_point() else found


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """Each element, or the nearest bound; the dtype stays."""
    return x.clone() if min is None and max is None else numgrad.clamp(x, min, max).to(x.dtype)


def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """Elements of `x1` where the condition holds, else of `x2`."""
    return numgrad.where(condition, *promoted(x1, x2))
