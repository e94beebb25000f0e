"""What changes around a compiled function: weights, optimizers, modes, threads, processes; and that nothing is kept too long."""

from __future__ import annotations

import copy
import gc
import io
import logging
import multiprocessing
import pickle
import threading
import tracemalloc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
import numgrad.nn as nn
from tests.compiler.footguns import EXACT, make, same, variants

interpreted = pytest.mark.interpreted


def training(optimizer: Callable[..., Any]) -> tuple[Any, Any, Callable[..., Any]]:
    """A model, its optimizer and its step, made anew from the same numbers."""
    numgrad.manual_seed(0)
    model: Any = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    made = optimizer(model.parameters())

    def step(x: Any) -> Any:
        made.zero_grad()
        loss = model(x).pow(2).mean()
        loss.backward()
        made.step()
        return loss.detach()

    return model, made, step


def alike(optimizer: Callable[..., Any], *events: Callable[[Any, Any], Any], fullgraph: bool = True) -> Any:
    """Train eagerly and compiled, with events in between: the same losses and weights. Returns the compiled step."""
    found = []
    for compiled in (False, True):
        model, made, step = training(optimizer)
        run = numgrad.compile(step, fullgraph=fullgraph, options=EXACT) if compiled else step
        losses = []
        for event in (lambda m, o: None, *events):
            event(model, made)
            losses += [run(make(1.0, 2.0, 3.0 + k).reshape(1, 3)).item() for k in range(4)]
        found.append((losses, [p.detach().numpy().copy() for p in model.parameters()]))
    assert found[0][0] == found[1][0]
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(a, b)
    return run


def edit(**values: Any) -> Callable[[Any, Any], None]:
    return lambda model, optimizer: optimizer.param_groups[0].update(values)


SGD = lambda p: numgrad.optim.SGD(p, lr=0.1)
ADAM = lambda p: numgrad.optim.Adam(p, lr=0.01)


def test_hyperparameters_change() -> None:
    assert variants(alike(SGD, edit(lr=0.01), edit(lr=0.0), edit(lr=1))) == 2  # a rate of 1 is an int
    alike(SGD, edit(momentum=0.9), edit(momentum=0.5), edit(momentum=0.0), edit(weight_decay=0.1), edit(nesterov=True, momentum=0.9))
    assert variants(alike(ADAM, edit(lr=0.1), edit(betas=(0.5, 0.6)), edit(eps=1e-3))) == 1
    alike(ADAM, edit(weight_decay=0.1), edit(maximize=True))


@interpreted
def test_groups_are_added_and_edited() -> None:
    def add(model: Any, optimizer: Any) -> None:
        optimizer.add_param_group({"params": list(model[2].parameters()), "lr": 0.5})

    def remove(model: Any, optimizer: Any) -> None:
        optimizer.param_groups.pop()

    def shorten(model: Any, optimizer: Any) -> None:
        optimizer.param_groups[0]["params"] = optimizer.param_groups[0]["params"][:1]

    def delete(model: Any, optimizer: Any) -> None:
        del optimizer.param_groups[0]["params"][-1]

    def replace(model: Any, optimizer: Any) -> None:
        optimizer.param_groups = [{**optimizer.param_groups[0], "lr": 0.3}]

    def first(p: Any) -> Any:
        return numgrad.optim.SGD(list(p)[:2], lr=0.1, momentum=0.9)

    alike(first, add, edit(lr=0.2), remove, delete, add, replace, shorten)


@interpreted
def test_states_are_loaded() -> None:
    saved: dict[str, Any] = {}

    def save(model: Any, optimizer: Any) -> None:
        saved.update(model=copy.deepcopy(model.state_dict()), optimizer=copy.deepcopy(optimizer.state_dict()))

    def load(model: Any, optimizer: Any) -> None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])

    def replace(model: Any, optimizer: Any) -> None:
        model.load_state_dict({k: v * 2 for k, v in saved["model"].items()}, assign=True)
        optimizer.param_groups[0]["params"] = list(model.parameters())

    def forget(model: Any, optimizer: Any) -> None:
        optimizer.state.clear()

    alike(ADAM, save, load, forget, load, replace)


@interpreted
def test_parameters_change_in_place_in_data_and_in_what_they_require() -> None:
    def halve(model: Any, optimizer: Any) -> None:
        with numgrad.no_grad():
            for p in model.parameters():
                p.mul_(0.5)

    def swap(model: Any, optimizer: Any) -> None:
        model[0].weight.data = model[0].weight.data * 2
        model[0].bias.data = numgrad.zeros(8)[::2]

    def freeze(model: Any, optimizer: Any) -> None:
        model[0].weight.requires_grad_(not model[0].weight.requires_grad)

    def clear(model: Any, optimizer: Any) -> None:
        for p in model.parameters():
            p.grad = None

    def give(model: Any, optimizer: Any) -> None:
        for p in model.parameters():
            p.grad = numgrad.ones_like(p)

    alike(SGD, halve, swap, freeze, clear, freeze, give)


