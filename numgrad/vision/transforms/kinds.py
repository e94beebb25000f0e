"""The three kinds of images - tensors, arrays, PIL images - as one: arrays (..., H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np

import numgrad


def is_pil(image: Any) -> bool:
    """Whether this is a PIL image (which is found out without PIL)."""
    return any(kind.__module__ == "PIL.Image" for kind in type(image).__mro__)


def planes_of(image: Any) -> np.ndarray:
    """The image as an array (..., H, W)."""
    if isinstance(image, numgrad.Tensor):
        if image.dim() < 2:
            raise TypeError(f"an image tensor has at least 2 dimensions, but this has the shape {tuple(image.shape)}")
        return image.numpy()
    if not isinstance(image, np.ndarray):
        if not is_pil(image):
            raise TypeError(f"an image is a tensor, a NumPy array or a PIL image, not a {type(image).__name__}")
        if image.mode not in ("L", "LA", "RGB", "RGBA", "F", "I"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        image = np.asarray(image)
    if image.ndim not in (2, 3):
        raise ValueError(f"an image array is (H, W) or (H, W, C), but this has the shape {image.shape}")
    return image if image.ndim == 2 else image.transpose(2, 0, 1)


def like(image: Any, planes: np.ndarray) -> Any:
    """`planes`, (..., H, W), as an image of the kind of `image`."""
    if isinstance(image, numgrad.Tensor):
        return numgrad.from_numpy(np.array(planes, order="C"))
    array = planes if planes.ndim == 2 else planes.transpose(1, 2, 0)
    if isinstance(image, np.ndarray):
        return array
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(array))


def get_dimensions(image: Any) -> list[int]:
    """[channels, height, width]."""
    if is_pil(image):
        return [len(image.getbands()), image.height, image.width]
    shape = planes_of(image.detach() if isinstance(image, numgrad.Tensor) else image).shape
    return [1 if len(shape) == 2 else shape[-3], *shape[-2:]]


def get_image_size(image: Any) -> list[int]:
    """[width, height]."""
    return get_dimensions(image)[:0:-1]


def get_image_num_channels(image: Any) -> int:
    """How many channels it has."""
    return get_dimensions(image)[0]
