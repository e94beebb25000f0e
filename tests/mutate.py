"""Would the tests notice? Plants mistakes in every gradient rule, one at a time, and runs the gradient checks.

    python -m tests.mutate            every op (takes a while)
    python -m tests.mutate softmax    the rules that softmax's samples walk

A rule is deleted, its sign is flipped, or its result is made 1.001 times as large: the rules of registered ops and of the
formulas derived from them, also where only another op reaches them. Survivors are listed; there should be none.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ["NUMBA_DISABLE_JIT"] = "1"  # nothing to compile, so a mutant costs milliseconds

import numpy as np

from numgrad import dtypes
from numgrad.ops import REGISTRY
from numgrad.ops.elementwise import Pointwise
from numgrad.ops.planned import Planned
from numgrad.ops.record import Op, OpNode, rule_arguments
from numgrad.testing import checks, numpy_draw
from numgrad.testing.case import Case

SEEDS = 8
#: Calls tried on a mutant before it counts as a survivor.
PATIENCE = 12


def _each(gradient: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(gradient, (tuple, list)):
        return type(gradient)(_each(g, change) for g in gradient)
    return None if gradient is None else change(gradient)


MISTAKES: dict[str, Callable[[Any], Any]] = {
    "deleted": lambda gradient: _each(gradient, lambda g: None),
    "flipped": lambda gradient: _each(gradient, lambda g: -g),
    "scaled": lambda gradient: _each(gradient, lambda g: g * 1.001),
}


class Place(NamedTuple):
    """A rule: whose, and for which parameter."""

    op: Op
    parameter: int

    def __str__(self) -> str:
        return f"{self.op.name}, gradient of {self.op.parameters[self.parameter]}"


class Call(NamedTuple):
    """A sampled op and the seed of a sample."""

    name: str
    seed: int

    def case(self) -> Case:
        return Case.drawn(REGISTRY[self.name], numpy_draw(self.seed, np.float64, 4))

    def check(self) -> None:
        """The first gradients: two of a formula, whose others are derived; three of what may have a backward op."""
        checks.check_gradient(self.case())
        for order in (2,) if isinstance(REGISTRY[self.name], Pointwise) else (2, 3):
            checks.check_second_gradient(self.case(), order)


# --- which calls reach which rules ----------------------------------------------------------------------------------


def survey(names: list[str]) -> dict[Place, list[Call]]:
    """For each rule that gives something other than zero in these ops' checks, the calls in which it does; its own first."""
    found: dict[Place, list[Call]] = defaultdict(list)
    for name in names:
        for seed in range(SEEDS):
            call, seen = Call(name, seed), set()
            with _watching(seen), contextlib.suppress(Exception):  # what fails now is for the op's own tests to tell
                call.check()
            for place in seen:
                found[place].append(call)
    for place, calls in found.items():
        calls.sort(key=lambda c: c.name != place.op.name)
    return found


@contextlib.contextmanager
def _watching(seen: set[Place]) -> Iterator[None]:
    original = OpNode.gradients

    def gradients(node: OpNode, grads: list[Any], wanted: Any = None) -> list[Any]:
        received = original(node, grads, wanted)
        rest = iter(received)
        for parameter, count in enumerate(node.plan.counts):
            given = [next(rest) for _ in range(count)]
            if any(g is not None and np.any(g._data) for g in given):
                seen.add(Place(node.op, parameter))
        return received

    OpNode.gradients = gradients  # type: ignore[method-assign]
    try:
        yield
    finally:
        OpNode.gradients = original  # type: ignore[method-assign]


# --- planting -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def planted(place: Place, change: Callable[[Any], Any]) -> Iterator[None]:
    """The op with one rule's result changed."""
    op, rules = place.op, place.op.vjp
    before = op.__dict__.copy()
    if callable(rules):
        op.vjp = _changed(rules, lambda received: _at(received, place.parameter, change))
    else:
        op.vjp = tuple(_changed(r, change) if i == place.parameter else r for i, r in enumerate(rules))
    op._plans = {}
    _forget_calls()
    try:
        yield
    finally:
        _forget_calls()
        if isinstance(op, Pointwise):
            op.__dict__.pop("_vjp", None)
        op.__dict__.update(before)


def _forget_calls() -> None:
    """Ops remember how a call of some sort went, its gradient's plan included."""
    for plans in dtypes.default_dependent:  # of all formulas, the derived ones too
        plans.clear()
    for op in REGISTRY.values():
        if isinstance(op, Planned):
            op.calls.clear()


def _changed(rule: Any, change: Callable[[Any], Any]) -> Any:
    def mutant(*args: Any) -> Any:
        return change(rule(*args))

    mutant.arguments = tuple(rule_arguments(rule))  # type: ignore[attr-defined]
    return mutant


def _at(received: Any, index: int, change: Callable[[Any], Any]) -> Any:
    if not isinstance(received, tuple):
        return change(received)
    return tuple(change(g) if i == index else g for i, g in enumerate(received))


def survives(place: Place, change: Callable[[Any], Any], calls: list[Call]) -> bool:
    """Whether the checks pass all the same."""
    with planted(place, change):
        for call in calls[:PATIENCE]:
            try:
                call.check()
            except Exception:
                return False
    return True


def main(names: list[str]) -> int:
    """Print the tally; 1 if a mutant survives."""
    unknown = [n for n in names if n not in REGISTRY]
    if unknown:
        print(f"no such op: {', '.join(unknown)}")
        return 2
    places = survey(names or [name for name, op in REGISTRY.items() if op.sample is not None])
    survivors, count = [], 0
    for place, calls in places.items():
        for mistake, change in MISTAKES.items():
            count += 1
            if survives(place, change, calls):
                survivors.append(f"{place}: {mistake}")
                print(f"survives: {survivors[-1]} (in {', '.join(sorted({c.name for c in calls}))})", flush=True)
    print(f"{len(places)} rules, {count} mutants, {count - len(survivors)} caught, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
