"""A step over all parameters of a group as one native call: the updates that were launched one by one, as a program.

A small update takes a microsecond; to look up its plan and launch it takes three. A round is made of plans that all fitted. As long
as everything is as it was but the values, and the memory of the gradients, one look at their arrays is what is left to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter, is_
from typing import Any

import numpy as np

from ..jit import DEBUG, observed
from ..jit.alike import Alike
from ..jit.borrow import address
from ..jit.program import Call, Place, Program, signature_of
from ..tensor import Tensor
from .optim import Plan

__all__ = ["Round", "make"]

_data_of, _counter_of, _grad_of = attrgetter("_data"), attrgetter("_counter"), attrgetter("grad")


class Round:
    """The updates of some parameters, in their order. `entries`: the state of each of those that have a gradient, by name."""

    def __init__(self, params: Sequence[Tensor], plans: Sequence[Plan], entries: Sequence[dict[str, Any]]):
        self.params, self.plan, self.entries = list(params), plans[0], list(entries)
        self.values = list(chain.from_iterable(map(dict.values, self.entries)))
        self.tensors = [t for plan in plans for t in plan.tensors]
        self.held = [a for plan in plans for a in plan.held]
        self.counters = [t.version_counter() for t in self.tensors]
        self.busy = threading.Lock()
        grads = self._grads()
        self._like = [g is not None for g in grads]
        self.active = [p for p, there in zip(self.params, self._like, strict=True) if there]
        steps, addresses = _program([g for g in grads if g is not None], plans)
        self.program = Program(steps, len(addresses))
        self.program.addresses[:] = addresses
        numbers = iter(range(len(plans)))
        self.alike = Alike(grads, [next(numbers) if there else -1 for there in self._like], self.program.addresses)

    def _grads(self) -> list[Any]:
        return [None if g is None else g._data for g in map(_grad_of, self.params)]

    def run(self, params: Sequence[Tensor], state: dict[Any, Any], setting: np.ndarray, choose: Callable[..., Any]) -> bool:
        """Do all updates, if this still is the step to take; else none of them. `choose(param, entry)`: the update to launch, and on what."""
        if not self._holds(params, state, setting, choose) or not self.busy.acquire(False):
            return False
        try:
            grads = self._grads()  # they live until the program has run
            if not self.alike.take(grads):
                return False
            self.program.run()
        finally:
            self.busy.release()
        for counter in self.counters:
            counter[0] += 1
        return True

    def _holds(self, params: Sequence[Tensor], state: dict[Any, Any], setting: np.ndarray, choose: Callable[..., Any]) -> bool:
        """Whether parameters, their state and the memory of both are as they were. (The same state makes the same choice for all.)"""
        same = (
            len(params) == len(self.params) and all(map(is_, params, self.params))
            and all(map(is_, map(state.get, self.active), self.entries))
            and sum(map(len, self.entries)) == len(self.values)
            and all(map(is_, chain.from_iterable(map(dict.values, self.entries)), self.values))
            and all(map(is_, map(_data_of, self.tensors), self.held))
            and all(map(is_, map(_counter_of, self.tensors), self.counters))
            and setting is self.plan.arrays[-1] and not observed()
        )  # fmt: skip
        if not same:
            return False
        name, states = choose(self.active[0], self.entries[0] if self.entries else {})
        return name == self.plan.name and all(map(is_, states, self.plan.states))


def _program(grads: Sequence[np.ndarray], plans: Sequence[Plan]) -> tuple[list[Call], list[int]]:
    """The calls, and where their memories begin: first those of the gradients."""
    addresses, known, steps = [address(g) for g in grads], {}, []

    def place(array: np.ndarray, number: int | None = None) -> Place:
        if number is None:
            number = known.setdefault(id(array), len(addresses))
            if number == len(addresses):
                addresses.append(address(array))
        return Place(number, 0, array.dtype, (array.size,), (array.itemsize,))

    for number, (plan, grad) in enumerate(zip(plans, grads, strict=True)):
        arrays = (plan.held[0], grad, *plan.arrays)
        places = place(arrays[0]), place(grad, number), *map(place, arrays[2:])
        steps.append(Call(plan.kernel, plan.work, signature_of(plan.kernel, [a.reshape(-1) for a in arrays]), places))
    return steps, addresses


def make(params: Sequence[Tensor], plans: dict[Tensor, Plan], state: dict[Any, Any], stateless: bool) -> Round | None:
    """The round of a group all of whose plans have just been used; None where there cannot be one."""
    active = [p for p in params if p.grad is not None]
    if len(active) < 2 or DEBUG or observed() or not Alike.supported() or len(set(map(id, params))) < len(params):
        return None
    if any(p not in plans for p in active):
        return None
    return Round(params, [plans[p] for p in active], [] if stateless else [state[p] for p in active])
