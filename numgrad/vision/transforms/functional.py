"""Transforms as functions of an image and fixed parameters.

An image is a tensor (..., C, H, W), a NumPy array (H, W) or (H, W, C) as the datasets give it, or a PIL image; what
comes back is of the same kind. Arrays and PIL images are treated as torchvision treats PIL images, uint8 in the integer
arithmetic of Pillow; tensors as it treats tensors. All is computed on the host, and only `normalize` has a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import numgrad

from ..io import to_grey
from . import color
from .kinds import get_dimensions, is_pil, like, planes_of
from .kinds import get_image_num_channels as get_image_num_channels
from .kinds import get_image_size as get_image_size
from .resample import InterpolationMode, as_mode, new_size, resize_picture, resize_tensor

# --- from one kind to another ---


def to_tensor(pic: Any) -> Any:
    """An array (H, W) or (H, W, C) or a PIL image as a tensor (C, H, W): uint8 as 0..1 of the default dtype."""
    planes = _pictured(pic)
    if planes.dtype == np.uint8:
        return numgrad.from_numpy(np.divide(planes, 255, dtype=_numpy_dtype(numgrad.get_default_dtype()), order="C"))
    return numgrad.from_numpy(np.array(planes, order="C"))


def pil_to_tensor(pic: Any) -> Any:
    """An array (H, W) or (H, W, C) or a PIL image as a tensor (C, H, W) of the same values."""
    return numgrad.from_numpy(np.array(_pictured(pic), order="C"))


def _pictured(pic: Any) -> np.ndarray:
    if isinstance(pic, numgrad.Tensor):
        raise TypeError("expected a NumPy array or a PIL image, but this is a tensor already")
    planes = planes_of(pic)
    return planes[None] if planes.ndim == 2 else planes


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W) or (H, W), or an array (H, W) or (H, W, C), as a PIL image; floats from 0..1 become uint8."""
    from PIL import Image

    if isinstance(pic, numgrad.Tensor):
        planes = pic.detach().numpy()
        if planes.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {planes.ndim} dimensions.")
        if planes.dtype.kind == "f" and mode != "F":
            planes = (planes * 255).astype(np.uint8)
        pic = planes if planes.ndim == 2 else planes.transpose(1, 2, 0)
    if not isinstance(pic, np.ndarray):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    image = Image.fromarray(np.ascontiguousarray(pic[:, :, 0] if pic.ndim == 3 and pic.shape[2] == 1 else pic))
    return image if mode is None or image.mode == mode else image.convert(mode)


