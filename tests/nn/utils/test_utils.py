"""Clipping gradients; parameters as one vector."""

import math

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import utils


def parameters():
    made = [nn.Parameter(numgrad.zeros(2, 2)), nn.Parameter(numgrad.zeros(1)), nn.Parameter(numgrad.zeros(3))]
    made[0].grad = numgrad.tensor([[3.0, 0.0], [0.0, 0.0]])
    made[1].grad = numgrad.tensor([-4.0])
    return made


@pytest.mark.parametrize("norm_type, total", [(2, 5), (1, 7), (math.inf, 4), (3, 91 ** (1 / 3))])
def test_clip_grad_norm(norm_type, total):
    params = parameters()
    found = utils.clip_grad_norm_(params, 2.0, norm_type)
    assert found.item() == pytest.approx(total) and tuple(found.shape) == ()
    scale = 2 / (total + 1e-6)
    np.testing.assert_allclose(params[0].grad.numpy(), [[3 * scale, 0], [0, 0]], rtol=1e-6)
    assert params[1].grad.item() == pytest.approx(-4 * scale) and params[2].grad is None


def test_small_gradients_stay_as_they_are():
    params = parameters()
    assert utils.clip_grad_norm_(iter(params), 10.0, foreach=False).item() == 5
    assert params[0].grad[0, 0].item() == 3 and params[1].grad.item() == -4


def test_one_parameter_and_none():
    params = parameters()
    assert utils.clip_grad_norm_(params[1], 1.0).item() == 4 and params[1].grad.item() == pytest.approx(-1)
    assert utils.clip_grad_norm_([], 1.0).item() == 0 and utils.clip_grad_norm_([params[2]], 1.0).item() == 0
    with pytest.warns(UserWarning, match="empty generator"):
        utils.clip_grad_norm_((p for p in []), 1.0)


def test_gradients_that_are_not_finite():
    params = parameters()
    params[1].grad.fill_(math.inf)
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert params[0].grad[0, 0].item() == 3
    assert math.isinf(utils.clip_grad_norm_(params, 1.0).item()) and math.isnan(params[1].grad.item())


def test_norm_and_clipping_apart():
    params = parameters()
    total = utils.get_total_norm([p.grad for p in params if p.grad is not None])
    utils.clip_grads_with_norm_(params, 1.0, total)
    assert params[1].grad.item() == pytest.approx(-0.8)


def test_clip_grad_value():
    params = parameters()
    utils.clip_grad_value_(params, 2)
    assert params[0].grad.tolist() == [[2, 0], [0, 0]] and params[1].grad.item() == -2


def test_the_old_name():
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        assert utils.clip_grad_norm(parameters(), 1.0).item() == 5


def test_parameters_as_a_vector():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = utils.parameters_to_vector(model.parameters())
    assert tuple(vector.shape) == (13,) and vector.requires_grad
    assert (vector[:6].reshape(3, 2) == model[0].weight).all()
    utils.vector_to_parameters(numgrad.arange(13.0), model.parameters())
    assert model[0].bias.tolist() == [6, 7, 8] and model[1].bias.tolist() == [12]
    assert model[0].weight.requires_grad and model[0].weight.is_leaf
    with pytest.raises(TypeError, match="expected Tensor, but got: list"):
        utils.vector_to_parameters([1.0], model.parameters())
