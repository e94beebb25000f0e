"""Reading and writing image files: PNG and PNM by itself, every other format with Pillow."""

from __future__ import annotations

import enum
import os
from typing import Any, BinaryIO

import numpy as np

import numgrad

from . import png


class ImageReadMode(enum.Enum):
    """What channels an image should have once read."""

    UNCHANGED = None
    GRAY = "L"
    GRAY_ALPHA = "LA"
    RGB = "RGB"
    RGB_ALPHA = "RGBA"


def read_image(path: str | os.PathLike, mode: ImageReadMode | str = ImageReadMode.UNCHANGED) -> Any:
    """The image in a file as a uint8 tensor (C, H, W)."""
    mode = ImageReadMode[mode] if isinstance(mode, str) else mode
    array = read_array(path, mode.value)
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return numgrad.from_numpy(np.array(planes, order="C"))


def write_png(input: Any, filename: str | os.PathLike, compression_level: int = 6) -> None:
    """Write a uint8 tensor (C, H, W) of 1 or 3 channels as a PNG file."""
    if input.dtype != numgrad.uint8 or input.dim() != 3 or input.size(0) not in (1, 3):
        raise ValueError(f"expected a uint8 tensor (1 or 3, H, W), but got {input.dtype} of {tuple(input.shape)}")
    write_array(input.detach().numpy().transpose(1, 2, 0), filename, "png")


def read_array(path: str | os.PathLike, mode: str | None = None) -> np.ndarray:
    """The image in a file as a uint8 array (H, W) or (H, W, C), in Pillow's `mode` (L, LA, RGB, RGBA) if one is given.

    Pillow reads it if that is installed; else only PNG and PNM can be read. RuntimeError if it is damaged.
    """
    try:
        from PIL import Image
    except ImportError:
        with open(path, "rb") as file:
            data = file.read()
        try:
            return _in_mode(png.decode(data), mode)
        except ValueError as error:
            raise RuntimeError(f"{os.fspath(path)}: {error}; other formats need Pillow: pip install pillow") from None
    try:
        with Image.open(path) as image:
            if mode is None:
                mode = image.mode if image.mode in ("L", "LA", "RGB", "RGBA") else "RGB"
            return np.array(image.convert(mode))
    except Exception as error:  # Pillow's readers fail in every possible way
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise RuntimeError(f"{os.fspath(path)} is damaged or no image: {error}") from None


def _in_mode(array: np.ndarray, mode: str | None) -> np.ndarray:
    if mode is None:
        return array
    channels = array.shape[2] if array.ndim == 3 else 1
    planes = array[:, :, None] if array.ndim == 2 else array
    colour = planes[:, :, : 1 if channels < 3 else 3]
    alpha = planes[:, :, -1:] if channels in (2, 4) else np.full_like(planes[:, :, :1], 255)
    if mode.startswith("RGB"):
        colour = np.broadcast_to(colour, (*colour.shape[:2], 3))
    elif channels >= 3:
        colour = to_grey(colour)[:, :, None]
    return (
        np.concatenate([colour, alpha], axis=2)
        if mode.endswith("A")
        else np.squeeze(colour, 2)
        if mode == "L"
        else colour
    )


def to_grey(image: np.ndarray) -> np.ndarray:
    """The luma of a uint8 RGB image (ITU-R BT.601), in the 16-bit integers that Pillow computes with."""
    red, green, blue = (image[..., channel].astype(np.uint32) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)


def write_array(image: np.ndarray, target: str | os.PathLike | BinaryIO, format: str | None = None) -> None:
    """Write a uint8 array (H, W) or (H, W, C); the format follows from the name, and all but PNG need Pillow."""
    if format is None:
        format = os.path.splitext(os.fspath(target))[1].lstrip(".") if not hasattr(target, "write") else "png"
    if format.lower() == "png":
        data = png.encode(np.ascontiguousarray(image))
        if hasattr(target, "write"):
            target.write(data)
            return
        with open(target, "wb") as file:
            file.write(data)
        return
    try:
        from PIL import Image
    except ImportError:
        raise RuntimeError(
            f"writing {format or 'an unknown format'} needs Pillow (pip install pillow); .png does not"
        ) from None
    Image.fromarray(np.squeeze(image)).save(target, format={"jpg": "jpeg"}.get(format.lower(), format))
