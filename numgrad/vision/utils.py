"""Looking at batches of images."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np

import numgrad

from .io import write_array


def make_grid(
    tensor: Any,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Any:
    """Images side by side in one tensor (C, H, W); grey ones become RGB.

    Args:
        tensor: (B, C, H, W), (C, H, W), (H, W), or a list of (C, H, W) of one size.
        nrow: images in a row.
        padding, pad_value: width and value of the lines between and around them (a single image gets none).
        normalize: map value_range, or else the range from the least to the largest value, to 0..1.
        scale_each: find that range for each image by itself.
    """
    if isinstance(tensor, (list, tuple)):
        tensor = numgrad.stack(list(tensor))
    if not isinstance(tensor, numgrad.Tensor):
        raise TypeError(f"tensor or list of tensors expected, got a {type(tensor).__name__}")
    images: Any = tensor.detach().numpy()
    if images.ndim not in (2, 3, 4):
        raise ValueError(f"expected 2 to 4 dimensions, (B, C, H, W), but got the shape {images.shape}")
    images = images.reshape((1,) * (4 - images.ndim) + images.shape)
    if images.shape[1] == 1:
        images = images.repeat(3, axis=1)
    if value_range is not None and not isinstance(value_range, tuple):
        raise TypeError(f"value_range should be a tuple (least, largest), but is {value_range!r}")
    if normalize:
        groups = images if scale_each else images[None]
        images = np.stack([_to_unit(group, value_range) for group in groups]).reshape(images.shape)
    if len(images) == 1:
        return numgrad.from_numpy(images[0].copy())
    return numgrad.from_numpy(_arrange(images, nrow, padding, pad_value))


def _to_unit(images: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    low, high = value_range if value_range is not None else (float(images.min()), float(images.max()))
    return (images.clip(low, high) - images.dtype.type(low)) / images.dtype.type(max(high - low, 1e-5))


def _arrange(images: np.ndarray, nrow: int, padding: int, pad_value: float) -> np.ndarray:
    count, channels, height, width = images.shape
    columns = min(nrow, count)
    rows = -(-count // columns)
    height, width = height + padding, width + padding
    grid = np.full((channels, height * rows + padding, width * columns + padding), pad_value, images.dtype)
    for position, image in enumerate(images):
        top, left = position // columns * height + padding, position % columns * width + padding
        grid[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return grid


def save_image(tensor: Any, fp: str | os.PathLike | BinaryIO, format: str | None = None, **options: Any) -> None:
    """Write images with values from 0 to 1 to a file, arranged as by `make_grid(tensor, **options)`.

    The format follows from the file's name; PNG needs nothing else, other formats need Pillow.
    """
    grid = make_grid(tensor, **options).numpy()
    pixels = (grid.astype(np.float32) * 255 + 0.5).clip(0, 255).astype(np.uint8)
    write_array(pixels.transpose(1, 2, 0), fp, format)
