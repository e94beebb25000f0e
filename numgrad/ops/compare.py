"""Comparison, logic, bits, and the ops that choose: minimum, maximum, clamp, nan_to_num."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import finfo
from ..tensor import Tensor
from .elementwise import pointwise
from .record import composite

# --- comparison -----------------------------------------------------------------------------------------------------


def _comparison(name: str, sign: str, reference: Any, *aliases: str) -> Any:
    for spelling in (name, *aliases):
        made = pointwise(spelling, f"x {sign} z", kind="compare", inplace=True, reference=reference, sample=_near)
    return made


def _near(draw: Any) -> Any:
    """Small whole numbers, so that equality occurs."""
    shape = draw.shape()
    x = draw.integers(shape, -2, 2).astype(draw.dtype)
    return (x, draw.choice([1, 0.5, draw.integers(draw.broadcastable(shape), -2, 2).astype(draw.dtype)])), {}


eq = _comparison("eq", "==", np.equal)
ne = _comparison("ne", "!=", np.not_equal, "not_equal")
lt = _comparison("lt", "<", np.less, "less")
le = _comparison("le", "<=", np.less_equal, "less_equal")
gt = _comparison("gt", ">", np.greater, "greater")
ge = _comparison("ge", ">=", np.greater_equal, "greater_equal")

isnan = pointwise("isnan", "x != x", kind="compare", reference=np.isnan)
isinf = pointwise("isinf", "(x == x) & (x - x != 0)", kind="compare", reference=np.isinf)
isfinite = pointwise("isfinite", "x - x == 0", kind="compare", reference=np.isfinite)
isposinf = pointwise("isposinf", "(x > 0) & (x - x != 0)", kind="compare", reference=np.isposinf)
isneginf = pointwise("isneginf", "(x < 0) & (x - x != 0)", kind="compare", reference=np.isneginf)
signbit = pointwise("signbit", "copysign(1.0, x * 1.0) < 0", kind="compare", reference=np.signbit)

_close = pointwise("close_formula", "(x == z) | (((x - x) == 0) & ((z - z) == 0) & (abs(x - z) <= atol + rtol * abs(z)))",
                   variables=("x", "z", "rtol", "atol"), kind="compare", public=False, method=False,
                   reference=lambda x, z, rtol, atol: np.isclose(x, z, rtol, atol), sample=lambda draw: ((*_near(draw)[0], 1e-5, 1e-8), {}))  # fmt: skip


def _isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other|, element by element."""
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{_scalar(input)} did not match {_scalar(other)}")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    close = _close(input, other, float(rtol), float(atol))
    return close | (isnan(input) & isnan(other)) if equal_nan else close


def _scalar(tensor: Tensor) -> str:
    return dtypes.scalar_name(tensor._data.dtype)


def _close_sample(draw: Any) -> Any:
    shape = draw.shape()
    x = draw.array(shape)
    return (x, (x + draw.choice([0, 1e-7, 1e-3])).astype(x.dtype)), {"rtol": draw.choice([1e-5, 1e-2]), "equal_nan": draw.boolean()}


_close_errors: Any = [((np.ones(3), np.ones(4)), RuntimeError, "must match"), ((np.ones(3), np.ones(3, np.float32)), RuntimeError, "did not match"),
                      ((np.ones(3), np.ones(3), -1.0), RuntimeError, "greater than or equal to zero"), ((np.ones(3), "text"), TypeError, "must be Tensor"),
                      ((np.ones(3), 1.0), TypeError, "must be Tensor")]  # fmt: skip
isclose = composite("isclose", _isclose, reference=np.isclose, sample=_close_sample, errors=_close_errors)
allclose = composite("allclose", lambda input, other, rtol=1e-05, atol=1e-08, equal_nan=False: bool(_isclose(input, other, rtol, atol, equal_nan).all()), doc="Whether |input - other| <= atol + rtol |other| everywhere.",
                     reference=np.allclose, sample=_close_sample, errors=_close_errors)  # fmt: skip
equal = composite("equal", lambda input, other: input.shape == other.shape and bool((input == other).all()), doc="Whether two tensors have one shape and the same elements.", reference=np.array_equal, errors=[((np.ones(3), 1.0), TypeError, "must be Tensor"), (("text", np.ones(3)), TypeError, "must be Tensor")],
                  sample=lambda draw: ((lambda x: (x, draw.choice([x, x + 1])))(draw.array(draw.shape())), {}))  # fmt: skip

