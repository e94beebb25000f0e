"""In-place operations and views: writing over a tensor, and what that means for the tape and for whoever shares its memory."""

from __future__ import annotations

from types import MethodType
from typing import Any

import numpy as np

from .. import autograd
from ..autograd import mode
from ..dtypes import HALVES
from ..jit import zeros
from ..kinds import learn
from ..tensor import Tensor, wrap
from . import widen
from .elementwise import copied, copy_into
from .outputs import check_cast
from .planned import links
from .record import REGISTRY, Op
from .tape import requires_grad


class InPlace:
    """`x.op_(...)`: the op's result, written over its first argument, which then stands for the result on the tape."""

    def __init__(self, of: Op):
        self.op = of
        self.__name__ = of.name + "_"
        self.__doc__ = f"In-place `{of.name}`."

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        of = self.op
        if not isinstance(target, Tensor):
            raise TypeError(f"{self.__name__}() must be called on a Tensor, but got {type(target).__name__}")
        if of.composite or (HALVES and widen.concerned((target, *args), kwargs)):
            return self._composite(target, args, kwargs)
        full = (target, *args)
        if kwargs or len(full) != of.arity:
            full = of.bind(full, kwargs)
        tracked = mode.enabled and requires_grad(full)
        check_writeable(target)
        if tracked:
            check_overwrite(target)
            result = self._record(target, full)
        of.overwrite(target, full)
        counter = target._counter or target.version_counter()
        counter[0] += 1
        if tracked and result._node is not None:
            result._node.keep_results([result])
            settle(target, result)
        return target

    def _composite(self, target: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """Compute with ops, then copy the result over the target."""
        tracked = mode.enabled and target.requires_grad
        if tracked:
            check_overwrite(target)
        check_writeable(target)
        before = replica(target, copied(target._data) if mode.enabled else target._data)
        result = self.op(before, *args, **kwargs)
        if result._requires_grad:
            check_overwrite(target)
        if result._data.shape != target._data.shape:
            raise RuntimeError(f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(result.shape)}")
        check_cast(result._data.dtype, target._data.dtype)
        if result._data.dtype != target._data.dtype:
            result = REGISTRY["to_dtype"](result, target._data.dtype)
        copy_into(target._data, result._data)
        target.bump()
        if result._requires_grad:
            settle(target, result)
        elif tracked:  # what was written does not depend on what was there
            settle(target, self._constant(target, before))
        return target

    def _constant(self, target: Tensor, before: Tensor) -> Tensor:
        result = wrap(target._data)
        result._counter = target.version_counter()
        REGISTRY["copy"].record((before, wrap(target._data), False), [result], False)
        return result

    def _record(self, target: Tensor, full: tuple[Any, ...]) -> Tensor:
        """Put the call on the tape before memory changes, so that arguments are saved with the versions they have now.

        The target as an argument is a replica at its old place on the tape, with its old values where the gradient needs them.
        """
        pattern = tuple(a._requires_grad if isinstance(a, Tensor) else None for a in full)
        itself = {i for i, a in enumerate(full) if a is target}
        kept = copied(target._data) if itself & set(self.op.plan(pattern).reads) else target._data
        before, result = replica(target, kept), wrap(target._data)
        result._counter = target.version_counter()
        self.op.record(tuple(before if i in itself else a for i, a in enumerate(full)), [result], False)
        return result


def replica(tensor: Tensor, data: np.ndarray) -> Tensor:
    """A tensor around other memory at the same place on the tape."""
    result = wrap(data)
    result._node, result._index, result._requires_grad = tensor._node, tensor._index, tensor._requires_grad
    return result


def check_overwrite(target: Tensor) -> None:
    """Leaves that require grad, and views of them, may not be overwritten while recording."""
    if target._requires_grad and target._node is None:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    base = target._base
    if base is not None and base._requires_grad and base._node is None:
        raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")


def check_writeable(target: Tensor) -> None:
    """RuntimeError where one element stands for several (an expanded view), or the memory is read-only."""
    if (target._kind or learn(target)).repeats:
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    if not target._data.flags.writeable:
        raise RuntimeError("cannot write in place: the tensor shares the memory of a read-only NumPy array; use .clone() first")


def settle(target: Tensor, result: Tensor) -> None:
    """Give an overwritten tensor the result's place on the tape; if it is a view, its base gets a new place too."""
    if target._base is None:
        target._node, target._index, target._requires_grad = result._node, result._index, result._requires_grad
        target._epoch += 1
        return
    base = target._base
    before, after = replica(base, base._data), wrap(base._data)
    VIEW_SCATTER.record((before, result, target._chain), [after], False)
    base._node, base._index, base._requires_grad = after._node, after._index, True
    base._epoch += 1
    target.catch_up()


def through(tensor: Any, chain: Any) -> Any:
    """A view made again, from its base and its recipe."""
    for view, rest in links(chain):
        tensor = view(tensor, *rest)
    return tensor


def _scatter_forward(base: np.ndarray, part: np.ndarray, chain: Any) -> np.ndarray:
    result = copied(base)
    target = result
    for view, rest in links(chain):
        target = view.forward(target, *rest)
    copy_into(target, part)
    return result


def _scatter_base(g: Tensor, part_shape: tuple[int, ...], chain: Any) -> Tensor:
    return VIEW_SCATTER(g, wrap(zeros(part_shape, g._data.dtype)), chain)


VIEW_SCATTER = Op(
    "view_scatter", _scatter_forward, vjp=(_scatter_base, lambda g, chain: through(g, chain)), public=False, method=False
)


def catch_up(view: Tensor) -> None:
    """A view whose base was overwritten takes its place on the tape anew."""
    base = view._base
    if base is None or view._epoch == base._epoch:
        return
    reshaped = getattr(base, "_reshaped", -1)
    if view._epoch <= reshaped:
        if base._epoch == reshaped + 1:
            return  # the base got another shape, but no other values
        raise RuntimeError("a view was taken before its base was reshaped in place (unsqueeze_, transpose_, ...) and then written to; use the form without _")
    view._epoch = base._epoch
    if base._requires_grad:
        with autograd.enable_grad():
            again = through(base, view._chain)
        view._node, view._index, view._requires_grad = again._node, again._index, again._requires_grad
