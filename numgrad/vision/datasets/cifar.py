"""CIFAR-10 and CIFAR-100, from their pickled or their binary files."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .archive import load_plain, unpack
from .download import fetch
from .vision import VisionDataset

_PIXELS = 3 * 32 * 32


class CIFAR10(VisionDataset):
    """Small photographs, 32x32 in colour, of 10 kinds of things: 50,000 to train on, 10,000 to test (Krizhevsky, 2009).

    Args:
        root: the folder that has `cifar-10-batches-py` (pickled) or `cifar-10-batches-bin` (binary), the files in them
            directly, or an archive of either, which is unpacked. Files you wrote yourself in either format are as
            welcome as the original ones, with any number of images.
        train: the training set, or else the test set.
        transform: from the image, a uint8 array (32, 32, 3), to what you want instead; likewise target_transform.
        download: fetch the archive if nothing is there.
        mirrors: where to fetch from, in order, instead of the class attribute of this name.

    `data` is a uint8 array (N, 32, 32, 3) and `targets` a list. Nothing that a pickled file says is executed. Files
    that are missing or damaged are a RuntimeError that names them.
    """

    mirrors: Sequence[str] = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
    base_folder = "cifar-10-batches-py"
    binary_folder = "cifar-10-batches-bin"
    archives = {
        "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
        "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    }
    _files = {True: [f"data_batch_{number}" for number in range(1, 6)], False: ["test_batch"]}
    _labels_key = "labels"
    _label_bytes = 1
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

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
        if self._find(train) is None:
            self._unpack()
        if self._find(train) is None and download:
            self.download()
        paths = self._find(train)
        if paths is None:
            raise RuntimeError(
                f"Dataset not found: {self.root} has neither {self.base_folder} nor {self.binary_folder}, nor their "
                f"files, nor {' or '.join(self.archives)}. Use download=True to download it"
            )
        parts = [self._read(path) for path in paths]
        pixels = np.concatenate([part[0] for part in parts])
        self.data = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        self.targets: list[int] = [label for part in parts for label in part[1]]

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def download(self) -> None:
        """Fetch the archive of pickled files, check it, and unpack it."""
        name, md5 = next(iter(self.archives.items()))
        fetch([mirror.rstrip("/") + "/" + name for mirror in self.mirrors], os.path.join(self.root, name), md5)
        self._unpack()

    def _find(self, train: bool) -> list[str] | None:
        """The files of this part, from the first folder that has all of them."""
        for folder, ending in (
            (self.base_folder, ""),
            (self.binary_folder, ".bin"),
            (".", ""),
            (".", ".bin"),
        ):
            paths = [os.path.normpath(os.path.join(self.root, folder, name + ending)) for name in self._files[train]]
            if all(os.path.isfile(path) for path in paths):
                return paths
        return None

    def _unpack(self) -> None:
        """Take from the first archive there is the files that belong to the data set, and nothing else."""
        for name, folder in zip(self.archives, (self.base_folder, self.binary_folder), strict=True):
            path = os.path.join(self.root, name)
            if os.path.isfile(path):
                files = [file for part in self._files.values() for file in part]
                unpack(path, self.root, folder, {*files, *(f"{file}.bin" for file in files)})
                return

    def _read(self, path: str) -> tuple[np.ndarray, list[int]]:
        return self._read_binary(path) if path.endswith(".bin") else self._read_pickled(path)

    def _read_binary(self, path: str) -> tuple[np.ndarray, list[int]]:
        raw = np.fromfile(path, np.uint8)
        record = self._label_bytes + _PIXELS
        if raw.size == 0 or raw.size % record:
            raise RuntimeError(f"{path} is damaged: {raw.size} bytes are no whole number of records of {record} bytes")
        raw = raw.reshape(-1, record)
        labels = raw[:, self._label_bytes - 1].tolist()  # of CIFAR-100's two labels the second is the finer
        return raw[:, self._label_bytes :], self._checked(labels, path)

    def _read_pickled(self, path: str) -> tuple[np.ndarray, list[int]]:
        content = load_plain(path)
        if not isinstance(content, dict):
            raise RuntimeError(f"{path} is damaged or of another kind: it holds a {type(content).__name__}, not a dict")
        content = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in content.items()}
        pixels, labels = content.get("data"), content.get(self._labels_key)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
            raise RuntimeError(f"{path} is damaged or of another kind: its data should be a uint8 array (N, {_PIXELS})")
        if isinstance(labels, np.ndarray):
            labels = labels.tolist()
        if not isinstance(labels, list) or len(labels) != len(pixels):
            count = len(labels) if isinstance(labels, list) else "no list of"
            raise RuntimeError(f"{path} is damaged: it has {len(pixels)} images, but {count} {self._labels_key}")
        return pixels, self._checked(labels, path)

    def _checked(self, labels: list, path: str) -> list[int]:
        for label in labels:
            if not isinstance(label, (int, np.integer)) or not 0 <= label < len(self.classes):
                raise RuntimeError(f"{path} has the label {reprlib.repr(label)}, but labels are 0 to {len(self.classes) - 1}")
        return [int(label) for label in labels]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self.data[index].copy(), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """As CIFAR-10, of 100 kinds of things, 600 images of each; `targets` are the finer of its two kinds of labels."""

    base_folder = "cifar-100-python"
    binary_folder = "cifar-100-binary"
    archives = {
        "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
        "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
    }
    _files = {True: ["train"], False: ["test"]}
    _labels_key = "fine_labels"
    _label_bytes = 2
    classes = [
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
        "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee",
        "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant",
        "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower",
        "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
        "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate",
        "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark",
        "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower",
        "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train", "trout", "tulip",
        "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    ]  # fmt: skip