@interpreted
def test_modules_change() -> None:
    def replace(model: Any, optimizer: Any) -> None:
        model[1] = nn.ReLU()

    def insert(model: Any, optimizer: Any) -> None:
        model.append(nn.Tanh())

    def hook(model: Any, optimizer: Any) -> None:
        model[0].register_forward_hook(lambda module, args, result: result * 2)

    def tie(model: Any, optimizer: Any) -> None:
        model[0].bias = nn.Parameter(model[2].weight.detach()[0].clone())

    def evaluate(model: Any, optimizer: Any) -> None:
        model.append(nn.Dropout(0.5))
        model.eval()

    def gradient_hook(model: Any, optimizer: Any) -> None:
        model[0].weight.register_hook(lambda g: g * 2)

    def step_hook(model: Any, optimizer: Any) -> None:
        optimizer.register_step_post_hook(lambda *_: model[0].weight.data.mul_(0.5))

    alike(SGD, replace, insert, tie, evaluate, hook, gradient_hook, step_hook)


@interpreted
def test_copies_are_apart() -> None:
    numgrad.manual_seed(0)
    model = nn.Linear(3, 2)
    compiled = numgrad.compile(model, options=EXACT)
    x = make().reshape(1, 3)
    with numgrad.no_grad():
        for _ in range(4):
            compiled(x)
        twin = copy.deepcopy(compiled)
        again = pickle.loads(pickle.dumps(compiled))
        twin._orig_mod.weight.zero_()
        again._orig_mod.weight.mul_(2)
        for _ in range(4):
            same(compiled(x), model(x))
            same(twin(x), model.bias.detach().reshape(1, 2))
            same(again(x), again._orig_mod(x))
    assert not numgrad.equal(again(x), compiled(x))
    buffer = io.BytesIO()
    numgrad.save(compiled.state_dict(), buffer)
    buffer.seek(0)
    compiled.load_state_dict(numgrad.load(buffer))


@interpreted
def test_two_functions_share_parameters() -> None:
    numgrad.manual_seed(0)
    layer = nn.Linear(3, 3)
    optimizer = numgrad.optim.SGD(layer.parameters(), lr=0.1)

    def train(x: Any) -> Any:
        optimizer.zero_grad()
        layer(x).sum().backward()
        optimizer.step()

    forward = numgrad.compile(lambda x: layer(x), fullgraph=True, options=EXACT)
    train_fast = numgrad.compile(train, fullgraph=True, options=EXACT)
    x = make()
    for _ in range(6):
        train_fast(x)
        with numgrad.no_grad():
            same(forward(x), layer(x))
        layer.zero_grad()


@interpreted
def test_compiled_inside_compiled() -> None:
    inner = numgrad.compile(lambda x: x * 2, options=EXACT)
    outer = numgrad.compile(lambda x: inner(x) + 1, fullgraph=True, options=EXACT)
    for n in range(5):
        same(outer(make() + n), (make() + n) * 2 + 1)
        same(inner(make() + n), (make() + n) * 2)
    assert variants(outer) == 1 and variants(inner) == 1


@interpreted
def test_modes() -> None:
    weight = nn.Parameter(make())
    run = numgrad.compile(lambda x: x * weight, options=EXACT)
    for _ in range(4):
        assert run(make()).requires_grad
        with numgrad.no_grad():
            assert not run(make()).requires_grad
        with numgrad.inference_mode():
            assert not run(make()).requires_grad
    weight.requires_grad_(False)
    for _ in range(4):
        assert not run(make()).requires_grad


@interpreted
def test_a_backward_pass_that_comes_late_or_never() -> None:
    weight = nn.Parameter(make())
    calls = []
    run = numgrad.compile(lambda x: (x * weight).exp(), options=EXACT)
    for n in range(60):
        y = run(make())
        calls.append(y.requires_grad)
        if n > 30:
            y.sum().backward()
            same(weight.grad, (make() * weight.detach()).exp() * make())
            weight.grad = None
    assert all(calls) and variants(run) == 1


@interpreted
def test_the_default_dtype() -> None:
    run = numgrad.compile(lambda x: x.sum() + numgrad.ones(1), fullgraph=True, options=EXACT)
    x = numgrad.arange(3)
    for dtype in (numgrad.float32, numgrad.float64, numgrad.float32):
        numgrad.set_default_dtype(dtype)
        try:
            for _ in range(4):
                assert run(x).dtype == dtype
        finally:
            numgrad.set_default_dtype(numgrad.float32)


@pytest.mark.native
def test_the_number_of_threads() -> None:
    run = numgrad.compile(lambda x: (x.exp() * 2).sum(), fullgraph=True)
    x, before = numgrad.linspace(0, 1, 100_000), numgrad.get_num_threads()
    try:
        found = []
        for threads in (1, 1, 1, 2, 1, 2):
            numgrad.set_num_threads(threads)
            found.append(run(x).item())
    finally:
        numgrad.set_num_threads(before)
    assert len(set(found)) == 1