# --- logic and bits -------------------------------------------------------------------------------------------------


def _truths(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.integers(shape, 0, 1).astype(draw.dtype), draw.booleans(draw.broadcastable(shape))), {}


logical_not = pointwise("logical_not", "x == 0", kind="compare", reference=np.logical_not, inplace=True,
                        sample=lambda draw: (_truths(draw)[0][:1], {}))  # fmt: skip
logical_and = pointwise("logical_and", "x & z", kind="logical", reference=np.logical_and, sample=_truths, inplace=True)
logical_or = pointwise("logical_or", "x | z", kind="logical", reference=np.logical_or, sample=_truths, inplace=True)
logical_xor = pointwise("logical_xor", "x != z", kind="logical", reference=np.logical_xor, sample=_truths, inplace=True)


def _integers(draw: Any) -> Any:
    shape = draw.shape()
    if draw.boolean():
        return (draw.booleans(shape), draw.booleans(draw.broadcastable(shape))), {}
    return (draw.integers(shape, -9, 9), draw.choice([3, draw.integers(draw.broadcastable(shape), -9, 9)])), {}


_bits: Any = {"kind": "integer", "inplace": True, "sample": _integers}
bitwise_and = pointwise("bitwise_and", "x & z", reference=np.bitwise_and, **_bits)
bitwise_or = pointwise("bitwise_or", "x | z", reference=np.bitwise_or, **_bits)
bitwise_xor = pointwise("bitwise_xor", "x ^ z", reference=np.bitwise_xor, **_bits)


def _shift_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.integers(shape, -9, 9), draw.integers(draw.broadcastable(shape), 0, 5)), {}


_shifts: Any = _bits | {"kind": "whole", "sample": _shift_sample}
# Processors take shifts modulo 64.
bitwise_left_shift = pointwise("bitwise_left_shift", "where((z < 0) | (z > 63), 0, x << z)", reference=np.left_shift, **_shifts)
bitwise_right_shift = pointwise("bitwise_right_shift", "x >> where((z < 0) | (z > 63), 63, z)", reference=np.right_shift, **_shifts)
_invert = pointwise("invert_formula", "~x", kind="integer", told="bitwise_not", public=False, method=False, reference=np.invert,
                    sample=lambda draw: ((draw.integers(draw.shape(), -9, 9),), {}))  # fmt: skip
bitwise_not = composite("bitwise_not", lambda input: logical_not(input) if input.dtype is dtypes.bool else _invert(input), doc="Each bit turned over; for bools, not.", inplace=True,
                        reference=np.invert, sample=lambda draw: (_integers(draw)[0][:1], {}),
                        errors=_invert.errors)  # fmt: skip

# --- the smaller, the larger ----------------------------------------------------------------------------------------


def _apart(draw: Any) -> Any:
    """Two operands with no ties, where the gradient would jump."""
    shape = draw.shape()
    x = draw.array(shape, distinct=True)
    z = draw.array(shape, -2.9, 3.1, distinct=True)
    return (x, np.where(abs(x - z) < 0.05, z + 0.2, z).astype(draw.dtype)), {}


maximum = pointwise("maximum", "maximum(x, z)", kind="arithmetic", numbers=None, reference=np.maximum, sample=_apart)
minimum = pointwise("minimum", "minimum(x, z)", kind="arithmetic", numbers=None, reference=np.minimum, sample=_apart)
fmax = pointwise("fmax", "where(z != z, x, where(x >= z, x, z))", grad=("where((x >= z) | (z != z), g, 0)", "where((x >= z) | (z != z), 0, g)"),
                 kind="arithmetic", numbers=None, reference=np.fmax, sample=_apart)  # fmt: skip
fmin = pointwise("fmin", "where(z != z, x, where(x <= z, x, z))", grad=("where((x <= z) | (z != z), g, 0)", "where((x <= z) | (z != z), 0, g)"),
                 kind="arithmetic", numbers=None, reference=np.fmin, sample=_apart)  # fmt: skip
