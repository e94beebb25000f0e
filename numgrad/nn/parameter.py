"""Parameter and Buffer: tensors that a Module knows by name."""

from __future__ import annotations

import copy
from typing import Any

import numgrad
from numgrad.tensor import Tensor, rebuild


class Parameter(Tensor):
    """A tensor that becomes a parameter of the Module it is assigned to; it shares the memory of ``data``."""

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        _take(self, data, requires_grad)

    def __repr__(self, **options: Any) -> str:
        return "Parameter containing:\n" + super().__repr__(**options)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:  # without the gradient, unlike other tensors
            extra = copy.deepcopy(self._extra(), memo)
            memo[id(self)] = rebuild(type(self), self._data.copy(), self._requires_grad, None, extra)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return rebuild, (type(self), self._data, self._requires_grad, None, self._extra())


class Buffer(Tensor):
    """A tensor that becomes a buffer of the Module it is assigned to; without ``persistent`` it is not saved."""

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        _take(self, data, False if data is None else data.requires_grad)
        self.persistent = persistent


def _take(tensor: Tensor, data: Tensor | None, requires_grad: bool) -> None:
    """Make ``tensor`` a leaf that shares the memory of ``data``."""
    if data is None:
        data = numgrad.empty(0)
    if not isinstance(data, Tensor):
        raise TypeError(f"{type(tensor).__name__}(): data must be a Tensor, got {type(data).__name__}")
    tensor._data = data._data
    tensor._counter = data.version_counter()
    if requires_grad:
        tensor.requires_grad = True
