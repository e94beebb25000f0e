"""Errors that an op stumbles over inside, told as what they are: an argument that does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..jit import Untyped
from ..tensor import Tensor

if TYPE_CHECKING:
    from .record import Op

#: What is raised where an argument is of a type, or a size, that was not expected.
STUMBLES = (AttributeError, OverflowError, MemoryError, Untyped)

#: Elements of the largest result that is tried; past this, plans are not even made.
AFFORDABLE = 1 << 40


def blamed(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Exception:
    """The error to raise in place of one that a call stumbled over: itself, where no argument is to blame."""
    if isinstance(error, OverflowError):
        return RuntimeError(f"{op.name}(): a number among the arguments is too large: {error}")
    if isinstance(error, MemoryError):
        return error if str(error) else MemoryError(f"{op.name}(): the result does not fit into memory")
    given = list(_arguments(op, args, kwargs))
    if isinstance(error, Untyped):  # a kernel takes arrays and numbers
        odd = [(p, v) for p, v in given if not isinstance(v, (Tensor, int, float, dtypes.dtype, tuple, list))]
        odd.sort(key=lambda pair: pair[1] is None)  # None often stands for an array that is left out: of those the last, a number's place
        return TypeError(f"{op.name}(): {odd[-1 if odd[0][1] is None else 0][0]} must be a number, not {type(odd[0][1]).__name__}") if odd else error
    culprit = getattr(error, "obj", error)
    same = [(p, v) for p, v in given if v is culprit] or [(p, v) for p, v in given if type(v) is type(culprit)]
    for place, value in same:
        if not isinstance(value, Tensor):
            wanted = "int" if getattr(error, "name", "") == "__index__" else "Tensor"
            return TypeError(f"{op.name}(): {place} must be {wanted}, not {type(value).__name__}")
    return error


def _arguments(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What was given, with words for where."""
    for i, value in enumerate(args):
        name = f"'{op.parameters[i]}' " if i < len(op.parameters) else ""
        yield f"argument {name}(position {i + 1})", value
        if isinstance(value, (tuple, list)):
            yield from ((f"element {k} of argument {name}(position {i + 1})", v) for k, v in enumerate(value))
    for name, value in kwargs.items():
        yield f"argument '{name}'", value
        if isinstance(value, (tuple, list)):
            yield from ((f"element {k} of argument '{name}'", v) for k, v in enumerate(value))
