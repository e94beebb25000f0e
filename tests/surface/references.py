"""What the lines of the tables are computed with: their inputs, and references written in NumPy."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

import numgrad as ng
import numgrad.nn as nn
import numgrad.nn.functional as F
from numgrad.ops import REGISTRY

#: The inputs of floating point by the name of the tensor; the array's is the same in capitals.
INPUTS: dict[str, np.ndarray] = {
    "x": np.array([[0.3, -1.2, 2.1], [-0.7, 0.9, -1.8]]),
    "y": np.array([[1.1, 0.4, 1.7], [0.8, 1.3, 0.2]]),
    "a": np.array([[2.0, -0.5, 0.3], [0.7, 1.5, -0.2], [-0.4, 0.6, 1.8]]),
    "v": np.array([0.5, -1.5, 2.5]),
    "p": np.sin(1 + 3.0 * np.arange(64)).reshape(2, 2, 4, 4),
    "s": np.cos(2.0 * np.arange(30)).reshape(2, 5, 3),
}
#: Those that have no gradient.
OTHERS: dict[str, np.ndarray] = {
    "i": np.array([0, 2]),
    "k": np.array([[0, 2, 1], [1, 0, 2]]),
    "b": np.array([[True, False, True], [False, False, True]]),
}


def n(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy()


def put(x: Any, at: Any, values: Any) -> Any:
    found = x * 0
    np.put_along_axis(found, at, values, 1)
    return found


def conv(x: Any, weight: Any, stride: int, groups: int) -> Any:
    channels, (h, w) = x.shape[1] // groups, weight.shape[2:]
    found = []
    for o in range(len(weight)):
        g = o * groups // len(weight)
        part = x[:, g * channels : (g + 1) * channels]
        windows = np.lib.stride_tricks.sliding_window_view(part, (h, w), (2, 3))[:, :, ::stride, ::stride]
        found.append(np.einsum("bchwij,cij->bhw", windows, weight[o]))
    return np.stack(found, 1)


def hat(size: int, wanted: int) -> np.ndarray:
    """Linear interpolation from corner to corner, as a matrix."""
    at = np.linspace(0, size - 1, wanted)
    return np.maximum(0, 1 - abs(at[:, None] - np.arange(size)))


def attention(q: Any, k: Any, v: Any, scale: float, mask: Any) -> Any:
    scores = np.where(mask, scale * q @ k.swapaxes(-1, -2), -np.inf)
    weights = np.exp(scores)
    return weights / weights.sum(-1, keepdims=True) @ v


def heads(m: Any, query: Any, key: Any) -> Any:
    """Attention with one head."""
    weights, biases = np.split(n(m.in_proj_weight), 3), np.split(n(m.in_proj_bias), 3)
    q, k, v = (x @ w.T + b for x, w, b in zip((query, key, key), weights, biases, strict=True))
    found = attention(q, k, v, query.shape[-1] ** -0.5, np.ones((q.shape[-2], k.shape[-2])) > 0)
    return found @ n(m.out_proj.weight).T + n(m.out_proj.bias)


def norm(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def _forward(m: Any, x: Any) -> Any:
    hidden = np.maximum(norm(x) @ n(m.linear1.weight).T + n(m.linear1.bias), 0)
    return x + hidden @ n(m.linear2.weight).T + n(m.linear2.bias)


def encoder(m: Any, x: Any) -> Any:
    return _forward(m, x + heads(m.self_attn, norm(x), norm(x)))


def decoder(m: Any, x: Any, memory: Any) -> Any:
    x = x + heads(m.self_attn, norm(x), norm(x))
    return _forward(m, x + heads(m.multihead_attn, norm(x), memory))


class spread:
    """The mean and the standard deviation of many random numbers, equal to what they should be within a tenth."""

    def __init__(self, tensor: Any):
        self.found = float(tensor.mean()), float(tensor.std())

    def __eq__(self, other: object) -> bool:
        mean, deviation = other  # type: ignore[misc]
        return abs(self.found[0] - mean) < 0.1 * deviation and abs(self.found[1] - deviation) < 0.1 * deviation

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"spread{self.found}"


def scope() -> dict[str, Any]:
    """The names that a line may use, with inputs of its own."""
    reference = SimpleNamespace(**{name: op.reference for name, op in REGISTRY.items() if op.reference is not None})
    found: dict[str, Any] = {"ng": ng, "nn": nn, "F": F, "np": np, "math": math, "ref": reference}
    found |= {f.__name__: f for f in (n, put, conv, hat, attention, heads, norm, encoder, decoder, spread)}
    found |= {name: ng.tensor(value).requires_grad_() for name, value in INPUTS.items()} | {name: ng.tensor(value) for name, value in OTHERS.items()}
    found |= {name.upper(): value for name, value in (INPUTS | OTHERS).items()}
    found |= {"S0": INPUTS["s"], "W5": np.cos(np.arange(10.0)).reshape(5, 1, 2)}
    return found
