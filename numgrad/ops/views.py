"""Views: what shares its input's memory, version counter and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import mode
from ..tensor import Tensor
from .record import Op, register


class View(Op):
    """An op whose result is a view of its first argument. The other arguments are plain data, and all are given."""

    def __call__(self, source: Tensor, *rest: Any) -> Tensor:  # type: ignore[override]
        if source._base is not None and source._epoch != source._base._epoch:
            source.catch_up()
        data = self.forward(source._data, *rest)
        output = object.__new__(Tensor)
        output._data = data if type(data) is np.ndarray else np.asarray(data)
        share(output, source, self, rest)
        if source._requires_grad and mode.enabled:
            self.record((source, *rest), [output])
        return output


def share(output: Tensor, source: Tensor, op: Op, rest: tuple[Any, ...]) -> None:
    """Make `output` a view of `source`: same memory, same version counter, and a recipe to make it again from the base."""
    base = source._base
    output._base = base = source if base is None else base
    output._chain = (*source._chain, (op, rest))
    output._counter = source._counter or source.version_counter()
    if base._epoch:
        output._epoch = base._epoch


def view_op(name: str, forward: Callable[..., Any], **record: Any) -> View:
    """Register an op whose result is a view; it is called by others only."""
    made = View(name, forward, public=False, method=False, **record)
    register(made)
    return made
