"""Python's operators on tensors: which op each of them is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from .inplace import InPlace
from .record import REGISTRY

_BINARY = {
    "add": "plus", "sub": "minus", "mul": "mul", "truediv": "true_divide", "floordiv": "floor_divide", "mod": "remainder", "pow": "pow",
    "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}  # fmt: skip
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = {"neg": "neg", "pos": "positive", "abs": "abs", "invert": "bitwise_not"}


_OPERANDS = (Tensor, int, float, np.ndarray, np.generic)


def _binary(apply: Callable[..., Any]) -> Callable[..., Any]:
    apply = getattr(apply, "function", None) or apply.__call__  # type: ignore[operator] # calling an object looks this up each time

    def operate(self: Tensor, other: Any) -> Any:
        return apply(self, other) if isinstance(other, _OPERANDS) else NotImplemented

    return operate


def _reflected(apply: Callable[..., Any]) -> Callable[..., Any]:
    apply = getattr(apply, "function", None) or apply.__call__  # type: ignore[operator]

    def operate(self: Tensor, other: Any) -> Any:
        return apply(other, self) if isinstance(other, _OPERANDS) else NotImplemented

    return operate


def attach() -> None:
    """Give Tensor its operators."""
    for operator, name in _BINARY.items():
        made = REGISTRY.get(name)
        if made is None:
            continue
        setattr(Tensor, f"__{operator}__", _binary(made))
        setattr(Tensor, f"__r{operator}__", _reflected(made))
        if operator != "matmul":
            setattr(Tensor, f"__i{operator}__", _binary(InPlace(made)))
    for operator in _COMPARISONS:
        setattr(Tensor, f"__{operator}__", _binary(REGISTRY[operator]))
    for operator, name in _UNARY.items():
        setattr(Tensor, f"__{operator}__", REGISTRY[name].function or REGISTRY[name])
    from .getitem import getitem, setitem
    from .masks import where_method

    Tensor.__getitem__, Tensor.__setitem__, Tensor.where = getitem.function, setitem, where_method  # type: ignore[attr-defined]
    Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]
