"""Variance, standard deviation, norms and logsumexp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import scalar_name, to_numpy
from ..jit import empty as new
from ..tensor import Tensor
from .convert import to_dtype
from .elementwise import copied, pointwise
from .extreme import _extreme, _lowest
from .pointwise import true_divide
from .record import REGISTRY, composite, op
from .reduce import axis, bad_dims, count, mean, numpy_reduction, reduced_dims, reduction_sample, spread, summed
from .reduction import Reduction

# --- variance -------------------------------------------------------------------------------------------------------

_squares_about = Reduction("squares_about", "a + b", 0, "(x - m) * (x - m)", wide=True, exact=True)
_root = pointwise(
    "root", "sqrt(x)", grad="where(y == 0, 0, g / (2 * y))", low=0.1, public=False, method=False
)  # as std and norm at zero


_WIDE = np.dtype(np.float64)


def _in(dtype: np.dtype, x: np.ndarray) -> np.ndarray:
    return x if x.dtype == dtype else copied(x, dtype)


def _written_as(dtype: np.dtype, made: Any, x: np.ndarray, *rest: Any) -> np.ndarray:
    """What a formula gives, in another dtype than it computes in."""
    return made.compute(x, *rest, out=new(x.shape, dtype))


def _quotient(x: np.ndarray, n: float) -> np.ndarray:
    return true_divide.forward(x, n)


def _wide_squares(input: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    # About a mean rounded to float32 the squares would be as far off as the mean is, squared.
    center = _quotient(summed(input, dims, keepdim, _WIDE), count(input.shape, dims))
    return _squares_about(input, dims, keepdim, _WIDE, center)


def _freedom(input: np.ndarray, dims: tuple[int, ...], correction: float) -> float:
    return float(max(count(input.shape, dims) - correction, 0))


def _variance_forward(input: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool) -> np.ndarray:
    return _written_as(input.dtype, true_divide, _wide_squares(input, dims, keepdim), _freedom(input, dims, correction))


def _deviation_forward(input: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool) -> np.ndarray:
    """The root of the variance, also where the variance is too large or too small for a number."""
    freedom = _freedom(input, dims, correction)
    if input.dtype == np.float32:
        return _written_as(input.dtype, _root, true_divide.forward(_wide_squares(input, dims, keepdim), freedom))
    apart = REGISTRY["minus"].forward(input, _quotient(summed(input, dims, True), count(input.shape, dims)))
    return true_divide.forward(_norm_forward(apart, 2, dims, keepdim), math.sqrt(freedom))


def _variance_backward(g: Tensor, input: Tensor, dims: tuple[int, ...], correction: float) -> Tensor:
    shape = input._data.shape
    freedom = count(shape, dims) - correction
    center = mean(input, dims, True) if dims else input
    return spread(g, shape, dims) * ((2 / freedom if freedom > 0 else math.inf) * (input - center))


_variance = op("variance", _variance_forward, public=False, method=False, vjp=(_variance_backward,))
_deviation = op("deviation", _deviation_forward, public=False, method=False,
                vjp=(lambda g, y, input, dims, correction: _variance_backward(0.5 * _unit(g, y), input, dims, correction),))  # fmt: skip


def _moment_arguments(
    name: str, input: Tensor, dim: Any, unbiased: Any, correction: Any
) -> tuple[tuple[int, ...], float]:
    """The dimensions and the correction, from either of the two ways PyTorch takes them."""
    if isinstance(dim, bool):  # var(x, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}() takes either unbiased or correction, but got both")
    if input._data.dtype.kind != "f":
        raise RuntimeError("std and var only support floating point and complex dtypes")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return reduced_dims(dim, input.dim()), correction


def _moment(name: str, root: bool, with_mean: bool) -> Any:
    def function(
        input: Tensor,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Any:
        dims, by = _moment_arguments(name, input, dim, unbiased, correction)
        found = (_deviation if root else _variance)(input, dims, by, keepdim)
        return (found, mean(input, dims, keepdim)) if with_mean else found

    function.__doc__ = (
        f"The {'standard deviation' if root else 'variance'}{' and the mean' if with_mean else ''} over dimensions `dim` "
        "(None: all): "
        "squares about the mean are summed and divided by n - correction (1 unless given; 0 if `unbiased` is False)."
    )
    return function


def _moment_reference(root: bool, with_mean: bool) -> Any:
    def reference(
        x: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
    ) -> Any:
        correction = (1 if unbiased is None or unbiased else 0) if correction is None else correction
        where = axis(dim) if x.ndim else None
        center = np.mean(x, axis=where, keepdims=True)
        n = x.size // max(center.size, 1)
        with np.errstate(all="ignore"):
            found = np.sum((x - center) ** 2, axis=where, keepdims=keepdim) / np.asarray(
                max(n - correction, 0), x.dtype
            )
        found = np.sqrt(found) if root else found
        return (found, np.mean(x, axis=where, keepdims=keepdim)) if with_mean else found

    return reference


def _moment_sample(draw: Any) -> Any:
    (x, dim, keepdim), _ = reduction_sample(draw, min_side=2)
    if x.ndim == 0:
        return (x, None, False), {}  # one number has no variance; without correction it is 0
    return draw.choice(
        [((x, dim, draw.boolean(), keepdim), {}), ((x, dim), {"correction": draw.integer(0, 1), "keepdim": keepdim})]
    )


_moment_errors: Any = [((np.arange(3),), RuntimeError, "floating"), *bad_dims]
for _name, _root_, _mean in (
    ("var", False, False),
    ("std", True, False),
    ("var_mean", False, True),
    ("std_mean", True, True),
):
    composite(
        _name,
        _moment(_name, _root_, _mean),
        reference=_moment_reference(_root_, _mean),
        sample=_moment_sample,
        errors=_moment_errors,
        method=not _mean,
    )

# --- norms ----------------------------------------------------------------------------------------------------------

_absolute_sum = Reduction("sum_abs", "a + b", 0, "abs(x)", wide=True)
_largest = Reduction("largest_magnitude", "maximum(a, b)", 0, "abs(x)")
_smallest = Reduction("smallest_magnitude", "minimum(a, b)", math.inf, "abs(x)")
_squares_sum = Reduction("sum_squares", "a + b", 0, "x * x", wide=True, exact=True)
_scaled_squares = Reduction("scaled_squares", "a + b", 0, "(x * m) * (x * m)", wide=True, exact=True)
#: A power of two that keeps squares of float64 in range.
_scale = pointwise("norm_scale", f"where(x > 1e150, {2.0**-600!r}, where(x < 1e-140, {2.0**600!r}, 1))", public=False, method=False)
_unit_size = pointwise("norm_unit", "where((x > 0) & (x - x == 0), x, 1)", public=False, method=False)
_powers = pointwise("absolute_power", "pow(abs(x), power)", constants=("power",), low=0.3, public=False, method=False)
_unit = pointwise("unit", "where(z == 0, 0, x / z)", public=False, method=False)
_unit_power = pointwise(
    "unit_power",
    "where(x == 0, 0, sign(x) * pow(abs(x) / z, power))",
    constants=("power",),
    low=0.3,
    public=False,
    method=False,
)


def _norm_forward(input: np.ndarray, p: float, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    if p == 0:
        return summed(copied(REGISTRY["ne"].forward(input, 0), input.dtype), dims, keepdim)
    if p == 1:
        return _absolute_sum(input, dims, keepdim)
    if p != p:  # what follows has powers of one, which are one
        return REGISTRY["mul"].forward(_absolute_sum(input, dims, keepdim), p)
    if p == 2 and input.dtype == np.float32:  # whose squares float64 holds
        return _written_as(input.dtype, _root, _squares_sum(input, dims, keepdim, _WIDE))
    if p == 2:
        scale = _scale.forward(_largest(input, dims, keepdim))
        return true_divide.forward(_root.forward(_scaled_squares(input, dims, keepdim, center=scale)), scale)
    wide = _in(_WIDE, input)
    unit = _unit_size.forward((_largest if p > 0 else _smallest)(wide, dims, True))
    total = summed(_powers.forward(true_divide.forward(wide, unit), float(p)), dims, keepdim)
    return _in(input.dtype, REGISTRY["mul"].forward(_powers.forward(total, 1 / p), unit.reshape(total.shape)))


def _norm_backward(g: Tensor, y: Tensor, input: Tensor, p: float, dims: tuple[int, ...]) -> Tensor:
    g, y = spread(g, input._data.shape, dims), spread(y, input._data.shape, dims)
    if p == 0:
        return g * 0
    if p == 1:
        return g * REGISTRY["sign"](input)
    return g * (_unit(input, y) if p == 2 else _unit_power(input, y, float(p - 1)))


_norm = op("norm_over", _norm_forward, public=False, method=False, vjp=(_norm_backward,))


def _vector_norm_function(
    input: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The `ord`-norm over dimensions `dim` (None: all): any number, inf (largest magnitude), -inf (smallest), 0
    (how many are not zero).
    """
    if not isinstance(ord, (int, float)):
        raise TypeError(f"linalg_vector_norm(): argument 'ord' (position 2) must be Number, not {type(ord).__name__}")
    if input._data.dtype.kind != "f":
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. "
            f"Got {scalar_name(input._data.dtype)}"
        )
    if dtype is not None and to_numpy(dtype) != input._data.dtype:
        input = to_dtype(input, to_numpy(dtype))
    dims = reduced_dims(dim, input.dim())
    if ord < 0 or ord == math.inf:
        _check_identity(input._data.shape, ord, dim, dims)
    if math.isinf(ord):
        return _extreme(REGISTRY["abs"](input), "max" if ord > 0 else "min", dims, keepdim)
    return _norm(input, ord, dims, keepdim)


