"""A training step as one writes it by hand in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from .worker import Unavailable


def step_of(name: str, data: tuple[np.ndarray, ...]) -> Callable[[], Any]:
    """The step of the MLP; the other models have none."""
    if name != "mlp":
        raise Unavailable(f"no step of {name} in NumPy")
    return mlp(*data)


def mlp(x: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """784-128-64-10 with Adam."""
    rng = np.random.default_rng(0)
    sizes = (784, 128, 64, 10)
    weights = [rng.uniform(-(n**-0.5), n**-0.5, (n, m)).astype(np.float32) for n, m in pairwise(sizes)]
    biases = [np.zeros(m, np.float32) for m in sizes[1:]]
    parameters = [*weights, *biases]
    means, squares = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    rows, count = np.arange(len(x)), 0

    def step() -> float:
        nonlocal count
        inputs = [x]
        for w, b in zip(weights, biases):
            y = inputs[-1] @ w + b
            inputs.append(np.maximum(y, 0))
        powers = np.exp(y - y.max(1, keepdims=True))
        chances = powers / powers.sum(1, keepdims=True)
        loss = -np.log(chances[rows, labels]).mean()
        g = chances
        g[rows, labels] -= 1
        g /= len(x)
        weight_gradients: list[np.ndarray] = []
        bias_gradients: list[np.ndarray] = []
        for layer in (2, 1, 0):
            weight_gradients.insert(0, inputs[layer].T @ g)
            bias_gradients.insert(0, g.sum(0))
            g = (g @ weights[layer].T) * (inputs[layer] > 0) if layer else g
        count += 1
        for p, mean, square, gradient in zip(parameters, means, squares, weight_gradients + bias_gradients):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            p -= 0.001 / (1 - 0.9**count) * mean / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
        return float(loss)

    return step
