"""Reductions, norms, softmaxes and losses take the formulas that make what they read, and give the same bits as without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
import numgrad.nn.functional as functional
from numgrad.compiler import explain
from numgrad.jit.program import Call
from tests.compiler.test_fusion import random

_ROWS, _WIDE, _BATCH = random((30, 20), (30, 20)), random((100, 200), (100, 200)), random((4, 10, 30), (10, 30))
_CLASSES = numgrad.arange(100) % 7


def names(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[str]:
    """The kernels of a function's program, which gives the same bits as the function."""
    run = numgrad.compile(function, fullgraph=True)
    for _ in range(3):
        wanted, found = function(*arguments), run(*arguments)
        for a, b in zip(_flat(wanted), _flat(found), strict=True):
            np.testing.assert_array_equal(b.numpy(), a.numpy())
    (variant,) = next(iter(run._kinds.values())).variants
    return [s.kernel.name for s in variant.steps if type(s) is Call]


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


@pytest.mark.parametrize(
    ("function", "arguments", "kernel"),
    [
        (functional.mse_loss, _ROWS, "mean_runs_of_1"),
        (functional.mse_loss, _WIDE, "sum_runs_of_1"),  # in pieces
        (functional.binary_cross_entropy_with_logits, tuple(abs(x) for x in _ROWS), "mean_runs_of_1"),
        (lambda x, y: ((x - y) * 2).sum(0), _ROWS, "sum_rows_of_2"),
        (lambda x, y: (x - y).amax(1), _WIDE, "amax_runs_of_1"),
        (lambda x, y: (x - y[:1]).sum(1), _WIDE, "sum_runs_of_1"),  # a row for all
        (lambda x, y: (x * y[:, :1]).sum(1), _WIDE, "sum_runs_of_1"),  # a number a row
        (lambda x, y: (x * y.t()).sum(1), random((20, 30), (30, 20)), "sum_runs_of_1"),  # a stride
        (lambda x, y: (x * y).sum((0, 2)), _BATCH, "sum_runs_of_1"),  # rows of a part that repeats
        (lambda x, y: functional.softmax(x * 0.3, 1), _WIDE, "softmax_rows_of_1"),
        (lambda x, y: functional.softmax((x * 0.3).masked_fill(y > 0, -numgrad.inf), -1), _BATCH, "softmax_rows_of_2"),
        (lambda x, y: functional.log_softmax(x[:, :5] * y[:, :5], 1), _WIDE, "log_softmax_rows_of_1"),  # several short rows a unit
        (lambda x, y: functional.layer_norm(x + y, (200,)), _WIDE, "norm_rows_of_1"),
        (lambda x, y: functional.cross_entropy(x[:, :7] * 0.3, _CLASSES), _WIDE, "_entropy_rows_of_1"),
        (lambda x, y: (lambda h: (h.sum(1), h))(x * y), _WIDE, "sum_runs_of_1"),  # what is needed besides is stored
    ],
)
def test_what_is_taken(function: Any, arguments: Any, kernel: str) -> None:
    found = names(function, arguments)
    assert any(name.startswith(kernel) for name in found), found


def test_gradients() -> None:
    def losses(compile: bool) -> tuple[list[float], Any]:
        numgrad.manual_seed(0)
        model = numgrad.nn.Sequential(numgrad.nn.Linear(20, 16), numgrad.nn.Linear(16, 20))
        optimizer = numgrad.optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = functional.mse_loss(x + model[1](model[0](x).relu().cumsum(1)).cumsum(1), y)
            loss.backward()
            optimizer.step()
            return loss

        run = numgrad.compile(step, fullgraph=True) if compile else step
        return [run(*_ROWS).item() for _ in range(6)], run

    (eager, _), (found, run) = losses(False), losses(True)
    np.testing.assert_allclose(found, eager, rtol=1e-5)
    (program,) = explain(run, *_ROWS).programs
    launched = [name for name, _, _ in program.launches]
    assert any(name.startswith("mean_runs_of") for name in launched) and any(name.startswith("sum_rows_of") for name in launched)
    assert any("mean_runs of" in note and "squared_error" in note for note in program.fused)


def test_why_not() -> None:
    def apart(function: Any, *arguments: Any) -> list[str]:
        return explain(function, *arguments).programs[0].apart

    x, y = _WIDE
    assert any("single unit of work" in reason for reason in apart(lambda x, y: (x - y).abs().sum(0), x, y))
    assert any("another part" in reason for reason in apart(lambda x, y: (x - y)[1:].sum(1), x, y))
    long = random((2, 3000), (2, 3000))
    assert any("strips" in reason for reason in apart(lambda x, y: (x - y).sum(0), *long))


def test_the_rest_is_in_order() -> None:
    """What changes operands between a formula and its reduction keeps them apart, or moves one of them."""

    def function(x: Any, y: Any) -> Any:
        a = x * 2
        b = (a + y) @ y.t()
        c = a - y
        total = c.sum(1)
        c.mul_(2)
        a.add_(1)
        return a, b, c, total, (c + a).sum(0)

    names(function, _ROWS)


@pytest.mark.native
def test_any_number_of_threads_gives_the_same_bits() -> None:
    x, y = random((600, 500), (600, 500))
    run = numgrad.compile(lambda x, y: (functional.mse_loss(x, y), (x * y).sum(1), functional.softmax(x * 0.3 + y, 1)), fullgraph=True)
    for _ in range(3):
        wanted = [t.numpy() for t in run(x, y)]
    before = numgrad.get_num_threads()
    try:
        numgrad.set_num_threads(1)
        for a, b in zip(run(x, y), wanted, strict=True):
            np.testing.assert_array_equal(a.numpy(), b)
    finally:
        numgrad.set_num_threads(before)
