"""Tensors shared with other libraries through DLPack."""

from __future__ import annotations

from typing import Any

from ..ops.creation import from_dlpack
from ..tensor import Tensor

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule that shares the tensor's memory."""
    return tensor.__dlpack__()
