"""Gradients to differentiate again: of ops whose backward is a kernel, by computing the result once more in other ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import autograd
from ..tensor import Tensor


def gradients_again(function: Callable[..., Any], inputs: Sequence[Tensor | None], g: Sequence[Tensor | None]) -> tuple[Any, ...]:
    """For each input the gradient of what `function` gives, weighted with `g`, itself a function of the inputs and of g.

    `function` takes tensors and returns a tuple of them, each with a gradient in `g` or None for one that does not count."""
    own = [x * 1 if x is not None and x.requires_grad else x for x in inputs]  # type: ignore[operator]  # no input is made of another
    wanted = [x for x, given in zip(own, inputs, strict=True) if x is not given]
    pairs = [(y, w) for y, w in zip(function(*own), g, strict=True) if w is not None and y.requires_grad]
    found = iter(autograd.grad([y for y, _ in pairs], wanted, [w for _, w in pairs], create_graph=True, allow_unused=True))
    return tuple(None if x is given else next(found) for x, given in zip(own, inputs, strict=True))
