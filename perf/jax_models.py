"""The same networks as JAX's users write them: parameters in a tree, images channels-last, the whole step under `jit`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .models import GPT

Tree = Any


def step_of(name: str, data: tuple[np.ndarray, ...]) -> Callable[[], Any]:
    """One jitted step of a model on this batch, again and again; it returns when the step is done."""
    make, loss, update = _MODELS[name]
    params, others = make(_Maker())
    state = [params, jax.tree.map(jnp.zeros_like, (params, params)), others, jnp.zeros((), jnp.int32)]
    if name in ("convnet", "resnet"):
        data = (data[0].transpose(0, 2, 3, 1).copy(), *data[1:])
    batch = [jnp.asarray(a.astype(np.int32) if a.dtype == np.int64 else a) for a in data]

    @partial(jax.jit, donate_argnums=0)
    def step(state: list[Tree], batch: list[Any]) -> tuple[list[Tree], Any]:
        params, moments, others, count = state
        key = jax.random.fold_in(jax.random.key(0), count)
        (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(params, others, key, *batch)
        params, moments = update(params, moments, gradients, count + 1)
        return [params, moments, others, count + 1], value

    def call() -> Any:
        nonlocal state
        state, value = step(state, batch)
        return jax.block_until_ready((state, value))[1]

    return call


# --- updates ----------------------------------------------------------------------------------------------------------


def adam(params: Tree, moments: Tree, gradients: Tree, count: Any, lr: float = 1e-3, decay: float = 0.0) -> tuple[Tree, Tree]:
    """Adam, or AdamW where `decay` is given."""
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradients)
    squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradients)
    first, second = 1 - 0.9**count, 1 - 0.999**count
    new = lambda p, m, v: p * (1 - lr * decay) - lr * (m / first) / (jnp.sqrt(v / second) + 1e-8)
    return jax.tree.map(new, params, means, squares), (means, squares)


def momentum(params: Tree, moments: Tree, gradients: Tree, count: Any, lr: float = 1e-3, decay: float = 0.0) -> tuple[Tree, Tree]:
    """Stochastic gradient descent with momentum 0.9 and weight decay."""
    speeds = jax.tree.map(lambda m, g, p: 0.9 * m + g + decay * p, moments[0], gradients, params)
    return jax.tree.map(lambda p, m: p - lr * m, params, speeds), (speeds, moments[1])


# --- layers -----------------------------------------------------------------------------------------------------------


class _Maker:
    """Draws parameters."""

    def __init__(self) -> None:
        self.key = jax.random.key(0)

    def uniform(self, shape: tuple[int, ...], inputs: int) -> Any:
        self.key, key = jax.random.split(self.key)
        return jax.random.uniform(key, shape, minval=-(inputs**-0.5), maxval=inputs**-0.5)

    def linear(self, inputs: int, outputs: int) -> Tree:
        return {"w": self.uniform((inputs, outputs), inputs), "b": self.uniform((outputs,), inputs)}

    def layers(self, *sizes: int) -> list[Tree]:
        return [self.linear(n, m) for n, m in pairwise(sizes)]

    def conv(self, inputs: int, outputs: int, size: int) -> Any:
        return self.uniform((size, size, inputs, outputs), inputs * size * size)

    def norm(self, channels: int) -> Tree:
        return {"w": jnp.ones(channels), "b": jnp.zeros(channels)}


def _running(channels: int) -> tuple[Any, Any]:
    return jnp.zeros(channels), jnp.ones(channels)


def _linear(p: Tree, x: Any) -> Any:
    return x @ p["w"] + p["b"]


def _network(layers: list[Tree], x: Any, activation: Callable[[Any], Any] = jax.nn.relu) -> Any:
    for p in layers[:-1]:
        x = activation(_linear(p, x))
    return _linear(layers[-1], x)


def _conv(w: Any, x: Any, stride: int = 1, padding: str = "VALID") -> Any:
    pad = padding if padding == "VALID" else [(w.shape[0] // 2,) * 2] * 2
    return lax.conv_general_dilated(x, w, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _batch_norm(p: Tree, running: tuple[Any, Any], x: Any) -> tuple[Any, tuple[Any, Any]]:
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    kept = 0.9 * running[0] + 0.1 * mean, 0.9 * running[1] + 0.1 * var
    return (x - mean) * lax.rsqrt(var + 1e-5) * p["w"] + p["b"], lax.stop_gradient(kept)


def _layer_norm(p: Tree, x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * p["w"] + p["b"]


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1).mean()


def _binary(logits: Any, target: Any) -> Any:
    return jnp.maximum(logits, 0) - logits * target + jnp.log1p(jnp.exp(-jnp.abs(logits)))


# --- models: make(maker) -> parameters and the rest of the state; loss(parameters, rest, key, *batch) ---------------------


def _mlp_loss(p: Tree, others: Tree, key: Any, x: Any, y: Any) -> Any:
    return _cross_entropy(_network(p, x), y), others


def _make_convnet(m: _Maker) -> Tree:
    convs = [{"w": m.conv(3, 6, 5), "b": jnp.zeros(6)}, {"w": m.conv(6, 16, 5), "b": jnp.zeros(16)}]
    return {"convs": convs, "layers": m.layers(400, 120, 84, 10)}, ()


def _convnet_loss(p: Tree, others: Tree, key: Any, x: Any, y: Any) -> Any:
    for c in p["convs"]:
        x = _pool(jax.nn.relu(_conv(c["w"], x) + c["b"]))
    return _cross_entropy(_network(p["layers"], x.reshape(len(x), -1)), y), others


_BLOCKS = ((16, 16, 1), (16, 32, 2), (32, 64, 2))


def _make_resnet(m: _Maker) -> Tree:
    blocks = [
        {"conv1": m.conv(a, b, 3), "norm1": m.norm(b), "conv2": m.conv(b, b, 3), "norm2": m.norm(b), "short": m.conv(a, b, 1) if a != b else None}
        for a, b, _ in _BLOCKS
    ]  # fmt: skip
    params = {"conv": m.conv(3, 16, 3), "norm": m.norm(16), "blocks": blocks, "head": m.linear(64, 10)}
    return params, [_running(16)] + [_running(b) for _, b, _ in _BLOCKS for _ in range(2)]


def _resnet_loss(p: Tree, others: Tree, key: Any, x: Any, y: Any) -> Any:
    kept: list[Any] = []

    def norm(q: Tree, x: Any) -> Any:
        x, running = _batch_norm(q, others[len(kept)], x)
        kept.append(running)
        return x

    x = jax.nn.relu(norm(p["norm"], _conv(p["conv"], x, 1, "SAME")))
    for q, (_, _, stride) in zip(p["blocks"], _BLOCKS):
        inside = jax.nn.relu(norm(q["norm1"], _conv(q["conv1"], x, stride, "SAME")))
        inside = norm(q["norm2"], _conv(q["conv2"], inside, 1, "SAME"))
        x = jax.nn.relu(inside + (x if q["short"] is None else _conv(q["short"], x, stride, "SAME")))
    return _cross_entropy(_linear(p["head"], x.mean((1, 2))), y), kept


def _make_gpt(m: _Maker) -> Tree:
    symbols, width, _, layers, context = GPT
    block = lambda: {
        "norm1": m.norm(width), "norm2": m.norm(width), "qkv": m.linear(width, 3 * width), "out": m.linear(width, width),
        "mlp": m.layers(width, 4 * width, width),
    }  # fmt: skip
    tables = {"symbol": m.uniform((symbols, width), 1), "place": m.uniform((context, width), 1)}
    return tables | {"blocks": [block() for _ in range(layers)], "norm": m.norm(width), "head": m.linear(width, symbols)}, ()


def _gpt_loss(p: Tree, others: Tree, key: Any, text: Any, following: Any) -> Any:
    _, width, heads, _, n = GPT
    b = len(text)
    hidden = ~jnp.tri(n, dtype=bool)
    gelu = partial(jax.nn.gelu, approximate=False)
    x = p["symbol"][text] + p["place"]
    for q in p["blocks"]:
        projected = _linear(q["qkv"], _layer_norm(q["norm1"], x)).reshape(b, n, 3, heads, width // heads)
        queries, keys, values = projected.transpose(2, 0, 3, 1, 4)
        scores = jnp.where(hidden, -jnp.inf, queries @ keys.swapaxes(-1, -2) / math.sqrt(width // heads))
        mixed = (jax.nn.softmax(scores) @ values).swapaxes(1, 2).reshape(b, n, width)
        x = x + _linear(q["out"], mixed)
        x = x + _network(q["mlp"], _layer_norm(q["norm2"], x), gelu)
    return _cross_entropy(_linear(p["head"], _layer_norm(p["norm"], x)), following), others


def _make_vae(m: _Maker) -> Tree:
    return {"encode": m.linear(784, 400), "mean": m.linear(400, 20), "spread": m.linear(400, 20), "decode": m.layers(20, 400, 784)}, ()


def _vae_loss(p: Tree, others: Tree, key: Any, x: Any) -> Any:
    hidden = jax.nn.relu(_linear(p["encode"], x))
    mean, log_variance = _linear(p["mean"], hidden), _linear(p["spread"], hidden)
    z = mean + jax.random.normal(key, mean.shape) * jnp.exp(0.5 * log_variance)
    likelihood = _binary(_network(p["decode"], z), x).sum()
    return likelihood - 0.5 * (1 + log_variance - mean**2 - jnp.exp(log_variance)).sum(), others


def _qnet_loss(p: Tree, target: Tree, key: Any, state: Any, action: Any, reward: Any, following: Any) -> Any:
    best = reward + 0.99 * _network(target, following).max(1)
    apart = jnp.abs(jnp.take_along_axis(_network(p, state), action, 1)[:, 0] - best)
    return jnp.where(apart < 1, 0.5 * apart**2, apart - 0.5).mean(), target


def _pinn_loss(p: Tree, others: Tree, key: Any, points: Any, ends: Any) -> Any:
    u = lambda x: _network(p, x[None], jnp.tanh)[0]
    bent = jax.vmap(jax.grad(jax.grad(u)))(points[:, 0])
    return ((bent + jnp.sin(points[:, 0])) ** 2).mean() + (jax.vmap(u)(ends[:, 0]) ** 2).mean(), others


def _make_tabular(m: _Maker) -> Tree:
    return {"layers": m.layers(32, 256, 256, 1), "norms": [m.norm(256), m.norm(256)]}, [_running(256), _running(256)]


def _tabular_loss(p: Tree, others: Tree, key: Any, x: Any, y: Any) -> Any:
    kept: list[Any] = []
    for layer, norm, running in zip(p["layers"], p["norms"], others):
        key, drop = jax.random.split(key)
        x, new = _batch_norm(norm, running, _linear(layer, x))
        kept.append(new)
        x = jnp.where(jax.random.bernoulli(drop, 0.9, x.shape), jax.nn.relu(x) / 0.9, 0)
    return _binary(_linear(p["layers"][-1], x), y).mean(), kept


_MODELS: dict[str, tuple[Callable[[_Maker], Tree], Callable[..., Any], Callable[..., Any]]] = {
    "mlp": (lambda m: (m.layers(784, 128, 64, 10), ()), _mlp_loss, adam),
    "convnet": (_make_convnet, _convnet_loss, momentum),
    "resnet": (_make_resnet, _resnet_loss, partial(momentum, lr=0.1, decay=1e-4)),
    "gpt": (_make_gpt, _gpt_loss, partial(adam, lr=3e-4, decay=0.01)),
    "vae": (_make_vae, _vae_loss, adam),
    "qnet": (lambda m: (m.layers(4, 128, 2), m.layers(4, 128, 2)), _qnet_loss, adam),
    "pinn": (lambda m: (m.layers(1, 64, 64, 64, 1), ()), _pinn_loss, adam),
    "tabular": (_make_tabular, _tabular_loss, partial(adam, decay=0.01)),
}