def _check_identity(shape: tuple[int, ...], ord: float, dim: Any, dims: tuple[int, ...]) -> None:
    empty = [d for d in dims if shape[d] == 0]
    if empty:
        where = (
            "an empty tensor because"
            if dim is None
            else f"the dimension {empty[0]} because this dimension is empty and"
        )
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on {where} the operation does not have an identity"
        )


def _norm_function(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: None = None, dtype: Any = None
) -> Tensor:
    """The p-norm over dimensions `dim` (None: all) as of one vector; "fro" is 2, "nuc" the sum of a matrix's
    singular values.
    """
    if isinstance(p, str) and p != "fro":
        if p != "nuc":
            raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
        if "linalg_matrix_norm" not in REGISTRY:
            raise NotImplementedError("norm(p='nuc') needs singular values, which numgrad does not compute")
        return REGISTRY["linalg_matrix_norm"](input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return _vector_norm_function(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


def _norm_reference(x: Any, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    def one(a: Any, axis: Any, keepdims: bool) -> Any:
        a = np.abs(a)
        if p == 0:
            return np.sum(a != 0, axis=axis, keepdims=keepdims).astype(x.dtype)
        if math.isinf(p):
            return (np.max if p > 0 else np.min)(a, axis=axis, keepdims=keepdims)
        unit = (np.min if p < 0 else np.max)(a, axis=axis, keepdims=True)  # without which large and small powers leave the range
        unit = np.where((unit > 0) & np.isfinite(unit), unit, 1)
        total = np.sum((a / unit) ** p, axis=axis, keepdims=True) ** (1 / p) * unit + 0 * p
        return total if keepdims else np.squeeze(total, axis)

    p = 2 if p == "fro" else p
    return numpy_reduction(one)(x, dim, keepdim)


def _norm_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=1), -2.9, 3, avoid=(0,), distinct=True)  # no two of one magnitude
    p = draw.choice([2, "fro", 1, 3, 2.5, 0.5, math.inf, -math.inf, 0, -1])
    return (x, p, draw.choice([None, draw.dim(x.ndim), draw.dims(x.ndim)]), draw.boolean()), {}


def _number_sample(draw: Any) -> Any:
    (x, p, *rest), kwargs = _norm_sample(draw)
    return (x, 2 if p == "fro" else p, *rest), kwargs


_norm_errors: Any = [
    ((np.arange(3),), RuntimeError, "Got Long"),
    ((np.ones((0, 3)), math.inf, 0), RuntimeError, "identity"),
]
norm = composite(
    "norm",
    _norm_function,
    reference=_norm_reference,
    sample=_norm_sample,
    errors=[*_norm_errors, ((np.ones(3), "foo"), RuntimeError, "Order foo")],
)
vector_norm = composite(
    "linalg_vector_norm",
    _vector_norm_function,
    public=False,
    method=False,
    reference=_norm_reference,
    sample=_number_sample,
    errors=[*_norm_errors, ((np.ones(3), "fro"), TypeError, "must be Number")],
)

# --- logsumexp ------------------------------------------------------------------------------------------------------

_highest_of = Reduction("amax", "maximum(a, b)", _lowest)
_exponentials = Reduction("sum_exp", "a + b", 0, "exp(x - m)", wide=True)
_finite = pointwise("finite_or_zero", "where(x - x == 0, x, 0)", public=False, method=False)
_share = pointwise("exp_of_difference", "exp(x - z)", grad=("g * y", "-g * y"), public=False, method=False)
_log_plus = pointwise("log_plus", "log(x) + z", low=0.1, public=False, method=False)


def _logsumexp_forward(input: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    center = _finite.forward(_highest_of(input, dims, keepdim))
    return _log_plus.forward(_exponentials(input, dims, keepdim, center=center), center)


def _logsumexp_backward(g: Tensor, y: Tensor, input: Tensor, dims: tuple[int, ...]) -> Tensor:
    shape = input._data.shape
    return spread(g, shape, dims) * _share(input, spread(y, shape, dims))


_logsumexp = op("logsumexp_over", _logsumexp_forward, public=False, method=False, vjp=(_logsumexp_backward,))


def _logsumexp_function(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The logarithm of the sum of the exponentials over dimensions `dim`, without overflow; integers become the
    default dtype.
    """
    x = input if input._data.dtype.kind == "f" else to_dtype(input, dtypes.default())
    return _logsumexp(x, reduced_dims(dim, input.dim()), keepdim)


def _logsumexp_reference(x: Any, dim: Any, keepdim: bool = False) -> Any:
    def one(a: Any, axis: Any, keepdims: bool) -> Any:  # the exact one of a single number
        top = np.max(a, axis=axis, keepdims=True)
        found = top + np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True))
        return found if keepdims else np.squeeze(found, axis)

    return numpy_reduction(one)(x, dim, keepdim)


def _logsumexp_sample(draw: Any) -> Any:
    (x, dim, keepdim), kwargs = reduction_sample(draw, min_side=1)
    return (x, draw.dim(x.ndim) if dim is None or dim == () else dim, keepdim), kwargs


logsumexp = composite(
    "logsumexp",
    _logsumexp_function,
    reference=_logsumexp_reference,
    sample=_logsumexp_sample,
    errors=[((np.ones((2, 3)), 2), IndexError, "range")],
)
