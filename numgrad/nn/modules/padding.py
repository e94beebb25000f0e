"""Padding layers."""

from __future__ import annotations

from typing import Any

from numgrad.nn import functional as F
from numgrad.nn.modules.module import Module
from numgrad.nn.modules.utils import _ntuple
from numgrad.tensor import Tensor


class _Pad(Module):
    """Pads the last ``_dims`` dimensions: one number for every side, or (left, right, top, bottom, front, back)."""

    _dims = 0
    _mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = _ntuple(2 * self._dims)(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Pads the last dimension with ``value``."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last two dimensions with ``value``."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three dimensions with ``value``."""

    _dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Pads the last dimension with zeros."""

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """Pads the last two dimensions with zeros."""

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """Pads the last three dimensions with zeros."""

    _dims = 3


class ReflectionPad1d(_Pad):
    """Pads the last dimension with its mirror image, the edge not repeated."""

    _dims = 1
    _mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """Pads the last two dimensions with their mirror image, the edge not repeated."""

    _dims = 2


class ReflectionPad3d(ReflectionPad1d):
    """Pads the last three dimensions with their mirror image, the edge not repeated."""

    _dims = 3


class ReplicationPad1d(_Pad):
    """Pads the last dimension with its edge."""

    _dims = 1
    _mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """Pads the last two dimensions with their edges."""

    _dims = 2


class ReplicationPad3d(ReplicationPad1d):
    """Pads the last three dimensions with their edges."""

    _dims = 3


class CircularPad1d(_Pad):
    """Pads the last dimension with what stands at its other end."""

    _dims = 1
    _mode = "circular"


class CircularPad2d(CircularPad1d):
    """Pads the last two dimensions with what stands at their other ends."""

    _dims = 2


class CircularPad3d(CircularPad1d):
    """Pads the last three dimensions with what stands at their other ends."""

    _dims = 3
