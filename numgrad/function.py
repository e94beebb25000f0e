"""autograd.Function: a user's own operation, forward and backward written by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from . import autograd
from .autograd import Node, edge_of, mode
from .dtypes import FLOATING
from .ops.inplace import check_overwrite, settle
from .ops.tape import check_version
from .tensor import Tensor, wrap


class FunctionCtx:
    """What forward leaves for backward."""

    _saved: tuple[Any, ...] = ()
    _dirty: tuple[Any, ...] = ()
    _not_differentiable: tuple[Any, ...] = ()
    _materialize = True
    needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for backward, where `saved_tensors` gives them; overwriting them until then is an error."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward can only save variables, but argument is of type {type(t).__name__}")
        self._saved = tensors

    save_for_forward = save_for_backward

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to `save_for_backward`."""
        return self._load() if hasattr(self, "_load") else self._saved

    saved_variables = saved_tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Name the inputs that forward changed in place; they must be among its outputs."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Name the outputs that have no gradient."""
        self._not_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros for outputs without a gradient (the default) or None."""
        self._materialize = value


class _FunctionNode(Node):
    __slots__ = ("ctx", "function", "own", "released", "versions")

    def __init__(self, function: type[Function], ctx: FunctionCtx, edges: Any, outputs: list[Any]):
        super().__init__(edges, [(o._data.shape, o._data.dtype) for o in outputs])
        self.function, self.ctx, self.released = function, ctx, False
        # An output that was saved is kept as an array: the tensor would point back here.
        self.own = {i: next(k for k, o in enumerate(outputs) if o is t) for i, t in enumerate(ctx._saved) if any(o is t for o in outputs)}
        self.versions = [0 if t is None else t._version for t in ctx._saved]
        ctx._saved = tuple(wrap(t._data) if i in self.own else t for i, t in enumerate(ctx._saved))
        for i in self.own:
            ctx._saved[i]._counter = outputs[self.own[i]].version_counter()

    def name(self) -> str:
        return f"{self.function.__name__}Backward"

    def saved(self) -> tuple[Any, ...]:
        if self.released:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
                "been freed). Specify retain_graph=True if you need to backward through the graph a second time."
            )
        found = []
        for i, tensor in enumerate(self.ctx._saved):
            if tensor is not None:
                check_version(self.versions[i], tensor._version, tensor._data, self.name())
            if i in self.own:
                tensor = wrap(tensor._data)
                tensor._node, tensor._index, tensor._requires_grad = self, self.own[i], True
            found.append(tensor)
        return tuple(found)

    def gradients(self, grads: list[Any]) -> list[Any]:
        self.ctx._load = self.saved  # type: ignore[attr-defined]
        try:
            if self.ctx._materialize:
                grads = [wrap(np.zeros(*m)) if g is None else g for g, m in zip(grads, self.outputs, strict=True)]
            received = self.function.backward(self.ctx, *grads)
        finally:
            del self.ctx._load  # type: ignore[attr-defined]
        received = tuple(received) if isinstance(received, (tuple, list)) else (received,)
        while len(received) > len(self.edges) and received[-1] is None:
            received = received[:-1]
        if len(received) != len(self.edges):
            raise RuntimeError(f"function {self.name()} returned an incorrect number of gradients (expected {len(self.edges)}, got {len(received)})")
        for i, (grad, e) in enumerate(zip(received, self.edges, strict=True)):
            if grad is not None and not isinstance(grad, Tensor):
                raise RuntimeError(f"Function {self.name()} returned a {type(grad).__name__} as the gradient at index {i}, but expected a Tensor or None")
            if grad is not None and e is not None and tuple(grad.shape) != e[2].shape:
                if _expands_to(e[2].shape, tuple(grad.shape)):  # one for each time that the input was broadcast
                    received = (*received[:i], grad.sum_to_size(e[2].shape), *received[i + 1 :])
                    continue
                raise RuntimeError(f"Function {self.name()} returned an invalid gradient at index {i} - got {list(grad.shape)} but expected shape compatible with {list(e[2].shape)}")
        return list(received)

    def release(self) -> None:
        self.released, self.ctx._saved = True, ()


class Function:
    """Base of a user's own operation: static methods `forward(ctx, *args)` and `backward(ctx, *grads)`, called by `apply`.

    Alternatively `forward(*args)` with `setup_context(ctx, inputs, output)`. Written in numgrad's operations, backward can
    itself be differentiated.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the result."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> Any:
        """Save what backward needs, where forward takes no ctx."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """One gradient for each argument of forward (None where there is none)."""
        raise NotImplementedError("You must implement either the backward or vjp method for your custom autograd.Function.")

    def __init__(self) -> None:
        raise RuntimeError(f"{type(self).__name__} should not be instantiated. Methods on autograd functions are all static; use {type(self).__name__}.apply(...)")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward, and put the operation on the tape."""
        ctx = type(f"{cls.__name__}Backward", (FunctionCtx,), {})()
        needs = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        ctx.needs_input_grad = needs
        tracked = mode.enabled and any(needs)
        edges = [edge_of(a) if n else None for a, n in zip(args, needs, strict=True)]
        with autograd.no_grad():
            if cls.setup_context is not Function.setup_context:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        return cls._finish(ctx, args, result, edges) if tracked else result

    @classmethod
    def _finish(cls, ctx: FunctionCtx, args: tuple[Any, ...], result: Any, edges: list[Any]) -> Any:
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        for i, output in enumerate(outputs):
            if isinstance(output, Tensor) and any(output is a for a in args) and not any(output is d for d in ctx._dirty):
                outputs[i] = output.detach()  # an input returned as it is becomes a tensor of its own
                ctx._saved = tuple(outputs[i] if s is output else s for s in ctx._saved)
        tensors = [o for o in outputs if isinstance(o, Tensor)]
        node = _FunctionNode(cls, ctx, edges, tensors)
        for index, tensor in enumerate(tensors):
            if tensor._data.dtype.kind not in FLOATING or any(tensor is n for n in ctx._not_differentiable):
                continue
            if any(tensor is d for d in ctx._dirty):
                check_overwrite(tensor)
                placed = wrap(tensor._data)
                placed._node, placed._index, placed._requires_grad = node, index, True
                settle(tensor, placed)
            else:
                tensor._node, tensor._index, tensor._requires_grad = node, index, True
        return type(result)(outputs) if isinstance(result, (tuple, list)) else outputs[0]


def _expands_to(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    ends = wanted[len(wanted) - len(shape) :]
    return len(wanted) >= len(shape) and all(n in (1, w) for n, w in zip(shape, ends, strict=True))


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a backward that is not itself differentiable: asking for its gradient raises."""

    @functools.wraps(function)
    def run(ctx: Any, *grads: Any) -> Any:
        with autograd.no_grad():
            received = function(ctx, *grads)
        if not mode.enabled or not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return received
        found = [None if r is None else _refusing(r) for r in (received if isinstance(received, tuple) else (received,))]
        return tuple(found)

    return run


class _Refuse(Node):
    __slots__ = ()

    def gradients(self, grads: list[Any]) -> list[Any]:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def _refusing(tensor: Tensor) -> Tensor:
    result = wrap(tensor._data)
    result._node, result._index, result._requires_grad = _Refuse([], [(tensor._data.shape, tensor._data.dtype)]), 0, True
    return result


def Variable(data: Any, requires_grad: bool = False, volatile: bool = False) -> Tensor:
    """The tensor itself, off the tape, as PyTorch has kept it since tensors and variables became one."""
    result = data.detach() if isinstance(data, Tensor) else wrap(np.asarray(data))
    if requires_grad:
        result.requires_grad = True
    return result
