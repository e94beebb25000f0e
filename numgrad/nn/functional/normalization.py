"""Normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numgrad
from numgrad import ops
from numgrad.nn.functional.padding import pad
from numgrad.nn.functional.pooling import avg_pool2d
from numgrad.tensor import Tensor


def _check_values_per_channel(shape: Sequence[int]) -> None:
    if math.prod(shape[:1]) * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(shape)}")


def batch_norm(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
               bias: Tensor | None = None, training: bool = False, momentum: float = 0.1,
               eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias of each channel (dimension 1) (Ioffe & Szegedy 2015).

    In training mean and variance are the batch's, and the running ones, where given, move towards them by
    ``momentum`` (the variance without bias); else they are the running ones."""
    if training:
        _check_values_per_channel(input.shape)
    elif running_mean is None or running_var is None:
        raise RuntimeError("batch_norm: running_mean and running_var must be given where training is False")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm eps must be {'positive' if training else 'non-negative'}, but got {eps}")
    for name, vector in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight),
                         ("bias", bias)):
        if vector is not None and vector.numel() != input.shape[1]:
            raise RuntimeError(f"{name} should contain {input.shape[1]} elements not {vector.numel()}")
    return ops.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
                  weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
                  momentum: float = 0.1, eps: float = 1e-5) -> Tensor:
    """Batch norm of each sample by itself (Ulyanov et al. 2016); input (N, C, *).

    Running values move towards the mean over the batch of what the samples have."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(input.shape[2:]) == 1:
        raise ValueError("Expected more than 1 spatial element when training, got input size "
                         f"{tuple(input.shape)}")
    batch, channels = input.shape[:2]
    vectors = [None if v is None else v.repeat(batch) for v in (running_mean, running_var, weight, bias)]
    folded = input.reshape(1, batch * channels, *input.shape[2:])
    result = ops.batch_norm(folded, *vectors, True, momentum, eps).reshape(input.shape)
    with numgrad.no_grad():
        for running, repeated in zip((running_mean, running_var), vectors):
            if running is not None:
                running.copy_(repeated.reshape(batch, channels).mean(0))
    return result


def layer_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, those of ``normalized_shape``.

    See Ba, Kiros & Hinton 2016."""
    shape = _check_normalized_shape(input, normalized_shape, weight, bias)
    return ops.layer_norm(input, shape, weight, bias, eps)


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
             eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang & Sennrich 2019).

    ``eps`` None is the machine epsilon of the dtype."""
    shape = _check_normalized_shape(input, normalized_shape, weight, None)
    eps = numgrad.finfo(input.dtype).eps if eps is None else eps
    dims = tuple(range(-len(shape), 0))
    result = input * ((input * input).mean(dims, keepdim=True) + eps).rsqrt()
    return result if weight is None else result * weight


def _check_normalized_shape(input: Tensor, shape: Sequence[int], weight: Tensor | None,
                            bias: Tensor | None) -> tuple[int, ...]:
    shape = tuple(shape)
    if not shape:
        raise RuntimeError("Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
                           f"element, but got normalized_shape = {shape}")
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and tuple(vector.shape) != shape:
            raise RuntimeError(f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                               f"{list(vector.shape)} and normalized_shape = {list(shape)}")
    if tuple(input.shape[-len(shape):]) != shape:
        raise RuntimeError(f"Given normalized_shape={list(shape)}, expected input with shape "
                           f"[*, {str(list(shape))[1:-1]}], but got input of size{list(input.shape)}")
    return shape


def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-5) -> Tensor:
    """Layer norm of each of ``num_groups`` groups of channels; input (N, C, *) (Wu & He 2018)."""
    if input.dim() < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    batch, channels = input.shape[:2]
    if num_groups <= 0 or channels % num_groups:
        raise RuntimeError("Expected number of channels in input to be divisible by num_groups, but got input of shape "
                           f"{list(input.shape)} and num_groups={num_groups}")
    _check_values_per_channel((batch * channels // num_groups, num_groups, *input.shape[2:]))
    groups = input.reshape(batch, num_groups, math.prod(input.shape[1:]) // num_groups)
    result = ops.layer_norm(groups, (groups.shape[-1],), None, None, eps).reshape(input.shape)
    per_channel = (channels,) + (1,) * (input.dim() - 2)
    if weight is not None:
        result = result * weight.reshape(per_channel)
    return result if bias is None else result + bias.reshape(per_channel)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha * mean of x^2 over ``size`` neighbouring channels)^beta (Krizhevsky et al. 2012)."""
    if input.dim() < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.dim()} dimensions)")
    if input.numel() == 0:
        return input
    squares = (input * input).reshape(input.shape[0], 1, input.shape[1], -1)
    squares = pad(squares, (0, 0, size // 2, (size - 1) // 2))
    mean = avg_pool2d(squares, (size, 1), stride=1).reshape(input.shape)
    return input / (mean * alpha + k).pow(beta)
