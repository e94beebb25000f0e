"""Parameter and Buffer: tensors that a Module knows by name; and those whose shape is not known yet."""

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
    tensor._data, tensor._kind = data._data, data._kind
    tensor._counter = data.version_counter()
    if requires_grad:
        tensor.requires_grad = True


class _Uninitialized:
    """A tensor without a shape until :meth:`materialize`: what lazy layers hold before their first input."""

    _becomes: type

    @property
    def shape(self) -> Any:
        raise RuntimeError("Can't access the shape of an uninitialized parameter or buffer: it gets one at the first "
                           "forward of its layer, or when a state dict is loaded")

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Get a shape and undefined values, and become an ordinary parameter or buffer."""
        made = numgrad.empty(shape, device=device, dtype=self.dtype if dtype is None else dtype)
        self._data, self._kind = made._data, made._kind
        self.__class__ = self._becomes

    def __repr__(self, **options: Any) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is not known yet."""

    _becomes = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        Parameter.__init__(self, numgrad.empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(_Uninitialized, Tensor):
    """A buffer whose shape is not known yet."""

    _becomes = Tensor

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None,
                 persistent: bool = True) -> None:
        _take(self, numgrad.empty(0, device=device, dtype=dtype), requires_grad)


def is_lazy(param: Any) -> bool:
    """Whether a tensor has no shape yet."""
    return isinstance(param, _Uninitialized)
