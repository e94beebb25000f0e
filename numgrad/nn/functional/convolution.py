"""Linear maps: linear, bilinear, convolutions."""

from __future__ import annotations

from typing import Any

from numgrad import ops
from numgrad.tensor import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias; input (*, in), weight (out, in) or (in), bias (out) or ()."""
    return ops.linear(input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x1^T A x2 + b; inputs (*, in1) and (*, in2), weight (out, in1, in2)."""
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(f"bilinear(): input batch dimensions do not match: got {tuple(input1.shape)} and "
                           f"{tuple(input2.shape)}")
    for name, given, wanted in (("input1", input1, weight.shape[1]), ("input2", input2, weight.shape[2])):
        if given.shape[-1] != wanted:
            raise RuntimeError(f"bilinear(): {name} size does not match weight size: got {given.shape[-1]} but "
                               f"expected {wanted}")
    out_features, in1, in2 = weight.shape
    rows = input1.reshape(-1, in1) @ weight.permute(1, 0, 2).reshape(in1, out_features * in2)
    result = (rows.reshape(-1, out_features, in2) * input2.reshape(-1, 1, in2)).sum(-1)
    result = result.reshape(*input1.shape[:-1], out_features)
    return result if bias is None else result + bias


def conv1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Tensor:
    """1-d cross-correlation of (N, C, L) or (C, L) with weight (out, C / groups, k)."""
    return ops.conv1d(input, weight, bias, stride, padding, dilation, groups)


def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Tensor:
    """2-d cross-correlation of (N, C, H, W) or (C, H, W) with weight (out, C / groups, kH, kW).

    ``padding`` is a number, one a dimension, "valid" (none) or "same" (stride 1: the output has the input's size)."""
    return ops.conv2d(input, weight, bias, stride, padding, dilation, groups)


def conv3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Tensor:
    """3-d cross-correlation of (N, C, D, H, W) or (C, D, H, W) with weight (out, C / groups, kD, kH, kW)."""
    return ops.conv3d(input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """The transpose of :func:`conv1d` as a linear map; weight (C, out / groups, k)."""
    return ops.conv_transpose1d(input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """The transpose of :func:`conv2d` as a linear map; weight (C, out / groups, kH, kW)."""
    return ops.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """The transpose of :func:`conv3d` as a linear map; weight (C, out / groups, kD, kH, kW)."""
    return ops.conv_transpose3d(input, weight, bias, stride, padding, output_padding, groups, dilation)
