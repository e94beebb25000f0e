"""Images of noise, for trying a program out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numgrad

from .vision import VisionDataset


class FakeData(VisionDataset):
    """`size` images of noise with random labels; image i is the same each time.

    Args:
        size: how many.
        image_size: (channels, height, width).
        num_classes: labels are from 0 to num_classes - 1.
        transform: from the image, a uint8 array (H, W, C), or (H, W) for one channel; likewise target_transform.
        random_offset: another one gives other images.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: Sequence[int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(None, transform=transform, target_transform=target_transform)
        self.size, self.image_size = size, tuple(image_size)
        self.num_classes, self.random_offset = num_classes, random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < self.size:
            raise IndexError(f"{type(self).__name__} index {index} is out of range for {self.size} images")
        generator = numgrad.Generator()
        generator.manual_seed(index + self.random_offset)
        channels, height, width = self.image_size
        noise = numgrad.randint(0, 256, (height, width, channels), dtype=numgrad.uint8, generator=generator).numpy()
        target = int(numgrad.randint(0, self.num_classes, (1,), generator=generator).item())
        return self._transformed(noise[:, :, 0] if channels == 1 else noise, target)

    def __len__(self) -> int:
        return self.size
