"""Compiled modules and functions whose gradients are asked for outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad
import numgrad.nn as nn


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def batches(n: int) -> list[Any]:
    generator = np.random.default_rng(0)
    return [
        (numgrad.tensor(generator.normal(size=(6, 5)).astype(np.float32)), numgrad.tensor(generator.integers(0, 3, 6))) for _ in range(n)
    ]


def train(compiled: bool, calls: int = 8) -> tuple[list[float], dict[str, np.ndarray], Any]:
    numgrad.manual_seed(0)
    model: Any = network()
    if compiled:
        model = numgrad.compile(model, options={"fuse": False})
    optimizer = numgrad.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for x, y in batches(calls):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {k.removeprefix("_orig_mod."): v.numpy() for k, v in model.state_dict().items()}, model


def variants(model: Any) -> int:
    return sum(len(kind.variants) for kind in model._compiled._kinds.values())


def test_a_compiled_module_trains_to_the_same_bits() -> None:
    eager, state, _ = train(False)
    losses, compiled_state, model = train(True)
    assert losses == eager
    for name, value in state.items():
        np.testing.assert_array_equal(compiled_state[name], value, err_msg=name)
    assert variants(model) == 1


def test_what_the_way_back_needs_is_kept_where_products_end_in_activations() -> None:
    losses = []
    for compile in (False, True):
        numgrad.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
        optimizer = numgrad.optim.Adam(model.parameters(), lr=0.01)
        run = numgrad.compile(model) if compile else model
        x, y = numgrad.randn(12, 6), numgrad.randn(12, 1)
        found = []
        for n in (12, 12, 12, 12, 7, 7, 7, 12, 7):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(run(x[:n]), y[:n])
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        losses.append(found)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    assert any("ends in relu" in note for variant in next(iter(run._compiled._kinds.values())).variants for note in variant.notes)


def test_it_is_the_module_it_was_made_of() -> None:
    module = network()
    model = numgrad.compile(module)
    assert [id(p) for p in model.parameters()] == [id(p) for p in module.parameters()]
    assert set(model.state_dict()) == {f"_orig_mod.{k}" for k in module.state_dict()}
    model.eval()
    assert not module[3].training
    assert model._orig_mod is module


def test_gradients_of_arguments() -> None:
    numgrad.manual_seed(0)
    first, middle = nn.Linear(5, 5), nn.Sequential(nn.Linear(5, 5), nn.Tanh())
    compiled = numgrad.compile(middle, options={"fuse": False})
    for x, _ in batches(6):
        grads = []
        for inner in (middle, compiled):
            first.zero_grad()
            middle.zero_grad()
            inner(first(x)).pow(2).sum().backward()
            grads.append([p.grad.numpy().copy() for p in (*first.parameters(), *middle.parameters())])
        for a, b in zip(*grads, strict=True):
            np.testing.assert_array_equal(a, b)
    assert variants(compiled) == 1


def test_several_forward_passes_before_one_backward() -> None:
    numgrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    compiled = numgrad.compile(model)
    data = [x for x, _ in batches(3)]
    for _ in range(5):
        grads = []
        for run in (model, compiled):
            model.zero_grad()
            total = sum(run(x).pow(2).sum() for x in data)
            total.backward()
            grads.append([p.grad.numpy().copy() for p in model.parameters()])
        for a, b in zip(*grads, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)  # sums over passes in another order


def test_two_results_of_which_one_is_used() -> None:
    weight = nn.Parameter(numgrad.ones(3))
    compiled = numgrad.compile(lambda x: (x * weight, (x + weight).exp()))
    x = numgrad.tensor([1.0, 2.0, 3.0])
    for _ in range(5):
        weight.grad = None
        compiled(x)[0].sum().backward()
        np.testing.assert_array_equal(weight.grad.numpy(), x.numpy())


def test_backward_twice_needs_retain_graph() -> None:
    weight = nn.Parameter(numgrad.ones(3))
    compiled = numgrad.compile(lambda x: x * weight * weight)
    x = numgrad.tensor([1.0, 2.0, 3.0])
    for _ in range(5):
        y = compiled(x).sum()
        y.backward(retain_graph=True)
        y.backward()
        with pytest.raises(RuntimeError, match="second time"):
            y.backward()


def test_a_parameter_changed_before_backward_is_noticed() -> None:
    weight = nn.Parameter(numgrad.ones(3))
    compiled = numgrad.compile(lambda x: (x * weight).exp())
    x = numgrad.tensor([1.0, 2.0, 3.0])
    for _ in range(4):
        compiled(x).sum().backward()
    y = compiled(x).sum()
    with numgrad.no_grad():
        weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_gradients_of_gradients_are_refused() -> None:
    weight = nn.Parameter(numgrad.ones(3))
    compiled = numgrad.compile(lambda x: (x * weight).exp())
    x = numgrad.tensor([1.0, 2.0, 3.0])
    for _ in range(4):
        compiled(x).sum().backward()
    with pytest.raises(RuntimeError, match="gradient of its gradient"):
        numgrad.autograd.grad(compiled(x).sum(), weight, create_graph=True)


def test_a_function_that_reads_values_runs_eagerly_and_says_why() -> None:
    weight = nn.Parameter(numgrad.ones(3))

    def scaled(x: Any) -> Any:
        return x * weight * x.max().item()

    compiled = numgrad.compile(scaled)
    x = numgrad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with pytest.warns(UserWarning, match=r"scaled runs eagerly: a value is read by Python .*test_modules.py:"):
        for _ in range(6):
            x.grad = weight.grad = None
            compiled(x).sum().backward()
            np.testing.assert_array_equal(weight.grad.numpy(), 3 * x.detach().numpy())
            np.testing.assert_array_equal(x.grad.numpy(), [3.0, 3.0, 3.0])


def test_a_step_that_leaves_gradients_in_its_argument() -> None:
    def step(x: Any) -> Any:
        loss = (x * x).sum()
        loss.backward()
        return loss.detach()

    compiled = numgrad.compile(step, fullgraph=True)
    held = []
    for n in range(8):
        x = numgrad.tensor([1.0, 2.0 + n], requires_grad=True)
        compiled(x)
        held.append((x.grad, [2.0, 4.0 + 2 * n]))
    for grad, wanted in held:
        np.testing.assert_array_equal(grad.numpy(), wanted)
    (kind,) = compiled._kinds.values()
    assert len(kind.variants) == 1


def test_gradients_that_an_argument_has_already() -> None:
    def step(x: Any) -> Any:
        loss = (x * x).sum()
        loss.backward()
        return loss.detach()

    compiled = numgrad.compile(step, fullgraph=True)
    x = numgrad.tensor([1.0, 2.0], requires_grad=True)
    for n in range(8):
        compiled(x)
        np.testing.assert_array_equal(x.grad.numpy(), [2.0 * (n + 1), 4.0 * (n + 1)])
    held, version = x.grad, x.grad._version
    compiled(x)
    assert x.grad is held and held._version == version + 1
    x.grad = numgrad.tensor([[1.0, 0.0], [5.0, 0.0]])[:, 0]  # of another form
    for n in range(5):
        compiled(x)
        np.testing.assert_array_equal(x.grad.numpy(), [1 + 2.0 * (n + 1), 5 + 4.0 * (n + 1)])
    assert [len(kind.variants) for kind in compiled._kinds.values()] == [0, 1, 1]

    def reads(x: Any) -> Any:
        if x.grad is not None:
            x.grad = None
        loss = (x * x).sum()
        loss.backward()
        return loss.detach()

    compiled = numgrad.compile(reads, fullgraph=True)
    for n in range(10):
        with numgrad.no_grad():
            x += n
        compiled(x)
        np.testing.assert_array_equal(x.grad.numpy(), 2 * x.detach().numpy())


def test_a_gradient_that_two_arguments_share() -> None:
    def step(x: Any, y: Any) -> Any:
        loss = (x * x).sum() + (y * 3).sum()
        loss.backward()
        return loss.detach()

    compiled = numgrad.compile(step, fullgraph=True)
    pairs = [[numgrad.tensor([1.0, 2.0 * n], requires_grad=True) for n in range(2)] for _ in range(2)]
    for x, y in pairs:
        x.grad = y.grad = numgrad.zeros(2)
    for _ in range(6):
        for (x, y), call in zip(pairs, (step, compiled), strict=True):
            call(x, y)
            assert x.grad is y.grad
        np.testing.assert_array_equal(pairs[1][0].grad.numpy(), pairs[0][0].grad.numpy())


def test_losses_added_after_they_have_gone_back() -> None:
    """The sum's graph leads nowhere: it is no reason to wait for a backward pass from outside."""
    a, b = (numgrad.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))

    def step() -> Any:
        a.grad = b.grad = None
        first, second = (a * a).sum(), (b * 3).sum()
        first.backward()
        second.backward()
        return first + second

    compiled = numgrad.compile(step, fullgraph=True)
    for _ in range(5):
        total = compiled()
        assert total.item() == 14.0 and a.grad.tolist() == [2.0, 4.0] and b.grad.tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()
    (kind,) = compiled._kinds.values()
    assert len(kind.variants) == 1
