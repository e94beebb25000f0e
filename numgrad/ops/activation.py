"""Activations: each a formula. Gradients are written out where the derived one would cost or lose more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import scalar_name
from ..tensor import Tensor
from .elementwise import pointwise
from .parts import narrow
from .record import REGISTRY, composite
from .shape import dimension, reshape

_floating: Any = {"kind": "floating"}
_hidden: Any = {"kind": "floating", "public": False, "method": False}


def _sample(*options: Any, low: float = -3.0, high: float = 3.0, avoid: tuple[float, ...] = ()) -> Any:
    """A sample of one array, and of one of the options as the constants that follow it."""

    def sample(draw: Any) -> Any:
        return (draw.array(draw.shape(), low, high, avoid), *(draw.choice(options) if options else ())), {}

    return sample


_whole_errors: Any = [((np.arange(3),), NotImplementedError, "not implemented for 'Long'")]

# --- piecewise linear -----------------------------------------------------------------------------------------------

relu = pointwise("relu", "where(x < 0, 0, x)", grad="where(y <= 0, 0, g)", kind="number", inplace=True, sample=_sample(avoid=(0,)),
                 reference=lambda x: np.maximum(x, 0))  # fmt: skip
relu6 = pointwise("relu6", "where(x < 0, 0, where(x > 6, 6, x))", grad="where((x <= 0) | (x >= 6), 0, g)", **_hidden | {"kind": "number"},
                  sample=_sample(low=-4, high=10, avoid=(0, 6)), reference=lambda x: np.clip(x, 0, 6))  # fmt: skip
hardtanh = pointwise("hardtanh", "where(x < min_val, min_val, where(x > max_val, max_val, x))", **_hidden,
                     variables=("x", "min_val", "max_val"), constants=("min_val", "max_val"), defaults=(-1.0, 1.0),
                     grad="where((x <= min_val) | (x >= max_val), 0, g)", sample=_sample((), (-2, 0.5), (0.5, 0.5), avoid=(-2, -1, 0.5, 1)),
                     reference=lambda x, low=-1.0, high=1.0: np.clip(x, low, high))  # fmt: skip
leaky_relu = pointwise("leaky_relu", "where(x > 0, x, x * negative_slope)", grad="where(x > 0, g, g * negative_slope)", **_hidden,
                       constants=("negative_slope",), defaults=(0.01,), sample=_sample((), (0.3,), (-1.5,), avoid=(0,)),
                       reference=lambda x, slope=0.01: np.where(x > 0, x, x * slope), errors=_whole_errors)  # fmt: skip
threshold = pointwise("threshold", "where(x <= threshold, value, x)", grad="where(x <= threshold, 0, g)", **_floating, method=False,
                      variables=("x", "threshold", "value"), constants=("threshold", "value"), sample=_sample((0, 0), (0.5, -2), avoid=(0, 0.5)),
                      reference=lambda x, threshold, value: np.where(x <= threshold, value, x), errors=[((np.arange(3), 0, 1), NotImplementedError, "Long")])  # fmt: skip
hardshrink = pointwise("hardshrink", "where(abs(x) <= lambd, 0, x)", grad="where(abs(x) <= lambd, 0, g)", **_floating, constants=("lambd",),
                       defaults=(0.5,), sample=_sample((), (1.0,), (0,), avoid=(-1, -0.5, 0, 0.5, 1)),
                       reference=lambda x, lambd=0.5: np.where(np.abs(x) <= lambd, 0, x), errors=_whole_errors)  # fmt: skip
softshrink = pointwise("softshrink", "where(x > lambd, x - lambd, where(x < -lambd, x + lambd, x * 0))", **_hidden, constants=("lambd",),
                       defaults=(0.5,), grad="where(abs(x) <= lambd, 0, g)", sample=_sample((), (1.0,), (0,), avoid=(-1, -0.5, 0, 0.5, 1)),
                       reference=lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0), errors=_whole_errors)  # fmt: skip
hardsigmoid = pointwise("hardsigmoid", "minimum(maximum(x + 3, 0), 6) / 6", grad="where((x > -3) & (x < 3), g / 6, 0)", **_hidden,
                        sample=_sample(low=-5, high=5, avoid=(-3, 3)), reference=lambda x: np.clip(x / 6 + 0.5, 0, 1), errors=_whole_errors)  # fmt: skip
hardswish = pointwise("hardswish", "x * minimum(maximum(x + 3, 0), 6) / 6", grad="where(x <= -3, 0, where(x < 3, g * (x / 3 + 0.5), g))", **_hidden,
                      sample=_sample(low=-5, high=5, avoid=(-3, 3)), reference=lambda x: x * np.clip(x / 6 + 0.5, 0, 1), errors=_whole_errors)  # fmt: skip

# --- exponential ----------------------------------------------------------------------------------------------------

sigmoid = pointwise("sigmoid", "sigmoid(x)", grad="g * y * (1 - y)", inplace=True, sample=_sample(), reference=lambda x: 1 / (1 + np.exp(x * -1.0)))
tanh = pointwise("tanh", "tanh(x)", grad="g * (1 - y * y)", inplace=True, sample=_sample(), reference=lambda x: np.tanh(x * 1.0))
tanhshrink = pointwise("tanhshrink", "x - tanh(x)", grad="g * tanh(x) * tanh(x)", public=False, method=False, sample=_sample(low=0.5),
                       reference=lambda x: x - np.tanh(x * 1.0))  # fmt: skip
softsign = pointwise("softsign", "x / (1 + abs(x))", grad="g / ((1 + abs(x)) * (1 + abs(x)))", public=False, method=False, sample=_sample(avoid=(0,)),
                     reference=lambda x: x / (1 + np.abs(x)))  # fmt: skip
logsigmoid = pointwise("logsigmoid", "logsigmoid(x)", **_hidden, sample=_sample(low=-20, high=20), reference=lambda x: -np.logaddexp(0, -x),
                       errors=_whole_errors)  # fmt: skip
silu = pointwise("silu", "x * sigmoid(x)", **_hidden, sample=_sample(), reference=lambda x: x / (1 + np.exp(-x)), errors=_whole_errors)


def _elu_reference(x: Any, alpha: float = 1.0, steepness: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0) * steepness) - 1))


elu = pointwise("elu", "where(x > 0, x, alpha * expm1(x))", grad="where(x > 0, g, g * (alpha * exp(x)))", **_hidden, constants=("alpha",),
                defaults=(1.0,), sample=_sample((), (0.5,), (-2,), (0,), avoid=(0,)), reference=_elu_reference, errors=_whole_errors)  # fmt: skip
celu = pointwise("celu", "where(x > 0, x, alpha * expm1(x / alpha))", grad="where(x > 0, g, g * exp(x / alpha))", kind="floating", method=False,
                 constants=("alpha",), defaults=(1.0,), sample=_sample((), (0.5,), (2,), avoid=(0,)), errors=_whole_errors,
                 reference=lambda x, alpha=1.0: _elu_reference(x, alpha, 1 / alpha))  # fmt: skip
# The fixed point of mean 0 and variance 1 (Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", 2017).
_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805
selu = pointwise("selu", f"where(x > 0, {_SCALE} * x, {_SCALE * _ALPHA} * expm1(x))", kind="floating", method=False, sample=_sample(avoid=(0,)),
                 grad=f"where(x > 0, {_SCALE} * g, {_SCALE * _ALPHA} * g * exp(x))", reference=lambda x: _SCALE * _elu_reference(x, _ALPHA),
                 errors=_whole_errors)  # fmt: skip
softplus = pointwise("softplus", "where(x * beta > threshold, x, softplus(x * beta) / beta)", **_hidden, variables=("x", "beta", "threshold"),
                     grad="where(x * beta > threshold, g, g * sigmoid(x * beta))", constants=("beta", "threshold"), defaults=(1.0, 20.0),
                     sample=_sample((), (2, 20), (0.5, 1.1), avoid=(2.2,)), errors=_whole_errors,
                     reference=lambda x, beta=1.0, threshold=20.0: np.where(x * beta > threshold, x, np.logaddexp(0, x * beta) / beta))  # fmt: skip

# tanh(softplus(x)) = n / (n + 2) with e = exp(x), n = e (e + 2); from x = 20 on it is 1 in float64 too, and nothing overflows.
_E = "exp(minimum(x, 20))"
_N = f"{_E} * ({_E} + 2)"
mish = pointwise("mish", f"x * ({_N} / ({_N} + 2))", **_hidden, sample=_sample(), errors=_whole_errors,
                 grad=f"g * ({_N} / ({_N} + 2) + 4 * minimum(x, 20) * {_E} / ({_N} + 2) * ((1 + {_E}) / ({_N} + 2)))",
                 reference=lambda x: x * np.tanh(np.log1p(np.exp(x))))  # fmt: skip

# --- several formulas under one name --------------------------------------------------------------------------------

# 0.3989... is 1 / sqrt(2 pi). ndtr is off by a rounding of numbers near 1, where it is as small as 1 / 740 at x = -3.
_PHI = "ndtr(x)"
_gelu = pointwise("gelu_exact", f"x * {_PHI}", **_hidden, sample=_sample(), errors=_whole_errors, tolerance=370 / 16,
                  grad=f"g * ({_PHI} + 0.3989422804014327 * x * exp(-0.5 * x * x))",
                  reference=lambda x: x * np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])(x))  # fmt: skip
# (1 + tanh(u)) / 2 = sigmoid(2 u); 1.5957... is 2 sqrt(2 / pi).
_INNER = "1.5957691216057308 * x * (1 + 0.044715 * x * x)"
_SLOPE = "1.5957691216057308 * x * (1 + 0.134145 * x * x)"
_gelu_tanh = pointwise("gelu_tanh", f"x * sigmoid({_INNER})", **_hidden, sample=_sample(), errors=_whole_errors,
                       grad=f"g * sigmoid({_INNER}) * (1 + {_SLOPE} * sigmoid(-({_INNER})))",
                       reference=lambda x: x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))  # fmt: skip


def _gelu_function(input: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi the normal distribution's (Hendrycks & Gimpel, 2016); approximate="tanh" is their approximation."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, but got {approximate!r}")
    return (_gelu if approximate == "none" else _gelu_tanh)(input)


def _gelu_reference(x: Any, approximate: str = "none") -> Any:
    return (_gelu if approximate == "none" else _gelu_tanh).reference(x)


gelu = composite("gelu", _gelu_function, public=False, method=False, tolerance=370 / 16, reference=_gelu_reference, sample=_sample((), ("none",), ("tanh",)),
                 errors=[((np.ones(2), "erf"), RuntimeError, "approximate"), *_whole_errors])  # fmt: skip

_prelu = pointwise("prelu_formula", "where(x > 0, x, weight * x)", grad=("where(x > 0, g, weight * g)", "where(x > 0, 0, x * g)"), kind="floating", public=False, method=False,
                   avoid=(0,), reference=lambda x, weight: np.where(x > 0, x, weight * x))  # fmt: skip


def _prelu_function(input: Tensor, weight: Tensor) -> Tensor:
    """x where positive, weight * x elsewhere (He et al., 2015); one weight, or one for each channel (dimension 1)."""
    if input._data.dtype != weight._data.dtype:
        names = f"{scalar_name(input._data.dtype)} and {scalar_name(weight._data.dtype)}"
        raise RuntimeError(f"prelu: Type promoting not supported. Got {names}: input and weight must have one dtype")
    channels = input._data.shape[1] if input.dim() > 1 else 1
    if weight.numel() not in (1, channels) or weight.dim() > 1:
        raise RuntimeError(f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} "
                           f"and channel size = {channels}; weight has shape {list(weight.shape)}, expected one or no dimension.")  # fmt: skip
    return _prelu(input, reshape(weight, (-1, *(1,) * (input.dim() - 2))) if weight.numel() != 1 else reshape(weight, ()))


def _prelu_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(), avoid=(0,))
    channels = x.shape[1] if x.ndim > 1 and draw.boolean() else 1
    return (x, draw.array((channels,))), {}


def _prelu_reference(x: Any, weight: Any) -> Any:
    weight = weight.reshape([-1 if d == 1 else 1 for d in range(x.ndim)]) if weight.size != 1 else weight.reshape(())
    return np.where(x > 0, x, weight * x)


prelu = composite("prelu", _prelu_function, reference=_prelu_reference, sample=_prelu_sample,
                  errors=[((np.ones((2, 3)), np.ones(2)), RuntimeError, "channel size = 3"), ((np.ones(2), np.ones((1, 1))), RuntimeError, "dimension"),
                          ((np.arange(3), np.ones(1)), RuntimeError, "dtype")])  # fmt: skip


def _glu_function(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), a and b the two halves of `dim` (Dauphin et al., 2016)."""
    if input.dim() == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    d = dimension(dim, input.dim())
    n = input._data.shape[d]
    if n % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {d} is size {n}")
    return _gate(narrow(input, d, 0, n // 2), narrow(input, d, n // 2, n // 2))


_gate = pointwise("gate", "x * sigmoid(z)", **_hidden, sample=lambda draw: ((lambda s: (draw.array(s), draw.array(s)))(draw.shape()), {}),
                  reference=lambda x, z: x / (1 + np.exp(-z)))  # fmt: skip


def _glu_reference(x: Any, dim: int = -1) -> Any:
    first, second = np.split(x, 2, dim)
    return first / (1 + np.exp(-second))


def _glu_sample(draw: Any) -> Any:
    shape = list(draw.shape(min_dims=1))
    dim = draw.dim(len(shape))
    shape[dim] *= 2
    return (draw.array(shape), dim), {}


glu = composite("glu", _glu_function, public=False, method=False, reference=_glu_reference, sample=_glu_sample,
                errors=[((np.ones((2, 3)), 1), RuntimeError, "even"), ((np.ones(()),), RuntimeError, "0-dimensional"),
                        ((np.arange(4),), NotImplementedError, "Long")])  # fmt: skip


def _rrelu_function(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None) -> Tensor:
    """Leaky ReLU; in training each element draws its slope from U(lower, upper), else it is their mean (Xu et al., 2015)."""
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound, but got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    slope = REGISTRY["empty_like"](input, requires_grad=False).uniform_(lower, upper, generator=generator)
    return _prelu(input, slope)


rrelu = composite("rrelu", _rrelu_function, method=False, random=True, sample=_sample((), (0.1, 0.4), avoid=(0,)),
                  reference=lambda x, lower=1 / 8, upper=1 / 3: np.where(x > 0, x, x * (lower + upper) / 2),
                  errors=[((np.ones(2), 0.5, 0.2), RuntimeError, "Lower bound"), *_whole_errors])  # fmt: skip
