"""Calls as PyTorch once wrote them and still takes: factors come before the tensors that they multiply, as in `x.add_(-lr, grad)`."""

from __future__ import annotations

import warnings
from typing import Any

from ..tensor import Tensor

#: op -> the keywords that its factors have now, in the order in which they came, and how many operands it has
_FACTORS: dict[str, tuple[tuple[str, ...], int]] = {
    "add": (("alpha",), 2), "sub": (("alpha",), 2), "addcmul": (("value",), 3), "addcdiv": (("value",), 3),
    **dict.fromkeys(("addmm", "addmv", "addr", "addbmm", "baddbmm"), (("beta", "alpha"), 3)),
}  # fmt: skip
_said: set[str] = set()


def modern(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Positional arguments in today's form, with a warning once for each function; None if they are no form of old."""
    names, count = _FACTORS.get(name.removesuffix("_"), ((), 0))
    extra = len(args) - count
    if not 0 < extra <= len(names) or kwargs:
        return None
    if count == 2:  # the operand may be a number, too
        factors, operands = args[1:2], (args[0], *args[2:])
    else:
        factors = tuple([a for a in args if not isinstance(a, Tensor)])
        operands = tuple([a for a in args if isinstance(a, Tensor)])
    if len(factors) != extra or not all(isinstance(f, (int, float)) for f in factors) or not isinstance(operands[0], Tensor):
        return None
    found = dict(zip(names, factors, strict=False))
    if name not in _said:
        _said.add(name)
        now = ", ".join(f"{n}={f}" for n, f in found.items())
        warnings.warn(f"This overload of {name} is deprecated: the tensors come first, and {now} after them by name.", UserWarning, stacklevel=4)
    return operands, found


def factor(name: str, *args: Any) -> tuple[Any, ...]:
    """The operands and the one factor of an in-place call that has an argument too many; TypeError unless that is a form of old."""
    found = modern(name, args, {})
    if found is None:
        count = _FACTORS[name.removesuffix("_")][1]
        raise TypeError(f"{name}() takes {count} positional arguments but {len(args)} were given")
    return (*found[0], *found[1].values())
