"""Changing the size of images: each output pixel is a weighted sum of input pixels along each axis."""

from __future__ import annotations

import enum
import functools

import numpy as np


class InterpolationMode(enum.Enum):
    """How pixels between pixels are found."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_BY_NUMBER = {0: "nearest", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming", 1: "lanczos"}  # as Pillow counts them


def as_mode(mode: InterpolationMode | str | int) -> InterpolationMode:
    """The mode that an InterpolationMode, its value or Pillow's number stands for."""
    return InterpolationMode(_BY_NUMBER.get(mode, mode) if isinstance(mode, int) else mode)


def _cubic(a: float, x: np.ndarray) -> np.ndarray:
    """Cubic convolution (Keys, 1981)."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


_FILTERS = {  # of the distance x >= 0, and how far they reach
    "bilinear": (lambda x: np.maximum(1 - x, 0), 1),
    "bicubic": (lambda x: _cubic(-0.5, x), 2),
    "box": (None, 0.5),  # asymmetric at its edges: see _box
    "hamming": (lambda x: np.where(x < 1, np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)), 0.0), 1),
    "lanczos": (lambda x: np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0.0), 3),
}


@functools.lru_cache(maxsize=64)
def smoothing_weights(size: int, new: int, mode: str) -> np.ndarray:
    """(new, size) weights of a filter that widens with the reduction, so that every input pixel counts."""
    weigh, reach = _FILTERS[mode]
    scale = size / new
    stretch = max(scale, 1.0)
    weights = np.zeros((new, size))
    for row, centre in enumerate((np.arange(new) + 0.5) * scale):
        first = max(int(centre - reach * stretch + 0.5), 0)
        last = min(int(centre + reach * stretch + 0.5), size)
        distance = (np.arange(first, last) - centre + 0.5) / stretch
        values = weigh(np.abs(distance)) if weigh else ((distance > -0.5) & (distance <= 0.5)).astype(float)
        weights[row, first:last] = values / (values.sum() or 1.0)
    return weights


@functools.lru_cache(maxsize=64)
def pointwise_weights(size: int, new: int, mode: str) -> np.ndarray:
    """(new, size) weights of the two or four input pixels around each output pixel, whatever the reduction."""
    centres = (np.arange(new) + 0.5) * (size / new) - 0.5
    if mode == "bilinear":
        centres = np.maximum(centres, 0)
    first = np.floor(centres)
    weights = np.zeros((new, size))
    for step in (0, 1) if mode == "bilinear" else (-1, 0, 1, 2):
        distance = np.abs(centres - (first + step))
        values = np.maximum(1 - distance, 0) if mode == "bilinear" else _cubic(-0.75, distance)
        np.add.at(weights, (np.arange(new), np.clip(first + step, 0, size - 1).astype(int)), values)
    return weights


def nearest_tensor(size: int, new: int, exact: bool) -> np.ndarray:
    """Which input index each output index takes; in float32, in which tensors are resized."""
    places = np.arange(new, dtype=np.float32) + np.float32(0.5 if exact else 0)
    return np.minimum(np.floor(places * np.float32(size / new)).astype(int), size - 1)


def nearest_picture(size: int, new: int) -> np.ndarray:
    """The same as Pillow finds it: from step to step."""
    steps = np.full(new, size / new)
    steps[0] /= 2
    return np.minimum(np.floor(np.add.accumulate(steps)).astype(int), size - 1)


def apply(planes: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Weighted sums along the axis, in float64."""
    return np.moveaxis(np.moveaxis(planes.astype(np.float64), axis, -1) @ weights.T, -1, axis)


def resize_picture(planes: np.ndarray, height: int, width: int, mode: InterpolationMode) -> np.ndarray:
    """Resize (..., H, W) as Pillow does: always smoothed, rows first and columns second, uint8 in fixed point."""
    old_height, old_width = planes.shape[-2:]
    if mode in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        rows, columns = nearest_picture(old_height, height), nearest_picture(old_width, width)
        return planes[..., rows, :][..., columns]
    for axis, size, new in ((-1, old_width, width), (-2, old_height, height)):
        if size != new:
            planes = _one_axis(planes, smoothing_weights(size, new, mode.value), axis)
    return planes


def _one_axis(planes: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    if planes.dtype != np.uint8:
        return apply(planes, weights, axis).astype(planes.dtype)
    # Weights are rounded to 22 binary places; float64 holds each product and sum of these integers exactly.
    fixed = np.trunc(weights * (1 << 22) + np.copysign(0.5, weights))
    return np.floor((apply(planes, fixed, axis) + (1 << 21)) / (1 << 22)).clip(0, 255).astype(np.uint8)


def resize_tensor(planes: np.ndarray, height: int, width: int, mode: InterpolationMode, antialias: bool) -> np.ndarray:
    """Resize (..., H, W) as tensors are: smoothed if asked, integers rounded."""
    old_height, old_width = planes.shape[-2:]
    if mode in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        exact = mode is InterpolationMode.NEAREST_EXACT
        rows, columns = nearest_tensor(old_height, height, exact), nearest_tensor(old_width, width, exact)
        return planes[..., rows, :][..., columns]
    if mode not in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC):
        raise ValueError(f"tensors are resized by nearest, nearest-exact, bilinear or bicubic, not by {mode.value}")
    weights = smoothing_weights if antialias else pointwise_weights
    result = apply(planes, weights(old_width, width, mode.value), -1)
    result = apply(result, weights(old_height, height, mode.value), -2)
    if planes.dtype.kind == "f":
        return result.astype(planes.dtype)
    limits = np.iinfo(planes.dtype)
    return np.rint(result).clip(limits.min, limits.max).astype(planes.dtype)


def new_size(old: tuple[int, int], size: list[int], max_size: int | None) -> tuple[int, int]:
    """(height, width) for a size of one number, which is for the shorter side, or of two."""
    if len(size) == 2:
        return size[0], size[1]
    short, long = min(old), max(old)
    new_short, new_long = size[0], int(size[0] * long / short)
    if max_size is not None:
        if max_size <= size[0]:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller edge"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if old[0] <= old[1] else (new_long, new_short)
