"""Calls like the one before go straight to its program; every other call is seen to be another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import numgrad
from numgrad import nn
from numgrad.jit.alike import Alike

pytestmark = pytest.mark.native


def test_arrays_are_alike_in_all_their_fields() -> None:
    x, y, word = np.zeros((3, 4), np.float32), np.arange(5), "constant"
    addresses = np.zeros(3, np.int64)
    alike = Alike([x, word, y], [2, -1, 0], addresses)
    assert alike.take([x, word, y]) == 1
    assert addresses.tolist() == [y.ctypes.data, 0, x.ctypes.data]
    other = np.ones((3, 4), np.float32)
    assert alike.take([other, word, y[:]]) == 1 and addresses[2] == other.ctypes.data
    fixed = x.copy()
    fixed.flags.writeable = False
    unlike: list[Any] = [
        x.astype(np.float64), x[:2], x.reshape(2, 6), x.reshape(3, 4, 1), np.zeros((4, 3), np.float32).T, fixed, None, [x], 0.0, as_strided(x, (3, 4)),
    ]  # fmt: skip
    assert [alike.take([a, word, y]) for a in unlike] == [0] * len(unlike)
    assert [alike.take(a) for a in ([], [x, word], [x, word, y, y], [x, "another", y])] == [0] * 4


def test_no_two_arrays_and_no_owner_that_is_avoided() -> None:
    whole = np.zeros(12, np.float32)
    addresses = np.zeros(2, np.int64)
    alike = Alike([whole[:6], whole[6:]], [0, 1], addresses)
    assert alike.take([whole[:6], whole[6:]]) == 0
    assert alike.take([np.zeros(6, np.float32), whole[6:]]) == 1
    alike.avoid([id(None), id(whole)])
    assert alike.take([np.zeros(6, np.float32), whole[6:][:]]) == 0
    assert alike.take([np.zeros(6, np.float32), np.zeros(7, np.float32)[1:]]) == 1
    alike.avoid([])
    assert alike.take([np.zeros(6, np.float32), whole[6:]]) == 1


def twins() -> tuple[Callable[..., Any], Any, nn.Linear, nn.Linear]:
    """A step and a compiled one, each on a model of its own."""
    models = []
    for _ in range(2):
        numgrad.manual_seed(3)
        models.append(nn.Linear(4, 4))

    def step_of(model: nn.Linear) -> Any:
        optimizer = numgrad.optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any, factor: float = 1.0) -> Any:
            optimizer.zero_grad()
            loss = (model(x) * factor).pow(2).sum()
            if loss.requires_grad:
                loss.backward()
                optimizer.step()
            return loss.detach()

        return step

    eager = step_of(models[0])
    return eager, numgrad.compile(step_of(models[1]), options={"fuse": False}), models[0], models[1]


def test_a_step_takes_it_and_every_other_call_is_right() -> None:
    eager, compiled, model, twin = twins()
    rng = np.random.default_rng(0)
    draw = lambda *shape: numgrad.tensor(rng.normal(size=shape).astype(np.float32))
    x = draw(3, 4)
    for _ in range(5):
        assert compiled(x).item() == eager(x).item()
    short = compiled._shortcut
    assert short is not None and short.leads((draw(3, 4),))
    calls: list[tuple[Any, ...]] = [(draw(3, 4),), (draw(2, 4),), (draw(4, 3).T,), (draw(3, 4), 0.5), (draw(3, 4), 0.25), (draw(3, 4).double().float(),)]
    for call in calls * 6:
        assert compiled(*call).item() == eager(*call).item()
        assert compiled(call[0], *call[1:]).item() == eager(*call).item()
    with numgrad.no_grad():
        assert compiled(x).item() == eager(x).item()
    leaf = [draw(3, 4).requires_grad_()]
    leaf.append(leaf[0].detach().clone().requires_grad_())
    for _ in range(5):
        leaf[0].grad = leaf[1].grad = None
        assert compiled(leaf[1]).item() == eager(leaf[0]).item()
    np.testing.assert_array_equal(leaf[0].grad.numpy(), leaf[1].grad.numpy())
    with pytest.warns(UserWarning, match="also reached"):
        for _ in range(4):  # an argument that is the model's own weight
            assert compiled(twin.weight.detach()).item() == eager(model.weight.detach()).item()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_what_the_step_reaches_is_looked_at() -> None:
    eager, compiled, model, twin = twins()
    x = numgrad.ones(3, 4)
    for _ in range(4):
        assert compiled(x).item() == eager(x).item()
    assert compiled._shortcut is not None
    for each in (model, twin):
        each.weight = nn.Parameter(numgrad.full((4, 4), 0.5))
    for _ in range(4):
        assert compiled(x).item() == eager(x).item()
    for each in (model, twin):
        each.bias.requires_grad_(False)
    for _ in range(4):
        assert compiled(x).item() == eager(x).item()
    np.testing.assert_array_equal(model.bias.detach().numpy(), twin.bias.detach().numpy())


def test_results_share_nothing_but_where_their_graph_ended() -> None:
    weight = nn.Parameter(numgrad.ones(2))

    @numgrad.compile
    def step(x: Any) -> Any:
        loss = (weight * x).sum()
        loss.backward()
        weight.grad = None
        return loss

    found = [step(numgrad.full((2,), float(n))) for n in range(6)]
    assert [f.item() for f in found] == [0, 2, 4, 6, 8, 10]
    for f in found[-2:]:
        with pytest.raises(RuntimeError, match="second time"):
            f.backward()
