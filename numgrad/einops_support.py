"""einops (https://einops.rocks) works with tensors: what it needs to know of numgrad is defined when it is imported, not before.

`rearrange`, `reduce`, `repeat`, `einsum`, `pack` and `unpack` take tensors; the layers are in `einops.layers.numgrad`.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numgrad


def define_backend(backends: Any) -> None:
    """Give einops' module of backends one for numgrad, where einops finds it by its base class."""

    class NumgradBackend(backends.AbstractBackend):
        """How einops says what it does, in numgrad's words."""

        framework_name = "numgrad"

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, numgrad.Tensor)

        def from_numpy(self, x: Any) -> Any:
            found = numgrad.from_numpy(x)
            return found.requires_grad_(self.is_float_type(found))

        def to_numpy(self, x: Any) -> Any:
            return x.detach().numpy()

        def arange(self, start: int, stop: int) -> Any:
            return numgrad.arange(start, stop, dtype=numgrad.int64)

        def reduce(self, x: Any, operation: str, reduced_axes: Any) -> Any:
            if operation in ("any", "all", "prod"):
                for axis in sorted(reduced_axes, reverse=True):
                    x = getattr(x, operation)(dim=axis)
                return x
            return getattr(x, {"min": "amin", "max": "amax"}.get(operation, operation))(dim=tuple(reduced_axes))

        def transpose(self, x: Any, axes: Any) -> Any:
            return x.permute(axes)

        def stack_on_zeroth_dimension(self, tensors: list[Any]) -> Any:
            return numgrad.stack(tensors)

        def add_axes(self, x: Any, n_axes: int, pos2len: dict[int, int]) -> Any:
            for position in pos2len:
                x = x.unsqueeze(position)
            return x.expand([pos2len.get(axis, -1) for axis in range(n_axes)])

        def tile(self, x: Any, repeats: Any) -> Any:
            return x.repeat(repeats)

        def concat(self, tensors: list[Any], axis: int) -> Any:
            return numgrad.cat(tensors, axis)

        def add_axis(self, x: Any, new_position: int) -> Any:
            return x.unsqueeze(new_position)

        def is_float_type(self, x: Any) -> bool:
            return x.is_floating_point()

        def layers(self) -> Any:
            return importlib.import_module("einops.layers.numgrad")

        def einsum(self, pattern: str, *x: Any) -> Any:
            return numgrad.einsum(pattern, *x)

    backends.NumgradBackend = NumgradBackend  # classes know their subclasses, but do not keep them


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: Any) -> None:
        super().exec_module(module)
        define_backend(module)


class _Finder:
    """Notes when einops' backends are imported; and finds its layers for numgrad, which are numgrad's own."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name == "einops.layers.numgrad":
            return importlib.util.spec_from_file_location(name, Path(__file__).with_name("_einops_layers.py"))
        if name != "einops._backends":
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        if found is not None and isinstance(found.loader, importlib.machinery.SourceFileLoader):
            found.loader = _Loader(found.loader.name, found.loader.path)
        return found


def attach() -> None:
    """Meet einops where it is imported, or has been."""
    sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
    if "einops._backends" in sys.modules:
        define_backend(sys.modules["einops._backends"])
