"""The handwritten digits that come with numgrad."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import numgrad

from . import idx
from .vision import VisionDataset

_FOLDER = os.path.join(os.path.dirname(__file__), "uci_digits")


class Digits(VisionDataset):
    """1,797 handwritten digits, 8x8, pixels 0 to 16; no download (E. Alpaydin and C. Kaynak, UCI, 1998, CC BY 4.0).

    Args:
        root: ignored, for all data come with the package.
        train: the 1,438 images to train on or the 359 to test; None gives all 1,797 in their original order.
        transform: from the image, a uint8 array (8, 8), to what you want instead; likewise target_transform.
        download: ignored.

    Of every five images of a class, in their original order, the third is for testing. Both parts thus have images by
    each of the 13 writers: the test tells how well new images by known writers are read, not those by new ones.

    `ToTensor()` divides by 255 as it does for every image; `Normalize(4.8842 / 255, 6.0168 / 255)` after it gives mean
    0 and standard deviation 1. `data` is a uint8 tensor (N, 8, 8) and `targets` an int64 tensor (N,).
    """

    classes = [str(digit) for digit in range(10)]

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        train: bool | None = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(None, transform=transform, target_transform=target_transform)
        self.train = train
        images = idx.read(os.path.join(_FOLDER, "images-idx3-ubyte.gz"), 3)
        labels = idx.read(os.path.join(_FOLDER, "labels-idx1-ubyte.gz"), 1)
        if train is not None:
            chosen = _is_test(labels) != train
            images, labels = images[chosen], labels[chosen]
        self.data, self.targets = numgrad.from_numpy(images), numgrad.from_numpy(labels.astype(np.int64))

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self.data[index].numpy().copy(), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return {True: "Split: Train", False: "Split: Test", None: "Split: All"}[self.train]


def _is_test(labels: np.ndarray) -> np.ndarray:
    within_class = np.zeros(len(labels), np.int64)
    for label in range(10):
        own = labels == label
        within_class[own] = np.arange(own.sum())
    return within_class % 5 == 2
