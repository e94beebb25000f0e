"""Dtypes: what they can hold, what they promote to, and what there is."""

from __future__ import annotations

from typing import Any, NamedTuple

import numgrad
from numgrad.tensor import Tensor

__all__ = ["__array_namespace_info__", "astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]

_KINDS = {
    "bool": (numgrad.bool,),
    "signed integer": (numgrad.int8, numgrad.int16, numgrad.int32, numgrad.int64),
    "unsigned integer": (numgrad.uint8,),
    "real floating": (numgrad.float32, numgrad.float64),
    "complex floating": (),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"]


class FloatInformation(NamedTuple):
    """The limits of a floating-point dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


class IntegerInformation(NamedTuple):
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


def _dtype_of(value: Any) -> Any:
    return value.dtype if isinstance(value, Tensor) else value


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """The tensor as another dtype; a copy, unless `copy` is False and it has that dtype."""
    return to_device(x, device).to(dtype, copy=copy)


def to_device(x: Any, device: Any) -> Any:
    """The tensor itself: there is one device, the CPU."""
    return x if device is None else x.to(device)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether the dtype of `from_` promotes to `to`."""
    try:
        return numgrad.promote_types(_dtype_of(from_), to) == to
    except TypeError:
        return False


def finfo(type: Any, /) -> FloatInformation:
    """The limits of a floating-point dtype, or of a tensor's."""
    found, dtype = numgrad.finfo(_dtype_of(type)), _dtype_of(type)
    return FloatInformation(found.bits, found.eps, found.max, found.min, found.tiny, dtype)


def iinfo(type: Any, /) -> IntegerInformation:
    """The limits of an integer dtype, or of a tensor's."""
    found, dtype = numgrad.iinfo(_dtype_of(type)), _dtype_of(type)
    return IntegerInformation(found.bits, found.max, found.min, dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is another, of a kind ("bool", "integral", "real floating", ...), or one of several of these."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"isdtype: {kind!r} is not one of {sorted(_KINDS)}")
        return dtype in _KINDS[kind]
    return dtype == kind


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that dtypes, those of tensors and Python's numbers promote to together."""
    dtypes = [_dtype_of(a) for a in arrays_and_dtypes if not isinstance(a, (bool, int, float))]
    if not dtypes:
        raise ValueError("result_type: at least one tensor or dtype is needed")
    found = dtypes[0]
    for dtype in dtypes[1:]:
        found = numgrad.promote_types(found, dtype)
    for number in arrays_and_dtypes:
        if isinstance(number, (bool, int, float)):
            found = numgrad.result_type(numgrad.empty(1, dtype=found), number)
    return found


class Information:
    """What this namespace has: devices, dtypes and capabilities."""

    def capabilities(self) -> dict[str, Any]:
        """What may be asked of functions: masks as indices, and shapes that depend on values."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Any:
        """The CPU."""
        return numgrad.device("cpu")

    def devices(self) -> list[Any]:
        """The CPU."""
        return [numgrad.device("cpu")]

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes that new tensors have."""
        real = numgrad.get_default_dtype()
        return {"real floating": real, "complex floating": None, "integral": numgrad.int64, "indexing": numgrad.int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """All dtypes by name, or those of a kind."""
        every = {str(d).rpartition(".")[2]: d for k in ("bool", "numeric") for d in _KINDS[k]}
        return {name: d for name, d in every.items() if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> Information:
    """What this namespace has."""
    return Information()
