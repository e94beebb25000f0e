"""All updates of a group as one call: the bits of updates one by one, whatever changes between two steps."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import optim
from numgrad.jit.alike import Alike
from numgrad.ops import optim_round

OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, 0.1), "momentum": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda p: optim.Adam(p, 0.01), "AMSGrad": lambda p: optim.AdamW(p, 0.01, amsgrad=True), "NAdam": lambda p: optim.NAdam(p, 0.01),
    "RAdam": lambda p: optim.RAdam(p, 0.01), "Adamax": lambda p: optim.Adamax(p, 0.01), "RMSprop": lambda p: optim.RMSprop(p, 0.01, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, 0.01), "Adadelta": lambda p: optim.Adadelta(p), "ASGD": lambda p: optim.ASGD(p), "Rprop": lambda p: optim.Rprop(p),
}  # fmt: skip
SHAPES = ((3, 4), (), (7,), (400, 400), (0,), (2, 1, 5))

pytestmark = pytest.mark.skipif(not Alike.supported(), reason="this interpreter's objects are not looked at")


class Pair:
    """Two optimizers of equal parameters, of which one never makes a round."""

    def __init__(self, make: Callable[[Any], optim.Optimizer], shapes: Any = SHAPES):
        rng = np.random.default_rng(0)
        self.rng, values = rng, [rng.standard_normal(s).astype(np.float32) for s in shapes]
        self.params = [[ng.tensor(v, requires_grad=True) for v in values] for _ in range(2)]
        self.optimizers = [make(p) for p in self.params]

    def step(self, without: Any = ()) -> None:
        """New gradients, a step of both, and the same bits."""
        for n, both in enumerate(zip(*self.params, strict=True)):
            grad = self.rng.standard_normal(both[0].shape).astype(np.float32)
            for p in both:
                p.grad = None if n in without else ng.tensor(grad)
        self.optimizers[0].step()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(optim_round, "make", lambda *_: None)
            self.optimizers[1].step()
        self.same()

    def same(self) -> None:
        for a, b in zip(*self.params, strict=True):
            assert a._version == b._version
            for x, y in zip((a, *_state(self.optimizers[0], a)), (b, *_state(self.optimizers[1], b)), strict=True):
                assert np.array_equal(x.detach().numpy(), y.detach().numpy(), equal_nan=True)

    def in_rounds(self, without: Any = ()) -> bool:
        """Whether one more step is a round."""
        taken: list[bool] = []
        with pytest.MonkeyPatch.context() as patch:
            run = optim_round.Round.run
            patch.setattr(optim_round.Round, "run", lambda *args: taken.append(run(*args)) or taken[-1])
            self.step(without)
        return taken == [True]


def _state(optimizer: optim.Optimizer, param: Any) -> list[Any]:
    return [v for v in optimizer.state.get(param, {}).values() if isinstance(v, ng.Tensor)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bits_are_those_of_updates_one_by_one(name: str) -> None:
    pair = Pair(OPTIMIZERS[name])
    for _ in range(3):
        pair.step()
    assert pair.in_rounds() and pair.in_rounds()


def test_a_learning_rate_and_other_numbers_are_read_at_each_step() -> None:
    pair = Pair(OPTIMIZERS["momentum"])
    for lr in (0.1, 0.1, 0.1, 0.02, 0.5):
        for optimizer in pair.optimizers:
            optimizer.param_groups[0].update(lr=lr, weight_decay=lr / 2, maximize=lr == 0.02)
        pair.step()
    assert pair.in_rounds()


def _grad_as_view(pair: Pair) -> None:
    for params in pair.params:
        both = ng.ones(2, 3, 4)
        params[0].grad, params[2].grad = both[0], ng.ones(14)[::2]
    for optimizer in pair.optimizers:
        optimizer.step()


def _load(pair: Pair) -> None:
    for optimizer in pair.optimizers:
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def _forget(pair: Pair) -> None:
    for optimizer, params in zip(pair.optimizers, pair.params, strict=True):
        optimizer.state.pop(params[2])


def _forget_one(pair: Pair) -> None:
    for optimizer, params in zip(pair.optimizers, pair.params, strict=True):
        optimizer.state[params[0]]["momentum_buffer"] = None


def _forget_last(pair: Pair) -> None:
    for optimizer, params in zip(pair.optimizers, pair.params, strict=True):
        del optimizer.state[params[-1]]["momentum_buffer"]


def _other_counter(pair: Pair) -> None:
    for params in pair.params:
        params[3]._counter = [1000]  # as that of a view is set


def _new_memory(pair: Pair) -> None:
    for params in pair.params:
        params[2].data = params[2].data * 2


def _added(pair: Pair) -> None:
    for optimizer, params in zip(pair.optimizers, pair.params, strict=True):
        params.append(ng.ones(5, requires_grad=True))
        optimizer.param_groups[0]["params"].append(params[-1])


def _other_state(pair: Pair) -> None:
    for optimizer, params in zip(pair.optimizers, pair.params, strict=True):
        optimizer.state[params[3]]["momentum_buffer"] = ng.ones(400, 400)


def _no_momentum(pair: Pair) -> None:
    for optimizer in pair.optimizers:
        optimizer.param_groups[0].update(momentum=0, nesterov=False)


def _in_place(pair: Pair) -> None:
    for params in pair.params:
        with ng.no_grad():
            params[3].mul_(0.5)


@pytest.mark.parametrize("change", [
    _grad_as_view, _load, _forget, _forget_one, _forget_last, _new_memory, _added, _other_state, _other_counter, _no_momentum, _in_place,
])  # fmt: skip
def test_what_changes_between_steps_is_seen(change: Callable[[Pair], None]) -> None:
    pair = Pair(OPTIMIZERS["momentum"])
    for _ in range(4):
        pair.step()
    change(pair)
    pair.same()
    for _ in range(4):
        pair.step()
    assert pair.in_rounds()


def test_parameters_without_gradient_stay_as_they_are() -> None:
    pair = Pair(OPTIMIZERS["Adam"])
    for without in ((), (), (1, 3), (1, 3), (1, 3), (1, 3)):
        pair.step(without)
    assert pair.in_rounds((1, 3))
    assert not pair.in_rounds((1,)), "one more has a gradient"


def test_rounds_that_never_fit_are_given_up() -> None:
    pair = Pair(OPTIMIZERS["SGD"])
    for n in range(60):
        pair.step((n // 3 % 2,))
    assert pair.optimizers[0]._rounds_made[0] <= 8


def test_groups_are_rounds_of_their_own() -> None:
    pair = Pair(lambda p: optim.Adam([{"params": p[:3]}, {"params": p[3:], "lr": 0.1}], 0.01))
    for _ in range(5):
        pair.step()
    assert set(pair.optimizers[0]._rounds) == {0, 1}


def test_two_threads_that_step_one_optimizer() -> None:
    optimizer = Pair(OPTIMIZERS["SGD"]).optimizers[0]
    params = optimizer.param_groups[0]["params"]
    for p in params:
        p.grad = ng.ones(p.shape)
    before = params[3].detach().clone()
    threads = [threading.Thread(target=lambda: [optimizer.step() for _ in range(50)]) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert np.isfinite(params[3].detach().numpy()).all() and (params[3] < before).all()
