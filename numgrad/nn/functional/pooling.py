"""Pooling: the largest, or the mean, of each window."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad import ops
from numgrad.nn.functional._common import ntuple
from numgrad.tensor import Tensor

Sizes = int | tuple[int, ...]


def _as_images(name: str, input: Tensor, dims: int) -> Tensor:
    """``input`` as (N, C, H, W): a batch of one where it has none, height 1 where it has no height."""
    if input.dim() not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}() Expected {dims + 1}D or {dims + 2}D input tensor, but got input of size "
                           f"{list(input.shape)}")
    images = input if input.dim() == dims + 2 else input.unsqueeze(0)
    return images if dims == 2 else images.unsqueeze(2)


def _like(input: Tensor, dims: int, result: Tensor) -> Tensor:
    """Undo :func:`_as_images` on a result."""
    result = result if dims == 2 else result.squeeze(2)
    return result if input.dim() == dims + 2 else result.squeeze(0)


def _window(dims: int, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes = 1) -> list[tuple]:
    """Kernel, stride, padding and dilation as pairs, checked."""
    kernel = ntuple(kernel_size, dims, "kernel_size")
    steps = kernel if stride is None or stride == () else ntuple(stride, dims, "stride")
    pads, gaps = ntuple(padding, dims, "padding"), ntuple(dilation, dims, "dilation")
    for name, values in (("kernel_size", kernel), ("stride", steps), ("dilation", gaps)):
        if any(value <= 0 for value in values):
            raise RuntimeError(f"{name} should be greater than zero, but got {values}")
    if any(not 0 <= p <= (d * (k - 1) + 1) // 2 for p, k, d in zip(pads, kernel, gaps)):
        raise RuntimeError(f"pad should be non-negative and at most half of effective kernel size, but got pad={pads} "
                           f"and kernel_size={kernel}")
    fill = 2 - dims
    return [(1,) * fill + kernel, (1,) * fill + steps, (0,) * fill + pads, (1,) * fill + gaps]


def _max_pool(dims: int, input: Tensor, window: list[tuple], ceil_mode: bool, return_indices: bool) -> Any:
    images = _as_images(f"max_pool{dims}d", input, dims)
    if not return_indices:
        return _like(input, dims, ops.max_pool2d(images, *window, ceil_mode))
    values, indices = ops.max_pool2d_with_indices(images, *window, ceil_mode)
    return _like(input, dims, values), _like(input, dims, indices)


def max_pool1d(input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The largest of each window of (N, C, L) or (C, L); with ``return_indices`` also where it stood."""
    return _max_pool(1, input, _window(1, kernel_size, stride, padding, dilation), ceil_mode, return_indices)


def max_pool2d(input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The largest of each window of (N, C, H, W) or (C, H, W); ``return_indices`` adds where it stood in H * W."""
    return _max_pool(2, input, _window(2, kernel_size, stride, padding, dilation), ceil_mode, return_indices)


def max_pool1d_with_indices(input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
                            dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """:func:`max_pool1d` with its indices."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def max_pool2d_with_indices(input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
                            dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """:func:`max_pool2d` with its indices."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def avg_pool1d(input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
               ceil_mode: bool = False, count_include_pad: bool = True) -> Tensor:
    """The mean of each window of (N, C, L) or (C, L)."""
    window = _window(1, kernel_size, stride, padding)[:3]
    images = _as_images("avg_pool1d", input, 1)
    return _like(input, 1, ops.avg_pool2d(images, *window, ceil_mode, count_include_pad, None))


def avg_pool2d(input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
               ceil_mode: bool = False, count_include_pad: bool = True,
               divisor_override: int | None = None) -> Tensor:
    """The mean of each window of (N, C, H, W) or (C, H, W); ``divisor_override`` replaces the number it divides by."""
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    window = _window(2, kernel_size, stride, padding)[:3]
    images = _as_images("avg_pool2d", input, 2)
    return _like(input, 2, ops.avg_pool2d(images, *window, ceil_mode, count_include_pad, divisor_override))


def _output_size(output_size: Any, dims: int, input: Tensor) -> tuple[int, ...]:
    """The wanted lengths; None keeps the input's."""
    wanted = ntuple(output_size, dims, "output_size")
    sizes = tuple(n if w is None else w for w, n in zip(wanted, input.shape[-dims:]))
    if any(size < 0 for size in sizes):
        raise RuntimeError(f"output_size must be non-negative, got {output_size}")
    return (1,) * (2 - dims) + sizes


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of ``output_size`` windows that cover (N, C, L) or (C, L)."""
    images = _as_images("adaptive_avg_pool1d", input, 1)
    return _like(input, 1, ops.adaptive_avg_pool2d(images, _output_size(output_size, 1, input)))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of ``output_size`` (H, W) windows that cover (N, C, H, W) or (C, H, W); None keeps a length."""
    images = _as_images("adaptive_avg_pool2d", input, 2)
    return _like(input, 2, ops.adaptive_avg_pool2d(images, _output_size(output_size, 2, input)))


def _window_indices(length: int, windows: int) -> list[list[int]]:
    """Of each adaptive window the positions it covers; the last repeated until all are as long as the longest."""
    bounds = [(i * length // windows, -(-(i + 1) * length // windows)) for i in range(windows)]
    longest = max((end - start for start, end in bounds), default=0)
    return [[min(start + j, end - 1) for j in range(longest)] for start, end in bounds]


def _adaptive_max_pool(dims: int, input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    images = _as_images(f"adaptive_max_pool{dims}d", input, dims)
    batch, channels, height, width = images.shape
    out_height, out_width = _output_size(output_size, dims, input)
    rows = numgrad.tensor(_window_indices(height, out_height), dtype=numgrad.int64)
    columns = numgrad.tensor(_window_indices(width, out_width), dtype=numgrad.int64)
    positions = rows[:, None, :, None] * width + columns[None, :, None, :]
    positions = positions.reshape(out_height, out_width, -1)
    windows = images.reshape(batch, channels, height * width).index_select(2, positions.reshape(-1))
    windows = windows.reshape(batch, channels, *positions.shape)
    best = windows.argmax(-1, keepdim=True)
    indices = positions.expand(windows.shape).gather(-1, best)
    return _like(input, dims, windows.gather(-1, best).squeeze(-1)), _like(input, dims, indices.squeeze(-1))


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest of each of ``output_size`` windows that cover (N, C, L) or (C, L)."""
    values, indices = _adaptive_max_pool(1, input, output_size)
    return (values, indices) if return_indices else values


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest of each of ``output_size`` (H, W) windows that cover (N, C, H, W) or (C, H, W)."""
    values, indices = _adaptive_max_pool(2, input, output_size)
    return (values, indices) if return_indices else values


def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool1d` with its indices."""
    return _adaptive_max_pool(1, input, output_size)


def adaptive_max_pool2d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool2d` with its indices."""
    return _adaptive_max_pool(2, input, output_size)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
              ceil_mode: bool = False) -> Tensor:
    """The p-norm (without absolute values) of each window of (N, C, L) or (C, L)."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
              ceil_mode: bool = False) -> Tensor:
    """The p-norm (without absolute values) of each window of (N, C, H, W) or (C, H, W)."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(dims: int, input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None,
             ceil_mode: bool) -> Tensor:
    pool = avg_pool1d if dims == 1 else avg_pool2d
    count = 1
    for length in ntuple(kernel_size, dims, "kernel_size"):
        count *= length
    mean = pool(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (mean.sign() * ops.relu(mean.abs()) * count).pow(1.0 / norm_type)
