"""MNIST and what comes in its format."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import numgrad

from . import idx
from .download import fetch
from .vision import VisionDataset


class MNIST(VisionDataset):
    """Handwritten digits: 60,000 images to train on and 10,000 to test, 28x28 (LeCun, Cortes and Burges, 1998).

    Args:
        root: the folder that has `MNIST/raw/train-images-idx3-ubyte` and the like, or these files directly; each plain
            or gzipped. Files you wrote yourself are as welcome as the original ones, whatever their number of images.
        train: the training set, or else the test set.
        transform: from the image, a uint8 array (H, W), to what you want instead; likewise target_transform.
        download: fetch what is not there.
        mirrors: where to fetch from, in order, instead of the class attribute of this name.

    `data` is a uint8 tensor (N, H, W) and `targets` an int64 tensor (N,). Files that are missing, damaged or do not
    belong together are a RuntimeError that names them.
    """

    mirrors: Sequence[str] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    checksums = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    _words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    classes = [f"{digit} - {word}" for digit, word in enumerate(_words)]

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        *,
        mirrors: Sequence[str] | None = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if mirrors is not None:
            self.mirrors = mirrors
        if download:
            self.download()
        images, labels = self._load(self._names(train))
        self.data, self.targets = numgrad.from_numpy(images), numgrad.from_numpy(labels.astype(np.int64))

    @property
    def raw_folder(self) -> str:
        """Where downloaded files go."""
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def _folders(self) -> list[str]:
        name = type(self).__name__
        return [self.raw_folder, os.path.join(self.root, name), os.path.join(self.root, name.lower()), self.root]

    def _names(self, train: bool) -> list[str]:
        part = "train" if train else "t10k"
        return [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]

    def download(self) -> None:
        """Fetch the files that are not there yet."""
        for name in (*self._names(True), *self._names(False)):
            if idx.find(self._folders(), name) is None:
                file = name + ".gz"
                urls = [mirror.rstrip("/") + "/" + file for mirror in self.mirrors]
                fetch(urls, os.path.join(self.raw_folder, file), self.checksums[file])

    def _load(self, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        paths: list[Any] = [idx.find(self._folders(), name) for name in names]
        if None in paths:
            missing = " and ".join(name for name, path in zip(names, paths, strict=True) if path is None)
            places = ", ".join(self._folders())
            raise RuntimeError(
                f"Dataset not found: no {missing} (or .gz) in {places}. Use download=True to download it"
            )
        images, labels = (idx.read(path, dimensions) for path, dimensions in zip(paths, (3, 1), strict=True))
        if len(images) != len(labels):
            raise RuntimeError(f"{paths[0]} has {len(images)} images, but {paths[1]} has {len(labels)} labels")
        if labels.size and labels.max() >= len(self.classes):
            raise RuntimeError(f"{paths[1]} has the label {labels.max()}, but there are {len(self.classes)} classes")
        return images, labels

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self.data[index].numpy().copy(), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Photographs of clothes in MNIST's format and size (Xiao, Rasul and Vollgraf, 2017); arguments as for MNIST."""

    mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    checksums = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
    ]  # fmt: skip
