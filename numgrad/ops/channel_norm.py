"""Normalisation of channels: batch norm and instance norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import mode
from ..jit import empty, launch, zeros
from ..tensor import Tensor
from . import norm_channels as kernels
from .elementwise import pointwise
from .inplace import check_writeable
from .norm import (
    by_channel,
    channelwise,
    check_dtypes,
    flat,
    gradient_in_ops,
    normalize_rows,
    or_none,
    spread_out,
    standard,
    vectors,
)
from .planned import planned
from .record import composite
from .shape import reshape

_hidden: Any = {"public": False, "method": False}
#: Elements of a plane from which it is gathered as a run of memory; columns that are done together where planes are smaller.
LARGE, COLUMNS = 32, 512

def _planes(x: np.ndarray) -> tuple[int, ...]:
    return (x.shape[0], x.shape[1], math.prod(x.shape[2:]))


def _cut(n: int, channels: int, inner: int) -> tuple[int, int, int]:
    """Tiles of rows, channels that are done together, and units of work that makes."""
    tiles, some = -(-n // kernels.ROWS), max(1, COLUMNS // inner)
    return tiles, some, tiles * -(-channels // some)


def _columns_forward(y: Any, means: Any, variances: Any, x: np.ndarray, weight: Any, bias: Any, eps: float, inner: int) -> None:
    n, size = x.shape
    tiles, some, units = _cut(n, means.size, inner)
    parts, terms, wide = empty((3, tiles, size), x.dtype), empty((3, size), x.dtype), empty((2, size), np.float64)
    launch(kernels.gather_columns, parts, x, inner, some, units, work=2 * x.size)
    launch(kernels.norm_columns_terms, terms, means, variances, wide, parts, weight, bias, eps, n, inner, some, work=parts.size)
    launch(kernels.apply_columns, y, x, terms, inner, some, units, work=2 * x.size)


def _columns_backward(out: Any, to_weight: Any, to_bias: Any, grad: Any, x: Any, means: Any, variances: Any, weight: Any, eps: float,
                      inner: int) -> None:  # fmt: skip
    n, size = x.shape
    tiles, some, units = _cut(n, means.size, inner)
    parts, terms = empty((3, tiles, size), x.dtype), empty((4, size), x.dtype)
    launch(kernels.gather_products, parts, grad, x, means, inner, some, units, work=2 * x.size)
    launch(kernels.gradient_terms, terms, to_weight, to_bias, parts, means, variances, weight, eps, n, inner, work=parts.size)
    launch(kernels.correct_columns, out, grad, x, terms, inner, some, units, work=2 * x.size)


def _channels_forward(input: np.ndarray, weight: Any, bias: Any, eps: float) -> Any:
    """Each channel of (N, C, *) normalised; its mean and its variance."""
    n, channels, inner = _planes(input)
    y, means, variances = empty(input.shape, input.dtype), empty(channels, input.dtype), empty(channels, input.dtype)
    parameters = or_none(weight, input.dtype), or_none(bias, input.dtype), eps
    if inner < LARGE and input.size:
        whole = (n, channels * inner)
        _columns_forward(y.reshape(whole), means, variances, flat(input, *whole), *parameters, inner)
    elif input.size:
        whole = (n, channels, inner)
        launch(kernels.norm_channels, y.reshape(whole), means, variances, flat(input, *whole), *parameters, work=6 * input.size)
    return y, means, variances


def _channels_backward_forward(grad: Any, input: Any, means: Any, variances: Any, weight: Any, eps: float) -> Any:
    n, channels, inner = _planes(input)
    make = empty if input.size else zeros
    out, to_weight, to_bias = (make(s, input.dtype) for s in (input.shape, channels, channels))
    parameters = means, variances, or_none(weight, input.dtype), eps
    if inner < LARGE and input.size:
        whole = (n, channels * inner)
        _columns_backward(out.reshape(whole), to_weight, to_bias, flat(grad, *whole), flat(input, *whole), *parameters, inner)
    elif input.size:
        whole = (n, channels, inner)
        launch(kernels.norm_channels_backward, out.reshape(whole), to_weight, to_bias, flat(grad, *whole), flat(input, *whole),
               *parameters, work=8 * input.size)  # fmt: skip
    return out, to_weight, to_bias


def _channels_vjp(g: Any, y: Any, input: Any, weight: Any, bias: Any, eps: float, needs: Any) -> Any:
    if not mode.enabled:
        found = _channels_backward(g[0], input, y[1], y[2], weight, eps)
        return tuple(f if n else None for f, n in zip(found, needs, strict=False))
    shape = (-1, *(1,) * (input.dim() - 2))
    dims = tuple(d for d in range(input.dim()) if d != 1)
    by_input, by_weight = gradient_in_ops(g[0], input, None if weight is None else reshape(weight, shape), dims, eps)
    return by_input, by_weight.sum(dims) if needs[1] else None, g[0].sum(dims) if needs[2] else None


_channels_backward = planned("native_batch_norm_backward", _channels_backward_forward)
_channels = planned("native_batch_norm", _channels_forward, vjp=_channels_vjp, saved=1)
_frozen = pointwise("batch_norm_inference", "(x - mean) * (rsqrt(var + eps) * weight) + bias", **_hidden, sample=None,
                    variables=("x", "mean", "var", "weight", "bias", "eps"), constants=("eps",))  # fmt: skip


def _move(mean: Tensor | None, var: Tensor | None, batch_mean: Tensor, batch_var: Tensor, momentum: float, count: int) -> None:
    """Move running statistics towards the batch's, the variance with Bessel's correction, in place and off the tape."""
    running = [v for v in (mean, var) if v is not None]
    for vector in running:
        check_writeable(vector)
    if running:
        arrays = [np.empty(0, batch_mean._data.dtype) if v is None else v._data for v in (mean, var)]
        launch(kernels.move_running, *arrays, batch_mean._data, batch_var._data, momentum, count / max(count - 1, 1))
    for vector in running:
        vector.bump()


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
    check_dtypes("batch_norm", input._data, *vectors.values())


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
        _move(running_mean, running_var, mean, var, momentum, input.numel() // input._data.shape[1])
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
    y, stats = normalize_rows(input, None, None, inner, eps, True)
    if not input.numel():
        return channelwise(y, weight, bias)
    samples = (shape[0], shape[1])
    means, inverses = stats.detach().reshape(2, *samples)
    if running_mean is not None or running_var is not None:
        _move(running_mean, running_var, means.mean(0), (inverses**-2 - eps).mean(0), momentum, inner)
    return channelwise(y, weight, bias)


# --- references and samples -----------------------------------------------------------------------------------------


def _batch_norm_reference(x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, training: bool = False, momentum: float = 0.1,
                          eps: float = 1e-5) -> Any:  # fmt: skip
    dims, shape = tuple(d for d in range(x.ndim) if d != 1), (-1, *(1,) * (x.ndim - 2))
    y = standard(x, dims, eps) if training else (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + eps)
    return by_channel(y, weight, bias)


def _batch_sample(draw: Any) -> Any:
    """Running statistics for evaluation; none for training, which would write to them."""
    shape = (draw.integer(3, 4), draw.integer(1, 3), *draw.choice([(), (2,), (2, 3)]))
    training, vector = draw.boolean(), (shape[1],)
    running = (None, None) if training else (draw.array(vector), draw.array(vector, 0.3, 2))
    return (spread_out(draw, shape), *running, *vectors(draw, vector), training), {}


def _instance_sample(draw: Any) -> Any:
    shape = (draw.integer(1, 3), draw.integer(1, 3), *draw.choice([(3,), (2, 2)]))
    return (spread_out(draw, shape), None, None, *vectors(draw, (shape[1],))), {}


_m = np.ones((2, 3))
batch_norm = composite("batch_norm", _batch_norm_function, public=False, method=False, reference=_batch_norm_reference, sample=_batch_sample,
                       errors=[((_m[:1], None, None, None, None, True), ValueError, "more than 1 value per channel when training"),
                               ((_m, None, None), RuntimeError, "evaluation mode"), ((_m, np.ones(4), np.ones(3)), RuntimeError, "contain 3 elements not 4"),
                               ((_m.astype(int), None, None, None, None, True), NotImplementedError, "Long")])  # fmt: skip
instance_norm = composite("instance_norm", _instance_norm_function, public=False, method=False, sample=_instance_sample,
                          reference=lambda x, mean, var, w, b: by_channel(standard(x, tuple(range(2, x.ndim)), 1e-5), w, b),
                          errors=[((np.ones((2, 3, 1)),), ValueError, "spatial element"),
                                  ((_m, None, None, None, None, False), RuntimeError, "use_input_stats")])  # fmt: skip
