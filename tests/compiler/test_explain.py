"""explain() says what happened to a function, so it is also how fusion of each kind is seen to have happened."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad
import numgrad.nn as nn
from numgrad.compiler import explain
from tests.compiler.footguns import make

pytestmark = pytest.mark.interpreted


def test_a_training_step() -> None:
    numgrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 3))
    optimizer = numgrad.optim.Adam(model.parameters())

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x) * 2 + 1, y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = numgrad.randn(6, 5), numgrad.zeros(6, dtype=numgrad.int64)
    found = explain(step, x, y)
    (program,) = found.programs
    assert sum(program.before.values()) > len(program.launches) > 10
    assert program.before["_adam"] == 4
    assert any("mul" in names and "plus" in names for names in program.fused)
    assert 0 < program.arena < program.temporaries and program.results >= 4
    assert all(__file__ in line for _, _, line in program.launches)
    assert any("tail_" in path for path in program.sources)
    text = str(found)
    for part in ("step", "launches recorded", "fused:", "generated sources:", "in the arena for"):
        assert part in text


def test_a_module_has_two_programs() -> None:
    model = numgrad.compile(nn.Sequential(nn.Linear(3, 4), nn.Tanh()))
    found = explain(model, make().reshape(1, 3))
    assert [p.what for p in found.programs] == ["forward 1", "backward 1"]
    found = explain(model, numgrad.ones(2, 3))
    assert found.changes == ["argument 0: shape (1, 3) -> (2, 3)"]
    assert len(found.programs) == 4


def test_what_is_compiled_already_is_called_once() -> None:
    weight = nn.Parameter(make())

    def step(x: Any) -> Any:
        with numgrad.no_grad():
            weight.add_(1)
        return (x * weight).sum().detach()

    run = numgrad.compile(step, fullgraph=True)
    for _ in range(3):
        run(make())
    assert len(explain(run, make()).programs) == 1
    assert weight.tolist() == [5.0, 6.0, 7.0]


def test_what_runs_eagerly() -> None:
    with pytest.warns(UserWarning, match="runs eagerly"):
        found = explain(lambda x: x * x.max().item(), make())
    assert found.programs == [] and "a value is read by Python" in found.eager[0]
    assert "not compiled" in str(found)


def test_each_kind_of_fusion() -> None:
    def program(function: Any, *arguments: Any) -> Any:
        return explain(function, *arguments).programs[0]

    chain = program(lambda x: (x * 2 + 1).tanh(), make())
    assert len(chain.launches) == 1 and chain.fused[0].endswith("mul, plus, tanh")
    siblings = program(lambda x: (x.sin(), x.cos()), make())
    assert len(siblings.launches) == 1 and sum(siblings.before.values()) == 2
    dead = program(lambda x: (x.exp().sum(), x * 2)[1], make())
    assert len(dead.launches) == 1 and sum(dead.before.values()) > 1 and dead.fused == []
    apart = program(lambda x: x.exp().cumsum(0).sin() + x.sin(), make(1.0, 2.0, 3.0, 4.0).reshape(2, 2))
    assert any("between are" in reason for reason in apart.apart)
    weight, bias = numgrad.randn(4, 4), numgrad.randn(4)
    residual = lambda x: x + nn.functional.linear(x.exp(), weight, bias)
    assert any("needed later" in reason for reason in program(residual, numgrad.randn(3, 4)).apart)
    off = numgrad.compile(lambda x: (x * 2 + 1).tanh(), options={"fuse": False})
    assert len(explain(off, make()).programs[0].launches) == 3
