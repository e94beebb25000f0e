"""Transforms as objects: made once with their parameters, called with an image, drawing from numgrad's generator."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numgrad
from numgrad import nn

from . import functional as F
from .resample import InterpolationMode, as_mode


def _uniform(low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * numgrad.rand(1, dtype=numgrad.float64).item()


def _integer(below: int) -> int:
    return int(numgrad.randint(0, below, (1,)).item())


def _described(transform: Any, **parameters: Any) -> str:
    return f"{type(transform).__name__}({', '.join(f'{name}={value}' for name, value in parameters.items())})"


# --- several in one ---


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "\n    ".join([f"{type(self).__name__}(", *map(repr, self.transforms)]) + "\n)"


class Lambda:
    """A function as a transform."""

    def __init__(self, lambd: Callable) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class RandomApply(nn.Module):
    """All of the transforms, or with probability 1 - p none."""

    def __init__(self, transforms: Sequence[Callable], p: float = 0.5) -> None:
        super().__init__()
        self.transforms, self.p = transforms, p

    def forward(self, img: Any) -> Any:
        if self.p < _uniform():
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "\n    ".join([f"{type(self).__name__}(", f"p={self.p}", *map(repr, self.transforms)]) + "\n)"


class RandomOrder(Compose):
    """All of the transforms in random order."""

    def __call__(self, img: Any) -> Any:
        for position in numgrad.randperm(len(self.transforms)).tolist():
            img = self.transforms[position](img)
        return img


class RandomChoice(Compose):
    """One of the transforms, with probabilities in proportion to `p`."""

    def __init__(self, transforms: Sequence[Callable], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"p has {len(p)} probabilities for {len(transforms)} transforms")
        self.p = p

    def __call__(self, img: Any) -> Any:
        weights = self.p if self.p is not None else [1.0] * len(self.transforms)
        left = _uniform(high=sum(weights))
        for transform, weight in zip(self.transforms, weights, strict=True):
            left -= weight
            if left < 0:
                return transform(img)
        return self.transforms[-1](img)  # rounding left a little over


# --- from one kind to another ---


class ToTensor:
    """A uint8 array (H, W) or (H, W, C), or PIL image, as a tensor (C, H, W) of values from 0 to 1."""

    def __call__(self, pic: Any) -> Any:
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PILToTensor(ToTensor):
    """An array (H, W) or (H, W, C), or PIL image, as a tensor (C, H, W) of the same values."""

    def __call__(self, pic: Any) -> Any:
        return F.pil_to_tensor(pic)


class ToPILImage:
    """A tensor (C, H, W) or an array as a PIL image (needs Pillow)."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return _described(self, mode=self.mode)


class ConvertImageDtype(nn.Module):
    """A tensor in another dtype, its values scaled: integers fill their range, floats 0..1."""

    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: Any) -> Any:
        return F.convert_image_dtype(image, self.dtype)


class Normalize(nn.Module):
    """(tensor - mean) / std, by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor: Any) -> Any:
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return _described(self, mean=self.mean, std=self.std)


class Grayscale(nn.Module):
    """The luma of an RGB image, in one channel or repeated in three."""

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self) -> str:
        return _described(self, num_output_channels=self.num_output_channels)


class RandomGrayscale(nn.Module):
    """With probability p the luma, in as many channels as there were."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img)) if _uniform() < self.p else img

    def __repr__(self) -> str:
        return _described(self, p=self.p)


# --- places ---


class Resize(nn.Module):
    """Resize to (height, width), or the shorter side to one number; see `functional.resize`."""

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: Any = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size, self.max_size = size, max_size
        self.interpolation, self.antialias = as_mode(interpolation), antialias

    def forward(self, img: Any) -> Any:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        details = dict(interpolation=self.interpolation.value, max_size=self.max_size, antialias=self.antialias)
        return _described(self, size=self.size, **details)


class CenterCrop(nn.Module):
    """The middle of the image, with a border of 0 where it is smaller."""

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = F._pair(size)

    def forward(self, img: Any) -> Any:
        return F.center_crop(img, self.size)

    def __repr__(self) -> str:
        return _described(self, size=self.size)


class Pad(nn.Module):
    """Add a border; see `functional.pad`."""

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        if not isinstance(padding, (numbers.Number, tuple, list)):
            raise TypeError(f"Got inappropriate padding arg {padding!r}")
        if isinstance(padding, Sequence) and len(padding) not in (1, 2, 4):
            raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not of {len(padding)} elements")
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self) -> str:
        return _described(self, padding=self.padding, fill=self.fill, padding_mode=self.padding_mode)


class RandomCrop(nn.Module):
    """A random part of this size of the image, after `padding`; pad_if_needed makes too small an image large enough."""

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = F._pair(size)
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = padding, pad_if_needed, fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """A random (top, left, height, width)."""
        (old_height, old_width), (height, width) = F.get_dimensions(img)[1:], output_size
        if old_height < height or old_width < width:
            raise ValueError(
                f"Required crop size {(height, width)} is larger than input image size {(old_height, old_width)}"
            )
        return _integer(old_height - height + 1), _integer(old_width - width + 1), height, width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            height, width = F.get_dimensions(img)[1:]
            if width < self.size[1]:
                img = F.pad(img, (self.size[1] - width, 0), self.fill, self.padding_mode)
            if height < self.size[0]:
                img = F.pad(img, (0, self.size[0] - height), self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return _described(self, size=self.size, padding=self.padding)


class RandomHorizontalFlip(nn.Module):
    """Left to right with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.hflip(img) if _uniform() < self.p else img

    def __repr__(self) -> str:
        return _described(self, p=self.p)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Upside down with probability p."""

    def forward(self, img: Any) -> Any:
        return F.vflip(img) if _uniform() < self.p else img


class RandomResizedCrop(nn.Module):
    """A random part of the image, of a share of its area in `scale` and a ratio in `ratio`, resized to `size`.

    The way GoogLeNet was trained (Szegedy et al., 2014).
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size, self.scale, self.ratio = F._pair(size), scale, ratio
        if not isinstance(scale, Sequence) or not isinstance(ratio, Sequence):
            raise TypeError("scale and ratio should be sequences (least, largest)")
        self.interpolation, self.antialias = as_mode(interpolation), antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """A random (top, left, height, width); the middle of the image if none fits ten times over."""
        old_height, old_width = F.get_dimensions(img)[1:]
        for _ in range(10):
            area = old_height * old_width * _uniform(*scale)
            aspect = math.exp(_uniform(math.log(ratio[0]), math.log(ratio[1])))
            height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
            if 0 < width <= old_width and 0 < height <= old_height:
                return _integer(old_height - height + 1), _integer(old_width - width + 1), height, width
        aspect = min(max(old_width / old_height, min(ratio)), max(ratio))
        height, width = min(old_height, round(old_width / aspect)), min(old_width, round(old_height * aspect))
        return (old_height - height) // 2, (old_width - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        place = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *place, self.size, self.interpolation, self.antialias)

    def __repr__(self) -> str:
        details = dict(interpolation=self.interpolation.value, antialias=self.antialias)
        return _described(self, size=self.size, scale=tuple(self.scale), ratio=tuple(self.ratio), **details)
