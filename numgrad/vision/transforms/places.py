"""Transforms that move pixels, as objects: made once with their parameters, called with an image."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

from numgrad import nn

from . import functional as F
from .resample import InterpolationMode, as_mode
from .transforms import described, integer, uniform


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
        return described(self, size=self.size, **details)


class CenterCrop(nn.Module):
    """The middle of the image, with a border of 0 where it is smaller."""

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = F._pair(size)

    def forward(self, img: Any) -> Any:
        return F.center_crop(img, self.size)

    def __repr__(self) -> str:
        return described(self, size=self.size)


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
        return described(self, padding=self.padding, fill=self.fill, padding_mode=self.padding_mode)


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
        return integer(old_height - height + 1), integer(old_width - width + 1), height, width

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
        return described(self, size=self.size, padding=self.padding)


class RandomHorizontalFlip(nn.Module):
    """Left to right with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.hflip(img) if uniform() < self.p else img

    def __repr__(self) -> str:
        return described(self, p=self.p)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Upside down with probability p."""

    def forward(self, img: Any) -> Any:
        return F.vflip(img) if uniform() < self.p else img


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
            area = old_height * old_width * uniform(*scale)
            aspect = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
            height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
            if 0 < width <= old_width and 0 < height <= old_height:
                return integer(old_height - height + 1), integer(old_width - width + 1), height, width
        aspect = min(max(old_width / old_height, min(ratio)), max(ratio))
        height, width = min(old_height, round(old_width / aspect)), min(old_width, round(old_height * aspect))
        return (old_height - height) // 2, (old_width - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        place = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *place, self.size, self.interpolation, self.antialias)

    def __repr__(self) -> str:
        details = dict(interpolation=self.interpolation.value, antialias=self.antialias)
        return described(self, size=self.size, scale=tuple(self.scale), ratio=tuple(self.ratio), **details)
