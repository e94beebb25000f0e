"""Recurrent layers, attention and transformers, forward and backward: what sequences cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .runner import Case
from .worker import Library

#: (layers, batch, steps, inputs, hidden, both directions)
RECURRENT = ((1, 32, 100, 128, 128, False), (2, 32, 100, 128, 128, False), (1, 32, 100, 128, 128, True), (1, 1, 100, 128, 128, False), (1, 8, 30, 32, 64, False))
LENGTHS = (128, 256, 512, 1024)
#: (batch, steps, width, heads)
TRANSFORMERS = ((16, 64, 128, 4), (4, 128, 512, 8), (1, 128, 128, 4))


def _values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def both_ways(library: Library, function: Callable[..., Any], shapes: list[tuple[int, ...]], parameters: Any = ()) -> Callable[[], Any]:
    """Forward, then the gradients of inputs and parameters; compiled as one where the contender is."""
    module, wanted = library.module, [*parameters]
    inputs = [library.array(_values(*shape, seed=n)).requires_grad_() for n, shape in enumerate(shapes)]
    start = library.array(_values(*function(*inputs).shape, seed=9))

    def step(*tensors: Any) -> Any:
        return module.autograd.grad(function(*tensors), [*tensors, *wanted], start)

    run = module.compile(step) if library.name == "numgrad-compiled" else step
    return lambda: run(*inputs)


def recurrent(library: Library, name: str, layers: int, batch: int, steps: int, inputs: int, hidden: int, both: bool) -> Callable[[], Any]:
    """nn.LSTM, nn.GRU or nn.RNN over whole sequences."""
    library.module.manual_seed(0)
    layer = getattr(library.module.nn, name)(inputs, hidden, layers, batch_first=True, bidirectional=both)
    return both_ways(library, lambda x: layer(x)[0], [(batch, steps, inputs)], layer.parameters())


def attention(library: Library, length: int, causal: bool) -> Callable[[], Any]:
    """scaled_dot_product_attention of 8 sequences and 8 heads of 64."""
    function = library.module.nn.functional.scaled_dot_product_attention
    return both_ways(library, lambda q, k, v: function(q, k, v, is_causal=causal), [(8, 8, length, 64)] * 3)


def multihead(library: Library, batch: int, steps: int, width: int, heads: int) -> Callable[[], Any]:
    """nn.MultiheadAttention of a sequence to itself."""
    library.module.manual_seed(0)
    layer = library.module.nn.MultiheadAttention(width, heads, batch_first=True)
    return both_ways(library, lambda x: layer(x, x, x, need_weights=False)[0], [(batch, steps, width)], layer.parameters())


def encoder(library: Library, batch: int, steps: int, width: int, heads: int) -> Callable[[], Any]:
    """nn.TransformerEncoderLayer without dropout."""
    library.module.manual_seed(0)
    layer = library.module.nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True)
    return both_ways(library, layer, [(batch, steps, width)], layer.parameters())


def cases(quick: bool = False) -> list[Case]:
    """All of the above; quickly: the small ones."""
    found = []
    for name in ("LSTM", "GRU", "RNN"):
        for layers, batch, steps, inputs, hidden, both in RECURRENT:
            shape = f"{batch}x{steps}x{inputs} to {hidden}, {layers} layer{'s' * (layers > 1)}{', both directions' * both}"
            found.append(Case(f"layer {name.lower()} {shape}", recurrent, (name, layers, batch, steps, inputs, hidden, both)))
    found += [Case(f"layer attention 8x8x{n}x64{' causal' * causal}", attention, (n, causal)) for n in LENGTHS for causal in (False, True)]
    for sizes in TRANSFORMERS:
        batch, steps, width, heads = sizes
        for name, build in (("multihead", multihead), ("transformer encoder", encoder)):
            found.append(Case(f"layer {name} {batch}x{steps}x{width}, {heads} heads", build, sizes))
    return [case for case in found if not quick or " 8x30x32" in case.name or "1x128x128" in case.name]
