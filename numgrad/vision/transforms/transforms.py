"""Transforms as objects: made once with their parameters, called with an image, drawing from numgrad's generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numgrad
from numgrad import nn

from . import functional as F


def uniform(low: float = 0.0, high: float = 1.0) -> float:
    """A random number from numgrad's generator."""
    return low + (high - low) * numgrad.rand(1, dtype=numgrad.float64).item()


def integer(below: int) -> int:
    """A random integer from numgrad's generator."""
    return int(numgrad.randint(0, below, (1,)).item())


def described(transform: Any, **parameters: Any) -> str:
    """A transform's repr."""
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
        if self.p < uniform():
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
        left = uniform(high=sum(weights))
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
        return described(self, mode=self.mode)


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
        return described(self, mean=self.mean, std=self.std)


class Grayscale(nn.Module):
    """The luma of an RGB image, in one channel or repeated in three."""

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self) -> str:
        return described(self, num_output_channels=self.num_output_channels)


class RandomGrayscale(nn.Module):
    """With probability p the luma, in as many channels as there were."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img)) if uniform() < self.p else img

    def __repr__(self) -> str:
        return described(self, p=self.p)


class ColorJitter(nn.Module):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Each is the largest change, a number that gives factors from max(0, 1 - x) to 1 + x, or from -x to x for the hue;
    or a pair, the least and the largest factor.
    """

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = _factors("brightness", brightness, 1.0, (0.0, math.inf))
        self.contrast = _factors("contrast", contrast, 1.0, (0.0, math.inf))
        self.saturation = _factors("saturation", saturation, 1.0, (0.0, math.inf))
        self.hue = _factors("hue", hue, 0.0, (-0.5, 0.5))

    def forward(self, img: Any) -> Any:
        changes = (
            (F.adjust_brightness, self.brightness),
            (F.adjust_contrast, self.contrast),
            (F.adjust_saturation, self.saturation),
            (F.adjust_hue, self.hue),
        )
        for position in numgrad.randperm(4).tolist():
            change, factors = changes[position]
            if factors is not None:
                img = change(img, uniform(*factors))
        return img

    def __repr__(self) -> str:
        details = {name: getattr(self, name) for name in ("brightness", "contrast", "saturation", "hue")}
        return described(self, **details)


def _factors(name: str, value: Any, centre: float, bounds: tuple[float, float]) -> tuple[float, float] | None:
    """The least and largest factor, or None where nothing is to change."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be non negative, but is {value}")
        least, most = centre - value, centre + value
        least = max(least, 0.0) if centre else least
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        least, most = map(float, value)
    else:
        raise TypeError(f"{name} should be a single number or a list/tuple with length 2, but is {value!r}")
    if not bounds[0] <= least <= most <= bounds[1]:
        raise ValueError(f"{name} values should be between {bounds}, but got {(least, most)}.")
    return None if least == most == centre else (least, most)
