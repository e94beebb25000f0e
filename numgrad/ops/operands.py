"""What formulas take, and refuse: kinds of dtypes, shapes that broadcast, and numbers as arrays."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import BOOL, scalar_name

#: What a formula computes in and returns, from the promoted dtype of its operands.
#: arithmetic: the promoted dtype. float: integers become the default dtype. compare: computes in the promoted dtype, returns
#: bool. logical: computes on truth values, returns bool. integer: the promoted dtype, floats refused. whole: as integer, bool
#: refused too. number: the promoted dtype, bool refused. signed: as number, and no operand may be bool. floating: the promoted
#: dtype, which must be of floating point without the numbers.
KINDS = ("arithmetic", "float", "compare", "logical", "integer", "whole", "number", "signed", "floating")
_BYTE = np.dtype(np.uint8)


def types(name: str, kind: str, operands: Sequence[Any]) -> tuple[np.dtype, np.dtype]:
    """The dtypes computed in and returned; NotImplementedError where the formula is for others."""
    promoted = dtypes.promote(_kinds(operands))
    if kind == "floating":
        _refuse(name, dtypes.promote(_kinds([o for o in operands if isinstance(o, np.ndarray)] or operands)), "biu")
    if kind == "float":
        promoted = promoted if promoted.kind == "f" else dtypes.default()
    elif kind == "compare":
        return (_BYTE if promoted.kind == "b" else promoted), BOOL  # bools have no arithmetic of their own
    elif kind == "logical":
        return BOOL, BOOL
    elif kind == "signed":
        refuse_bools(operands)
    else:
        _refuse(name, promoted, {"integer": "f", "whole": "fb", "number": "b"}.get(kind, ""))
    return promoted, promoted


def _kinds(operands: Sequence[Any]) -> tuple[tuple[Any, int], ...]:
    return tuple((o.dtype, o.ndim) if isinstance(o, np.ndarray) else (type(o), -1) for o in operands)


def _refuse(name: str, promoted: np.dtype, kinds: str) -> None:
    if promoted.kind in kinds:
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(promoted)}'")


def refuse_bools(operands: Sequence[Any]) -> None:
    """A minus sign has no meaning for truth values: what is meant is said otherwise."""
    bools = [isinstance(o, bool) or (isinstance(o, np.ndarray) and o.dtype.kind == "b") for o in operands]
    if len(bools) == 2 and all(bools):
        raise RuntimeError("Subtraction, the `-` operator, with two bool tensors is not supported: `^` or `logical_xor()` says where they differ.")
    if any(bools):
        what = "Subtraction, the `-` operator, with" if len(bools) == 2 else "Negation, the `-` operator, on"
        raise RuntimeError(f"{what} a bool tensor is not supported: to invert a mask, use `~` or `logical_not()`, else convert it first.")


def check_alike(name: str, operands: Sequence[Any], variables: Sequence[str]) -> None:
    """RuntimeError unless tensors are of one dtype; what comes third may be another where it has no dimensions."""
    for i, o in enumerate(operands):
        if isinstance(o, np.ndarray) and o.dtype != operands[0].dtype and (o.ndim or i < 2):
            first = scalar_name(operands[0].dtype)
            raise RuntimeError(f"{name}(): tensors with different dtypes: expected {first} for `{variables[i]}`, as the first is, but got {scalar_name(o.dtype)}")


def check_operands(name: str, operands: Sequence[Any], parameters: Sequence[str], numbers: bool | None) -> None:
    """TypeError unless operands are tensors, at least one, and numbers; with `numbers`, they may be numbers all, with None tensors only."""
    taken, wanted = ((np.ndarray,), "Tensor") if numbers is None else ((np.ndarray, int, float), "Tensor or number")
    for i, o in enumerate(operands):
        if not isinstance(o, taken):
            raise TypeError(f"{name}(): argument '{parameters[i]}' (position {i + 1}) must be {wanted}, not {type(o).__name__}")
    if not numbers and not any(isinstance(o, np.ndarray) for o in operands):
        raise TypeError(f"{name}(): argument '{parameters[0]}' (position 1) must be Tensor, not {type(operands[0]).__name__}")


# --- what is refused, declared for the tests ------------------------------------------------------------------------

_ONES, _WHOLE, _TRUTHS = np.ones(3), np.ones(3, np.int64), np.ones(3, np.bool_)
_REFUSED = {
    "integer": (_ONES, NotImplementedError, "not implemented for 'Double'"),
    "whole": (_TRUTHS, NotImplementedError, "not implemented for 'Bool'"),
    "number": (_TRUTHS, NotImplementedError, "not implemented for 'Bool'"),
    "signed": (_TRUTHS, RuntimeError, "`-` operator, .*bool"),
    "floating": (_WHOLE, NotImplementedError, "not implemented for 'Long'"),
}


#: Of whatever takes one tensor.
NOT_A_TENSOR: tuple[Any, ...] = ((("text",), TypeError, "must be Tensor"), ((2,), TypeError, "must be Tensor"))


@functools.cache
def wrong_operands(kind: str, count: int, rest: int, numbers: bool | None = False) -> tuple[Any, ...]:
    """Wrong calls of a formula with so many operands, and so many constants without a default after them, as a record declares them."""
    constants = (1.0,) * rest
    found: list[Any] = [((*[_ONES] * i, bad, *[_ONES] * (count - 1 - i), *constants), TypeError, "must be Tensor") for i in range(count) for bad in ("text", None)]
    found += [((), TypeError, "missing"), ((_ONES,) * (count + rest + 4), TypeError, "positional|arguments?")]
    if not numbers:
        found.append(((1.0,) * (count + rest), TypeError, "must be Tensor"))
    if count > 1:
        array = _WHOLE if kind in ("integer", "whole") else _ONES
        found.append(((*(array,) * (count - 1), array[:2], *constants), RuntimeError, "must match"))
        if numbers is None:
            found += [((array, 2, *constants), TypeError, "must be Tensor, not int"), ((1.5, array, *constants), TypeError, "must be Tensor, not float")]
    if kind in _REFUSED:
        array, error, words = _REFUSED[kind]
        found.append(((*(array,) * count, *constants), error, words))
    return tuple(found)


# --- shapes and numbers ---------------------------------------------------------------------------------------------


def scalar(value: Any, dtype: np.dtype) -> np.ndarray:
    """A Python number as an array of one element, only to be read."""
    return _scalar(value, dtype) if value else np.array([value], dtype)  # -0.0 is 0.0 to a cache


@functools.lru_cache(maxsize=1024)
def _scalar(value: Any, dtype: np.dtype) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            return np.array([value], dtype)
    except OverflowError:
        if dtype.kind == "f" or (dtype.kind == "u" and -np.iinfo(dtype).max <= value < 0):  # which wraps: x + (-3) is x - 3
            return np.array([value + np.iinfo(dtype).max + 1 if dtype.kind == "u" else float("inf") if value > 0 else -float("inf")], dtype)
        raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}") from None


def broadcast_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that several broadcast to; RuntimeError where they do not."""
    if not shapes:
        return ()
    result = shapes[0]
    for shape in shapes[1:]:
        if shape != result:
            result = _broadcast_two(result, shape)
    return result


def _broadcast_two(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    for d, (i, j) in enumerate(zip(a, b, strict=True)):
        if i != j and i != 1 and j != 1:
            raise RuntimeError(
                f"The size of tensor a ({i}) must match the size of tensor b ({j}) at non-singleton dimension {d}"
            )
    return tuple(j if i == 1 else i for i, j in zip(a, b, strict=True))
