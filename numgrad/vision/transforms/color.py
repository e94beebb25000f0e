"""Changing colours, as torchvision does those of tensors: by blending with another image, or on the circle of hues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .kinds import like, planes_of


def adjust(image: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """`change` applied to the planes (..., C, H, W) of an image of 1 or 3 channels."""
    planes = planes_of(image)
    flat = planes.ndim == 2
    channels = 1 if flat else planes.shape[-3]
    if channels not in (1, 3):
        raise TypeError(f"Input image tensor permitted channel values are 1 or 3, but found {channels}")
    changed = change(planes[None] if flat else planes)
    return like(image, changed[0] if flat else changed)


def luma(planes: np.ndarray) -> np.ndarray:
    """The luma of RGB planes, (..., 1, H, W), in their dtype; a single plane as it is."""
    if planes.shape[-3] == 1:
        return planes
    kind = planes.dtype.type if planes.dtype.kind == "f" else np.float32
    red, green, blue = (planes[..., channel : channel + 1, :, :] for channel in range(3))
    return (kind(0.2989) * red + kind(0.587) * green + kind(0.114) * blue).astype(planes.dtype)


def _blend(planes: np.ndarray, other: Any, factor: float) -> np.ndarray:
    if factor < 0:
        raise ValueError(f"a factor should not be negative, but is {factor}")
    kind = planes.dtype.type if planes.dtype.kind == "f" else np.float32
    highest = 1.0 if planes.dtype.kind == "f" else np.iinfo(planes.dtype).max
    return (kind(factor) * planes + kind(1 - factor) * other).clip(0, highest).astype(planes.dtype)


def brighten(planes: np.ndarray, factor: float) -> np.ndarray:
    """Blended with black."""
    return _blend(planes, np.zeros_like(planes), factor)


def contrast(planes: np.ndarray, factor: float) -> np.ndarray:
    """Blended with the grey of the mean luma."""
    kind = planes.dtype.type if planes.dtype.kind == "f" else np.float32
    return _blend(planes, luma(planes).mean(axis=(-3, -2, -1), keepdims=True, dtype=kind), factor)


def saturate(planes: np.ndarray, factor: float) -> np.ndarray:
    """Blended with the luma."""
    return planes if planes.shape[-3] == 1 else _blend(planes, luma(planes), factor)


def turn_hue(planes: np.ndarray, factor: float) -> np.ndarray:
    """The hue moved on along its circle of length 1."""
    if not -0.5 <= factor <= 0.5:
        raise ValueError(f"hue_factor ({factor}) is not in [-0.5, 0.5].")
    if planes.shape[-3] == 1:
        return planes
    if planes.dtype.kind == "f":
        return _hsv_to_rgb(*_rgb_to_hsv(planes), planes.dtype.type(factor))
    highest = np.iinfo(planes.dtype).max
    turned = _hsv_to_rgb(*_rgb_to_hsv(planes.astype(np.float32) / np.float32(highest)), np.float32(factor))
    return (turned * np.float32(highest + 1 - 1e-3)).astype(planes.dtype)


def _rgb_to_hsv(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    red, green, blue = (planes[..., channel, :, :] for channel in range(3))
    highest, lowest = planes.max(axis=-3), planes.min(axis=-3)
    chroma = highest - lowest
    steps = np.where(chroma == 0, 1, chroma)
    hue = np.where(
        highest == red,
        (green - blue) / steps,
        np.where(highest == green, 2 + (blue - red) / steps, 4 + (red - green) / steps),
    )
    return (hue / 6) % 1, chroma / np.where(highest == 0, 1, highest), highest


def _hsv_to_rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray, turn: Any) -> np.ndarray:
    sixth = ((hue + turn) % 1) * 6

    def channel(offset: int) -> np.ndarray:  # how far the hue is from this colour, on the circle
        distance = (sixth + offset) % 6
        return value - value * saturation * np.minimum(distance, 4 - distance).clip(0, 1)

    return np.stack([channel(5), channel(3), channel(1)], axis=-3).astype(value.dtype)
