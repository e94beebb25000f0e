"""Arrays that a compiled function could share by mistake: arguments with each other and with state, results with later results."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
import numgrad.nn as nn
from tests.compiler.footguns import EXACT, make, same, stays_eager, steady

Pair = namedtuple("Pair", "first second")


# --- arguments ------------------------------------------------------------------------------------------------------


def test_the_same_tensor_twice_and_overlapping_views() -> None:
    def function(x: Any, y: Any) -> Any:
        x.add_(1)
        return x * y

    def run(step: Any, lie: Callable[[Any], Any]) -> Any:
        memory = numgrad.arange(8).float()
        x, y = lie(memory)
        return step(x, y), memory

    compiled = numgrad.compile(function, fullgraph=True, options=EXACT)
    views = [lambda m: (m[:4], m[:4]), lambda m: (m[:4], m[4:]), lambda m: (m[:4], m[2:6]), lambda m: (m[2:6], m[:4])]
    views += [lambda m: (m[::2], m[1::2]), lambda m: (t := m[:4], t)[::-1], lambda m: (m[:4], m[:4].clone())]
    for _ in range(4):
        for lie in views:
            same(run(compiled, lie), run(function, lie))


def test_an_argument_that_is_reached_through_a_closure_too() -> None:
    x = make()

    def function(y: Any) -> Any:
        y.mul_(2)
        return x + y

    run = numgrad.compile(function, options=EXACT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for given in [make(), make(), make(), x, x, x, make(), x[:], x[:1], make(), x.view(3, 1).t()[0]]:
            expected, wanted = x.clone(), given.clone()
            if given.data_ptr() == x.data_ptr():
                expected[: given.numel()] *= 2
            same(run(given), expected + (wanted * 2))
            same(x, expected)


def test_arguments_changed_in_place() -> None:
    def function(x: Any) -> Any:
        x.mul_(2)
        x[0] = 7
        return x.sum()

    run = numgrad.compile(function, fullgraph=True, options=EXACT)
    for _ in range(5):
        x, y = make(), make()
        same(run(x), function(y))
        same(x, y)
        assert x._version == y._version


def test_the_result_may_be_the_argument() -> None:
    x = make()
    run = numgrad.compile(lambda x: x.mul_(2))
    with pytest.warns(UserWarning, match="shares memory with an argument"):
        for _ in range(5):
            assert run(x) is x
    same(x, make() * 32)
    stays_eager(lambda x: x[1:], "shares memory with an argument", (x,))


@pytest.mark.interpreted
def test_kinds_of_arguments() -> None:
    integers = numgrad.arange(6).reshape(2, 3)
    calls = [
        (integers, integers + 1), (integers > 2, integers > 3), (integers.float(), integers), (integers.int(), integers > 1),
        (numgrad.zeros(0, 3), numgrad.zeros(0, 3)), (numgrad.tensor(2.0), numgrad.tensor(3.0)), (numgrad.tensor(2), numgrad.tensor(True)),
        (integers.t().float(), integers.t()), (integers[:, ::2], integers[:, 1:]), (integers.float().expand(2, 2, 3), integers),
        (integers.double(), integers.float()),
    ]  # fmt: skip
    steady(lambda x, y: (x + y, x * y, x == y, (x * y).sum(), x.double().mean(0) if x.ndim else x * y), *calls)


def test_nested_arguments_and_results() -> None:
    def function(batch: Any, *rest: Any, scale: float = 1.0, **more: Any) -> Any:
        x, (y, z) = batch["x"], batch["rest"]
        return {"sum": x + y * scale, "rest": [z * 1, (rest[0] * 2, more["w"] + 1)], "pair": Pair(x * 2, None), "n": 3, "name": "step"}

    run = numgrad.compile(function, fullgraph=True, options=EXACT)
    for n in range(6):
        batch = OrderedDict(x=make() * n, rest=(make(), make()))
        same(run(batch, make(), scale=2.0, w=make()), function(batch, make(), scale=2.0, w=make()))
        same(run(batch, make(), w=make()), function(batch, make(), w=make()))
    same(run(batch, make(), make(), w=make(), u=make()), function(batch, make(), make(), w=make(), u=make()))


def test_dicts_and_lists_that_change() -> None:
    def function(parts: Any) -> Any:
        return sum(parts.values()) if isinstance(parts, dict) else sum(parts)

    run = numgrad.compile(function, fullgraph=True, options=EXACT)
    parts, items = {"a": make()}, [make()]
    for n in range(3):
        for _ in range(3):
            same(run(parts), function(parts))
            same(run(items), function(items))
        parts[str(n)] = make() * n
        items.append(make() * n)
    del parts["a"]
    same(run(parts), function(parts))


def test_numpy_arrays_and_numbers_as_arguments() -> None:
    def function(x: Any, k: Any) -> Any:
        return numgrad.from_numpy(x) * 2 + float(k)

    run = steady(function, (np.arange(3.0), np.float32(2)), (np.arange(3.0) + 1, np.float32(2)), (np.arange(4.0), np.int64(3)))
    x = np.arange(3.0)
    x[1] = 9
    same(run(x, np.float32(2)), function(x, np.float32(2)))


def test_arrays_made_on_the_host_are_not_baked_in() -> None:
    rows = [1.0, 2.0, 3.0]
    run = steady(lambda x: x + numgrad.tensor(rows), (make(),))
    rows[0] = 5.0
    same(run(make()), make() + numgrad.tensor(rows))
    generator = np.random.default_rng(0)
    noisy = numgrad.compile(lambda x: x + numgrad.from_numpy(generator.normal(size=3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len({noisy(make()).sum().item() for _ in range(6)}) == 6
    buffer = np.zeros(3, np.float32)
    shared = numgrad.compile(lambda x: x + numgrad.from_numpy(buffer), options=EXACT)
    for n in range(6):
        buffer[1] = n
        same(shared(make()), make() + numgrad.from_numpy(buffer))


# --- results --------------------------------------------------------------------------------------------------------


def test_results_that_are_kept_do_not_change() -> None:
    run = numgrad.compile(lambda x: (x * 2, (x + 1)[1:], (x + 1).reshape(3, 1).t()), fullgraph=True, options=EXACT)
    kept, wanted = [], []
    for n in range(8):
        x = make() * n
        found = run(x)
        kept.append([found[0], found[0][1:], found[1], found[2], found[0].numpy(), found[1].detach().view(2, 1)])
        wanted.append([np.array(k).copy() for k in kept[-1]])
        del found
    for a, b in zip(kept, wanted, strict=True):
        for k, w in zip(a, b, strict=True):
            np.testing.assert_array_equal(np.asarray(k), w)


def test_a_view_of_a_result_alone_keeps_it() -> None:
    run = numgrad.compile(lambda x: x * 2, fullgraph=True, options=EXACT)
    shows: Any = (lambda y: y[1:], lambda y: y.numpy()[1:], lambda y: memoryview(y.numpy()), np.asarray, lambda y: y.detach().view(3, 1).flatten())
    views = [[show(run(make() + n)) for show in shows] for n in range(8)]
    for n, kept in enumerate(views):
        for view in kept:
            np.testing.assert_array_equal(np.asarray(view)[-2:], [2.0 * (2 + n), 2.0 * (3 + n)])


def test_gradients_that_are_kept_do_not_change() -> None:
    weight = nn.Parameter(make())

    def step(x: Any) -> Any:
        weight.grad = None
        loss = (weight * x).pow(2).sum()
        loss.backward()
        return loss.detach()

    run = numgrad.compile(step, fullgraph=True, options=EXACT)
    kept, views, arrays = [], [], []
    for n in range(8):
        run(make() + n)
        kept.append(weight.grad)
        views.append(weight.grad[1:])
        run(make() + n)
        arrays.append(weight.grad.numpy())
    for n in range(8):
        wanted = 2 * make() * (make() + n) ** 2
        same(kept[n], wanted)
        same(views[n], wanted[1:])
        np.testing.assert_array_equal(arrays[n], wanted.numpy())


def test_results_changed_in_place_do_not_come_back() -> None:
    run = numgrad.compile(lambda x: x * 2, fullgraph=True, options=EXACT)
    for _ in range(6):
        y = run(make())
        y.zero_()
    same(run(make()), make() * 2)


def test_results_that_share_memory() -> None:
    def function(x: Any) -> Any:
        y = x * 2
        return y, y[1:], y

    run = steady(function, (make(),))
    y, view, again = run(make())
    y.add_(1)
    same(view, y[1:])
    same(again, y)


def test_numbers_and_constants_as_results() -> None:
    fixed = make()
    run = steady(lambda x: (x * 2, x.shape[0], x.ndim, "name", None, 2.5, x.shape, x.dtype), (make(),), (make(1.0),))
    assert run(make())[1] == 3
    run = steady(lambda x: (fixed, x * 2), (make(),))
    assert run(make())[0] is fixed


def test_mutable_results_are_new_at_each_call() -> None:
    run = numgrad.compile(lambda x: {"list": [x * 2], "set": {1}}, options=EXACT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(6):
            found = run(make())
            assert found["set"] == {1} and len(found["list"]) == 1
            found["set"].add(2)
            found["list"].append(3)


def test_random_numbers_are_those_of_eager_code() -> None:
    dropout = nn.Dropout(0.5)

    def function(x: Any) -> Any:
        return dropout(x) + numgrad.randn(3) + numgrad.rand(3), numgrad.randint(0, 9, (3,)), numgrad.randperm(5)

    def draw(step: Any) -> list[Any]:
        numgrad.manual_seed(7)
        found = [step(make()) for _ in range(5)]
        numgrad.rand(1)
        found.append(step(make()))
        state = numgrad.get_rng_state()
        found += [step(make()), step(make())]
        numgrad.set_rng_state(state)
        return [*found, step(make())]

    run = numgrad.compile(function, fullgraph=True, options=EXACT)
    for _ in range(2):
        for a, b in zip(draw(run), draw(function), strict=True):
            same(a, b)
