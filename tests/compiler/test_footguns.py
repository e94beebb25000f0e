"""What a compiled function must not get wrong: every value that it could have baked in, and every array that it could share."""

from __future__ import annotations

import contextvars
import functools
import os
import random
import time
import types
import warnings
from typing import Any

import numpy as np
import pytest

import numgrad
from tests.compiler.footguns import EXACT, make, same, stays_eager, steady, variants

pytestmark = pytest.mark.interpreted

SCALE, SETTINGS, TABLE = 2.0, {"power": 2}, [1.0, 2.0]


# --- values of Python -----------------------------------------------------------------------------------------------


def test_python_constants_as_arguments() -> None:
    run = steady(lambda x, k: x * k, (make(), 2.0), (make(), 3.0), (make(), 2), (make(), True), (make(), -0.0), (make(), 0.0))
    assert variants(run) == 6


def test_branches_on_python_values() -> None:
    def function(x: Any, how: str, deep: bool = False) -> Any:
        if deep:
            x = x * 2
        return {"sum": x.sum, "max": x.max}[how]()

    run = steady(function, (make(), "sum"), (make(), "max"), (make(), "sum", True))
    same(run(make(), how="max", deep=True), function(make(), "max", True))


def test_a_number_that_is_never_the_same_costs_no_memory() -> None:
    run = numgrad.compile(lambda x, k: x * k, options=EXACT)
    x = make()
    with pytest.warns(UserWarning, match="too many"):
        for k in range(300):
            same(run(x, k), x * k)
    assert len(run._kinds) < 300


def test_branches_on_values_of_tensors() -> None:
    stays_eager(lambda x: x * 2 if x.sum() > 5 else x - 1, "a value is read by Python", (make(1.0, 2.0),), (make(4.0, 5.0),))


def test_shapes_that_depend_on_values() -> None:
    stays_eager(lambda x: x[x > 1], "a value is read by Python", (make(1.0, 2.0),), (make(4.0, 5.0),))
    stays_eager(lambda x: x.nonzero(), "a value is read by Python", (make(1.0, 0.0),), (make(4.0, 5.0),))


def test_shapes() -> None:
    run = steady(lambda x: (x.reshape(-1) * x.shape[0]).sum(), (numgrad.ones(2, 3),), (numgrad.ones(3, 2),), (numgrad.ones(6),))
    assert variants(run) == 3


def test_globals_that_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: Any) -> Any:
        return x ** SETTINGS["power"] * SCALE + sum(TABLE)

    run = steady(function, (make(),))
    for target, key, value in ((SETTINGS, "power", 3), (SETTINGS, "more", 1), (globals(), "SCALE", 5.0), (globals(), "TABLE", [7.0])):
        monkeypatch.setitem(target, key, value)
        same(run(make()), function(make()))
        same(run(make()), function(make()))
    TABLE.append(9.0)
    same(run(make()), function(make()))
    TABLE[0] = 8.0
    same(run(make()), function(make()))


def test_closures_that_change() -> None:
    factor, weights, names = 2.0, [1.0, 2.0], {"a": make()}

    def function(x: Any) -> Any:
        return x * factor + sum(weights) + names["a"]

    run = steady(function, (make(),))
    factor = 3.0
    same(run(make()), function(make()))
    weights.append(4.0)
    same(run(make()), function(make()))
    names["a"] = make(7.0, 8.0, 9.0)
    same(run(make()), function(make()))
    names["a"] = make(7.0)
    same(run(make()), function(make()))


class Thing:
    def __init__(self) -> None:
        self.scale, self.weight, self.parts = 2.0, make(), [Part(1.0), Part(2.0)]

    def run(self, x: Any) -> Any:
        return x * self.scale + self.weight + sum(part.value for part in self.parts)

    @numgrad.compile(options=EXACT)
    def fast(self, x: Any) -> Any:
        return self.run(x)


class Part:
    __slots__ = ("value",)

    def __init__(self, value: float):
        self.value = value


