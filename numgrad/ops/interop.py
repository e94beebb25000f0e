"""NumPy's functions on tensors: `np.exp(tensor)` and `array * tensor` become the op of that name."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import default, noted
from ..jit import read
from ..tensor import Tensor, wrap
from .record import REGISTRY

_NAMES = {
    "add": "plus", "subtract": "minus", "divide": "true_divide", "power": "pow", "absolute": "abs", "equal": "eq", "not_equal": "ne",
    "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "rint": "round", "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift", "fabs": "abs",
}  # fmt: skip


def ufunc(function: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `Tensor.__array_ufunc__` does: the op of the ufunc's name, recorded on the tape as any other."""
    out = kwargs.pop("out", None)
    if method != "__call__" or kwargs:
        return NotImplemented
    made = REGISTRY.get(_NAMES.get(function.__name__, function.__name__))
    if made is None:
        raise TypeError(f"np.{function.__name__} has no counterpart in numgrad; use tensor.detach().numpy() to compute with NumPy")
    arrays = [wrap(noted(np.asarray(i))) if isinstance(i, np.ndarray) else i for i in inputs]
    if getattr(made, "numbers", True) is None:  # the op takes tensors only, NumPy's function numbers as well
        kind = next((t._data.dtype for t in arrays if isinstance(t, Tensor) and t._data.dtype.kind == "f"), default())
        arrays = [a if isinstance(a, Tensor) else wrap(np.asarray(a, kind if isinstance(a, float) else None)) for a in arrays]
    result = made(*arrays)
    if out is None:
        return result
    return _into(out[0], result)


def _into(out: Any, result: Tensor) -> Any:
    """`array += tensor`: written into the array, as NumPy does; a tensor takes it in place."""
    if isinstance(out, Tensor):
        return out.copy_(result)  # type: ignore[attr-defined]
    out[...] = result.numpy()
    return out


def memory(tensor: Tensor) -> np.ndarray:
    """A tensor's memory to be moved as it is, of bfloat16 too, which `numpy()` refuses."""
    return read(tensor._data)


def from_memory(data: np.ndarray) -> Tensor:
    """A tensor on what `memory` gave, or a file."""
    return wrap(noted(data))
