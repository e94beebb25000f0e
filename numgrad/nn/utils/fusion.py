"""Batch norm of evaluation folded into the layer before it: y = (Wx + b - mean) / sqrt(var + eps) * gamma + beta is again such a layer."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numgrad

from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

Layer = TypeVar("Layer", bound=Any)


def fuse_conv_bn_eval(conv: Layer, bn: Any, transpose: bool = False) -> Layer:
    """A copy of `conv` that computes bn(conv(x)); both must be in evaluation mode (AssertionError). `transpose` for ConvTranspose."""
    return _fused(conv, bn, fuse_conv_bn_weights, transpose)


def fuse_linear_bn_eval(linear: Layer, bn: Any) -> Layer:
    """A copy of `linear` that computes bn(linear(x)); both must be in evaluation mode (AssertionError)."""
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError("To fuse, linear.out_features == bn.num_features or bn.num_features == 1")
    return _fused(linear, bn, fuse_linear_bn_weights)


def _fused(layer: Layer, bn: Any, fuse: Any, *more: Any) -> Layer:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("Expected bn.running_mean and bn.running_var to be not None: this batch norm keeps no running statistics")
    made = copy.deepcopy(layer)
    made.weight, made.bias = fuse(made.weight, made.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, *more)
    return made


def fuse_conv_bn_weights(conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any, transpose: bool = False) -> tuple[Any, Any]:
    """Weight and bias of the folded convolution; its channels are the weight's first dimension, or with `transpose` the second."""
    return _weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, int(transpose))


def fuse_linear_bn_weights(linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any) -> tuple[Any, Any]:
    """Weight and bias of the folded linear layer."""
    return _weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _weights(weight: Any, bias: Any, mean: Any, variance: Any, eps: float, gamma: Any, beta: Any, dim: int) -> tuple[Any, Any]:
    scale = numgrad.rsqrt(variance + eps)
    scale = scale if gamma is None else gamma * scale
    shift = (0 if bias is None else bias) - mean
    moved = shift * scale if beta is None else shift * scale + beta
    along = [1] * weight.dim()
    along[dim] = -1
    kept = weight.requires_grad
    return (Parameter((weight * scale.reshape(along)).detach().to(weight.dtype), kept),
            Parameter(moved.detach().to(weight.dtype), kept if bias is None else bias.requires_grad))  # fmt: skip
