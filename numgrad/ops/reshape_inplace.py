"""Views taken in place: `x.unsqueeze_(0)` makes `x` itself the view, with the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import mode
from ..tensor import Tensor
from .inplace import check_overwrite
from .record import REGISTRY

NAMES = ("unsqueeze", "squeeze", "transpose", "t", "swapaxes", "swapdims")


def _method(name: str) -> Callable[..., Tensor]:
    view = REGISTRY[name]

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        tracked = mode.enabled and self.requires_grad
        if tracked:
            check_overwrite(self)
        result = view(self, *args, **kwargs)
        if self._base is None:
            self._data, self._kind = result._data, result._kind
            if tracked:
                self._node, self._index = result._node, result._index
                self._reshaped = self._epoch  # views taken before cannot be made again from it, see `catch_up`
                self._epoch += 1
        else:
            for field in ("_data", "_kind", "_node", "_index", "_requires_grad", "_chain", "_epoch"):
                setattr(self, field, getattr(result, field))
        self.bump()
        return self

    method.__name__ = method.__qualname__ = f"{name}_"
    method.__doc__ = f"`{name}` in place: the tensor itself becomes the view."
    return method


METHODS = {f"{name}_": _method(name) for name in NAMES}
