"""lstm, gru, rnn_tanh and rnn_relu: layers and directions of recurrent networks, on padded or packed sequences, and single cells."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import INT64, scalar_name
from ..jit import read
from ..tensor import Tensor
from .record import REGISTRY, composite
from .recurrent import layer, layer_in_ops
from .recurrent_kernels import GATES, GRU, LSTM, RELU, TANH


def _check(name: str, x: Tensor, states: Sequence[Tensor], params: Sequence[Any]) -> None:
    for t in (x, *states, *params):
        if t is not None and t.dtype != x.dtype:
            raise RuntimeError(f"{name}: input, states and weights must have the same dtype, but got {scalar_name(x._data.dtype)} and {scalar_name(t._data.dtype)}")
    if x._data.dtype.kind != "f":
        raise NotImplementedError(f'"{name}" not implemented for \'{scalar_name(x._data.dtype)}\'')


def _weights(params: Sequence[Any], has_biases: bool, projected: bool, layers: int) -> list[tuple[Any, ...]]:
    """For each direction of each layer: weight_ih, weight_hh, bias_ih, bias_hh, weight_hr."""
    count = 2 + 2 * has_biases + projected
    if len(params) != count * layers:
        raise RuntimeError(f"expected {count * layers} weights ({count} for each of {layers} directions of layers), but got {len(params)}")
    groups = [list(params[i : i + count]) for i in range(0, len(params), count)]
    return [(*g[:2], *(g[2:4] if has_biases else (None, None)), g[-1] if projected else None) for g in groups]


def _run(
    kind: int, rows: Tensor, sizes: tuple[int, ...], states: Sequence[Tensor], weights: list[tuple[Any, ...]], directions: int, dropout: float
) -> tuple[Tensor, list[Tensor], list[Any]]:
    """All layers on rows (N, features): the last layer's states, and the last h and c of each direction of each layer."""
    cat, last, cells = REGISTRY["cat"], [], []
    for number in range(len(weights) // directions):
        outputs = []
        for direction in range(directions):
            i = number * directions + direction
            h, c = states[0][i], states[1][i] if kind == LSTM else None
            *own, weight_hr = weights[i]
            compute: Any = layer if weight_hr is None else layer_in_ops
            extra = () if weight_hr is None else (weight_hr,)
            _check_layer(rows, h, weights[i], kind)
            y, h_n, c_n = compute(rows, h, c, *own, kind, sizes, bool(direction), *extra)[:3]
            outputs.append(y)
            last.append(h_n)
            cells.append(c_n)
        rows = outputs[0] if directions == 1 else cat(outputs, 1)
        if dropout and number < len(weights) // directions - 1:
            rows = REGISTRY["dropout"](rows, dropout, True)
    return rows, last, cells


def _check_layer(rows: Tensor, h: Tensor, weights: tuple[Any, ...], kind: int) -> None:
    w_ih, w_hr = weights[0], weights[4]
    if rows.dim() != 2 or rows.shape[1] != w_ih.shape[1]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows.shape[0]}x{rows.shape[-1]} and {w_ih.shape[1]}x{w_ih.shape[0]})")
    size = h.shape[1]
    gates = GATES[kind] * (size if w_hr is None else w_hr.shape[1])
    wanted = ((gates, rows.shape[1]), (gates, size), (gates,), (gates,), (size, gates // 4))
    for what, found, shape in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"), weights, wanted, strict=True):
        if found is not None and tuple(found.shape) != shape:
            raise RuntimeError(f"expected {what} of shape {list(shape)}, but got {list(found.shape)}")


def _network(
    name: str, kind: int, input: Tensor, batch_sizes: Tensor | None, hx: Any, params: Sequence[Any], has_biases: bool, num_layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    states = tuple(hx) if kind == LSTM else (hx,)
    _check(name, input, states, params)
    directions = 2 if bidirectional else 1
    weights = _weights(params, has_biases, kind == LSTM and states[0].shape[2] != states[1].shape[2], num_layers * directions)
    if batch_sizes is None:
        x = input.transpose(0, 1) if batch_first else input  # type: ignore[attr-defined]
        steps, batch = x.shape[0], x.shape[1]
        if steps == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        rows, sizes = x.reshape(steps * batch, x.shape[2]), (batch,) * steps
    else:
        rows, sizes = input, tuple(read(batch_sizes._data).tolist())
        _check_sizes(sizes, input.shape[0])
        batch = sizes[0]
    _check_states(states, num_layers * directions, batch, weights[0])
    y, h, c = _run(kind, rows, sizes, states, weights, directions, dropout if train else 0.0)
    if batch_sizes is None:
        y = y.reshape(steps, batch, y.shape[1])
        y = y.transpose(0, 1) if batch_first else y  # type: ignore[attr-defined]
    stack = REGISTRY["stack"]
    return (y, stack(h), stack(c)) if kind == LSTM else (y, stack(h))


def _check_sizes(sizes: tuple[int, ...], rows: int) -> None:
    if not sizes or sizes[-1] < 1 or any(a < b for a, b in itertools.pairwise(sizes)) or sum(sizes) != rows:
        raise RuntimeError(f"batch_sizes must be positive, must not grow, and must add up to the {rows} rows of the data, but got {list(sizes)}")


def _check_states(states: Sequence[Tensor], layers: int, batch: int, weights: tuple[Any, ...]) -> None:
    for what, state, size in zip(("hx", "cx"), states, (weights[1].shape[1], weights[1].shape[0] // 4), strict=False):
        if state.dim() != 3 or tuple(state.shape) != (layers, batch, size):
            raise RuntimeError(f"Expected hidden size of {what} to be {(layers, batch, size)}, got {list(state.shape)}")


def _make(name: str, kind: int) -> Any:
    def function(
        input: Tensor, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any, train: Any, bidirectional: Any, batch_first: Any = None
    ) -> tuple[Tensor, ...]:
        if isinstance(has_biases, (list, tuple)):  # data, batch_sizes, hx, params, has_biases, ...
            given = (hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
            return _network(name, kind, input, *given, False)  # type: ignore[arg-type]
        return _network(name, kind, input, None, hx, params, has_biases, num_layers, dropout, train, bidirectional, bool(batch_first))

    what = "(h, c)" if kind == LSTM else "h"
    function.__doc__ = (
        f"A recurrent network of the kind {name} on (T, B, features), or (B, T, features) with batch_first: the states of its last layer, "
        f"and of each layer the last; `hx` is {what}. With packed data: (data, batch_sizes, hx, params, ...)."
    )
    return function


# --- cells ----------------------------------------------------------------------------------------------------------


def _cell(name: str, kind: int) -> Any:
    def function(input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None) -> Any:
        states = tuple(hx) if kind == LSTM else (hx,)
        _check(name, input, states, [w_ih, w_hh, b_ih, b_hh])
        hidden = w_hh.shape[1]
        if input.shape[1] != w_ih.shape[1]:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {w_ih.shape[1]}")
        for state in states:
            if state.shape[1] != hidden:
                raise RuntimeError(f"hidden has inconsistent hidden_size: got {state.shape[1]}, expected {hidden}")
            if state.shape[0] != input.shape[0]:
                raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden batch size {state.shape[0]}")
        _check_layer(input, states[0], (w_ih, w_hh, b_ih, b_hh, None), kind)
        c = states[1] if kind == LSTM else None
        _, h, c = layer(input, states[0], c, w_ih, w_hh, b_ih, b_hh, kind, (input.shape[0],), False)[:3]
        return (h, c) if kind == LSTM else h

    states = "(h, c)" if kind == LSTM else "h"
    function.__doc__ = f"One step of a recurrent network, of (B, features) and the state {states}: the next state."
    return function


# --- references and samples -----------------------------------------------------------------------------------------


def _one_over(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _step_reference(kind: int, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Any, Any]:
    a, b = x @ w_ih.T + (0 if b_ih is None else b_ih), h @ w_hh.T + (0 if b_hh is None else b_hh)
    if kind == LSTM:
        i, f, g, o = np.split(a + b, 4, -1)
        c = _one_over(f) * c + _one_over(i) * np.tanh(g)
        return _one_over(o) * np.tanh(c), c
    if kind == GRU:
        (r, z, n), (r2, z2, n2) = np.split(a, 3, -1), np.split(b, 3, -1)
        n, z = np.tanh(n + _one_over(r + r2) * n2), _one_over(z + z2)
        return (1 - z) * n + z * h, c
    return (np.maximum(a + b, 0) if kind == RELU else np.tanh(a + b)), c


def _cell_reference(kind: int) -> Any:
    def reference(x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
        h, c = _step_reference(kind, x, *(hx if kind == LSTM else (hx, None)), w_ih, w_hh, b_ih, b_hh)
        return (h, c) if kind == LSTM else h

    return reference


def _network_reference(kind: int) -> Any:
    def reference(x: Any, *rest: Any) -> Any:
        packed = isinstance(rest[2], (list, tuple))
        sizes, hx, params, biased, layers, _, _, both, first = (*rest, False) if packed else (None, *rest)
        x = x.swapaxes(0, 1) if first else x
        starts = np.cumsum([0, *sizes]) if packed else None
        steps = [x[a:b] for a, b in itertools.pairwise(starts)] if packed else list(x)
        count, ends, cells = (4 if biased else 2), [], []
        for number in range(layers):
            found: list[Any] = [[] for _ in steps]
            for direction in range(1 + both):
                k = number * (1 + both) + direction
                own = (*params[k * count : (k + 1) * count], None, None)[:4]
                h, c = (hx[0][k].copy(), hx[1][k].copy()) if kind == LSTM else (hx[k].copy(), None)
                for t in reversed(range(len(steps))) if direction else range(len(steps)):
                    m = len(steps[t])
                    new, cell = _step_reference(kind, steps[t], h[:m], None if c is None else c[:m], *own)
                    h[:m] = new
                    if c is not None:
                        c[:m] = cell
                    found[t].append(new)
                ends.append(h)
                cells.append(c)
            steps = [np.concatenate(f, -1) for f in found]
        y = np.concatenate(steps) if packed else np.stack(steps)
        y = y.swapaxes(0, 1) if first else y
        return (y, np.stack(ends), np.stack(cells)) if kind == LSTM else (y, np.stack(ends))

    return reference


def _parameters(draw: Any, kind: int, features: int, hidden: int, biased: bool) -> list[Any]:
    gates = GATES[kind] * hidden
    found = [draw.array((gates, features), -1, 1), draw.array((gates, hidden), -1, 1)]
    return found + [draw.array((gates,), -1, 1) for _ in range(2 * biased)]


def _network_sample(kind: int) -> Any:
    def sample(draw: Any) -> Any:
        batch, features, hidden = (draw.integer(1, draw.side) for _ in range(3))
        steps, many = (draw.side, 2) if draw.side > 4 else (draw.integer(1, 2), draw.integer(1, 5) // 5 + 1)  # gradients of gradients are slow
        layers, both = draw.choice([(many, False), (1, many == 2)])
        biased, packed, first = draw.boolean(), draw.boolean(), draw.boolean()
        params = []
        for number in range(layers):
            for _ in range(1 + both):
                params += _parameters(draw, kind, features if number == 0 else hidden * (1 + both), hidden, biased)
        states = [draw.array((layers * (1 + both), batch, hidden)) for _ in range(1 + (kind == LSTM))]
        hx = tuple(states) if kind == LSTM else states[0]
        options = (params, biased, layers, 0.0, False, both)
        if packed:
            sizes = -np.sort(-draw.integers((steps,), 1, batch))
            sizes[0] = batch
            return (draw.array((int(sizes.sum()), features)), sizes.astype(INT64), hx, *options), {}
        shape = (batch, steps, features) if first else (steps, batch, features)
        return (draw.array(shape), hx, *options, first), {}

    return sample


def _cell_sample(kind: int) -> Any:
    def sample(draw: Any) -> Any:
        batch, features, hidden = (draw.integer(1, draw.side) for _ in range(3))
        states = [draw.array((batch, hidden)) for _ in range(1 + (kind == LSTM))]
        return (draw.array((batch, features)), tuple(states) if kind == LSTM else states[0], *_parameters(draw, kind, features, hidden, draw.boolean())), {}

    return sample


def _bad(kind: int, features: int, layers: int = 1) -> Any:
    """A call with weights for 2 features and a hidden size of 2."""
    gates, state = GATES[kind] * 2, np.ones((layers, 1, 2))
    hx = (state, state) if kind == LSTM else state
    return np.ones((3, 1, features)), hx, [np.ones((gates, 2)), np.ones((gates, 2))], False, 1, 0.0, False, False, False


for _name, _kind in (("rnn_tanh", TANH), ("rnn_relu", RELU), ("lstm", LSTM), ("gru", GRU)):
    composite(_name, _make(_name, _kind), method=False, reference=_network_reference(_kind), sample=_network_sample(_kind),
              errors=[(_bad(_kind, 3), RuntimeError, "cannot be multiplied"), (_bad(_kind, 2, 2), RuntimeError, "Expected hidden size")])  # fmt: skip
    _ones = np.ones((1, 2))
    composite(_name + "_cell", _cell(_name + "_cell", _kind), method=False, reference=_cell_reference(_kind), sample=_cell_sample(_kind), errors=[
        ((np.ones((1, 3)), (_ones, _ones) if _kind == LSTM else _ones, np.ones((GATES[_kind] * 2, 2)), np.ones((GATES[_kind] * 2, 2))),
         RuntimeError, "inconsistent input_size: got 3 expected 2")])  # fmt: skip
