"""L-BFGS on functions whose minima are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import Tensor, optim

#: Written in operations that are tested with real kernels by themselves.
pytestmark = pytest.mark.interpreted

START = [-1.2, 1.0]


def rosenbrock(x: Tensor) -> Tensor:
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def minimise(function: Callable[[Tensor], Tensor], start: list[float], steps: int, **arguments: Any) -> tuple[Tensor, optim.Optimizer, list[float]]:
    x = numgrad.tensor(start, dtype=numgrad.float64, requires_grad=True)
    optimizer = optim.LBFGS([x], **arguments)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = function(x)
        loss.backward()
        return loss

    return x, optimizer, [optimizer.step(closure).item() for _ in range(steps)]


def test_rosenbrock_with_line_search() -> None:
    x, optimizer, losses = minimise(rosenbrock, START, 3, line_search_fn="strong_wolfe")
    assert np.allclose(x.tolist(), [1, 1], atol=1e-4)
    assert losses[0] == pytest.approx(24.2) and losses == sorted(losses, reverse=True)
    state = next(iter(optimizer.state.values()))
    assert state["n_iter"] < 60 and state["func_evals"] >= state["n_iter"]


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_a_quadratic_form(search: str | None) -> None:
    matrix = numgrad.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=numgrad.float64)
    b = numgrad.tensor([1.0, -1.0], dtype=numgrad.float64)
    x, _, _ = minimise(lambda x: 0.5 * x @ matrix @ x - b @ x, [4.0, 5.0], 3, line_search_fn=search, history_size=5)
    assert np.allclose(x.tolist(), np.linalg.solve(matrix.numpy(), b.numpy()), atol=1e-5)


def test_it_stops_where_the_gradient_vanishes() -> None:
    x, optimizer, _ = minimise(rosenbrock, [1.0, 1.0], 2)
    assert x.tolist() == [1, 1] and next(iter(optimizer.state.values()))["n_iter"] == 0


def test_errors() -> None:
    x = numgrad.zeros(1, requires_grad=True)
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([x]).step()
    with pytest.raises(ValueError, match="parameter groups"):
        optim.LBFGS([{"params": [x]}, {"params": [numgrad.zeros(1, requires_grad=True)]}])
    with pytest.raises(RuntimeError, match="strong_wolfe"):
        optim.LBFGS([x], line_search_fn="armijo")
