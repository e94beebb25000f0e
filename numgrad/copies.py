"""PyTorch's functions that give a copy where the function of the plain name gives a view: `permute_copy`, `unbind_copy` ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .ops import REGISTRY
from .ops.getitem import getitem
from .tensor import Tensor

_VIEWS = ("as_strided", "diagonal", "narrow", "permute", "select", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind",
          "unsqueeze", "expand", "unfold", "view")  # fmt: skip


def _slice(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    return getitem(input, (*[slice(None)] * (dim % max(input.dim(), 1)), slice(start, end, step)))


def _copying(name: str, view: Callable[..., Any]) -> Callable[..., Any]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        found = view(input, *args, **kwargs)
        return tuple([f.clone() for f in found]) if isinstance(found, (tuple, list)) else found.clone()

    function.__name__ = function.__qualname__ = f"{name}_copy"
    function.__doc__ = f"`{name}`, with memory of its own: contiguous, and gradients pass through."
    return function


FUNCTIONS: dict[str, Any] = {f"{name}_copy": _copying(name, REGISTRY[name]) for name in _VIEWS}
FUNCTIONS |= {"alias_copy": _copying("alias", lambda input: input), "detach_copy": _copying("detach", Tensor.detach), "slice_copy": _copying("slice", _slice)}

#: parts that PyTorch lets be written in place each without the others knowing
FUNCTIONS |= {f"unsafe_{name}": REGISTRY[name] for name in ("split", "chunk", "split_with_sizes")}

Tensor.narrow_copy = FUNCTIONS["narrow_copy"]  # type: ignore[attr-defined]
for _name in ("unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes"):
    setattr(Tensor, _name, FUNCTIONS[_name])
