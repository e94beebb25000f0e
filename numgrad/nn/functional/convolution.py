"""Linear maps: linear, bilinear, convolutions."""

from __future__ import annotations

from numgrad import ops
from numgrad.nn.functional._common import ntuple
from numgrad.nn.functional.padding import pad
from numgrad.tensor import Tensor

Sizes = "int | tuple[int, ...]"


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


def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
           dilation: Sizes = 1, groups: int = 1) -> Tensor:
    """2-d cross-correlation of (N, C, H, W) or (C, H, W) with weight (out, C / groups, kH, kW).

    ``padding`` is a number, one a dimension, "valid" (none) or "same" (stride 1: the output has the input's size)."""
    return _convolution(2, input, weight, bias, stride, padding, dilation, groups)


def conv1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
           dilation: Sizes = 1, groups: int = 1) -> Tensor:
    """1-d cross-correlation of (N, C, L) or (C, L) with weight (out, C / groups, k)."""
    return _convolution(1, input, weight, bias, stride, padding, dilation, groups)


def _convolution(dims: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Sizes | str,
                 dilation: Sizes, groups: int) -> Tensor:
    name = f"conv{dims}d"
    if input.dim() not in (dims + 1, dims + 2):
        raise RuntimeError(f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got input "
                           f"of size: {list(input.shape)}")
    if weight.dim() != dims + 2:
        raise RuntimeError(f"{name} expects a weight of {dims + 2} dimensions, got {list(weight.shape)}")
    stride, dilation = ntuple(stride, dims, "stride"), ntuple(dilation, dims, "dilation")
    batched = input if input.dim() == dims + 2 else input.unsqueeze(0)
    batched, padding = _resolve_padding(dims, batched, weight, stride, padding, dilation)
    _check_convolution(name, batched, weight, bias, stride, padding, dilation, groups)
    if dims == 1:  # as images of height 1
        batched, weight = batched.unsqueeze(2), weight.unsqueeze(2)
        stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
    result = ops.conv2d(batched, weight, bias, stride, padding, dilation, groups)
    result = result.squeeze(2) if dims == 1 else result
    return result if input.dim() == dims + 2 else result.squeeze(0)


def _resolve_padding(dims: int, input: Tensor, weight: Tensor, stride: tuple, padding: Sizes | str,
                     dilation: tuple) -> tuple[Tensor, tuple[int, ...]]:
    """Padding as numbers; where "same" asks for one more on the right, the input comes back padded."""
    if not isinstance(padding, str):
        return input, ntuple(padding, dims, "padding")
    if padding == "valid":
        return input, (0,) * dims
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}', expected 'same' or 'valid'")
    if any(step != 1 for step in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:])]
    if any(amount % 2 for amount in total):
        sides = [side for amount in reversed(total) for side in (0, amount % 2)]
        input = pad(input, sides)
    return input, tuple(amount // 2 for amount in total)


def _check_convolution(name: str, input: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple, padding: tuple,
                       dilation: tuple, groups: int) -> None:
    for argument, values, least in (("stride", stride, 1), ("dilation", dilation, 1), ("padding", padding, 0)):
        if any(value < least for value in values):
            raise RuntimeError(f"{name}: {argument} must be at least {least}, got {values}")
    if groups <= 0:
        raise RuntimeError(f"{name}: groups must be positive, got {groups}")
    out_channels, channels = weight.shape[:2]
    if input.shape[1] != channels * groups:
        raise RuntimeError(f"Given groups={groups}, weight of size {list(weight.shape)}, expected input"
                           f"{list(input.shape)} to have {channels * groups} channels, but got {input.shape[1]} "
                           "channels instead")
    if out_channels % groups:
        raise RuntimeError(f"{name}: the {out_channels} output channels must be divisible by groups={groups}")
    if bias is not None and tuple(bias.shape) != (out_channels,):
        raise RuntimeError(f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with "
                           f"{out_channels} elements, but got bias of size {list(bias.shape)} instead")
    kernel = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:])]
    padded = [n + 2 * p for n, p in zip(input.shape[2:], padding)]
    if any(k > n for k, n in zip(kernel, padded)):
        raise RuntimeError(f"Calculated padded input size per channel: {padded}. Kernel size: {kernel}. Kernel size "
                           "can't be greater than actual input size")
