"""Normalisation: batch, layer, group, instance and RMS norm.

Kernels compute results and first gradients. Gradients that will be differentiated again are written in ops (`_gradient`).
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
from .inplace import check_writeable
from .record import REGISTRY, composite, op
from .shape import reshape

_hidden: Any = {"public": False, "method": False}


def _gradient(g: Any, x: Any, weight: Any, dims: tuple[int, ...], eps: float, centred: bool = True) -> tuple[Any, Any]:
    """Gradients of the input, and of the weight before it is summed to the weight's shape; with statistics over `dims`."""
    along = {"dim": dims, "keepdim": True}
    centre = x - x.mean(**along) if centred else x
    inverse = ((centre * centre).mean(**along) + eps).rsqrt()
    unit = centre * inverse
    a = g if weight is None else g * weight
    pushed = a - a.mean(**along) if centred else a
    return inverse * (pushed - unit * (a * unit).mean(**along)), g * unit


def _flat(x: np.ndarray, *shape: int) -> np.ndarray:
    """A contiguous array in another shape."""
    return (x if x.flags.c_contiguous else copied(x)).reshape(shape)


def _or_none(vector: np.ndarray | None, dtype: np.dtype) -> np.ndarray:
    """A weight or bias as kernels take it: in one dimension, without elements where there is none."""
    return np.empty(0, dtype) if vector is None else _flat(vector, -1)


# --- rows -----------------------------------------------------------------------------------------------------------


def _rows_forward(input: np.ndarray, size: int, weight: Any, bias: Any, eps: float, centred: bool) -> Any:
    """Each row of `size` elements (the last dimensions) normalised; its mean, and the inverse of its standard deviation."""
    count = input.size // size if size else 0
    y, means, inverses = empty(input.shape, input.dtype), empty(count, input.dtype), empty(count, input.dtype)
    if count:
        launch(kernels.norm_rows, y.reshape(count, size), means, inverses, _flat(input, count, size), _or_none(weight, input.dtype),
               _or_none(bias, input.dtype), eps, centred, work=6 * input.size)  # fmt: skip
    return y, means, inverses


def _rows_backward_forward(grad: Any, input: Any, means: Any, inverses: Any, weight: Any, size: int, centred: bool) -> np.ndarray:
    out, shape = empty(input.shape, input.dtype), (means.size, size)
    if out.size:
        launch(kernels.norm_rows_backward, out.reshape(shape), _flat(grad, *shape), _flat(input, *shape), means, inverses,
               _or_none(weight, input.dtype), centred, work=8 * input.size)  # fmt: skip
    return out


