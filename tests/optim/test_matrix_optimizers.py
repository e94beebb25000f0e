"""Adafactor and Muon by steps computed with NumPy, and averages of weights."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad
from numgrad import Tensor, nn, optim
from numgrad.optim import swa_utils
from numgrad.optim.swa_utils import SWALR, AveragedModel

#: Written in operations that are tested with real kernels by themselves.
pytestmark = pytest.mark.interpreted

W = np.array([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]])
G = np.array([[0.1, -0.4, 0.3], [0.2, 0.5, -0.6]])


def parameter(of: np.ndarray, grad: np.ndarray) -> Tensor:
    found = numgrad.tensor(of.tolist(), dtype=numgrad.float64, requires_grad=True)
    found.grad = numgrad.tensor(grad.tolist(), dtype=numgrad.float64)
    return found


def test_first_step_of_adafactor() -> None:
    matrix, vector = parameter(W, G), parameter(W[0], G[0])
    optim.Adafactor([matrix, vector], lr=0.5, weight_decay=0.1).step()
    rms = lambda x: np.sqrt(np.mean(x**2))
    estimate = np.mean(G**2, 1, keepdims=True) * np.mean(G**2, 0, keepdims=True) / np.mean(G**2)
    for found, w, update in ((matrix, W, G / np.sqrt(estimate)), (vector, W[0], np.sign(G[0]))):
        expected = w * (1 - 0.5 * 0.1) - max(1e-3, rms(w)) * 0.5 * update / max(1, rms(update))
        assert np.allclose(found.detach().numpy(), expected, atol=1e-6)


def test_muon_makes_updates_orthogonal() -> None:
    matrix = parameter(W, G)
    optimizer = optim.Muon([matrix], lr=0.1, weight_decay=0.0)
    optimizer.step()
    update = (W - matrix.detach().numpy()) / 0.1
    u, _, vh = np.linalg.svd(G, full_matrices=False)
    turned = u.T @ update @ vh.T  # of the same singular vectors as the gradient
    assert np.allclose(turned, np.diag(np.diag(turned)))
    assert np.all((np.diag(turned) > 0.6) & (np.diag(turned) < 1.3))  # the iteration aims at 1, roughly
    with pytest.raises(ValueError, match="2D"):
        optim.Muon([numgrad.zeros(3, requires_grad=True)])


def test_settings_may_change_between_steps() -> None:
    matrix = parameter(W, G)
    optimizer = optim.Adafactor([matrix])
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert np.array_equal(matrix.detach().numpy(), W)


def test_averages_of_weights() -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    mean, decayed = AveragedModel(net), AveragedModel(net, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.5))
    for value in (1.0, 2.0, 6.0):
        with numgrad.no_grad():
            net[0].weight.fill_(value)
        mean.update_parameters(net)
        decayed.update_parameters(net)
    assert mean.module[0].weight.item() == 3 and mean.n_averaged.item() == 3
    assert decayed.module[0].weight.item() == 0.5 * (0.5 * 1 + 0.5 * 2) + 0.5 * 6
    batches = [numgrad.tensor([[0.0], [2.0]]), numgrad.tensor([[4.0], [6.0]])]
    swa_utils.update_bn(batches, mean)
    expected = np.mean([3 * b.numpy() + mean.module[0].bias.item() for b in batches])
    assert np.isclose(mean.module[1].running_mean.item(), expected, atol=1e-5)
    assert mean.module[1].momentum == 0.1


@pytest.mark.parametrize(("strategy", "middle"), [("linear", 0.55), ("cos", 0.55)])
def test_rates_move_to_the_goal(strategy: str, middle: float) -> None:
    optimizer = optim.SGD([numgrad.zeros(1, requires_grad=True)], lr=1.0)
    schedule = SWALR(optimizer, swa_lr=0.1, anneal_epochs=4, anneal_strategy=strategy)
    rates = []
    for _ in range(6):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert np.isclose(rates[1], middle) and np.allclose(rates[3:], 0.1)