def _in_child(run: Any, queue: Any) -> None:
    queue.put([run(numgrad.linspace(0, 1, 50_000)).tolist()[-1] for _ in range(3)])


@pytest.mark.native
def test_a_forked_child() -> None:
    scale = make(2.0)
    run = numgrad.compile(lambda x: x.exp() * scale, options=EXACT)
    wanted = [run(numgrad.linspace(0, 1, 50_000)).tolist()[-1] for _ in range(3)]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns where a process with threads forks
        child = context.Process(target=_in_child, args=(run, queue))
        child.start()
    assert queue.get(timeout=60) == wanted
    child.join()
    assert child.exitcode == 0


def test_several_threads() -> None:
    weight = nn.Parameter(make())
    forward = numgrad.compile(lambda x: (x * weight).exp(), options=EXACT)
    double = numgrad.compile(lambda x: x * 2, options=EXACT)
    faults: list[Any] = []

    def work(n: int) -> None:
        try:
            for k in range(40):
                x = make() * n / 10 + k / 100
                same(double(x), x * 2)
                y = forward(x)
                (g,) = numgrad.autograd.grad(y.sum(), weight)
                same(g, (x * weight.detach()).exp() * x)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert faults == []
    assert variants(double) == 1


@interpreted
def test_an_exception_while_recording() -> None:
    weight, fail = nn.Parameter(make()), [True, False, True, False]

    def step(x: Any) -> Any:
        y = x * weight
        if fail and fail[0]:
            raise ValueError("stop")
        return y.detach() + 1

    run = numgrad.compile(step, options=EXACT)
    for _ in range(4):
        if fail[0]:
            with pytest.raises(ValueError, match="stop"):
                run(make())
        else:
            same(run(make()), make() * make() + 1)
        fail.append(fail.pop(0))
    assert not numgrad.compiler.is_compiling()
    fail.clear()
    for _ in range(4):
        same(run(make()), make() * make() + 1)
    assert variants(run) >= 1


@interpreted
def test_an_exception_in_a_replay_leaves_the_function_usable() -> None:
    table = make(1.0, 2.0, 3.0)
    run = numgrad.compile(lambda i: table[i] * 2, fullgraph=True, options=EXACT)
    for _ in range(4):
        run(numgrad.tensor([0, 1]))
    for _ in range(3):
        with pytest.raises(IndexError):
            run(numgrad.tensor([0, 7]))
        same(run(numgrad.tensor([2, 1])), make(6.0, 4.0))


@interpreted
def test_nothing_is_kept_alive() -> None:
    model, optimizer, step = training(ADAM)
    run = numgrad.compile(step, fullgraph=True, options=EXACT)
    module = numgrad.compile(nn.Linear(3, 3), options=EXACT)
    for _ in range(4):
        argument = make().reshape(1, 3)
        run(argument)
        module(argument).sum().backward()
    things = [weakref.ref(t) for t in (model, model[0].weight, optimizer, run, module, module._orig_mod, argument)]
    del argument
    gc.collect()
    assert things[-1]() is None
    del model, optimizer, step, run, module
    gc.collect()
    assert [t() for t in things] == [None] * len(things)


@interpreted
def test_the_first_arguments_are_not_kept_alive() -> None:
    run = numgrad.compile(lambda x: x * 2, options=EXACT)
    refs = []
    for _ in range(4):
        x = make()
        refs.append(weakref.ref(x._data))
        run(x)
    del x
    gc.collect()
    assert [r() for r in refs] == [None] * 4


def test_replays_take_no_memory() -> None:
    _, _, step = training(ADAM)
    run = numgrad.compile(step, fullgraph=True, options=EXACT)
    x = make().reshape(1, 3)
    for _ in range(50):
        run(x)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(_REPLAYS):
        run(x)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


_REPLAYS = 300 if numgrad.jit.DISABLED else 10_000


@interpreted
def test_the_log_names_what_changed(caplog: pytest.LogCaptureFixture) -> None:
    weight, settings = nn.Parameter(make()), {"scale": 2.0}
    run = numgrad.compile(lambda x, k=1.0: x * weight.detach() * settings["scale"] * k, options=EXACT)
    caplog.set_level(logging.INFO, "numgrad.compile")

    def logged(*arguments: Any) -> str:
        caplog.clear()
        for _ in range(3):
            run(*arguments)
        return " | ".join(r.getMessage() for r in caplog.records)

    assert logged(make()) == ""
    assert "argument 0: shape (3,) -> (1,)" in logged(make(1.0))
    assert "argument 0: dtype float32 -> int64" in logged(numgrad.arange(3))
    assert "the number or the nest of the arguments" in logged(make(), 2.0)
    assert "argument 1: 2.0 -> 3.0" in logged(make(), 3.0)
    settings["scale"] = 3.0
    assert "scale" in logged(make())
    weight.requires_grad_(False)
    assert "require a gradient" in logged(make())
    weight.data = weight.data.double()
    assert "the shape or memory of a parameter" in logged(make())
