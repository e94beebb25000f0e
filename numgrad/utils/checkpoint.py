"""Less memory for more time: what a part of a model computes is not kept for backward, but computed again there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numgrad
from numgrad import autograd
from numgrad.function import Function
from numgrad.ops.random import default_generator
from numgrad.tensor import Tensor

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Checkpoint(Function):
    """`forward` runs off the tape; `backward` runs the function again on it, and walks back through that.

    The first argument requires grad, so that there is a node even where only parameters inside the function need gradients.
    """

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, run: Callable[..., Any], state: Any, *args: Any) -> Any:
        ctx.run, ctx.state = run, state
        ctx.save_for_backward(*[a for a in args if isinstance(a, Tensor)])
        ctx.args = [None if isinstance(a, Tensor) else a for a in args]
        ctx.tensors = [isinstance(a, Tensor) for a in args]
        return run(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        saved = iter(ctx.saved_tensors)
        args = [next(saved).detach() if is_tensor else a for a, is_tensor in zip(ctx.args, ctx.tensors)]
        for a, needed in zip(args, ctx.needs_input_grad[3:]):
            if needed:
                a.requires_grad_()
        now = default_generator.get_state()
        if ctx.state is not None:
            default_generator.set_state(ctx.state)
        with numgrad.enable_grad():
            result = ctx.run(*args)
        if ctx.state is not None:
            default_generator.set_state(now)
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        pairs = [(o, g) for o, g in zip(outputs, grads) if isinstance(o, Tensor) and o.requires_grad]
        if pairs:
            autograd.backward([o for o, _ in pairs], [g for _, g in pairs])
        found = [a.grad if isinstance(a, Tensor) and needed else None for a, needed in zip(args, ctx.needs_input_grad[3:])]
        return (None, None, None, *found)


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, context_fn: Any = None, determinism_check: str = "default",
    debug: bool = False, preserve_rng_state: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """`function(*args)`, computed again in backward instead of kept; random numbers are drawn the same again.

    Gradients reach the function's parameters through `.backward()`, not through `autograd.grad`.
    """
    run = (lambda *a: function(*a, **kwargs)) if kwargs else function
    if not numgrad.is_grad_enabled():
        return run(*args)
    state = default_generator.get_state() if preserve_rng_state else None
    return _Checkpoint.apply(numgrad.zeros((), requires_grad=True), run, state, *args)


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any) -> Any:
    """A Sequential, or a list of functions, in `segments` parts, of which all but the last are checkpointed."""
    parts: Sequence[Callable[..., Any]] = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(parts) // segments

    def chain(some: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
        def run(x: Any) -> Any:
            for part in some:
                x = part(x)
            return x

        return run

    for i in range(segments - 1):
        input = checkpoint(chain(parts[i * size : (i + 1) * size]), input, use_reentrant=use_reentrant, **kwargs)
    return chain(parts[size * (segments - 1) :])(input)
