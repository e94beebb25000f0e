"""What image datasets have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ...utils.data import Dataset


class VisionDataset(Dataset):
    """Pairs (image, target) found under a folder, with transforms for either or, in `transforms`, for both at once.

    Images are uint8 arrays, (H, W) or (H, W, C): what a PIL image becomes as an array.
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ) -> None:
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError("give either transforms, for image and target together, or transform and target_transform")
        self.root: Any = os.path.expanduser(root) if root is not None else None
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = transforms

    def _transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        if self.transforms is not None:
            return self.transforms(image, target)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs a __len__() method")

    def extra_repr(self) -> str:
        """What a subclass adds to its repr, in lines."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        for name in ("transforms", "transform", "target_transform"):
            if getattr(self, name) is not None:
                lines += f"{name}: {getattr(self, name)!r}".splitlines()
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])
