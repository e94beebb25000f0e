"""Normalisation: batch, layer, group, instance and RMS norm.

Kernels compute results and first gradients. Gradients that will be differentiated again are written in ops (`gradient_in_ops`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import mode
from ..dtypes import scalar_name
from ..jit import empty, launch, zeros
from ..tensor import Tensor
from . import norm_kernels as kernels
from .elementwise import copied, pointwise
from .planned import front, planned
from .record import composite
from .shape import reshape

_hidden: Any = {"public": False, "method": False}


def gradient_in_ops(g: Any, x: Any, weight: Any, dims: tuple[int, ...], eps: float, centred: bool = True) -> tuple[Any, Any]:
    """Gradients of the input, and of the weight before it is summed to the weight's shape; with statistics over `dims`."""
    along = {"dim": dims, "keepdim": True}
    centre = x - x.mean(**along) if centred else x
    inverse = ((centre * centre).mean(**along) + eps).rsqrt()
    unit = centre * inverse
    a = g if weight is None else g * weight
    pushed = a - a.mean(**along) if centred else a
    return inverse * (pushed - unit * (a * unit).mean(**along)), g * unit


def flat(x: np.ndarray, *shape: int) -> np.ndarray:
    """A contiguous array in another shape."""
    return (x if x.flags.c_contiguous else copied(x)).reshape(shape)


def or_none(vector: np.ndarray | None, dtype: np.dtype) -> np.ndarray:
    """A weight or bias as kernels take it: in one dimension, without elements where there is none."""
    return np.empty(0, dtype) if vector is None else flat(vector, -1)


# --- rows -----------------------------------------------------------------------------------------------------------


def _rows_forward(input: np.ndarray, weight: Any, bias: Any, size: int, eps: float, centred: bool) -> Any:
    """Each row of `size` elements (the last dimensions) normalised; its mean, and the inverse of its standard deviation."""
    count = input.size // size if size else 0
    y, stats = empty(input.shape, input.dtype), empty((2, count), input.dtype)
    if count:
        launch(kernels.norm_rows, y.reshape(count, size), stats, flat(input, count, size), or_none(weight, input.dtype),
               or_none(bias, input.dtype), eps, centred, work=3 * input.size)  # fmt: skip
    return y, stats


def _rows_backward_forward(grad: Any, input: Any, stats: Any, weight: Any, size: int, centred: bool) -> np.ndarray:
    out, shape = empty(input.shape, input.dtype), (stats.shape[1], size)
    if out.size:
        launch(kernels.norm_rows_backward, out.reshape(shape), flat(grad, *shape), flat(input, *shape), stats,
               or_none(weight, input.dtype), centred, work=3 * input.size)  # fmt: skip
    return out


