"""Whole numbers and the parts of floats: gcd, lcm, frexp, ldexp; and what torch knows of complex numbers, of real ones."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .creation import arange, full_like
from .elementwise import pointwise
from .operands import NOT_A_TENSOR
from .record import REGISTRY, composite

Frexp = namedtuple("Frexp", ["mantissa", "exponent"])
_internal: Any = {"public": False, "method": False}


def _float(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.kind == "f" else dtypes.default()


def _whole_pair(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.integers(shape, -30, 30), draw.integers(draw.broadcastable(shape), 0, 30)), {}


gcd = pointwise("gcd", "gcd(x, z)", kind="whole", numbers=None, inplace=True, reference=np.gcd, sample=_whole_pair, doc="The greatest common divisor.")
lcm = pointwise("lcm", "where((x == 0) | (z == 0), 0, abs(x // where((x == 0) & (z == 0), 1, gcd(x, z)) * z))", kind="whole", numbers=None, inplace=True,
                reference=lambda x, z: np.abs(np.lcm(x, z)), sample=_whole_pair, doc="The least common multiple.")  # fmt: skip

# --- floats in two parts ----------------------------------------------------------------------------------------------

_mantissa = pointwise("mantissa_formula", "mantissa(x)", kind="floating", **_internal, told="frexp", avoid=(0,), reference=lambda x: np.frexp(x)[0],
                      grad="where((x - x == 0) & (x != 0), g * y / x, g)")  # fmt: skip
_exponent = pointwise("exponent_formula", "exponent(x)", kind="floating", **_internal, told="frexp", vjp=None, reference=lambda x: np.frexp(x)[1].astype(x.dtype))


def _frexp_function(input: Tensor) -> Frexp:
    """Mantissas, of magnitude 0.5 to 1, and exponents (int32) with input = mantissa * 2 ** exponent."""
    if not input.is_floating_point():
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return Frexp(_mantissa(input), _exponent(input.detach()).to(dtypes.int32))


def _ldexp_function(input: Tensor, other: Tensor) -> Tensor:
    """input * 2 ** other."""
    return REGISTRY["mul"](input, REGISTRY["exp2"](other))


def _ldexp_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.integers(draw.broadcastable(shape), -3, 3)), {}


frexp = composite("frexp", _frexp_function, sample=lambda draw: ((draw.array(draw.shape(), avoid=(0,)),), {}),
                  reference=lambda x: (np.frexp(x)[0], np.frexp(x)[1].astype(np.int32)),
                  errors=[((np.ones(2, np.int64),), RuntimeError, "floating-point"), (("text",), TypeError, "must be Tensor"), ((2.0,), TypeError, "must be Tensor")])  # fmt: skip
ldexp = composite("ldexp", _ldexp_function, inplace=True, sample=_ldexp_sample, reference=lambda x, z: (x * 2.0**z).astype(_float(x.dtype)),
                  errors=[((np.ones(3), np.ones(2)), RuntimeError, "must match"), ((np.ones(3), "text"), TypeError, "must be Tensor")])  # fmt: skip
logaddexp2 = pointwise("logaddexp2", "where(x == z, x + 1, maximum(x, z) + log1p(exp2(-abs(x - z))) * 1.4426950408889634)",
                       grad=("g * sigmoid((x - z) * 0.6931471805599453)", "g * sigmoid((z - x) * 0.6931471805599453)"),
                       kind="floating", numbers=None, reference=np.logaddexp2, doc="log2(2 ** input + 2 ** other).")  # fmt: skip

# --- of complex numbers -----------------------------------------------------------------------------------------------

angle = pointwise("angle", "where(x < 0, 3.141592653589793, where(x != x, x, 0))", kind="float", vjp=(lambda g: REGISTRY["zeros_like"](g),),
                  avoid=(0,), reference=lambda x: np.where(np.isnan(x), x, np.where(x < 0, math.pi, 0)).astype(x.dtype), doc="Pi for negative numbers, else 0.")  # fmt: skip
isreal = composite("isreal", lambda input: full_like(input, True, dtype=dtypes.bool), doc="True everywhere: numbers are real.", reference=np.isreal,
                   sample=lambda draw: ((draw.array(draw.shape()),), {}), errors=NOT_A_TENSOR)  # fmt: skip


def _adjoint_function(input: Tensor) -> Tensor:
    """A view with the last two dimensions exchanged; a 0-d tensor itself."""
    if input.dim() == 1:
        raise RuntimeError("tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return input.transpose(-2, -1) if input.dim() else input  # type: ignore[attr-defined]


adjoint = composite("adjoint", _adjoint_function, reference=lambda x: x.swapaxes(-1, -2), sample=lambda draw: ((draw.array(draw.shape(min_dims=2)),), {}),
                    errors=[((np.ones(2),), RuntimeError, "only supported on matrices"), *NOT_A_TENSOR])  # fmt: skip

# --- the logarithm of the multivariate gamma function -----------------------------------------------------------------


def _mvlgamma_function(input: Tensor, p: int) -> Tensor:
    """log(pi) p (p - 1) / 4 + the sum of lgamma(input - j / 2) over j from 0 to p - 1."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    input = input if input.is_floating_point() else input.to(dtypes.get_default_dtype())  # type: ignore[attr-defined]
    steps = arange(p, dtype=input.dtype) / 2  # type: ignore[operator]
    return REGISTRY["lgamma"](input.unsqueeze(-1) - steps).sum(-1) + math.log(math.pi) * p * (p - 1) / 4  # type: ignore[attr-defined]


def _mvlgamma_reference(x: Any, p: int) -> Any:
    terms = [np.vectorize(math.lgamma, otypes=[float])(x - j / 2) for j in range(p)]
    return (sum(terms) + math.log(math.pi) * p * (p - 1) / 4).astype(_float(x.dtype))


mvlgamma = composite("mvlgamma", _mvlgamma_function, inplace=True, reference=_mvlgamma_reference,
                     sample=lambda draw: ((draw.array(draw.shape(), 1.6, 6), draw.integer(1, 4)), {}),
                     errors=[((np.ones(2), 0), RuntimeError, "greater than or equal to 1"), (("text", 1), TypeError, "must be Tensor")])  # fmt: skip
