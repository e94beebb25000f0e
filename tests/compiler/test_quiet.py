"""What is looked at before each replay: a change is seen in the long way and in the short one, which is taken once nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.compiler.quiet import Quiet
from numgrad.jit import words

SCALE = 2.0
COUNTED = 0


class Scaled(nn.Module):
    """A layer whose forward reads an attribute, a global, a list and a closure."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.factor, self.terms = 1.5, [0.5, 0.25]


def _training() -> tuple[Scaled, Any, Callable[[Any], Any], dict[str, float], Callable[[float], None]]:
    ng.manual_seed(0)
    layer, table, shift = Scaled(), {"power": 1.0}, 0.0
    optimizer = ng.optim.SGD(layer.parameters(), lr=0.1)

    def move(by: float) -> None:
        nonlocal shift
        shift = by

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = ((layer.linear(x) * layer.factor * SCALE + sum(layer.terms) + shift) * table["power"]).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return layer, optimizer, step, table, move


def _set_global(value: float) -> None:
    global SCALE
    SCALE = value


CHANGES: dict[str, Callable[..., Any]] = {
    "attribute": lambda layer, *_: setattr(layer, "factor", 3.0),
    "member": lambda layer, *_: setattr(layer, "linear", nn.Linear(3, 2)),
    "item of a list": lambda layer, *_: layer.terms.__setitem__(0, 4.0),
    "length of a list": lambda layer, *_: layer.terms.append(4.0),
    "entry of a dictionary": lambda layer, optimizer, table, move: table.update(power=2.0),
    "closure": lambda layer, optimizer, table, move: move(1.0),
    "global": lambda *_: _set_global(5.0),
    "learning rate": lambda layer, optimizer, *_: optimizer.param_groups[0].update(lr=0.01),
    "weight decay": lambda layer, optimizer, *_: optimizer.param_groups[0].update(weight_decay=0.5),
    "data": lambda layer, *_: setattr(layer.linear.weight, "data", ng.ones(2, 3)),
    "frozen": lambda layer, *_: layer.linear.bias.requires_grad_(False),
    "hook of a tensor": lambda layer, *_: layer.linear.weight.register_hook(lambda g: 2 * g),
    "hook of a module": lambda layer, *_: layer.linear.register_forward_hook(lambda m, i, o: o + 1),
}


@pytest.fixture(autouse=True)
def _global_as_it_was() -> Any:
    yield
    _set_global(2.0)


def _losses(step: Callable[[Any], Any], change: Callable[..., Any], parts: tuple[Any, ...], noise: bool) -> list[float]:
    global COUNTED
    x, losses = ng.arange(12.0).reshape(4, 3) / 12, []
    for n in range(12):
        if n == 8:
            change(*parts)
        if noise:
            COUNTED += 1  # the globals are written at each call, and so is the optimizer's group
            parts[1].param_groups[0]["note"] = 1.0 + n
        losses.append(step(x).item())
    return losses


@pytest.mark.filterwarnings("ignore:numgrad.compile")
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_replays_is_seen(change: str, noise: bool) -> None:
    found = []
    for compiled in (False, True):
        _set_global(2.0)
        layer, optimizer, step, table, move = _training()
        run = ng.compile(step, options={"fuse": False}) if compiled else step
        ng.manual_seed(1)  # for the layer that may be put in
        found.append(_losses(run, CHANGES[change], (layer, optimizer, table, move), noise))
    assert found[0] == found[1]


@pytest.mark.skipif(not words.supported(), reason="this interpreter's dictionaries have no versions")
@pytest.mark.parametrize("noise", [False, True])
def test_the_short_way_is_taken(noise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, optimizer, step, table, move = _training()
    run = ng.compile(step, fullgraph=True)
    _losses(run, lambda *_: None, (layer, optimizer, table, move), noise)
    renewed: list[Any] = []
    monkeypatch.setattr(Quiet, "renew", lambda *given: renewed.append(given))
    _losses(run, lambda *_: None, (layer, optimizer, table, move), noise)
    assert not renewed


def test_gradients_that_are_kept_stay_what_they_were() -> None:
    found = []
    for compiled in (False, True):
        layer, _, step, *_ = _training()
        run = ng.compile(step) if compiled else step
        x, kept = ng.arange(12.0).reshape(4, 3) / 12, []
        for n in range(16):
            run(x)
            if n in (6, 7, 11, 12):  # while the short way is taken, and while it is not
                kept += [layer.linear.weight.grad, layer.linear.bias.grad._data, layer.linear.bias.grad.detach()]
        found.append([np.array(k).tolist() for k in kept])
    assert found[0] == found[1]


@pytest.mark.parametrize("accumulates", [False, True])
def test_the_data_of_gradients_may_be_replaced(accumulates: bool) -> None:
    found = []
    for compiled in (False, True):
        ng.manual_seed(0)
        layer = nn.Linear(3, 2)
        optimizer = ng.optim.SGD(layer.parameters(), lr=0.1)

        def step(x: Any, layer: Any = layer, optimizer: Any = optimizer) -> Any:
            if not accumulates:
                optimizer.zero_grad()
            loss = layer(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        run = ng.compile(step, fullgraph=True, options={"fuse": False}) if compiled else step
        x, seen = ng.arange(12.0).reshape(4, 3) / 12, []
        for p in layer.parameters():
            p.grad = ng.zeros_like(p)
        for n in range(14):
            seen.append(run(x).item())
            if n in (6, 9, 10):
                for p in layer.parameters():
                    p.grad.data = p.grad.data.clamp(-0.01, 0.01)
            seen.append(layer.weight.grad.tolist())
        found.append(seen)
    assert found[0] == found[1]
