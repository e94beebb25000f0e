"""Parametrizations: what they compute, what they leave behind, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn.utils import parametrizations, parametrize


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).mT

    def right_inverse(self, x):
        return x.triu()


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


def test_a_parametrized_weight_and_back():
    layer = nn.Linear(3, 3)
    weight, before = layer.weight, layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert numgrad.equal(layer.weight, before.triu() + before.triu(1).mT)
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert layer.parametrizations.weight.original is weight and type(layer).__name__ == "ParametrizedLinear"
    layer.weight = numgrad.eye(3)
    assert numgrad.equal(weight, numgrad.eye(3))
    layer(numgrad.ones(1, 3)).sum().backward()
    assert weight.grad.tolist() == [[1, 2, 2], [0, 1, 2], [0, 0, 1]]
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert numgrad.equal(copy.deepcopy(layer).weight, 2 * numgrad.eye(3))
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(layer)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is weight and numgrad.equal(weight, 2 * numgrad.eye(3))
    assert not parametrize.is_parametrized(layer)


def test_cached():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


@pytest.mark.parametrize("call, words", [
    (lambda m: parametrize.register_parametrization(m, "wait", Doubled()), "does not have a parameter"),
    (lambda m: parametrize.register_parametrization(m, "weight", nn.Flatten(0)), "may not change the shape"),
    (lambda m: parametrize.remove_parametrizations(m, "weight"), "does not have a parametrization"),
    (lambda m: parametrizations.orthogonal(m, "bias"), "Expected a matrix"),
    (lambda m: parametrizations.orthogonal(m, orthogonal_map="qr"), "has to be one of"),
    (lambda m: parametrizations.spectral_norm(m, n_power_iterations=0), "positive"),
])  # fmt: skip
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call(nn.Linear(2, 3))


def test_weight_norm():
    layer = parametrizations.weight_norm(nn.Conv1d(2, 4, 3))
    g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    assert g.shape == (4, 1, 1)
    with numgrad.no_grad():
        g.fill_(2)
        v.mul_(5)
    np.testing.assert_allclose(layer.weight.flatten(1).norm(2, 1).detach().numpy(), 2, rtol=1e-5)
    with pytest.warns(FutureWarning, match="deprecated"):
        old = nn.utils.weight_norm(nn.Conv1d(2, 4, 3))
    layer.load_state_dict(old.state_dict())
    np.testing.assert_allclose(layer.weight.detach().numpy(), old.weight.detach().numpy(), rtol=1e-5)
    names = [n for n, _ in nn.utils.remove_weight_norm(old).named_parameters()]
    assert sorted(names) == ["bias", "weight"]


@pytest.mark.parametrize("norm", [parametrizations.spectral_norm, nn.utils.spectral_norm])
def test_spectral_norm(norm):
    layer = norm(nn.Linear(4, 3), n_power_iterations=60)
    layer(numgrad.ones(1, 4))
    assert np.linalg.norm(layer.weight.detach().numpy(), 2) == pytest.approx(1, rel=1e-3)
    weight = layer.eval()(numgrad.eye(4)).detach()
    assert numgrad.equal(layer(numgrad.eye(4)), weight)  # no iterations outside of training


@pytest.mark.interpreted
@pytest.mark.parametrize("form", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)])
def test_orthogonal(form, shape):
    layer = parametrizations.orthogonal(nn.Linear(shape[1], shape[0]), orthogonal_map=form)
    optimizer = numgrad.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        (layer(numgrad.ones(2, shape[1])) ** 2)[:, 0].sum().backward()
        optimizer.step()
    weight = layer.weight.detach().numpy()
    gram = weight @ weight.T if shape[0] <= shape[1] else weight.T @ weight
    np.testing.assert_allclose(gram, np.eye(3), atol=1e-5)
