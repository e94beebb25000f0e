"""`numgrad.autograd.functional`: derivatives of a function of tensors at a point; `numgrad.func` makes functions of them instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numgrad
from numgrad import autograd
from numgrad.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tuple(value: Any, what: str) -> tuple[Tensor, ...]:
    found = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            raise TypeError(f"The {what} must be either a Tensor or a tuple of Tensors, but element {i} is of type {type(t).__name__}")
    return found


def _alone(given: Any, found: Any) -> Any:
    return tuple(found) if isinstance(given, (tuple, list)) else found[0]


class _Point:
    """A function called on inputs that gradients can be taken by."""

    def __init__(self, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool):
        self.given, self.create, self.strict = inputs, create_graph, strict
        found = _tuple(inputs, "inputs")
        self.inputs = [t.view_as(t) if create_graph and t.requires_grad else t.detach().requires_grad_() for t in found]
        with autograd.enable_grad():
            self.raw = func(*self.inputs)
        self.outputs = _tuple(self.raw, "outputs of the function")
        for i, o in enumerate(self.outputs):
            if strict and not o.requires_grad:
                raise RuntimeError(f"Output {i} of the user-provided function is independent of the inputs. This is not allowed in strict mode.")

    def gradients(self, outputs: Any, weights: Any, by: Any = None, create: bool | None = None) -> list[Tensor]:
        by = self.inputs if by is None else by
        pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
        if not pairs:
            return [numgrad.zeros_like(t) for t in by]
        outs, grads = zip(*pairs)
        found = autograd.grad(outs, by, grads, retain_graph=True, create_graph=self.create if create is None else create, allow_unused=True)
        if self.strict and None in found:
            raise RuntimeError(f"The output of the user-provided function is independent of input {found.index(None)}. This is not allowed in strict mode.")
        return [numgrad.zeros_like(t) if f is None else f for f, t in zip(found, by, strict=True)]

    def shown(self) -> Any:
        outputs = self.outputs if self.create else [o.detach() for o in self.outputs]
        return _alone(self.raw, outputs)

    def weights(self, v: Any, like: Any, what: str) -> list[Tensor]:
        """`v`, checked; ones for a single number."""
        if v is None:
            if len(like) != 1 or like[0].numel() != 1:
                raise RuntimeError(f"The vector v can only be None if {what} has a single element")
            return [numgrad.ones_like(like[0])]
        found = _tuple(v, "v")
        if [t.shape for t in found] != [t.shape for t in like]:
            raise RuntimeError(f"v has shapes {[list(t.shape) for t in found]}, but {what} has {[list(t.shape) for t in like]}")
        return list(found)


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """The function's output, and v times its Jacobian."""
    at = _Point(func, inputs, create_graph, strict)
    return at.shown(), _alone(inputs, at.gradients(at.outputs, at.weights(v, at.outputs, "the output")))


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """The function's output, and its Jacobian times v."""
    at = _Point(func, inputs, create_graph, strict)
    weights = [numgrad.zeros_like(o).requires_grad_() for o in at.outputs]
    with autograd.enable_grad():
        pulled = at.gradients(at.outputs, weights, create=True)
    at.strict = False
    return at.shown(), _alone(at.raw, at.gradients(pulled, at.weights(v, at.inputs, "the input"), weights))


def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False, strategy: str = "reverse-mode"
) -> Any:  # fmt: skip
    """The Jacobian: of shape output.shape + input.shape; a tuple for several outputs, of tuples for several inputs."""
    at = _Point(func, inputs, create_graph, strict)
    result = []
    for output in at.outputs:
        rows = []
        for i in range(output.numel()):
            hot = numgrad.zeros(output.numel(), dtype=output.dtype)
            hot[i] = 1
            rows.append(at.gradients([output], [hot.view(output.shape)]))
        blocks = [
            numgrad.stack([r[k] for r in rows]).view(*output.shape, *t.shape) if rows else numgrad.zeros(*output.shape, *t.shape, dtype=t.dtype)
            for k, t in enumerate(at.inputs)
        ]
        result.append(_alone(inputs, blocks))
    return _alone(at.raw, result)


def _scalar(func: Callable[..., Any]) -> Callable[..., Tensor]:
    def run(*inputs: Tensor) -> Tensor:
        output = func(*inputs)
        if not isinstance(output, Tensor) or output.numel() != 1:
            raise RuntimeError("The function given to hessian, hvp or vhp should return a single Tensor with a single element")
        return output.reshape(())

    return run


def _slope(func: Callable[..., Any], strict: bool) -> Callable[..., Any]:
    """The gradient of a function with one number, as a function that can be differentiated again."""

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        return jacobian(_scalar(func), inputs, create_graph=True, strict=strict)

    return run


def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode"
) -> Any:  # fmt: skip
    """The second derivatives of a function of one number: input.shape + input.shape; a tuple of tuples for several inputs."""
    found = jacobian(_slope(func, strict), _tuple(inputs, "inputs"), create_graph, strict)
    return found if isinstance(inputs, (tuple, list)) else found[0][0]


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """The function's output, and v times its Hessian."""
    at = _Point(_scalar(func), inputs, create_graph, strict)
    with autograd.enable_grad():
        slope = at.gradients(at.outputs, [numgrad.ones_like(at.outputs[0])], create=True)
    at.strict = False
    return at.shown(), _alone(inputs, at.gradients(slope, at.weights(v, at.inputs, "the input")))


hvp = vhp  # the Hessian is symmetric


def gradcheck(*args: Any, **kwargs: Any) -> bool:
    """`numgrad.testing.gradcheck`: gradients against finite differences."""
    from numgrad.testing import gradcheck

    return gradcheck(*args, **kwargs)


def gradgradcheck(*args: Any, **kwargs: Any) -> bool:
    """`numgrad.testing.gradgradcheck`: gradients of gradients against finite differences."""
    from numgrad.testing import gradgradcheck

    return gradgradcheck(*args, **kwargs)


def gradients_of_batches(outputs: Any, inputs: Any, grads: Any, create_graph: bool, allow_unused: Any, materialize: bool) -> tuple[Any, ...]:
    """`grad` for each row of batches of gradients, stacked."""
    from .ops import stack

    each = [
        autograd.grad(outputs, inputs, [None if g is None else g[i] for g in grads], True, create_graph, True, allow_unused, False, materialize)
        for i in range(next(g.shape[0] for g in grads if g is not None))
    ]
    return tuple(None if column[0] is None else stack(list(column)) for column in zip(*each, strict=True))
