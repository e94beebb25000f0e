"""Names for annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from . import dtypes
from .absent import absent_class
from .storage import UntypedStorage as Storage
from .tensor import Tensor

__all__ = ["Device", "Number", "Storage", "Tensor", "TensorLike", "_TensorOrTensors", "_bool", "_device", "_dtype", "_float", "_int", "_size"]

_int: TypeAlias = int
_float: TypeAlias = float
_bool: TypeAlias = bool
_dtype: TypeAlias = dtypes.dtype
_device: TypeAlias = dtypes.device
_size: TypeAlias = "dtypes.Size | list[int] | tuple[int, ...]"
_TensorOrTensors: TypeAlias = "Tensor | Sequence[Tensor]"

Number: TypeAlias = "int | float | bool"
Device: TypeAlias = "dtypes.device | str | int | None"
TensorLike: TypeAlias = Tensor
SymInt, SymFloat, SymBool = (absent_class(name, "shapes are Python's ints, each recorded once") for name in ("SymInt", "SymFloat", "SymBool"))
