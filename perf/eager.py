"""Python's cost of one operation: tiny tensors, without gradient, recording it, and forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .runner import Case
from .worker import Library

#: name -> f(module, a, b) of two tensors of 4x4
OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda m, a, b: a + b,
    "mul": lambda m, a, b: a * b,
    "mul by a number": lambda m, a, b: a * 2.0,
    "exp": lambda m, a, b: a.exp(),
    "relu": lambda m, a, b: m.relu(a),
    "matmul": lambda m, a, b: a @ b,
    "linear": lambda m, a, b: m.nn.functional.linear(a, b),
    "sum": lambda m, a, b: a.sum(),
    "mean of a dimension": lambda m, a, b: a.mean(dim=1),
    "softmax": lambda m, a, b: m.softmax(a, -1),
    "view": lambda m, a, b: a.view(16),
    "transpose": lambda m, a, b: a.t(),
    "index": lambda m, a, b: a[1],
    "cat": lambda m, a, b: m.cat([a, b]),
    "where": lambda m, a, b: m.where(a > 0.5, a, b),
    "mse_loss": lambda m, a, b: m.nn.functional.mse_loss(a, b),
}
MODES = ("without gradient", "recorded", "both ways")


def operation(library: Library, name: str, mode: str) -> Callable[[], Any]:
    """One operation; both ways: its result summed where it is not a scalar, then backward."""
    module, function = library.module, OPERATIONS[name]
    a, b = (library.array(np.full((4, 4), value, np.float32)) for value in (0.5, 0.7))
    if mode == "without gradient":
        return lambda: function(module, a, b)
    a.requires_grad_()
    b.requires_grad_()
    if mode == "recorded":
        return lambda: function(module, a, b)
    return lambda: _backward(function(module, a, b))


def _backward(y: Any) -> None:
    (y if y.dim() == 0 else y.sum()).backward()


def chain(library: Library, length: int) -> Callable[[], Any]:
    """A chain of multiplications and its backward: the cost of a link."""
    x = library.array(np.ones(8, np.float32)).requires_grad_()

    def call() -> None:
        y = x
        for _ in range(length):
            y = y * x
        y.sum().backward()

    return call


def module_call(library: Library) -> Callable[[], Any]:
    """A layer called as a module, and its backward."""
    layer, x = library.module.nn.Linear(4, 4), library.array(np.ones((4, 4), np.float32))
    return lambda: layer(x).sum().backward()


def optimizer_step(library: Library, name: str) -> Callable[[], Any]:
    """An optimizer's step over ten tiny parameters."""
    parameters = [library.module.nn.Parameter(library.array(np.ones((4, 4), np.float32))) for _ in range(10)]
    for p in parameters:
        p.grad = library.array(np.ones((4, 4), np.float32))
    return getattr(library.module.optim, name)(parameters, lr=1e-6).step


def cases(quick: bool = False) -> list[Case]:
    """Every operation in every mode, a chain, a module, two optimizers."""
    both = ("numgrad", "torch")
    found = [Case(f"{mode.replace(' ', '-')} {name}", operation, (name, mode), contenders=both) for mode in MODES for name in OPERATIONS]
    found += [Case("both-ways chain of 50", chain, (50,), contenders=both), Case("both-ways Linear module", module_call, contenders=both)]
    return found + [Case(f"optimizer {name}, 10 tiny parameters", optimizer_step, (name,), contenders=both) for name in ("SGD", "Adam")]