def _rows_gradients_forward(grad: Any, input: Any, stats: Any, weight: Any, shape: tuple[int, ...], centred: bool) -> Any:
    """The gradients of the rows, of weight and of bias, which have a shape. Each tile of rows adds to its own sums."""
    count, size = stats.shape[1], math.prod(shape)
    make = empty if input.size else zeros
    out, to_weight, to_bias = make(input.shape, input.dtype), make(shape, input.dtype), make(shape, input.dtype)
    if not out.size:
        return out, to_weight, to_bias
    rows = min(64, max(16, -(-count // 64)))
    tiles = -(-count // rows)
    totals = to_weight.reshape(1, size), to_bias.reshape(1, size)
    parts = totals if tiles == 1 else (empty((tiles, size), input.dtype), empty((tiles, size), input.dtype))
    factor = np.ones(size, input.dtype) if weight is None else flat(weight, size)
    launch(kernels.norm_rows_gradients, out.reshape(count, size), *parts, empty((2, count), input.dtype), flat(grad, count, size),
           flat(input, count, size), stats, factor, centred, rows, work=4 * input.size)  # fmt: skip
    if tiles > 1:
        launch(kernels.add_parts, *(t.reshape(size) for t in totals), *parts, work=2 * tiles * size)
    return out, to_weight, to_bias


def _rows_vjp(g: Any, y: Any, input: Any, weight: Any, bias: Any, size: int, eps: float, centred: bool, needs: Any) -> Any:
    grad, stats = g[0], y[1]
    if mode.enabled:
        dims = _last_dims(input._data.shape, size)
        by_input, by_weight = gradient_in_ops(grad, input, weight, dims, eps, centred)
        return by_input, by_weight if needs[1] else None, grad if needs[2] else None
    if not (needs[1] or needs[2]):
        return _rows_backward(grad, input, stats, weight, size, centred), None, None
    shape = (weight if weight is not None else bias)._data.shape
    by_input, by_weight, by_bias = _rows_gradients(grad, input, stats, weight, shape, centred)
    return by_input if needs[0] else None, by_weight if needs[1] else None, by_bias if needs[2] else None


def _last_dims(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The last dimensions that have `size` elements together."""
    d = len(shape)
    while d and (math.prod(shape[d:]) != size or shape[d - 1] == 1):
        d -= 1
    return tuple(range(d, len(shape)))


_rows_backward = planned("native_layer_norm_backward", _rows_backward_forward)
_rows_gradients = planned("native_layer_norm_gradients", _rows_gradients_forward)
normalize_rows = planned("native_layer_norm", _rows_forward, vjp=_rows_vjp, saved=1)


def _check_shape(name: str, input: Tensor, given: Any, weight: Any, bias: Any) -> int:
    """How many elements a normalized shape has; RuntimeError where it does not fit."""
    shape = tuple(int(n) for n in (given if isinstance(given, Sequence) else (given,)))
    x = input._data
    if not shape:
        raise RuntimeError(f"Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, "
                           f"but got normalized_shape = {list(shape)}")  # fmt: skip
    for what, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector._data.shape != shape:
            raise RuntimeError(f"Expected {what} to be of same shape as normalized_shape, but got {what} of shape "
                               f"{list(vector.shape)} and normalized_shape = {list(shape)}")  # fmt: skip
    if x.shape[-len(shape) :] != shape:
        rest = ", ".join(map(str, shape))
        raise RuntimeError(f"Given normalized_shape={list(shape)}, expected input with shape [*, {rest}], but got input of size{list(x.shape)}")
    check_dtypes(name, x, weight, bias)
    return math.prod(shape)


def check_dtypes(name: str, x: np.ndarray, *vectors: Any) -> None:
    """Floats, all of one dtype; NotImplementedError or RuntimeError where they are not."""
    if x.dtype.kind != "f":
        raise NotImplementedError(f'"{name}" not implemented for \'{scalar_name(x.dtype)}\'')
    for vector in vectors:
        if vector is not None and vector._data.dtype != x.dtype:
            raise RuntimeError(f"{name}: mixed dtype: all inputs must share same datatype, but got {scalar_name(x.dtype)} "
                               f"and {scalar_name(vector._data.dtype)}")  # fmt: skip


def _layer_norm_arguments(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:  # fmt: skip
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, `normalized_shape` (Ba, Kiros & Hinton, 2016)."""
    size = _check_shape("layer_norm", input, normalized_shape, weight, bias)
    return input, weight, bias, size, eps, True


def _rms_norm_arguments(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Any:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang & Sennrich, 2019); `eps` None: that of the dtype."""
    size = _check_shape("rms_norm", input, normalized_shape, weight, None)
    return input, weight, None, size, float(np.finfo(input._data.dtype).eps) if eps is None else eps, False


_affine = pointwise("scale_and_shift", "x * weight + bias", grad=("g * weight", "g * x", "g"), **_hidden, reference=lambda x, w, b: x * w + b)


def channelwise(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """x * weight + bias, with one of each for each channel (dimension 1)."""
    if weight is None and bias is None:
        return x
    shape = (-1, *(1,) * (x.dim() - 2))
    return _affine(x, 1 if weight is None else reshape(weight, shape), 0 if bias is None else reshape(bias, shape))


def _check_channels(input: Tensor, **vectors: Tensor | None) -> None:
    channels = input._data.shape[1]
    for name, vector in vectors.items():
        if vector is not None and vector._data.shape != (channels,):
            raise RuntimeError(f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                               f"shape {list(vector.shape)} and input of shape {list(input.shape)}")  # fmt: skip


def _group_norm_function(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Layer norm of each of `num_groups` groups of channels of (N, C, *), then weight and bias by channel (Wu & He, 2018)."""
    shape = input._data.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if num_groups <= 0 or shape[1] % num_groups:
        raise RuntimeError("Expected number of channels in input to be divisible by num_groups, but got input of shape "
                           f"{list(shape)} and num_groups={num_groups}")  # fmt: skip
    _check_channels(input, weight=weight, bias=bias)
    check_dtypes("group_norm", input._data, weight, bias)
    size = math.prod(shape[1:]) // num_groups
    unit = normalize_rows(reshape(input, (shape[0], num_groups, size)), None, None, size, eps, True)[0]
    return channelwise(reshape(unit, shape), weight, bias)


# --- references and samples -----------------------------------------------------------------------------------------


def standard(x: Any, dims: tuple[int, ...], eps: float) -> Any:
    """For references: less the mean over `dims`, divided by the standard deviation."""
    return (x - x.mean(dims, keepdims=True)) / np.sqrt(x.var(dims, keepdims=True) + eps)


def _layer_norm_reference(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    y = standard(x, tuple(range(-len(shape), 0)), eps)
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


def _rms_norm_reference(x: Any, shape: Any, weight: Any = None, eps: Any = None) -> Any:
    dims = tuple(range(-len(shape), 0))
    eps = np.finfo(x.dtype).eps if eps is None else eps
    return x / np.sqrt((x * x).mean(dims, keepdims=True) + eps) * (1 if weight is None else weight)


def by_channel(y: Any, weight: Any, bias: Any) -> Any:
    """For references: y * weight + bias along dimension 1."""
    shape = (-1, *(1,) * (y.ndim - 2))
    return y * (1 if weight is None else weight.reshape(shape)) + (0 if bias is None else bias.reshape(shape))


def _group_norm_reference(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    return by_channel(standard(x.reshape(x.shape[0], groups, -1), (2,), eps).reshape(x.shape), weight, bias)


def spread_out(draw: Any, shape: tuple[int, ...]) -> Any:
    """Values far from equal to one another: where a variance is near 0 a norm turns roundings into results. (Of two values
    it leaves only the order, so there are to be three or more.)"""
    return draw.array(shape, distinct=True)


def vectors(draw: Any, shape: tuple[int, ...], count: int = 2) -> tuple[Any, ...]:
    """For samples: weight and bias, each there or not."""
    return tuple(draw.array(shape) if draw.boolean() else None for _ in range(count))


def _layer_sample(draw: Any) -> Any:
    x = spread_out(draw, (*draw.shape(max_dims=2), draw.integer(3, max(3, draw.side))))
    shape = x.shape[-draw.integer(1, x.ndim) :]
    shape = shape if math.prod(shape) else x.shape[-1:]
    return (x, shape, *vectors(draw, shape)), {"eps": draw.choice([1e-5, 0.1])}


def _rms_sample(draw: Any) -> Any:
    (x, shape, weight, _), eps = _layer_sample(draw)
    return (x, shape, weight), eps


def _group_sample(draw: Any) -> Any:
    shape = (draw.integer(1, 3), draw.choice([2, 4]), *draw.choice([(3,), (2, 2), (5,)]))
    return (spread_out(draw, shape), draw.choice([1, 2]), *vectors(draw, (shape[1],))), {}


_m = np.ones((2, 3))
layer_norm = front("layer_norm", normalize_rows, _layer_norm_arguments, method=False, reference=_layer_norm_reference, sample=_layer_sample,
                       errors=[((_m, (4,)), RuntimeError, "expected input with shape"), ((_m, ()), RuntimeError, "at least 1-dimensional"),
                               ((_m, (3,), np.ones(2)), RuntimeError, "same shape"), ((np.arange(3), (3,)), NotImplementedError, "Long")])  # fmt: skip
rms_norm = front("rms_norm", normalize_rows, _rms_norm_arguments, method=False, reference=_rms_norm_reference, sample=_rms_sample,
                     errors=[((_m, (4,)), RuntimeError, "expected input with shape")])  # fmt: skip
group_norm = composite("group_norm", _group_norm_function, method=False, reference=_group_norm_reference, sample=_group_sample,
                       errors=[((_m, 2), RuntimeError, "divisible"), ((np.ones(2), 2), RuntimeError, "2 dimensions"),
                               ((_m, 3, np.ones(2)), RuntimeError, "number of channels")])  # fmt: skip
