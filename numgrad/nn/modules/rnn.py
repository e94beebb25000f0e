"""Recurrent layers and cells: RNN, LSTM, GRU."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import numgrad
from numgrad import ops
from numgrad.nn import init
from numgrad.nn.modules.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.nn.utils.rnn import PackedSequence
from numgrad.tensor import Tensor

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_FUNCTIONS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu"}


def apply_permutation(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    """The tensor with the indices of a dimension in another order."""
    return tensor.index_select(dim, permutation)


def _check_options(input_size: Any, hidden_size: Any, num_layers: int, bias: Any, batch_first: Any, dropout: Any,
                   proj_size: int) -> None:
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:  # type: ignore[operator]
        raise ValueError(f"dropout should be a number in range [0, 1], the probability of an element to be zeroed, but got {dropout!r}")
    if dropout > 0 and num_layers == 1:  # type: ignore[operator]
        warnings.warn("dropout is applied to the output of all recurrent layers but the last, so non-zero dropout expects num_layers "
                      f"greater than 1, but got dropout={dropout} and num_layers={num_layers}", stacklevel=5)  # fmt: skip
    for name, value, kind in (("bias", bias, bool), ("batch_first", batch_first, bool), ("input_size", input_size, int),
                              ("hidden_size", hidden_size, int)):  # fmt: skip
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero, got {value}")
    if proj_size < 0:
        raise ValueError(f"proj_size should be a positive integer or zero to disable projections, got {proj_size}")
    if proj_size >= hidden_size:
        raise ValueError(f"proj_size has to be smaller than hidden_size, got {proj_size} and {hidden_size}")


class RNNBase(Module):
    """What recurrent layers have in common; ``mode`` is "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".

    Weights weight_ih_l{layer}, weight_hh_l{layer}, bias_ih_l{layer}, bias_hh_l{layer} (and weight_hr_l{layer} with proj_size;
    with "_reverse" for the second direction) are drawn from U(-1 / sqrt(hidden_size), 1 / sqrt(hidden_size))."""

    def __init__(self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        _check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: 1 + bidirectional]:
                self._add_weights(layer, suffix, device, dtype)
        self.reset_parameters()

    def _add_weights(self, layer: int, suffix: str, device: Any, dtype: Any) -> None:
        gates, state = _GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        features = self.input_size if layer == 0 else state * (1 + self.bidirectional)
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, features), "weight_hh": (gates, state)}
        if self.bias:
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = []
        for kind, shape in shapes.items():
            names.append(f"{kind}_l{layer}{suffix}")
            setattr(self, names[-1], Parameter(numgrad.empty(shape, device=device, dtype=dtype)))
        self._all_weights.append(names)

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name) for names in self._all_weights for name in names]

    @property
    def all_weights(self) -> list[list[Any]]:
        """The weights of each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Nothing: only other devices want weights in one piece."""

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _check_input(self, input: Tensor, packed: bool) -> None:
        wanted = self._flat_weights[0].dtype
        if input.dtype != wanted:
            raise ValueError(f"RNN input dtype ({input.dtype}) does not match weight dtype ({wanted}). "
                             f"Convert input: input.to({wanted}), or convert model: model.to({input.dtype})")
        if packed and input.dim() != 2:
            raise RuntimeError(f"input must have 2 dimensions, got {input.dim()}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}")

    def _sizes(self) -> tuple[int, ...]:
        """Of each state, its number of elements."""
        return (self.proj_size or self.hidden_size, self.hidden_size) if self.mode == "LSTM" else (self.hidden_size,)

    def _given_states(self, hx: Any, batch: int, batched: bool) -> list[Tensor]:
        """The states a caller gave, with a batch dimension, or an error."""
        states = list(hx) if self.mode == "LSTM" else [hx]
        if batched and any(s.dim() != 3 for s in states):
            got = ", ".join(f"{s.dim()}-D" for s in states)
            raise RuntimeError(f"For batched 3-D input, hx should also be 3-D but got {got} tensor")
        if not batched and any(s.dim() != 2 for s in states):
            got = ", ".join(f"{s.dim()}-D" for s in states)
            raise RuntimeError(f"For unbatched 2-D input, hx should also be 2-D but got {got} tensor")
        states = states if batched else [s.unsqueeze(1) for s in states]
        for name, state, size in zip(("hidden[0]", "hidden[1]"), states, self._sizes(), strict=False):
            wanted = (self.num_layers * (1 + self.bidirectional), batch, size)
            if tuple(state.shape) != wanted:
                what = name if self.mode == "LSTM" else "hidden"
                raise RuntimeError(f"Expected {what} size {wanted}, got {list(state.shape)}")
        return states

    def forward(self, input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"{self.mode.split('_')[0]}: Expected input to be 2D or 3D, got {input.dim()}D tensor instead")
        batched = input.dim() == 3
        self._check_input(input, False)
        if not batched:
            input = input.unsqueeze(0 if self.batch_first else 1)
        batch = input.shape[0 if self.batch_first else 1]
        states = self._states(hx, input, batch, batched)
        found = self._compute(input, None, states)
        output, last = found[0], found[1:]
        if not batched:
            output, last = output.squeeze(0 if self.batch_first else 1), tuple(s.squeeze(1) for s in last)
        return output, tuple(last) if self.mode == "LSTM" else last[0]

    def _forward_packed(self, input: PackedSequence, hx: Any) -> Any:
        data, batch_sizes, ordered, original = input
        self._check_input(data, True)
        states = self._states(hx, data, int(batch_sizes[0]), True)
        if hx is not None and ordered is not None:
            states = [apply_permutation(s, ordered) for s in states]
        output, *last = self._compute(data, batch_sizes, states)
        if original is not None:
            last = [apply_permutation(s, original) for s in last]
        return PackedSequence(output, batch_sizes, ordered, original), tuple(last) if self.mode == "LSTM" else last[0]

    def _states(self, hx: Any, like: Tensor, batch: int, batched: bool) -> list[Tensor]:
        if hx is not None:
            return self._given_states(hx, batch, batched)
        layers = self.num_layers * (1 + self.bidirectional)
        return [numgrad.zeros(layers, batch, size, dtype=like.dtype) for size in self._sizes()]

    def _compute(self, input: Tensor, batch_sizes: Tensor | None, states: list[Tensor]) -> tuple[Tensor, ...]:
        function = getattr(ops, _FUNCTIONS[self.mode])
        hx = tuple(states) if self.mode == "LSTM" else states[0]
        options = (self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if batch_sizes is None:
            return function(input, hx, *options, self.batch_first)
        return function(input, batch_sizes, hx, *options)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        return text + "".join(f", {k}={getattr(self, k)}" for k, default in defaults.items() if getattr(self, k) != default)


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it: (T, B, input_size) to the states (T, B, hidden_size) of the last
    layer, and the last state of each layer. (B, T, *) with batch_first; a batch may be left out, or be a PackedSequence."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None,
                 dtype: Any = None) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997; gates i, f, g, o): (T, B, input_size) to (T, B, hidden_size) and
    (h, c) of each layer after the last step. With proj_size the state h is projected (Sak et al., 2014)."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
                 dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
                         device, dtype)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al., 2014; gates r, z, n, with n = tanh(W_in x + b_in + r (W_hn h + b_hn))): (T, B, input_size)
    to (T, B, hidden_size) and the last state of each layer."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
                 dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None) -> None:
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         device=device, dtype=dtype)


class RNNCellBase(Module):
    """What cells have in common: weight_ih, weight_hh, bias_ih and bias_hh for ``num_chunks`` gates."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        for name, shape in (("weight_ih", (gates, input_size)), ("weight_hh", (gates, hidden_size)), ("bias_ih", (gates,)),
                            ("bias_hh", (gates,))):  # fmt: skip
            wanted = bias or name.startswith("weight")
            self.register_parameter(name, Parameter(numgrad.empty(shape, device=device, dtype=dtype)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights from U(-1 / sqrt(hidden_size), 1 / sqrt(hidden_size)) anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, function: str, input: Tensor, hx: Any, states: int) -> list[Tensor]:
        """The states after a step, with a batch dimension where the input has one."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        if hx is None:
            shape = (self.hidden_size,) if input.dim() == 1 else (input.shape[0], self.hidden_size)
            given = [numgrad.zeros(shape, dtype=input.dtype)] * states
        else:
            given = list(hx) if states == 2 else [hx]
        for i, state in enumerate(given):
            if state.dim() not in (1, 2):
                what = f"hx[{i}]" if states == 2 else "hidden"
                raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {state.dim()}D instead")
        batched = input.dim() == 2
        if not batched:
            input, given = input.unsqueeze(0), [s.unsqueeze(0) if s.dim() == 1 else s for s in given]
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        found = getattr(ops, function)(input, tuple(given) if states == 2 else given[0], *weights)
        found = list(found) if states == 2 else [found]
        return found if batched else [s.squeeze(0) for s in found]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        return text if getattr(self, "nonlinearity", "tanh") == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"


class RNNCell(RNNCellBase):
    """One step of `RNN`: (B, input_size) or (input_size) and the state, to the next state."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"rnn_{self.nonlinearity}_cell", input, hx, 1)[0]


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: (B, input_size) or (input_size) and (h, c), to the next (h, c)."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._step("lstm_cell", input, hx, 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of `GRU`: (B, input_size) or (input_size) and the state, to the next state."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("gru_cell", input, hx, 1)[0]
