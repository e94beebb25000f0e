"""What libraries ask to learn whether an argument wants to take a function over (`__torch_function__`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .absent import absent_class
from .tensor import Tensor

__all__ = ["TorchFunctionMode", "handle_torch_function", "has_torch_function", "has_torch_function_unary", "has_torch_function_variadic", "is_tensor_like",
           "is_tensor_method_or_property"]  # fmt: skip

TorchFunctionMode = absent_class("overrides.TorchFunctionMode", "numgrad's functions cannot be taken over; wrap those that you call")


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a Tensor, or of a type with `__torch_function__`."""
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of the arguments is of a type with `__torch_function__`. numgrad's own functions do not ask."""
    return any(hasattr(type(argument), "__torch_function__") for argument in relevant_args)


def has_torch_function_unary(tensor: Any) -> bool:
    """`has_torch_function` of one argument."""
    return has_torch_function((tensor,))


def has_torch_function_variadic(*args: Any) -> bool:
    """`has_torch_function` of several arguments."""
    return has_torch_function(args)


def handle_torch_function(public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
    """What the `__torch_function__` of an argument's type makes of the call: subclasses first, then from left to right.

    TypeError if all of them answer NotImplemented.
    """
    takers: list[Any] = []
    for argument in relevant_args:
        if has_torch_function_unary(argument) and type(argument) not in map(type, takers):
            place = next((i for i, other in enumerate(takers) if issubclass(type(argument), type(other))), len(takers))
            takers.insert(place, argument)
    types = tuple(map(type, takers))
    for argument in takers:
        result = argument.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{getattr(public_api, '__module__', '?')}.{getattr(public_api, '__name__', public_api)}"
    raise TypeError(f"no implementation found for '{name}' on types that implement __torch_function__: {list(types)}")


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether it is a method of Tensor, or a property's getter."""
    own = {id(value) for name in dir(Tensor) for value in [getattr(Tensor, name, None)]}
    return id(func) in own or getattr(func, "__name__", "") == "__get__"