def convert_image_dtype(image: Any, dtype: Any = None) -> Any:
    """A tensor in another dtype, its values scaled: integers fill their range, floats 0..1."""
    dtype = numgrad.float32 if dtype is None else dtype
    values = image.numpy()
    target = _numpy_dtype(dtype)
    if values.dtype == target:
        return image
    if values.dtype.kind == "f":
        if target.kind == "f":
            return image.to(dtype)
        if (values.dtype.itemsize, target.itemsize) in ((4, 4), (4, 8), (8, 8)):
            raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
        scaled = values * values.dtype.type(_largest(target) + 1 - 1e-3)  # each integer gets an equal share of 0..1
        return numgrad.from_numpy(scaled.astype(target))
    if target.kind == "f":
        return numgrad.from_numpy(values.astype(target) / target.type(_largest(values.dtype)))
    ratio = (_largest(values.dtype) + 1) / (_largest(target) + 1)
    if ratio > 1:
        return numgrad.from_numpy((values // int(ratio)).astype(target))
    return numgrad.from_numpy(values.astype(target) * target.type(int(1 / ratio)))


def _numpy_dtype(dtype: Any) -> np.dtype:
    return np.dtype(str(dtype).rpartition(".")[2])


def _largest(dtype: np.dtype) -> int:
    return 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)


# --- values ---


def normalize(tensor: Any, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Any:
    """(tensor - mean) / std, by channel, of a float tensor (..., C, H, W)."""
    if not isinstance(tensor, numgrad.Tensor):
        raise TypeError(f"tensor should be a tensor image. Got {type(tensor).__name__}: put ToTensor() before")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.dim() < 3:
        raise ValueError(f"Expected tensor to be a tensor image of size (..., C, H, W). Got {tuple(tensor.shape)}")
    values = tensor.detach().numpy()
    shift, scale = np.asarray(mean, values.dtype), np.asarray(std, values.dtype)
    if (scale == 0).any():
        raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero.")
    if shift.ndim == 1:
        shift = shift[:, None, None]
    if scale.ndim == 1:
        scale = scale[:, None, None]
    if inplace or tensor.requires_grad:
        shift, scale = numgrad.from_numpy(shift), numgrad.from_numpy(scale)
        return tensor.sub_(shift).div_(scale) if inplace else (tensor - shift) / scale
    result = values - shift
    result /= scale
    return numgrad.from_numpy(result)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The luma of an RGB image, in one channel or repeated in three."""
    if num_output_channels not in (1, 3):
        raise ValueError(f"num_output_channels should be either 1 or 3, but is {num_output_channels}")
    planes = planes_of(img)
    is_tensor = isinstance(img, numgrad.Tensor)
    if planes.ndim == 2 or planes.shape[-3] == 1:
        grey = planes if planes.ndim == 2 else planes[..., 0, :, :]
    elif planes.shape[-3] < 3:
        raise TypeError(f"Input image tensor permitted channel values are 1 or 3, but found {planes.shape[-3]}")
    elif planes.dtype == np.uint8 and not is_tensor:
        grey = to_grey(planes.transpose(1, 2, 0))
    else:
        grey = color.luma(planes)[..., 0, :, :]
    if num_output_channels == 3:
        return like(img, np.stack([grey] * 3, axis=-3))
    return like(img, grey[..., None, :, :] if is_tensor and planes.ndim > 2 else grey)


to_grayscale = rgb_to_grayscale


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Every value times the factor, within the range of values."""
    return color.adjust(img, lambda planes: color.brighten(planes, brightness_factor))


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Every difference to the mean luma times the factor, within the range of values."""
    return color.adjust(img, lambda planes: color.contrast(planes, contrast_factor))


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Every difference to the pixel's luma times the factor, within the range of values."""
    return color.adjust(img, lambda planes: color.saturate(planes, saturation_factor))


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Colours turned around the circle by a factor from -0.5 to 0.5, which both are the opposite colour."""
    return color.adjust(img, lambda planes: color.turn_hue(planes, hue_factor))


# --- places ---


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Resize to (height, width), or the shorter side to one number and the other in proportion.

    Reductions are smoothed: every input pixel counts. Only for tensors can `antialias=False` turn that off.
    """
    sizes = [size] if isinstance(size, int) else list(size)
    if len(sizes) not in (1, 2):
        raise ValueError(f"size should be one or two numbers, but is {size}")
    if max_size is not None and len(sizes) == 2:
        raise ValueError("max_size should only be passed if size specifies the length of the smaller edge")
    _, *old = get_dimensions(img)
    height, width = new_size((old[0], old[1]), sizes, max_size)
    if height <= 0 or width <= 0:
        raise ValueError(f"cannot resize {tuple(old)} to {(height, width)}")
    if [height, width] == old:
        return img
    mode = as_mode(interpolation)
    if isinstance(img, numgrad.Tensor):
        return like(img, resize_tensor(planes_of(img), height, width, mode, antialias is not False))
    if is_pil(img):  # knows also about alpha and palettes
        from PIL import Image

        name = "nearest" if mode is InterpolationMode.NEAREST_EXACT else mode.value
        return img.resize((width, height), getattr(Image.Resampling, name.upper()))
    return like(img, resize_picture(planes_of(img), height, width, mode))


def pad(img: Any, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Add a border: of one width, (left and right, top and bottom), or (left, top, right, bottom)."""
    widths: list[Any] = list(padding) if isinstance(padding, Sequence) else [padding]
    if len(widths) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(widths)} element tuple")
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(f"Padding mode should be constant, edge, reflect or symmetric, but is {padding_mode!r}")
    left, top, right, bottom = (widths * 4)[:4]
    if min(left, top, right, bottom) < 0:
        raise ValueError(f"padding should not be negative, but is {padding}")
    planes = planes_of(img)
    mode: Any = padding_mode
    border: Any = [(0, 0)] * (planes.ndim - 2) + [(top, bottom), (left, right)]
    if padding_mode != "constant":
        return like(img, np.pad(planes, border, mode=mode))
    shape = [size + sum(extra) for size, extra in zip(planes.shape, border, strict=True)]
    result = np.empty(shape, planes.dtype)
    colours = np.asarray(fill if fill is not None else 0)
    result[...] = colours[:, None, None] if colours.ndim == 1 and planes.ndim > 2 else colours
    result[..., top : top + planes.shape[-2], left : left + planes.shape[-1]] = planes
    return like(img, result)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The rectangle of this place and size; what lies outside the image is 0."""
    old_height, old_width = get_dimensions(img)[1:]
    beyond = (max(-left, 0), max(-top, 0), max(left + width - old_width, 0), max(top + height - old_height, 0))
    if any(beyond):
        img = pad(img, beyond)
        left, top = max(left, 0), max(top, 0)
    return like(img, planes_of(img)[..., top : top + height, left : left + width])


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The middle of the image, with a border of 0 where it is smaller."""
    height, width = _pair(output_size)
    old_height, old_width = get_dimensions(img)[1:]
    if height > old_height or width > old_width:
        wide, tall = max(width - old_width, 0), max(height - old_height, 0)
        img = pad(img, (wide // 2, tall // 2, (wide + 1) // 2, (tall + 1) // 2))
        old_height, old_width = old_height + tall, old_width + wide
    return crop(img, round((old_height - height) / 2), round((old_width - width) / 2), height, width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img: Any) -> Any:
    """Left to right."""
    return like(img, planes_of(img)[..., ::-1])


def vflip(img: Any) -> Any:
    """Upside down."""
    return like(img, planes_of(img)[..., ::-1, :])


def erase(img: Any, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Any:
    """A tensor (..., C, H, W) whose rectangle at row i, column j of height h and width w is `v`."""
    if not isinstance(img, numgrad.Tensor):
        raise TypeError(f"img should be a tensor image. Got {type(img).__name__}: put ToTensor() before")
    img = img if inplace else img.clone()
    img[..., i : i + h, j : j + w] = v
    return img


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    sizes: list[Any] = list(size) if isinstance(size, Sequence) else [size]
    if len(sizes) not in (1, 2):
        raise ValueError(f"size should be one number or (height, width), but is {size}")
    return sizes[0], sizes[-1]
