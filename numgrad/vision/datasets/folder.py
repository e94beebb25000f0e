"""Images in one folder a class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from ..io import read_array
from .vision import VisionDataset

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class DatasetFolder(VisionDataset):
    """Samples at root/CLASS/.../NAME.EXTENSION, read by `loader`.

    Args:
        root: the folder with one folder a class.
        loader: from a path to a sample.
        extensions: file names that count, by their ends; or
        is_valid_file: a function that says so of a path.
        transform, target_transform: applied to sample and class number.
        allow_empty: whether a class may have no file.

    `classes` are the folders' names in order, `samples` pairs of path and class number, `targets` the class numbers.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        loader: Callable[[str], Any],
        extensions: Sequence[str] | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        if (extensions is None) == (is_valid_file is None):
            raise ValueError("give either extensions or is_valid_file, which says what file is a sample")
        self.loader, self.extensions = loader, extensions
        self.classes, self.class_to_idx = self.find_classes(self.root)
        chosen = is_valid_file or (lambda path: path.lower().endswith(tuple(extensions)))  # type: ignore[arg-type]
        self.samples = [
            (path, number)
            for name, number in sorted(self.class_to_idx.items())
            for path in _files(os.path.join(self.root, name))
            if chosen(path)
        ]
        self.targets = [number for _, number in self.samples]
        empty = set(self.class_to_idx.values()) - set(self.targets)
        if empty and not allow_empty:
            names = ", ".join(name for name, number in sorted(self.class_to_idx.items()) if number in empty)
            wanted = f" (looking for {', '.join(extensions)})" if extensions else ""
            raise FileNotFoundError(f"Found no valid file for the classes {names} in {self.root}{wanted}")

    def find_classes(self, directory: Any) -> tuple[list[str], dict[str, int]]:
        """The classes in a folder and their numbers; a subclass may know better."""
        classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        if not classes:
            raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
        return classes, {name: number for number, name in enumerate(classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


def _files(folder: str) -> list[str]:
    return [
        os.path.join(place, name)
        for place, _, names in sorted(os.walk(folder, followlinks=True))
        for name in sorted(names)
    ]


class ImageFolder(DatasetFolder):
    """Images at root/CLASS/.../NAME.png and the like, as uint8 arrays (H, W, 3).

    PNG, PPM and PGM files can be read as they are; other formats, and faster reading, need Pillow.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(
            root,
            loader or default_loader,
            None if is_valid_file else IMG_EXTENSIONS,
            transform=transform,
            target_transform=target_transform,
            is_valid_file=is_valid_file,
            allow_empty=allow_empty,
        )
        self.imgs = self.samples


def default_loader(path: str) -> Any:
    """The image at `path` as a uint8 array (H, W, 3)."""
    return read_array(path, "RGB")
