"""A checkpointed part gives the gradients of the part itself."""

from __future__ import annotations

import pytest

import numgrad
from numgrad import Tensor, nn
from numgrad.utils.checkpoint import checkpoint, checkpoint_sequential


def gradients(run, net: nn.Module, x: Tensor) -> list[list[float]]:
    net.zero_grad()
    x.grad = None
    numgrad.manual_seed(3)
    (run(x) ** 2).sum().backward()
    return [t.grad.flatten().tolist() for t in (x, *net.parameters())]


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_gradients_are_the_same(segments: int) -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 3), nn.ReLU())
    x = numgrad.ones(3, 2, requires_grad=True)
    plain = gradients(net, net, x)
    assert gradients(lambda x: checkpoint(net, x, use_reentrant=False), net, x) == plain
    assert gradients(lambda x: checkpoint_sequential(net, segments, x, use_reentrant=False), net, x) == plain


def test_it_runs_again_in_backward_only() -> None:
    calls = []

    def function(x: Tensor, factor: float, *, offset: float) -> tuple[Tensor, Tensor]:
        calls.append(x.requires_grad and numgrad.is_grad_enabled())
        return x * factor + offset, x * x

    weight = nn.Parameter(numgrad.tensor([2.0]))
    first, second = checkpoint(function, weight, 3.0, offset=1.0)
    assert first.tolist() == [7] and calls == [False]
    (first + second).backward()
    assert weight.grad.tolist() == [7] and calls == [False, True]
    with numgrad.no_grad():
        assert not checkpoint(function, weight, 3.0, offset=1.0)[0].requires_grad


def test_parameters_inside_get_gradients_where_the_input_needs_none() -> None:
    net = nn.Linear(2, 1)
    checkpoint(net, numgrad.ones(1, 2), use_reentrant=True).sum().backward()
    assert net.weight.grad.tolist() == [[1, 1]]
