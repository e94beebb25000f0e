"""Would the checks notice a wrong gradient? Plants mistakes in gradient rules, one at a time, and runs the checks.

    print(mutate(my_op))

The mistakes, one mutant each:

    deleted        the rule gives no gradient
    sign           its gradient is negated
    factor         its gradient is 1.001 times as large
    swapped        it gives the gradient of another input (or of another tensor of the same sequence)
    wrong axis     it gets another `dim`; where it gets none, its gradient is laid out along the other axis
    dropped term   one side of an addition or subtraction in it is left out; where it has none, its last element is

A mutant whose gradients are, in all calls tried, those of the unchanged rule is no mistake ("equivalent"), and not counted.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..ops.elementwise import Pointwise
from ..ops.planned import Planned
from ..ops.record import MISSING, REGISTRY, Op, OpNode
from . import gradients as first_order
from .case import Case
from .draw import numpy_draw
from .mistakes import Plant, plants
from .suite import SUITE, as_op

#: Samples drawn of each op to see which rules they reach.
SEEDS = 8
#: Calls tried on a mutant before it counts as a survivor.
PATIENCE = 12
#: The checks that see gradients.
CHECKS = ("gradient", "second gradient", "third gradient")


class Place(NamedTuple):
    """A rule: whose, and for which parameter."""

    op: Op
    parameter: int

    def __str__(self) -> str:
        return f"{self.op.name}, gradient of {self.op.parameters[self.parameter]}"


class Call(NamedTuple):
    """A sampled op and the seed of a sample; and the checks that fail there without a mutant, which tell nothing."""

    op: Op
    seed: int
    useless: tuple[str, ...] = ()

    def case(self) -> Case:
        """The call."""
        return Case.drawn(self.op, numpy_draw(self.seed, np.float64, 4))

    def failing(self) -> Iterator[str]:
        """The names of the checks that fail, one after the other."""
        for name in CHECKS:
            if name not in self.useless and SUITE[name].fits(self.op):
                try:
                    SUITE[name].run(self.op, numpy_draw(self.seed, np.float64, 4))
                except Exception:
                    yield name


class Mutant(NamedTuple):
    """A mistake in a place, and what became of it: the checks that caught it, none if it survived."""

    place: Place
    mistake: str
    caught_by: tuple[str, ...]
    #: the ops in whose calls the checks looked
    seen_from: tuple[str, ...]
    equivalent: bool = False

    @property
    def survived(self) -> bool:
        """Whether no check noticed."""
        return not self.caught_by and not self.equivalent

    def __str__(self) -> str:
        outcome = "equivalent" if self.equivalent else f"caught by {', '.join(self.caught_by)}" if self.caught_by else "SURVIVED"
        return f"{self.place}: {self.mistake}: {outcome} (in {', '.join(self.seen_from[:4])})"


class Mutation(list[Mutant]):
    """Mutants, in the order they were tried; as text, a line each, and the tally."""

    @property
    def survivors(self) -> list[Mutant]:
        """Those that no check noticed: there should be none."""
        return [m for m in self if m.survived]

    def tally(self) -> str:
        """Counts in words."""
        counted = [m for m in self if not m.equivalent]
        places, left = len({m.place for m in self}), len(self.survivors)
        same = len(self) - len(counted)
        return f"{places} rules, {len(counted)} mutants, {len(counted) - left} caught, {left} survived ({same} equivalent)"

    def __str__(self) -> str:
        return "\n".join([*map(str, self), self.tally()])


def mutate(op: Op, *, seeds: int = SEEDS, inner: bool | None = None, thorough: bool = False) -> Mutation:
    """Plant wrong gradients in an op, one at a time, and say which checks of `check_op` catch them.

    The rules are the op's own; with `inner` (default: for ops without rules, which are written in other ops) those of all ops that
    its samples reach too. `thorough` runs every check on each mutant, not only until one fails.
    """
    op = as_op(op)
    if op.sample is None:
        raise ValueError(f"mutate(): the op '{op.name}' declares no sample")
    places = survey([op], seeds)
    inner = op.composite if inner is None else inner
    own = {place: calls for place, calls in places.items() if inner or belongs(place.op, op)}
    return Mutation([m for place, calls in own.items() for m in mutants(place, calls, thorough)])


def belongs(found: Op, op: Op) -> bool:
    """Whether a rule's op is this one, or the formula of one of its gradients."""
    return found is op or (found.name not in REGISTRY and found.name.startswith(op.name + "_grad"))


# --- which calls reach which rules ----------------------------------------------------------------------------------


def survey(ops: Sequence[Op], seeds: int | Sequence[int] = SEEDS) -> dict[Place, list[Call]]:
    """For each rule that gives something other than zero in these ops' checks, the calls in which it does; its own first."""
    found: dict[Place, list[Call]] = defaultdict(list)
    for op in ops:
        for seed in range(seeds) if isinstance(seeds, int) else seeds:
            call, seen = Call(op, seed), set[Place]()
            with _watching(seen):
                call = call._replace(useless=tuple(call.failing()))  # what fails now is for `check_op` to tell
            for place in seen:
                found[place].append(call)
    for place, calls in found.items():
        calls.sort(key=lambda c: c.op is not place.op)
    return found


@contextlib.contextmanager
def _watching(seen: set[Place]) -> Iterator[None]:
    original = OpNode.gradients

    def gradients(node: OpNode, grads: list[Any], wanted: Any = None) -> Any:
        received = original(node, grads, wanted)
        rest = iter(received)
        for parameter, count in enumerate(node.plan.counts):
            given = [next(rest) for _ in range(count)]
            if any(g is not None and np.any(g._data) for g in given):
                seen.add(Place(node.op, parameter))
        return received

    OpNode.gradients = gradients  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        OpNode.gradients = original  # type: ignore[assignment, method-assign]


# --- planting -------------------------------------------------------------------------------------------------------


def mutants(place: Place, calls: Sequence[Call], thorough: bool = False, patience: int = PATIENCE) -> Iterator[Mutant]:
    """What becomes of each mistake in one place, looked for in the first so many calls."""
    if place.op.vjp in (None, MISSING):
        return
    names = tuple(dict.fromkeys(c.op.name for c in calls))
    for plant in plants(place.op, place.parameter):
        caught: dict[str, None] = {}
        with planted(place, plant):
            for call in calls[:patience]:
                for check in call.failing():
                    caught[check] = None
                    if not thorough:
                        break
                if caught and not thorough:
                    break
        yield Mutant(place, plant.mistake, tuple(caught), names, not caught and not plant.altered)


@contextlib.contextmanager
def planted(place: Place, plant: Plant) -> Iterator[None]:
    """The op with its rules changed."""
    op = place.op
    before, searched = op.__dict__.copy(), first_order.SEARCHED
    original = OpNode.gradients

    def gradients(node: OpNode, grads: list[Any], wanted: Any = None) -> Any:
        if node.op is op:
            counts = node.plan.counts
            edge = node.edges[sum(counts[: place.parameter])] if counts[place.parameter] == 1 else None
            plant.shapes = [] if edge is None else [edge[2].shape]
        return original(node, grads, wanted)

    op.vjp, op._plans = plant.rules, {}
    OpNode.gradients = gradients  # type: ignore[assignment, method-assign]
    first_order.SEARCHED = 0  # which element is wrong is of no interest
    _forget_calls()
    try:
        yield
    finally:
        first_order.SEARCHED = searched
        OpNode.gradients = original  # type: ignore[assignment, method-assign]
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


