"""Recurrent layers: one direction of one layer over whole sequences, as one op of a product and a kernel.

LSTM is Hochreiter & Schmidhuber (1997) with forget gates, GRU Cho et al. (2014) with the reset gate after the product.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..autograd import mode
from ..jit import empty, launch, zeros
from ..jit.tile import VECTOR_BYTES, addresses
from ..tensor import Tensor
from . import gemm
from . import recurrent_kernels as kernels
from .again import gradients_again
from .elementwise import copied
from .matmul import linear, product
from .record import REGISTRY, op
from .recurrent_kernels import GATES, GRU, KEPT, LSTM, RELU
from .shape import transpose

Sizes = tuple[int, ...]


@functools.lru_cache(maxsize=1024)
def _steps(sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """How many sequences run at each step, and the row where each step starts."""
    counts = np.array(sizes, np.int64)
    return counts, np.concatenate([np.zeros(1, np.int64), np.add.accumulate(counts)[:-1]])


@functools.lru_cache(maxsize=1024)
def _plan(hidden: int, batch: int, kind: int, reverse: bool, row: int, panel: int, dtype: np.dtype) -> np.ndarray:
    """What kernels are told; the last but the tiles is the number of sequences of a block."""
    block = max(8, min(32, -(-batch // 4)))
    numbers = [hidden, GATES[kind] * hidden, KEPT[kind] * hidden, kind, reverse, row, panel, block]
    return np.concatenate([np.array(numbers, np.int64), addresses(dtype)])


def _panels(b: np.ndarray) -> tuple[np.ndarray, int, int]:
    """A matrix as tiles read it, in panels as wide as a tile where that fits; the steps from row to row and panel to panel."""
    (rows, columns), wide = b.shape, 2 * VECTOR_BYTES // b.itemsize
    if columns % wide:
        return (b if b.flags.c_contiguous else copied(b)).reshape(-1), columns, wide
    return copied(b.reshape(rows, columns // wide, wide).transpose(1, 0, 2)).reshape(-1), wide, rows * wide


def _flat(x: np.ndarray) -> np.ndarray:
    return (x if x.flags.c_contiguous else copied(x)).reshape(-1)


def _layer_forward(
    input: np.ndarray, h: np.ndarray, c: np.ndarray | None, weight_ih: np.ndarray, weight_hh: np.ndarray, bias_ih: np.ndarray | None,
    bias_hh: np.ndarray | None, kind: int, sizes: Sizes, reverse: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Rows (N, hidden) of states, the last h and c of each sequence, and what the way back wants, as integers: it has no gradient."""
    (batch, n), dtype = h.shape, input.dtype
    y, last, cell = empty((input.shape[0], n), dtype), copied(h), empty((0, n), dtype) if c is None else copied(c)
    kept = empty(input.shape[0] * KEPT[kind] * n, dtype)
    if input.shape[0]:
        x = gemm.product(input, weight_ih.T, bias_ih)
        bias = zeros(GATES[kind] * n, dtype) if bias_hh is None else _flat(bias_hh)
        weight, row, panel = _panels(weight_hh.T)
        launch(kernels.forward, y.reshape(-1), last.reshape(-1), cell.reshape(-1), kept, x.reshape(-1), bias, weight,
               _plan(n, batch, kind, bool(reverse), row, panel, dtype), *_steps(sizes), work=x.size * (n // 8 + 8))  # fmt: skip
    return y, last, cell, kept.view(f"i{dtype.itemsize}")


def _backward_forward(
    dy: np.ndarray, dh: np.ndarray, dc: np.ndarray, kept: np.ndarray, weight_hh: np.ndarray, kind: int, sizes: Sizes, reverse: bool
) -> tuple[np.ndarray, ...]:
    """Gradients of the gates' products with inputs, of the states before, of weight_hh and of bias_hh."""
    (batch, n), dtype, count = dh.shape, dh.dtype, dy.shape[0]
    gates, memory = GATES[kind] * n, kept.view(dtype)
    before, cell = copied(dh), copied(dc)
    dx = empty((count, gates), dtype)
    through = empty((count, gates), dtype) if kind == GRU else dx
    if count:
        weight, row, panel = _panels(weight_hh)
        launch(kernels.backward, dx.reshape(-1), through.reshape(-1), before.reshape(-1), cell.reshape(-1), memory, _flat(dy), weight,
               _plan(n, batch, kind, bool(reverse), row, panel, dtype), *_steps(sizes), work=dx.size * (n // 8 + 8))  # fmt: skip
    at = (KEPT[kind] - 1 - (kind == LSTM)) * n
    states = memory.reshape(count, KEPT[kind] * n)[:, at : at + n]
    return dx, before, cell, gemm.product(through.T, states), REGISTRY["sum_over"].forward(through, (0,), False, dtype)


def step(x: Tensor, h: Tensor, c: Tensor | None, weight_hh: Tensor, bias_hh: Tensor | None, kind: int, weight_hr: Tensor | None = None) -> Any:
    """One step in ops, for gradients of gradients: x is what the inputs give the gates; returns h and c after it."""
    gates = linear(h, weight_hh, bias_hh)
    if kind == LSTM:
        assert c is not None
        i, f, g, o = (x + gates).chunk(4, 1)  # type: ignore[operator]
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()  # type: ignore[attr-defined]
        return (h if weight_hr is None else linear(h, weight_hr)), c
    if kind == GRU:
        (xr, xz, xn), (hr, hz, hn) = x.chunk(3, 1), gates.chunk(3, 1)  # type: ignore[attr-defined]
        new = (xn + (xr + hr).sigmoid() * hn).tanh()
        return new + (xz + hz).sigmoid() * (h - new), c
    total = x + gates  # type: ignore[operator]
    return (total.relu() if kind == RELU else total.tanh()), c


def layer_in_ops(
    input: Tensor, h: Tensor, c: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None,
    kind: int, sizes: Sizes, reverse: bool, weight_hr: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """What `layer` computes, step by step in ops; with `weight_hr` the state of an LSTM is projected."""
    cat, x = REGISTRY["cat"], linear(input, weight_ih, bias_ih)
    starts, found, batch = _steps(sizes)[1].tolist(), [None] * len(sizes), h.shape[0]
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        count = sizes[t]
        rows = x[starts[t] : starts[t] + count]
        new, cell = step(rows, h[:count], None if c is None else c[:count], weight_hh, bias_hh, kind, weight_hr)
        found[t] = new
        h = new if count == batch else cat([new, h[count:]])
        c = cell if c is None or count == batch else cat([cell, c[count:]])
    return (cat(found) if found else x[:, : h.shape[1]]), h, c


def _layer_vjp(
    g: Any, y: Any, input: Tensor, h: Tensor, c: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None,
    bias_hh: Tensor | None, kind: int, sizes: Sizes, reverse: bool, needs: Any,
) -> tuple[Any, ...]:  # fmt: skip
    if mode.enabled:
        tensors = (input, h, c, weight_ih, weight_hh, bias_ih, bias_hh)
        counted = (g[0], g[1], g[2] if kind == LSTM else None)
        return gradients_again(lambda *own: layer_in_ops(*own, kind, sizes, reverse), tensors, counted)
    dx, dh, dc, by_hh, by_bias = _backward(g[0], g[1], g[2], y[3], weight_hh, kind, sizes, reverse)
    return (product(dx, weight_ih) if needs[0] else None, dh if needs[1] else None, dc if needs[2] and kind == LSTM else None,
            product(transpose(dx, 0, 1), input) if needs[3] else None, by_hh if needs[4] else None,
            (by_bias if kind != GRU else dx.sum(0)) if needs[5] else None, by_bias if needs[6] else None)  # fmt: skip


_hidden: Any = {"public": False, "method": False}
_backward = op("recurrent_layer_backward", _backward_forward, **_hidden)
layer = op("recurrent_layer", _layer_forward, vjp=_layer_vjp, saved=3, **_hidden)
