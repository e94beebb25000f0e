"""Compiled training steps end where eager ones do, bit for bit, whatever a real step does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
import numgrad.nn as nn
from numgrad.compiler import Compiled


def both(make: Callable[[], tuple[Any, Callable[..., Any]]], calls: list[Any]) -> Compiled:
    """Run the same calls on an eager and a compiled step: the same bits without fusion, and with it but for rounding."""
    eager, plain, fused = (_run(make, calls, options) for options in (None, {"fuse": False}, {"fuse": True}))
    for name, wanted in eager.items():
        if wanted is not None and name != "run":
            np.testing.assert_array_equal(plain[name], wanted, err_msg=name)
            # a product and a sum in one operation leave out a rounding of 6e-8; a few steps of training make a little more of it
            np.testing.assert_allclose(fused[name], wanted, rtol=1e-4, atol=1e-5, err_msg=name)
    assert replays(plain["run"]) == replays(fused["run"])
    return fused["run"]


def _run(make: Callable[[], tuple[Any, Callable[..., Any]]], calls: list[Any], options: Any) -> dict[str, Any]:
    numgrad.manual_seed(0)
    model, step = make()
    run = step if options is None else numgrad.compile(step, fullgraph=True, options=options)
    found: dict[str, Any] = {"run": run}
    for n, arguments in enumerate(calls):
        found |= {f"result {i} of call {n}": r.detach().numpy().copy() for i, r in enumerate(as_tuple(run(*arguments)))}
    found |= {k: v.numpy().copy() for k, v in model.state_dict().items()}
    found |= {f"gradient of {k}": None if p.grad is None else p.grad.numpy().copy() for k, p in model.named_parameters()}
    return found


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def replays(compiled: Compiled) -> int:
    return sum(len(kind.variants) for kind in compiled._kinds.values())


def batches(n: int, size: int = 6, features: int = 5) -> list[Any]:
    generator = np.random.default_rng(0)
    return [
        (numgrad.tensor(generator.normal(size=(size, features)).astype(np.float32)), numgrad.tensor(generator.integers(0, 3, size)))
        for _ in range(n)
    ]


def network(*extra: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 8), *extra, nn.ReLU(), nn.Linear(8, 3))


def plain_step(model: Any, optimizer: Any) -> Callable[..., Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


OPTIMIZERS = {
    "sgd": lambda p: numgrad.optim.SGD(p, lr=0.1),
    "momentum": lambda p: numgrad.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: numgrad.optim.Adam(p, lr=0.01),
    "adamw": lambda p: numgrad.optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: numgrad.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: numgrad.optim.Adagrad(p, lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str) -> None:
    def make() -> Any:
        model = network()
        return model, plain_step(model, OPTIMIZERS[name](model.parameters()))

    assert replays(both(make, batches(7))) == 1


def test_batch_norm_and_dropout() -> None:
    def make() -> Any:
        model = network(nn.BatchNorm1d(8), nn.Dropout(0.3))
        return model, plain_step(model, numgrad.optim.Adam(model.parameters()))

    assert replays(both(make, batches(7))) == 1


def test_convolution_and_pooling() -> None:
    def make() -> Any:
        model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3))
        return model, plain_step(model, numgrad.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))

    calls = [(x[:, :1].expand(6, 32).reshape(6, 2, 4, 4) * 1.0, y) for x, y in batches(6)]
    assert replays(both(make, calls)) == 1


def test_a_scheduler_changes_the_rate_without_a_new_recording() -> None:
    def losses(compiled: bool) -> list[float]:
        numgrad.manual_seed(0)
        model = network()
        optimizer = numgrad.optim.Adam(model.parameters(), lr=0.1)
        scheduler = numgrad.optim.lr_scheduler.ExponentialLR(optimizer, 0.8)
        step = plain_step(model, optimizer)
        run = numgrad.compile(step, fullgraph=True, options={"fuse": False}) if compiled else step
        found = []
        for x, y in batches(8):
            found.append(run(x, y).item())
            scheduler.step()
        assert not compiled or replays(run) == 1
        return found

    assert losses(True) == losses(False)


def test_gradients_accumulate_over_calls() -> None:
    def make() -> Any:
        model = network()

        def step(x: Any, y: Any) -> Any:
            loss = nn.functional.cross_entropy(model(x), y) / 4
            loss.backward()
            return loss

        return model, step

    both(make, batches(7))


def test_clipping_and_gradients_filled_with_zeros() -> None:
    def make() -> Any:
        model = network()
        optimizer = numgrad.optim.SGD(model.parameters(), lr=0.5)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad(set_to_none=False)
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            return loss, norm

        return model, step

    assert replays(both(make, batches(7))) >= 1


def test_two_optimizers_in_turn() -> None:
    def make() -> Any:
        maker, judge = nn.Linear(4, 5), network()
        first = numgrad.optim.Adam(maker.parameters(), lr=0.01)
        second = numgrad.optim.Adam(judge.parameters(), lr=0.01)

        def step(x: Any, y: Any) -> Any:
            noise = numgrad.randn(6, 4)
            second.zero_grad()
            judged = judge(x).mean() - judge(maker(noise).detach()).mean()
            judged.backward()
            second.step()
            first.zero_grad()
            made = judge(maker(noise)).mean()
            made.backward()
            first.step()
            return judged, made

        return nn.ModuleList([maker, judge]), step

    assert replays(both(make, batches(7))) == 1


def test_second_derivatives() -> None:
    def make() -> Any:
        model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = numgrad.optim.Adam(model.parameters(), lr=0.01)

        def step(x: Any, y: Any) -> Any:
            x = x.clone().requires_grad_()
            u = model(x)
            (slope,) = numgrad.autograd.grad(u.sum(), x, create_graph=True)
            (curve,) = numgrad.autograd.grad(slope[:, 0].sum(), x, create_graph=True)
            loss = ((curve[:, 0] + u[:, 0]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return model, step

    assert replays(both(make, batches(7))) == 1


def test_a_target_network_follows() -> None:
    def make() -> Any:
        model, target = network(), network()
        target.load_state_dict(model.state_dict())
        optimizer = numgrad.optim.Adam(model.parameters(), lr=0.01)

        def step(x: Any, y: Any) -> Any:
            with numgrad.no_grad():
                wanted = target(x).max(1).values * 0.9
            loss = nn.functional.smooth_l1_loss(model(x).gather(1, y.unsqueeze(1)).squeeze(1), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with numgrad.no_grad():
                for a, b in zip(target.parameters(), model.parameters(), strict=True):
                    a.mul_(0.99).add_(b, alpha=0.01)
            return loss

        return nn.ModuleList([model, target]), step

    assert replays(both(make, batches(7))) == 1


def test_training_and_evaluation_take_turns() -> None:
    numgrad.manual_seed(0)
    model = network(nn.Dropout(0.5))
    forward = numgrad.compile(lambda x: model(x), fullgraph=True)
    x = batches(1)[0][0]
    with numgrad.no_grad():
        for _ in range(3):
            model.train()
            assert any(not numgrad.equal(forward(x), forward(x)) for _ in range(4))  # dropout draws anew
            model.eval()
            for _ in range(4):
                np.testing.assert_array_equal(forward(x).numpy(), model(x).numpy())
    assert replays(forward) == 2


def test_a_smaller_last_batch() -> None:
    def make() -> Any:
        model = network()
        return model, plain_step(model, numgrad.optim.SGD(model.parameters(), lr=0.1))

    calls = []
    for _ in range(4):
        calls += [*batches(2), (batches(1)[0][0][:3], batches(1)[0][1][:3])]
    assert replays(both(make, calls)) == 2


def test_parameters_loaded_and_replaced_between_calls() -> None:
    numgrad.manual_seed(0)
    model = network()
    step = plain_step(model, numgrad.optim.SGD(model.parameters(), lr=0.1))
    compiled = numgrad.compile(step, fullgraph=True)
    x, y = batches(1)[0]
    for _ in range(4):
        compiled(x, y)
    fresh = network()
    model.load_state_dict(fresh.state_dict())
    wanted = nn.functional.cross_entropy(fresh(x), y)
    assert compiled(x, y).item() == wanted.item()
    model[0].weight.data = fresh[0].weight.detach().clone() * 2
    wanted = nn.functional.cross_entropy(model(x), y)
    assert compiled(x, y).item() == wanted.item()
    other = nn.Linear(5, 8)
    model[0] = other
    wanted = nn.functional.cross_entropy(model(x), y)
    assert compiled(x, y).item() == wanted.item()


def test_frozen_parameters_that_unfreeze() -> None:
    numgrad.manual_seed(0)
    model = network()
    compiled = numgrad.compile(plain_step(model, numgrad.optim.SGD(model.parameters(), lr=0.1)), fullgraph=True)
    x, y = batches(1)[0]
    model[0].requires_grad_(False)
    before = model[0].weight.detach().clone()
    for _ in range(5):
        compiled(x, y)
    assert numgrad.equal(model[0].weight, before)
    model[0].requires_grad_(True)
    for _ in range(5):
        compiled(x, y)
    assert not numgrad.equal(model[0].weight, before)


def test_nan_and_infinity_go_through() -> None:
    model = network()
    forward = numgrad.compile(lambda x: model(x), fullgraph=True)
    x = batches(1)[0][0]
    with numgrad.no_grad():
        for _ in range(4):
            forward(x)
        bad = x.clone()
        bad[0, 0], bad[1, 0] = float("nan"), float("inf")
        np.testing.assert_array_equal(forward(bad).numpy(), model(bad).numpy())


def test_integers() -> None:
    table = nn.Embedding(7, 3)
    forward = numgrad.compile(lambda i: (table(i).sum(1), i * 2 + 1), fullgraph=True)
    with numgrad.no_grad():
        for n in range(5):
            i = numgrad.tensor([[n, 1], [2, 6]])
            vectors, numbers = forward(i)
            np.testing.assert_array_equal(vectors.numpy(), table(i).sum(1).numpy())
            np.testing.assert_array_equal(numbers.numpy(), i.numpy() * 2 + 1)


def test_a_bad_index_raises_in_a_replay_too() -> None:
    model = network()
    optimizer = numgrad.optim.SGD(model.parameters(), lr=0.1)
    compiled = numgrad.compile(plain_step(model, optimizer), fullgraph=True)
    x, y = batches(1)[0]
    for _ in range(4):
        compiled(x, y)
    before = model[0].weight.detach().clone()
    with pytest.raises(IndexError, match="Target 9 is out of bounds"):
        compiled(x, numgrad.full((6,), 9))
    assert numgrad.equal(model[0].weight, before)
    compiled(x, y)
    assert not numgrad.equal(model[0].weight, before)
