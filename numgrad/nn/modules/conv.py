"""Convolutions."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.modules.module import Module
from numgrad.nn.modules.utils import _ntuple, _pair, _reverse_repeat_tuple, _single, _triple
from numgrad.nn.parameter import Parameter
from numgrad.tensor import Tensor

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What convolutions of any number of dimensions share."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: tuple[int, ...], stride: tuple[int, ...],
                 padding: tuple[int, ...] | str, dilation: tuple[int, ...], groups: int, bias: bool, padding_mode: str,
                 device: Any, dtype: Any, transposed: bool = False, output_padding: tuple[int, ...] = ()) -> None:
        super().__init__()
        self._check(in_channels, out_channels, groups, padding, stride, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding or (0,) * len(kernel_size)
        self.groups = groups
        self.padding_mode = padding_mode
        self._reversed_padding_repeated_twice = self._sides(kernel_size, padding, dilation)
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = Parameter(numgrad.empty((first, second // groups, *kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(numgrad.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    @staticmethod
    def _check(in_channels: int, out_channels: int, groups: int, padding: Any, stride: tuple, mode: str) -> None:
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        if in_channels % groups:
            raise ValueError(f"in_channels must be divisible by groups, got {in_channels} and {groups}")
        if out_channels % groups:
            raise ValueError(f"out_channels must be divisible by groups, got {out_channels} and {groups}")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of 'same', 'valid'")
            if padding == "same" and any(step != 1 for step in stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if mode not in _PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {_PADDING_MODES}, but got padding_mode='{mode}'")

    @staticmethod
    def _sides(kernel_size: tuple, padding: Any, dilation: tuple) -> list[int]:
        """Padding on both sides of each dimension, last dimension first."""
        if padding == "valid":
            return [0] * 2 * len(kernel_size)
        if padding != "same":
            return list(_reverse_repeat_tuple(padding, 2))
        totals = [d * (k - 1) for d, k in zip(dilation, kernel_size)]
        return [side for total in reversed(totals) for side in (total // 2, total - total // 2)]

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, from U(-1 / sqrt(n), 1 / sqrt(n)), n the inputs of one output."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(self.kernel_size) - 1]
        return convolve(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        ones, zeros = (1,) * len(self.kernel_size), (0,) * len(self.kernel_size)
        if self.padding != zeros:
            text += f", padding={self.padding}"
        if self.dilation != ones:
            text += f", dilation={self.dilation}"
        if self.output_padding != zeros:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(_ConvNd):
    """1-d cross-correlation: (N, in_channels, L) or (in_channels, L) to as many ``out_channels``.

    Weight (out, in / groups, k) and bias are drawn from U(-b, b), b = 1 / sqrt(in / groups * k)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device: Any = None, dtype: Any = None) -> None:
        padding = padding if isinstance(padding, str) else _single(padding)
        super().__init__(in_channels, out_channels, _single(kernel_size), _single(stride), padding, _single(dilation),
                         groups, bias, padding_mode, device, dtype)


class Conv2d(_ConvNd):
    """2-d cross-correlation: (N, in_channels, H, W) or (in_channels, H, W) to as many ``out_channels``.

    ``padding`` is a number, one a dimension, "same" or "valid". Weight (out, in / groups, kH, kW) and bias are drawn
    from U(-b, b), b = 1 / sqrt(in / groups * kH * kW)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device: Any = None, dtype: Any = None) -> None:
        padding = padding if isinstance(padding, str) else _pair(padding)
        super().__init__(in_channels, out_channels, _pair(kernel_size), _pair(stride), padding, _pair(dilation),
                         groups, bias, padding_mode, device, dtype)


class Conv3d(_ConvNd):
    """3-d cross-correlation: (N, in_channels, D, H, W) or (in_channels, D, H, W) to as many ``out_channels``.

    Weight (out, in / groups, kD, kH, kW) and bias are drawn from U(-b, b), b = 1 / sqrt(in / groups * kD * kH * kW)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device: Any = None, dtype: Any = None) -> None:
        padding = padding if isinstance(padding, str) else _triple(padding)
        super().__init__(in_channels, out_channels, _triple(kernel_size), _triple(stride), padding, _triple(dilation),
                         groups, bias, padding_mode, device, dtype)


class _ConvTransposeNd(_ConvNd):
    """What transposed convolutions share; ``output_padding`` adds to one side of the output."""

    _dims = 0

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, got {padding_mode!r}')
        each = _ntuple(self._dims)
        super().__init__(in_channels, out_channels, each(kernel_size), each(stride), each(padding), each(dilation),
                         groups, bias, padding_mode, device, dtype, True, each(output_padding))

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self._dims - 1]
        extra = self.output_padding if output_size is None else self._output_padding(input, output_size)
        return convolve(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _output_padding(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """What must be added for the output to have a given size: of all dimensions, or of the last ones."""
        wanted = tuple(output_size)
        if len(wanted) == input.dim():
            wanted = wanted[-self._dims:]
        if len(wanted) != self._dims:
            raise ValueError(f"{type(self).__name__}: for {input.dim()}D input, output_size must have {self._dims} or "
                             f"{input.dim()} elements (got {len(wanted)})")
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(
            input.shape[-self._dims:], self.stride, self.padding, self.dilation, self.kernel_size)]
        most = [low + s - 1 for low, s in zip(least, self.stride)]
        if any(not low <= size <= high for low, size, high in zip(least, wanted, most)):
            raise ValueError(f"requested an output size of {wanted}, but valid sizes range from {least} to {most} (for "
                             f"an input of {tuple(input.shape[-self._dims:])})")
        return tuple(size - low for size, low in zip(wanted, least))


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of Conv1d as a linear map: (N, in_channels, L) or (in_channels, L) to as many ``out_channels``.

    Weight (in, out / groups, k); ``forward`` takes an ``output_size`` where stride leaves a choice."""

    _dims = 1


class ConvTranspose2d(_ConvTransposeNd):
    """The transpose of Conv2d as a linear map, also called deconvolution: (N, in_channels, H, W) or without N.

    Weight (in, out / groups, kH, kW); ``forward`` takes an ``output_size`` where stride leaves a choice."""

    _dims = 2


class ConvTranspose3d(_ConvTransposeNd):
    """The transpose of Conv3d as a linear map: (N, in_channels, D, H, W) or (in_channels, D, H, W).

    Weight (in, out / groups, kD, kH, kW); ``forward`` takes an ``output_size`` where stride leaves a choice."""

    _dims = 3
