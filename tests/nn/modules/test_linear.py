"""Linear, Bilinear, Embedding."""

import math

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

rng = np.random.default_rng(0)


def spans(tensor, bound):
    """Whether many draws fill (-bound, bound) evenly."""
    values = tensor.detach().numpy()
    low, high = values.min(), values.max()
    even = abs(values.std() / (bound / math.sqrt(3)) - 1) < 0.05
    return -bound <= low < -0.98 * bound and 0.98 * bound < high <= bound and even


def test_linear():
    layer = nn.Linear(4, 3).double()
    x = rng.normal(size=(2, 5, 4))
    expected = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(numgrad.tensor(x)).detach().numpy(), expected)
    np.testing.assert_allclose(layer(numgrad.tensor(x[0, 0])).detach().numpy(), expected[0, 0])
    assert nn.Linear(4, 3, bias=False).bias is None
    assert nn.Linear(4, 3, dtype=numgrad.float64).weight.dtype == numgrad.float64
    with pytest.raises(RuntimeError, match="shapes"):
        layer(numgrad.zeros(2, 5, dtype=numgrad.float64))


def test_linear_starts_uniform_within_one_by_the_root_of_inputs():
    numgrad.manual_seed(0)
    layer = nn.Linear(400, 100)
    assert spans(layer.weight, 1 / 20) and spans(nn.Linear(4, 5000).bias, 1 / 2)
    before = layer.weight.detach().clone()
    layer.reset_parameters()
    assert (layer.weight != before).any()


def test_bilinear():
    layer = nn.Bilinear(4, 5, 3).double()
    a, b = rng.normal(size=(2, 4)), rng.normal(size=(2, 5))
    expected = np.einsum("ni,oij,nj->no", a, layer.weight.detach().numpy(), b) + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(numgrad.tensor(a), numgrad.tensor(b)).detach().numpy(), expected)
    assert tuple(F.bilinear(numgrad.ones(4), numgrad.ones(5), numgrad.ones(3, 4, 5)).shape) == (3,)
    numgrad.manual_seed(0)
    assert spans(nn.Bilinear(16, 10, 50).weight, 1 / 4)
    for wrong in [(numgrad.ones(2, 4), numgrad.ones(3, 5)), (numgrad.ones(2, 3), numgrad.ones(2, 5))]:
        with pytest.raises(RuntimeError, match="bilinear"):
            layer(*wrong)
    with pytest.raises(ValueError, match="in1_features must be > 0"):
        nn.Bilinear(0, 1, 1)


def test_embedding():
    numgrad.manual_seed(0)
    layer = nn.Embedding(50, 200)
    assert abs(layer.weight.mean().item()) < 0.05 and abs(layer.weight.std().item() - 1) < 0.05
    index = numgrad.tensor([[3, 0, 3], [1, 3, 2]])
    rows = layer(index)
    np.testing.assert_array_equal(rows.detach().numpy(), layer.weight.detach().numpy()[index.numpy()])
    rows.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad[:5, 0].numpy(), [1, 1, 1, 3, 0])


def test_padding_row_is_zero_and_gets_no_gradient():
    layer = nn.Embedding(4, 2, padding_idx=-1)
    assert layer.padding_idx == 3 and not layer.weight[3].any()
    layer(numgrad.tensor([3, 0])).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]


def test_gradient_scaled_by_frequency():
    layer = nn.Embedding(3, 1, scale_grad_by_freq=True)
    layer(numgrad.tensor([0, 0, 1])).sum().backward()
    assert layer.weight.grad.flatten().tolist() == [1, 1, 0]


def test_max_norm_shortens_the_rows_that_are_used():
    weight = numgrad.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]])
    layer = nn.Embedding(3, 2, max_norm=1.0, _weight=weight)
    found = layer(numgrad.tensor([0, 1, 0]))
    np.testing.assert_allclose(found.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-5)
    assert layer.weight[2].tolist() == [30, 40]


def test_from_pretrained():
    table = numgrad.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad and layer(numgrad.tensor(1)).tolist() == [3, 4]
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad


@pytest.mark.parametrize("call, error", [
    (lambda: nn.Embedding(3, 2, padding_idx=3), AssertionError),
    (lambda: nn.Embedding(3, 2, _weight=numgrad.zeros(2, 2)), AssertionError),
    (lambda: nn.Embedding.from_pretrained(numgrad.zeros(2)), AssertionError),
    (lambda: F.embedding(numgrad.tensor([0]), numgrad.zeros(2, 2), padding_idx=2), AssertionError),
    (lambda: nn.Embedding(3, 2)(numgrad.tensor([3])), IndexError),
    (lambda: nn.Embedding(3, 2)(numgrad.tensor([-1])), IndexError),
    (lambda: nn.Embedding(3, 2)(numgrad.tensor([0.5])), RuntimeError),
])  # fmt: skip
def test_bad_arguments_are_refused(call, error):
    with pytest.raises(error):
        call()