def _rows_weights_forward(grad: Any, input: Any, means: Any, inverses: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (means.size, size)
    sums = empty((2, -(-means.size // kernels.ROWS), size), input.dtype)
    if sums.size:
        launch(kernels.norm_rows_weights, sums, _flat(grad, *shape), _flat(input, *shape), means, inverses, work=4 * input.size)
    totals = REGISTRY["sum_over"].forward(sums, (1,), False, input.dtype)
    return totals[0], totals[1]


def _rows_vjp(g: Any, y: Any, input: Any, size: int, weight: Any, bias: Any, eps: float, centred: bool, needs: Any) -> Any:
    grad, means, inverses = g[0], y[1], y[2]
    if mode.enabled:
        dims = _last_dims(input._data.shape, size)
        by_input, by_weight = _gradient(grad, input, weight, dims, eps, centred)
        return by_input, None, by_weight if needs[2] else None, grad if needs[3] else None
    by_input = by_weight = by_bias = None
    if needs[0]:
        by_input = _rows_backward(grad, input, means, inverses, weight, size, centred)
    if needs[2] or needs[3]:
        by_weight, by_bias = _rows_weights(grad, input, means, inverses, size)
        by_weight = reshape(by_weight, weight.shape) if needs[2] else None
        by_bias = reshape(by_bias, bias.shape) if needs[3] else None
    return by_input, None, by_weight, by_bias


def _last_dims(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The last dimensions that have `size` elements together."""
    d = len(shape)
    while d and (math.prod(shape[d:]) != size or shape[d - 1] == 1):
        d -= 1
    return tuple(range(d, len(shape)))


_rows_backward = op("native_layer_norm_backward", _rows_backward_forward, **_hidden)
_rows_weights = op("native_layer_norm_weights", _rows_weights_forward, **_hidden)
_rows = op("native_layer_norm", _rows_forward, vjp=_rows_vjp, **_hidden)


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
    _check_dtypes(name, x, weight, bias)
    return math.prod(shape)


def _check_dtypes(name: str, x: np.ndarray, *vectors: Any) -> None:
    if x.dtype.kind != "f":
        raise NotImplementedError(f'"{name}" not implemented for \'{scalar_name(x.dtype)}\'')
    for vector in vectors:
        if vector is not None and vector._data.dtype != x.dtype:
            raise RuntimeError(f"{name}: mixed dtype: all inputs must share same datatype, but got {scalar_name(x.dtype)} "
                               f"and {scalar_name(vector._data.dtype)}")  # fmt: skip


def _layer_norm_function(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, `normalized_shape` (Ba, Kiros & Hinton, 2016)."""
    size = _check_shape("layer_norm", input, normalized_shape, weight, bias)
    return _rows(input, size, weight, bias, eps, True)[0]


def _rms_norm_function(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang & Sennrich, 2019); `eps` None: that of the dtype."""
    size = _check_shape("rms_norm", input, normalized_shape, weight, None)
    return _rows(input, size, weight, None, float(np.finfo(input._data.dtype).eps) if eps is None else eps, False)[0]


_affine = pointwise("scale_and_shift", "x * weight + bias", grad=("g * weight", "g * x", "g"), **_hidden, reference=lambda x, w, b: x * w + b)


def _channelwise(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
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
    _check_dtypes("group_norm", input._data, weight, bias)
    size = math.prod(shape[1:]) // num_groups
    unit = _rows(reshape(input, (shape[0], num_groups, size)), size, None, None, eps, True)[0]
    return _channelwise(reshape(unit, shape), weight, bias)


# --- channels -------------------------------------------------------------------------------------------------------


def _planes(x: np.ndarray) -> tuple[int, ...]:
    return (x.shape[0], x.shape[1], math.prod(x.shape[2:]))


def _channels_forward(input: np.ndarray, weight: Any, bias: Any, eps: float) -> Any:
    """Each channel of (N, C, *) normalised; its mean and its variance."""
    n, channels, inner = _planes(input)
    y, means, variances = empty(input.shape, input.dtype), empty(channels, input.dtype), empty(channels, input.dtype)
    parameters = _or_none(weight, input.dtype), _or_none(bias, input.dtype), eps
    if inner == 1 and input.size:
        sums, whole = empty((2, channels), np.float64), (n, channels)
        launch(kernels.norm_columns, y.reshape(whole), means, variances, sums, _flat(input, *whole), *parameters, work=6 * input.size)
    elif input.size:
        whole = (n, channels, inner)
        launch(kernels.norm_channels, y.reshape(whole), means, variances, _flat(input, *whole), *parameters, work=6 * input.size)
    return y, means, variances


def _channels_backward_forward(grad: Any, input: Any, means: Any, variances: Any, weight: Any, eps: float) -> Any:
    n, channels, inner = _planes(input)
    make = empty if input.size else zeros
    out, to_weight, to_bias = (make(s, input.dtype) for s in (input.shape, channels, channels))
    parameters = means, variances, _or_none(weight, input.dtype), eps
    if inner == 1 and input.size:
        sums, whole = empty((3, channels), np.float64), (n, channels)
        launch(kernels.norm_columns_backward, out.reshape(whole), to_weight, to_bias, sums, _flat(grad, *whole), _flat(input, *whole),
               *parameters, work=8 * input.size)  # fmt: skip
    elif input.size:
        whole = (n, channels, inner)
        launch(kernels.norm_channels_backward, out.reshape(whole), to_weight, to_bias, _flat(grad, *whole), _flat(input, *whole),
               *parameters, work=8 * input.size)  # fmt: skip
    return out, to_weight, to_bias


def _channels_vjp(g: Any, y: Any, input: Any, weight: Any, bias: Any, eps: float, needs: Any) -> Any:
    if not mode.enabled:
        found = _channels_backward(g[0], input, y[1], y[2], weight, eps)
        return tuple(f if n else None for f, n in zip(found, needs, strict=False))
    shape = (-1, *(1,) * (input.dim() - 2))
    dims = tuple(d for d in range(input.dim()) if d != 1)
    by_input, by_weight = _gradient(g[0], input, None if weight is None else reshape(weight, shape), dims, eps)
    return by_input, by_weight.sum(dims) if needs[1] else None, g[0].sum(dims) if needs[2] else None


_channels_backward = op("native_batch_norm_backward", _channels_backward_forward, **_hidden)
_channels = op("native_batch_norm", _channels_forward, vjp=_channels_vjp, **_hidden)
_frozen = pointwise("batch_norm_inference", "(x - mean) * (rsqrt(var + eps) * weight) + bias", **_hidden, sample=None,
                    variables=("x", "mean", "var", "weight", "bias", "eps"), constants=("eps",))  # fmt: skip


def _move(running: Tensor | None, batch: Tensor, momentum: float, correction: float = 1.0) -> None:
    """Move running statistics towards the batch's, in place and off the tape."""
    if running is not None:
        check_writeable(running)
        launch(kernels.move_running, running._data, batch._data, momentum, correction)
        running.bump()


def _check_batch_norm(input: Tensor, training: bool, **vectors: Tensor | None) -> None:
    shape = input._data.shape
    channels = shape[1] if len(shape) > 1 else 0
    for name, vector in vectors.items():
        if vector is not None and vector.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {vector.numel()}")
    if len(shape) < 2:
        raise RuntimeError(f"batch_norm expects an input of at least 2 dimensions, (N, C, *), but got shape {list(shape)}")
    if training and math.prod(shape[:1] + shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    _check_dtypes("batch_norm", input._data, *vectors.values())


def _batch_norm_function(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None, bias: Tensor | None = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C, *) (Ioffe & Szegedy, 2015).

    In training the statistics are the batch's, and the running ones move towards them by `momentum` (the variance with
    Bessel's correction); else they are the running ones."""
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError(f"{'running_mean' if running_mean is None else 'running_var'} must be defined in evaluation mode")
    _check_batch_norm(input, training, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if training:
        y, mean, var = _channels(input, weight, bias, float(eps))
        if not input.numel():
            return y
        count = input.numel() // input._data.shape[1]
        _move(running_mean, mean, momentum)
        _move(running_var, var, momentum, count / max(count - 1, 1))
        return y
    shape = (-1, *(1,) * (input.dim() - 2))
    mean, var, w, b = (v if v is None else reshape(v, shape) for v in (running_mean, running_var, weight, bias))
    return _frozen(input, mean, var, 1 if w is None else w, 0 if b is None else b, eps)


def _instance_norm_function(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Batch norm of each sample of (N, C, *) by itself (Ulyanov et al., 2016); running statistics move towards the mean over N."""
    shape = input._data.shape
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return _batch_norm_function(input, running_mean, running_var, weight, bias, False, momentum, eps)
    inner = math.prod(shape[2:])
    if inner == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(shape)}")
    _check_batch_norm(input, False, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    y, means, inverses = _rows(input, inner, None, None, eps, True)
    if not input.numel():
        return _channelwise(y, weight, bias)
    samples = (shape[0], shape[1])
    _move(running_mean, means.detach().reshape(samples).mean(0), momentum)
    if running_var is not None:
        variances = inverses.detach().reshape(samples) ** -2 - eps
        _move(running_var, variances.mean(0), momentum, inner / max(inner - 1, 1))
    return _channelwise(y, weight, bias)


# --- references and samples -----------------------------------------------------------------------------------------


def _standard(x: Any, dims: tuple[int, ...], eps: float) -> Any:
    return (x - x.mean(dims, keepdims=True)) / np.sqrt(x.var(dims, keepdims=True) + eps)


def _layer_norm_reference(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    y = _standard(x, tuple(range(-len(shape), 0)), eps)
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


def _rms_norm_reference(x: Any, shape: Any, weight: Any = None, eps: Any = None) -> Any:
    dims = tuple(range(-len(shape), 0))
    eps = np.finfo(x.dtype).eps if eps is None else eps
    return x / np.sqrt((x * x).mean(dims, keepdims=True) + eps) * (1 if weight is None else weight)


def _by_channel(y: Any, weight: Any, bias: Any) -> Any:
    shape = (-1, *(1,) * (y.ndim - 2))
    return y * (1 if weight is None else weight.reshape(shape)) + (0 if bias is None else bias.reshape(shape))


def _group_norm_reference(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    return _by_channel(_standard(x.reshape(x.shape[0], groups, -1), (2,), eps).reshape(x.shape), weight, bias)


def _batch_norm_reference(x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, training: bool = False, momentum: float = 0.1,
                          eps: float = 1e-5) -> Any:  # fmt: skip
    dims, shape = tuple(d for d in range(x.ndim) if d != 1), (-1, *(1,) * (x.ndim - 2))
    y = _standard(x, dims, eps) if training else (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + eps)
    return _by_channel(y, weight, bias)


def _spread_out(draw: Any, shape: tuple[int, ...]) -> Any:
    """Values far from equal to one another: where a variance is near 0 a norm turns roundings into results. (Of two values
    it leaves only the order, so there are to be three or more.)"""
    return draw.array(shape, distinct=True)


def _vectors(draw: Any, shape: tuple[int, ...], count: int = 2) -> tuple[Any, ...]:
    return tuple(draw.array(shape) if draw.boolean() else None for _ in range(count))


def _layer_sample(draw: Any) -> Any:
    x = _spread_out(draw, (*draw.shape(max_dims=2), draw.integer(3, max(3, draw.side))))
    shape = x.shape[-draw.integer(1, x.ndim) :]
    shape = shape if math.prod(shape) else x.shape[-1:]
    return (x, shape, *_vectors(draw, shape)), {"eps": draw.choice([1e-5, 0.1])}


def _rms_sample(draw: Any) -> Any:
    (x, shape, weight, _), eps = _layer_sample(draw)
    return (x, shape, weight), eps


def _group_sample(draw: Any) -> Any:
    shape = (draw.integer(1, 3), draw.choice([2, 4]), *draw.choice([(3,), (2, 2), (5,)]))
    return (_spread_out(draw, shape), draw.choice([1, 2]), *_vectors(draw, (shape[1],))), {}


def _batch_sample(draw: Any) -> Any:
    """Running statistics for evaluation; none for training, which would write to them."""
    shape = (draw.integer(3, 4), draw.integer(1, 3), *draw.choice([(), (2,), (2, 3)]))
    training, vector = draw.boolean(), (shape[1],)
    running = (None, None) if training else (draw.array(vector), draw.array(vector, 0.3, 2))
    return (_spread_out(draw, shape), *running, *_vectors(draw, vector), training), {}


def _instance_sample(draw: Any) -> Any:
    shape = (draw.integer(1, 3), draw.integer(1, 3), *draw.choice([(3,), (2, 2)]))
    return (_spread_out(draw, shape), None, None, *_vectors(draw, (shape[1],))), {}


_m = np.ones((2, 3))
layer_norm = composite("layer_norm", _layer_norm_function, method=False, reference=_layer_norm_reference, sample=_layer_sample,
                       errors=[((_m, (4,)), RuntimeError, "expected input with shape"), ((_m, ()), RuntimeError, "at least 1-dimensional"),
                               ((_m, (3,), np.ones(2)), RuntimeError, "same shape"), ((np.arange(3), (3,)), NotImplementedError, "Long")])  # fmt: skip
rms_norm = composite("rms_norm", _rms_norm_function, method=False, reference=_rms_norm_reference, sample=_rms_sample,
                     errors=[((_m, (4,)), RuntimeError, "expected input with shape")])  # fmt: skip
group_norm = composite("group_norm", _group_norm_function, method=False, reference=_group_norm_reference, sample=_group_sample,
                       errors=[((_m, 2), RuntimeError, "divisible"), ((np.ones(2), 2), RuntimeError, "2 dimensions"),
                               ((_m, 3, np.ones(2)), RuntimeError, "number of channels")])  # fmt: skip
batch_norm = composite("batch_norm", _batch_norm_function, public=False, method=False, reference=_batch_norm_reference, sample=_batch_sample,
                       errors=[((_m[:1], None, None, None, None, True), ValueError, "more than 1 value per channel when training"),
                               ((_m, None, None), RuntimeError, "evaluation mode"), ((_m, np.ones(4), np.ones(3)), RuntimeError, "contain 3 elements not 4"),
                               ((_m.astype(int), None, None, None, None, True), NotImplementedError, "Long")])  # fmt: skip
instance_norm = composite("instance_norm", _instance_norm_function, public=False, method=False, sample=_instance_sample,
                          reference=lambda x, mean, var, w, b: _by_channel(_standard(x, tuple(range(2, x.ndim)), 1e-5), w, b),
                          errors=[((np.ones((2, 3, 1)),), ValueError, "spatial element"),
                                  ((_m, None, None, None, None, False), RuntimeError, "use_input_stats")])  # fmt: skip
