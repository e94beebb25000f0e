"""Recurrent layers: layers and directions against steps of cells, packed sequences against each by itself."""

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
)

rng = np.random.default_rng(0)
KINDS = ["RNN", "LSTM", "GRU"]


def tensor(*shape):
    return numgrad.tensor(rng.normal(size=shape).astype(np.float32))


def close(found, expected):
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)


def by_cells(layer, cell, x):
    """One direction of one layer, a cell at a time; `x` is (T, B, features)."""
    state, found = None, []
    for row in x.unbind(0):
        state = cell(row, state)
        found.append(state[0] if isinstance(state, tuple) else state)
    return numgrad.stack(found)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_and_directions_are_cells_step_by_step(kind):
    layer = getattr(nn, kind)(3, 5, num_layers=2, bidirectional=True)
    x, y = tensor(4, 2, 3), None
    expected = x
    for number in range(2):
        found = []
        for suffix in ("", "_reverse"):
            cell = getattr(nn, kind + "Cell")(expected.shape[2], 5)
            cell.load_state_dict({n: getattr(layer, f"{n}_l{number}{suffix}") for n in cell.state_dict()})
            y = by_cells(layer, cell, expected.flip(0) if suffix else expected)
            found.append(y.flip(0) if suffix else y)
        expected = numgrad.cat(found, 2)
    output, last = layer(x)
    close(output, expected)
    last = last[0] if kind == "LSTM" else last
    close(last[2], expected[-1, :, :5])  # forwards ends at the last step, backwards at the first
    close(last[3], expected[0, :, 5:])
    first = getattr(nn, kind)(3, 5, num_layers=2, bidirectional=True, batch_first=True)
    first.load_state_dict(layer.state_dict())
    close(first(x.transpose(0, 1))[0].transpose(0, 1), output)
    close(layer(x[:, 0])[0], output[:, 0])  # without a batch


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_are_each_by_itself(kind):
    layer = getattr(nn, kind)(3, 4, bidirectional=True)
    sequences = [tensor(n, 3) for n in (2, 5, 1, 2)]
    output, last = layer(pack_sequence(sequences, enforce_sorted=False))
    for i, (sequence, found) in enumerate(zip(sequences, unpack_sequence(output), strict=True)):
        expected, state = layer(sequence)
        close(found, expected)
        close((last[0] if kind == "LSTM" else last)[:, i], state[0] if kind == "LSTM" else state)


def test_packing():
    x = numgrad.arange(6.0).reshape(3, 2)
    packed = pack_padded_sequence(x, [3, 1])
    assert packed.data.tolist() == [0, 1, 2, 4] and packed.batch_sizes.tolist() == [2, 1, 1] and packed.sorted_indices is None
    turned = pack_padded_sequence(x, numgrad.tensor([1, 3]), enforce_sorted=False)
    assert turned.data.tolist() == [1, 0, 3, 5] and turned.sorted_indices.tolist() == [1, 0]
    padded, lengths = pad_packed_sequence(turned, batch_first=True, padding_value=-1, total_length=4)
    assert padded.tolist() == [[0, -1, -1, -1], [1, 3, 5, -1]] and lengths.tolist() == [1, 3]
    left = pad_sequence([numgrad.tensor([1, 2]), numgrad.tensor([3])], True, 9, padding_side="left")
    assert left.tolist() == [[1, 2], [9, 3]] and left.dtype == numgrad.int64
    assert isinstance(packed.double(), PackedSequence) and packed.double().data.dtype == numgrad.float64


@pytest.mark.parametrize("call, kind, words", [
    (lambda: pack_padded_sequence(numgrad.ones(3, 2), [1, 3]), RuntimeError, "sorted in decreasing order"),
    (lambda: pack_padded_sequence(numgrad.ones(3, 2), [1, 0]), RuntimeError, "greater than 0"),
    (lambda: pack_padded_sequence(numgrad.ones(3, 2), [1]), RuntimeError, r"got 1 \(batch_size=2\)"),
    (lambda: pad_packed_sequence(pack_padded_sequence(numgrad.ones(3, 1), [3]), total_length=2), ValueError, "total_length=2"),
    (lambda: nn.LSTM(3, 4)(numgrad.ones(2, 1, 5)), RuntimeError, "Expected 3, got 5"),
    (lambda: nn.LSTM(3, 4)(numgrad.ones(2, 1, 3).double()), ValueError, "does not match weight dtype"),
    (lambda: nn.GRU(3, 4)(numgrad.ones(3)), ValueError, "2D or 3D, got 1D"),
    (lambda: nn.GRU(3, 4)(numgrad.ones(2, 1, 3), numgrad.ones(1, 4)), RuntimeError, "3-D but got 2-D"),
    (lambda: nn.RNN(3, 4)(numgrad.ones(2, 1, 3), numgrad.ones(1, 2, 4)), RuntimeError, r"\(1, 1, 4\), got \[1, 2, 4\]"),
    (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "smaller than hidden_size"),
    (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "Unknown nonlinearity"),
    (lambda: nn.LSTMCell(3, 4)(numgrad.ones(2, 1, 3)), ValueError, "1D or 2D, got 3D"),
    (lambda: nn.GRUCell(3, 4)(numgrad.ones(2, 2)), RuntimeError, "got 2 expected 3"),
])  # fmt: skip
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_weights_and_projection():
    layer = nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2, bias=False)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert list(shapes)[:4] == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0", "weight_ih_l0_reverse"]
    assert shapes["weight_ih_l1"] == (20, 4) and shapes["weight_hh_l0"] == (20, 2) and shapes["weight_hr_l0"] == (2, 5)
    assert max(float(p.abs().max()) for p in layer.parameters()) <= 5**-0.5
    output, (h, c) = layer(tensor(4, 2, 3))
    assert output.shape == (4, 2, 4) and h.shape == (4, 2, 2) and c.shape == (4, 2, 5)
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        nn.GRU(3, 4, dropout=0.5)


def test_dropout_between_layers_is_of_training_only():
    layer = nn.LSTM(3, 8, num_layers=2, dropout=0.5)
    x = tensor(4, 2, 3)
    assert not numgrad.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert numgrad.equal(layer(x)[0], layer(x)[0])
