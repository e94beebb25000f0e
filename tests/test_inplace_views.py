"""Views taken in place, and what they mean for the tape."""

from __future__ import annotations

import pytest

import numgrad
from numgrad import nn


def test_shapes_and_shared_memory() -> None:
    x = numgrad.arange(6.0).view(2, 3)
    row = x[0]
    assert row.unsqueeze_(-1) is row and row.shape == (3, 1)
    row.fill_(7)
    assert x[0].tolist() == [7, 7, 7]
    x = numgrad.arange(6.0).reshape(1, 2, 3)
    assert x.squeeze_(0).t_().shape == (3, 2) and x.transpose_(0, 1).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_gradients_pass_through() -> None:
    x = numgrad.tensor([[1.0, 2, 3], [4, 5, 6]], requires_grad=True)
    y = x * 2
    y.unsqueeze_(0).transpose_(1, 2).squeeze_(0).t_()
    y.mul_(3)
    (y * y).sum().backward()
    assert x.grad.tolist() == (72 * x).tolist()
    x.grad = None
    y = x * 1
    part = y[0]
    part.unsqueeze_(0).mul_(5)
    y.sum().backward()
    assert x.grad.tolist() == [[5, 5, 5], [1, 1, 1]]


def test_what_cannot_be_differentiated_is_refused() -> None:
    x = numgrad.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x.unsqueeze_(0)
    with numgrad.no_grad():
        assert x.unsqueeze_(0).shape == (1, 2, 3)
    y = x * 1
    before = y[0]
    y.squeeze_(0)
    assert before.requires_grad
    y.mul_(2)
    with pytest.raises(RuntimeError, match="reshaped in place"):
        before.sum()


LAYERS = [nn.BatchNorm1d(3), nn.LayerNorm(8), nn.GroupNorm(3, 3), nn.InstanceNorm1d(3), nn.RMSNorm(8), nn.Conv1d(3, 3, 3, padding=1),
          nn.ConvTranspose1d(3, 3, 3, padding=1), nn.Linear(8, 8), nn.MaxPool1d(2), nn.AvgPool1d(2),
          nn.AdaptiveMaxPool1d(3), nn.Upsample(scale_factor=2)]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_an_activation_in_place_may_follow_a_layer(layer: nn.Module) -> None:
    """Layers need their input for their gradient, not their output, so the next one may overwrite it."""
    x = numgrad.linspace(-1, 1, 48).sin().reshape(2, 3, 8)
    found = []
    for inplace in (False, True):
        leaf = x.clone().requires_grad_()
        y = nn.functional.relu(layer(leaf), inplace=inplace)
        (y * y).sum().backward()
        found.append([leaf.grad, *[p.grad for p in layer.parameters()]])
        layer.zero_grad()
    assert all(numgrad.equal(a, b) for a, b in zip(*found, strict=True))