copysign = pointwise("copysign", "copysign(x, z)", kind="float", inplace=True, avoid=(0,), reference=np.copysign)
nextafter = pointwise("nextafter", "nextafter(x, z)", kind="floating", numbers=None, inplace=True, doc="The float next to `input` on the way to `other`.",
                      reference=lambda x, z: np.nextafter(x, x.dtype.type(z)))  # fmt: skip
heaviside = pointwise("heaviside", "where(x == 0, values, where(x > 0, 1, 0))", variables=("x", "values"), vjp=None,
                      kind="arithmetic", alike=True, inplace=True, avoid=(0,), reference=np.heaviside)  # fmt: skip

_clamp = pointwise("clamp_formula", "minimum(maximum(x, low), high)", variables=("x", "low", "high"), kind="arithmetic", public=False, method=False,
                   grad=("where((x >= low) & (x <= high), g, 0)", "where((x < low) & (low < high), g, 0)", "where((x > high) | (low >= high), g, 0)"),
                   sample=lambda draw: _clamp_sample(draw, True), reference=lambda x, low, high: np.minimum(np.maximum(x, low), high))  # fmt: skip
_at_least = pointwise("at_least", "maximum(x, low)", variables=("x", "low"), grad=("where(x >= low, g, 0)", "where(x < low, g, 0)"),
                      kind="arithmetic", told="clamp_min", public=False, method=False, sample=_apart, reference=np.maximum)  # fmt: skip
_at_most = pointwise("at_most", "minimum(x, high)", variables=("x", "high"), grad=("where(x <= high, g, 0)", "where(x > high, g, 0)"),
                     kind="arithmetic", told="clamp_max", public=False, method=False, sample=_apart, reference=np.minimum)  # fmt: skip


def _clamp_function(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Values limited to [min, max]; either may be a number, a tensor or None."""
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    if max is None:
        return _at_least(input, min)
    return _at_most(input, max) if min is None else _clamp(input, min, max)


def _clamp_sample(draw: Any, both: bool = False) -> Any:
    shape = draw.shape()
    low, high = draw.choice([(-1.0, 1.0), (draw.array(draw.broadcastable(shape), -1.5, -0.5), draw.array(draw.broadcastable(shape), 0.5, 1.5))])
    x = draw.array(shape)
    for bound in (low, high):  # no value on a bound, where the gradient would jump
        x = np.where(abs(x - bound) < 0.05, x + 0.11, x)
    return (x.astype(draw.dtype), low if both else draw.choice([low, None]), high), {}


def _clamp_reference(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


for _name in ("clamp", "clip"):
    clamp = composite(_name, _clamp_function, reference=_clamp_reference, sample=_clamp_sample, inplace=True,
                      errors=[((np.ones(2),), RuntimeError, "At least one")])  # fmt: skip
clamp_min = composite("clamp_min", lambda input, min: _at_least(input, min), doc="The elements, at least `min`.", errors=_at_least.errors, reference=np.maximum, sample=_apart, inplace=True)
clamp_max = composite("clamp_max", lambda input, max: _at_most(input, max), doc="The elements, at most `max`.", errors=_at_most.errors, reference=np.minimum, sample=_apart, inplace=True)

_replace = pointwise("replace_formula", "where(x != x, nan, where(x - x == 0, x, where(x > 0, posinf, neginf)))",
                     variables=("x", "nan", "posinf", "neginf"), constants=("nan", "posinf", "neginf"), kind="arithmetic",
                     grad=("where(x - x == 0, g, 0)",), public=False, method=False, reference=np.nan_to_num,
                     sample=lambda draw: ((draw.array(draw.shape()), 0.0, 9.0, -9.0), {}))  # fmt: skip


def _nan_to_num(input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN and the infinities replaced: by 0 and by the dtype's limits, unless given."""
    if not input.is_floating_point():
        return input.clone()  # type: ignore[attr-defined]
    limits = finfo(input.dtype)
    up, down = limits.max if posinf is None else posinf, limits.min if neginf is None else neginf
    return _replace(input, 0.0 if nan is None else nan, up, down)


nan_to_num = composite("nan_to_num", _nan_to_num, reference=np.nan_to_num, sample=lambda draw: ((draw.array(draw.shape()),), {}), inplace=True,
                       errors=[(("text",), TypeError, "must be Tensor"), ((1.0,), TypeError, "must be Tensor"), ((np.ones(2), "text"), TypeError, "must be")])  # fmt: skip