def test_attributes_of_objects() -> None:
    thing, other = Thing(), Thing()
    other.scale = 5.0
    for _ in range(4):
        same(thing.fast(make()), thing.run(make()))
        same(other.fast(make()), other.run(make()))
    thing.scale = 7.0
    same(thing.fast(make()), thing.run(make()))
    thing.weight = make(0.0, 1.0, 5.0)
    same(thing.fast(make()), thing.run(make()))
    thing.weight.add_(1)
    same(thing.fast(make()), thing.run(make()))
    thing.parts[1].value = 9.0
    same(thing.fast(make()), thing.run(make()))
    thing.parts.append(Part(4.0))
    same(thing.fast(make()), thing.run(make()))


def test_objects_as_arguments() -> None:
    things = Thing(), Thing()
    things[1].scale = 4.0

    def function(thing: Any, x: Any) -> Any:
        return thing.run(x)

    run = steady(function, (things[0], make()), (things[1], make()))
    things[0].scale = 11.0
    same(run(things[0], make()), function(things[0], make()))


def test_what_python_reads_from_arrays_and_from_its_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_TEST_SCALE", "2")
    array, raw, variable, members = np.array([2.0, 3.0]), bytearray(b"\x02"), contextvars.ContextVar("variable", default=2.0), {1}

    def function(x: Any) -> Any:
        return x * float(array[0]) * raw[0] * variable.get() * len(members) * float(os.environ["NUMGRAD_TEST_SCALE"])

    run = steady(function, (make(),))
    changes = (
        lambda: array.__setitem__(0, 5.0), lambda: raw.__setitem__(0, 7), lambda: variable.set(3.0), lambda: members.add(2),
        lambda: monkeypatch.setenv("NUMGRAD_TEST_SCALE", "9"),
    )  # fmt: skip
    for change in changes:
        change()
        same(run(make()), function(make()))
        same(run(make()), function(make()))


def test_functions_that_are_replaced() -> None:
    tools = types.SimpleNamespace(act=lambda x: x.relu())
    run = steady(lambda x: tools.act(x), (make(-1.0, 2.0),))
    tools.act = lambda x: x * 3
    same(run(make(-1.0, 2.0)), make(-3.0, 6.0))


def test_default_arguments_and_partial() -> None:
    def function(x: Any, k: float = 2.0, *, shift: float = 1.0) -> Any:
        return x * k + shift

    run = steady(function, (make(),))
    function.__kwdefaults__["shift"] = 5.0
    same(run(make()), function(make()))
    function.__defaults__ = (7.0,)
    same(run(make()), function(make()))
    steady(functools.partial(function, k=3.0), (make(),))


def test_counters_in_python_run_eagerly() -> None:
    counts = {"calls": 0}

    def function(x: Any) -> Any:
        counts["calls"] += 1
        return x * 2

    run = numgrad.compile(function)
    with pytest.warns(UserWarning, match="changes during the call"):
        for _ in range(6):
            run(make())
    assert counts["calls"] == 6


def test_generators_as_results() -> None:
    def function(x: Any) -> Any:
        return (x * k for k in range(3))

    run = numgrad.compile(function)
    with pytest.warns(UserWarning, match="generator"):
        for _ in range(6):
            same(list(run(make())), list(function(make())))


def test_generators_as_arguments() -> None:
    run = numgrad.compile(lambda parts: sum(parts))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(6):
            same(run(make() * k for k in range(3)), make() * 3)


def test_printing_is_not_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def function(x: Any) -> Any:
        print("hello")  # noqa: T201
        return x * 2

    run = numgrad.compile(function)
    with pytest.warns(UserWarning, match="'print' is called"):
        for _ in range(6):
            run(make())
    assert capsys.readouterr().out == "hello\n" * 6


def test_clocks_and_the_random_numbers_of_python_are_not_baked_in() -> None:
    def dice(x: Any) -> Any:
        return x * 2 if random.random() < 2 else x

    def clock(x: Any) -> Any:
        return x * 2 if time.time() > 0 else x

    def array(x: Any) -> Any:
        return x * 2 if np.random.rand() < 2 else x  # noqa: NPY002

    generator = np.random.default_rng(0)

    def modern(x: Any) -> Any:
        return x * 2 if generator.random() < 2 else x

    for function, reason in ((dice, "random"), (clock, "time"), (array, "NumPy's random"), (modern, "random")):
        stays_eager(function, reason, (make(),))
