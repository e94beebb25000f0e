"""Views taken in place, and what they mean for the tape."""

from __future__ import annotations

import pytest

import numgrad


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
