"""Padding, patches, and rearranging of pixels and channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numgrad
from numgrad import ops
from numgrad.tensor import Tensor


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Grow (or with negative numbers crop) the last dimensions: ``pad`` is (left, right) of the last, ...

    Modes: "constant" (``value``, default 0), "reflect", "replicate", "circular"; the last three take 2-d or 3-d input
    with 2 numbers, 3-d or 4-d with 4, 4-d or 5-d with 6."""
    if mode == "constant" or len(pad) % 2:
        return ops.pad(input, pad, 0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}: expected constant, reflect, replicate or "
                                  "circular")
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument, got {value}')
    dims = len(pad) // 2
    if dims > 3 or input.dim() not in (dims + 1, dims + 2):
        raise NotImplementedError(f"Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: got "
                                  f"{len(pad)} numbers for an input of {input.dim()} dimensions")
    for position in range(dims):
        left, right = pad[2 * position], pad[2 * position + 1]
        if left or right:
            input = _pad_by_index(input, input.dim() - 1 - position, left, right, mode)
    return input


def _pad_by_index(input: Tensor, dim: int, left: int, right: int, mode: str) -> Tensor:
    length = input.shape[dim]
    if length + left + right <= 0 or length == 0:
        raise RuntimeError(f"padding ({left}, {right}) at dimension {dim} of size {length} leaves nothing")
    if mode == "reflect" and max(left, right) >= length:
        raise RuntimeError("Argument #4: Padding size should be less than the corresponding input dimension, but got: "
                           f"padding ({left}, {right}) at dimension {dim} of input {list(input.shape)}")
    if mode == "circular" and max(left, right) > length:
        raise RuntimeError(f"Padding value causes wrapping around more than once: padding ({left}, {right}) at "
                           f"dimension {dim} of size {length}")
    index: Sequence[int] = range(-left, length + right)
    if mode == "reflect":
        index = [length - 1 - abs(length - 1 - abs(i)) for i in index]
    elif mode == "replicate":
        index = [min(max(i, 0), length - 1) for i in index]
    else:  # what is cropped does not come back at the other end
        first, last = max(-left, 0), length - max(-right, 0)
        index = [first + (i - first) % (last - first) for i in index]
    return input.index_select(dim, numgrad.tensor(index, dtype=numgrad.int64))


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Every patch of (N, C, H, W) or (C, H, W) as a column of (N, C * kernel height * kernel width, patches)."""
    return ops.im2col(input, kernel_size, dilation, padding, stride)


def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
         stride: Any = 1) -> Tensor:
    """The columns of :func:`unfold` back in their places in images of ``output_size``; what overlaps is added."""
    return ops.col2im(input, output_size, kernel_size, dilation, padding, stride)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C * r^2, H, W) to (*, C, H * r, W * r) (Shi et al. 2016)."""
    if input.dim() < 3:
        raise RuntimeError(f"pixel_shuffle expects input to have at least 3 dimensions, but got {input.dim()}")
    r = upscale_factor
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError("pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
                           f"upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}")
    blocks = input.reshape(-1, channels // (r * r), r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(*batch, channels // (r * r), height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H * r, W * r) to (*, C * r^2, H, W): what pixel_shuffle did, undone."""
    if input.dim() < 3:
        raise RuntimeError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got {input.dim()}")
    r = downscale_factor
    *batch, channels, height, width = input.shape
    if r <= 0 or height % r or width % r:
        raise RuntimeError(f"pixel_unshuffle expects height and width to be divisible by downscale_factor={r}, but got "
                           f"{height} and {width}")
    blocks = input.reshape(-1, channels, height // r, r, width // r, r).permute(0, 1, 3, 5, 2, 4)
    return blocks.reshape(*batch, channels * r * r, height // r, width // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Deal the channels of (N, C, *) out over ``groups`` (Zhang et al. 2017)."""
    if input.dim() < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    if groups <= 0 or input.shape[1] % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {input.shape[1]} channels and "
                           f"{groups} groups.")
    batch, channels, *rest = input.shape
    return input.reshape(batch, groups, channels // groups, *rest).transpose(1, 2).reshape(batch, channels, *rest)
