"""Fusion: neighbouring pointwise launches over the same number of elements become one kernel.

A launch can join a group if it may run where the group runs: nothing in between writes what it reads, or touches what it
writes; or if the group may move to it in the same sense. Inside a group values pass in registers, and what nobody else reads
is never stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..jit import formula
from ..jit.fusion import Statement, fused
from ..jit.program import Call, Place, signature_of
from ..ops.walk import LETTERS, collapse, contiguous_strides, walk
from .recorder import Memory, address
from .recording import Recording, places
from .simplify import effects, results_of

#: Formulas and arrays of one fused kernel.
_STATEMENTS, _ARRAYS = 24, 14
#: Groups that a launch may still join.
_OPEN = 8


_RESULT = -(10**9)  # stands for a use after the step


class Operand(NamedTuple):
    """An array as a function of the element number: a start in bytes, and strides in elements over some dimensions."""

    memory: int
    offset: int
    dtype: np.dtype
    dims: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def dense(self) -> bool:
        """Whether elements follow one another."""
        return self.strides == tuple(contiguous_strides(self.dims))


class Member(NamedTuple):
    """A pointwise launch over a number of elements."""

    at: int
    call: Call
    elements: int
    output: Operand
    inputs: tuple[Operand, ...]


def member(at: int, step: Any, memories: list[Memory]) -> Member | None:
    """A step as a member of a group, if it is pointwise and its output dense."""
    form = step.kernel.form if type(step) is Call else None
    if form is None:
        return None
    arrays = step.args[: len(form.layouts)]
    if set(form.layouts) <= set("fs="):
        count = math.prod(arrays[0].shape)
        operands = [Operand(a.memory, a.offset, a.dtype, (count,), (0,) if c == "s" else (1,)) for a, c in zip(arrays, form.layouts, strict=True)]
    else:
        found = _strided(step, arrays, form.layouts, memories)
        if found is None:
            return None
        count, operands = found
    output, *inputs = operands
    if any(o.memory == output.memory and not _same(o, output, count) for o in inputs):  # loops are told that there is no such thing
        return None
    return Member(at, step, count, output, tuple(inputs))


def _strided(step: Call, arrays: tuple[Any, ...], layouts: str, memories: list[Memory]) -> Any:
    shape, strides = (_content(p, memories) for p in step.args[len(layouts) : len(layouts) + 2])
    if shape is None or strides is None:
        return None
    n = len(shape)
    order = sorted((d for d in range(n) if shape[d] != 1), key=lambda d: -strides[0][d])
    dims = tuple(int(shape[d]) for d in order) or (1,)
    operands = []
    for a, letter, row in zip(arrays, layouts, strides, strict=True):
        steps = tuple(0 if letter == "s" else int(row[d]) for d in order) or (0,)
        start = 0 if letter == "s" else int(row[n])
        operands.append(Operand(a.memory, a.offset + start * a.dtype.itemsize, a.dtype, dims, steps))
    if operands[0].dims != (1,) and not operands[0].dense:
        return None
    if any(step < 0 for o in operands for step in o.strides):  # flipped: its place would have to begin at its end
        return None
    return math.prod(dims), operands


def _content(place: Any, memories: list[Memory]) -> Any:
    """What a constant array of integers holds."""
    owner = memories[place.memory].owner if type(place) is Place else None
    return None if not isinstance(owner, np.ndarray) or owner.shape != place.shape else owner.tolist()


class Group:
    """Members that run as one."""

    def __init__(self, first: Member):
        self.members = [first]
        self.written = {first.output.memory}
        self.read = {o.memory for o in first.inputs}

    def accepts(self, new: Member) -> bool:
        """Whether values can pass from the members to the new one and to memory as they would have."""
        if new.elements != self.members[0].elements or len(self.members) >= _STATEMENTS:
            return False
        for old in self.members:
            for operand in new.inputs:
                if operand.memory == old.output.memory and not _same(operand, old.output, new.elements):
                    return False
            for operand in (*old.inputs, old.output):
                if operand.memory == new.output.memory and not _same(operand, new.output, new.elements):
                    return False
        arrays = {o for m in (*self.members, new) for o in (*m.inputs, m.output)}
        return len(arrays) <= _ARRAYS and _nest(arrays, new.elements)

    def add(self, new: Member) -> None:
        """Take a launch in."""
        self.members.append(new)
        self.written.add(new.output.memory)
        self.read |= {o.memory for o in new.inputs}


class Part(NamedTuple):
    """What a pointwise launch computes, for those who do it elsewhere: `operands` are outputs (of the values `stores`, or
    a `Draw`), then inputs."""

    names: str
    statements: list[Statement]
    stores: list[Any]
    operands: list[Operand]
    elements: int
    cost: int
    states: tuple[Operand, ...] = ()  # of what is drawn for it

    @property
    def dense(self) -> bool:
        """Whether operands follow the elements, or are one for all."""
        return all(o.dense or not any(o.strides) for o in self.operands)

    @property
    def same(self) -> dict[int, int]:
        """Which inputs are what outputs held before, by their numbers: those outputs'."""
        outputs, inputs = self.operands[: len(self.stores)], self.operands[len(self.stores) :]
        where = {(o.memory, o.offset): k for k, o in enumerate(outputs)}
        return {n: where[o.memory, o.offset] for n, o in enumerate(inputs) if (o.memory, o.offset) in where}


def _same(a: Operand, b: Operand, count: int) -> bool:
    """Whether two operands are the same elements in the same order."""
    return a.offset == b.offset and a.dtype == b.dtype and (count == 1 or (a.dense and b.dense))


class Fusion:
    """The steps of a recording, fused. `notes` says for each group what it holds."""

    def __init__(self, recording: Recording):
        self.memories = recording.memories
        self.recording = recording
        self.steps = list(recording.steps)
        self.lines = list(recording.lines)
        self.effects = [effects(s) for s in self.steps]
        self.notes: list[str] = []
        self.parts: list[Part | None] = []  # for each step
        self._members: dict[int, Member] = {}
        groups, homes = self._groups()
        self._needed = self._outside_uses(groups)
        self._emit(groups, homes)

    # --- grouping ---

    def _groups(self) -> tuple[list[Group], dict[int, Group]]:
        """Groups of members, and each by the position at which it runs."""
        groups: list[Group] = []
        self._where = list(range(len(self.steps)))  # the position at which each step runs by now
        for at, step in enumerate(self.steps):
            found = member(at, step, self.memories)
            if found is None:
                continue
            self._members[at] = found
            for group in reversed(groups[-_OPEN:]):
                if not group.accepts(found):
                    continue
                home = self._where[group.members[0].at]
                if self._may_rise(found, group, home):
                    group.add(found)
                    self._where[at] = home
                    break
                if self._may_sink(group, home, at):
                    group.add(found)
                    for m in group.members:
                        self._where[m.at] = at
                    break
            else:
                groups.append(Group(found))
        groups = [g for g in groups if len(g.members) > 1]
        return groups, {self._where[g.members[0].at]: g for g in groups}

    def _between(self, group: Group, start: int, stop: int) -> tuple[set[int], set[int]]:
        """What steps that are not the group's, and run between two positions, read and write."""
        own = {m.at for m in group.members}
        reads: set[int] = set()
        written: set[int] = set()
        for at, where in enumerate(self._where):
            if start < where < stop and at not in own:
                reads |= self.effects[at][0]
                written |= self.effects[at][1]
        return reads, written

    def _may_rise(self, new: Member, group: Group, home: int) -> bool:
        reads, written = self._between(group, home, new.at)
        inputs = {o.memory for o in new.inputs}
        return not (inputs & written or new.output.memory in reads | written)

    def _may_sink(self, group: Group, home: int, at: int) -> bool:
        reads, written = self._between(group, home, at)
        return not (group.written & (reads | written) or group.read & written)

    def _outside_uses(self, groups: list[Group]) -> dict[int, set[int]]:
        """For each memory the steps outside of groups, and the groups (as negative numbers), that use it."""
        group_of = {m.at: n for n, g in enumerate(groups) for m in g.members}
        uses: dict[int, set[int]] = {}
        for at, step in enumerate(self.steps):
            for place in places(step):
                uses.setdefault(place.memory, set()).add(group_of[at] - len(groups) - 1 if at in group_of else at)
        for number in results_of(self.recording):
            uses.setdefault(number, set()).add(_RESULT)
        return uses

    # --- writing ---

    def _emit(self, groups: list[Group], homes: dict[int, Group]) -> None:
        gone = {m.at for g in groups for m in g.members}
        steps, lines = [], []
        for at, step in enumerate(self.steps):
            group = homes.get(at)
            if group is None and at in gone:
                continue
            part = self._part(group or Group(self._members[at])) if group or at in self._members else None
            steps.append(step if group is None or part is None else self.call(part))
            lines.append(self.lines[at])
            self.parts.append(part)
        self.steps, self.lines = steps, lines

    def _part(self, group: Group) -> Part:
        statements, loads, stores = _write(group)
        stored = [(value, o) for value, o in stores if len(group.members) == 1 or self._is_needed(o.memory)]
        elements = group.members[0].elements
        operands = _refine([o for _, o in stored] + loads, elements)
        cost = sum(formula.cost(m.call.kernel.form.tree) for m in group.members) * elements
        names = ", ".join(m.call.kernel.name.removesuffix("_kernel") for m in group.members)
        return Part(names, statements, [value for value, _ in stored], operands, elements, cost)

    def call(self, part: Part) -> Call:
        """The launch of a group's kernel."""
        kernel, args = self._kernel(part)
        self.notes.append(f"{kernel.name}: {part.names}")
        return Call(kernel, part.cost, signature_of(kernel, examples(args)), args)

    def _is_needed(self, memory: int) -> bool:
        return self.memories[memory].kind != "temporary" or len(self._needed[memory]) > 1

    def _kernel(self, part: Part) -> tuple[Any, tuple[Any, ...]]:
        statements, stores, operands, count = part.statements, part.stores, part.operands, part.elements
        inputs = len(operands) - len(stores)
        if part.dense:
            layouts = "".join("f" if o.dense or n < len(stores) else "s" for n, o in enumerate(operands))
            args = tuple(
                Place(o.memory, o.offset, o.dtype, (count if c == "f" else 1,), (o.dtype.itemsize,)) for o, c in zip(operands, layouts, strict=True)
            )
            states = tuple(Place(o.memory, o.offset, o.dtype, o.dims, (o.dtype.itemsize,)) for o in part.states)
            return fused(statements, stores, inputs, layouts, part.same), (*args, *states)
        dims, strides, cut, units = walk(operands[0].dims, [o.strides for o in operands])
        scalars = [n for n, o in enumerate(operands) if n >= len(stores) and not any(o.strides)]
        layouts = "".join("s" if n in scalars else LETTERS.get(s[-2], "n") for n, s in enumerate(strides))
        arrays = tuple(Place(o.memory, o.offset, o.dtype, (span_of(o),), (o.dtype.itemsize,)) for o in operands)
        geometry = tuple(self.constant(np.array(a, np.int64)) for a in (dims, strides, cut))
        return fused(statements, stores, inputs, layouts, {}), (*arrays, *geometry, units)

    def constant(self, array: np.ndarray) -> Place:
        """An array of the program's own."""
        self.memories.append(Memory("state", address(array), array.nbytes, array))
        return Place(len(self.memories) - 1, 0, array.dtype, array.shape, array.strides)


def span_of(o: Operand) -> int:
    """Elements from its first to its last."""
    return 1 + sum((n - 1) * s for n, s in zip(o.dims, o.strides, strict=True))


def _write(group: Group) -> tuple[list[Statement], list[Operand], list[tuple[int, Operand]]]:
    """Statements of a group, the operands it loads, and the value last written to each of its outputs."""
    statements: list[Statement] = []
    loads: list[Operand] = []
    values: dict[tuple[int, int], tuple[int, Operand]] = {}  # what memory holds in the course of the group
    for number, m in enumerate(group.members):
        names = {}
        for variable, operand in zip(m.call.kernel.form.variables, m.inputs, strict=True):
            known = values.get((operand.memory, operand.offset))
            if known is not None:
                names[variable] = f"v{known[0]}"
                continue
            if operand not in loads:
                loads.append(operand)
            names[variable] = f"x_in{loads.index(operand)}"
        statements.append(Statement(number, m.call.kernel.form.tree, names, m.call.kernel.form.compute, m.call.kernel.form.result))
        values[m.output.memory, m.output.offset] = (number, m.output)
    return statements, loads, list(values.values())


def _borders(operands: Iterable[Operand], count: int) -> list[int]:
    """Sizes of all inner parts that the dimensions of operands have, in order."""
    borders = {1, count}
    for o in operands:
        size = 1
        for n in reversed(o.dims):
            size *= n
            borders.add(size)
    return sorted(borders)


def _nest(operands: Iterable[Operand], count: int) -> bool:
    """Whether dimensions of operands can be cut alike."""
    borders = _borders(operands, count)
    return all(b % a == 0 for a, b in pairwise(borders))


def _refine(operands: list[Operand], count: int) -> list[Operand]:
    """Operands over the same dimensions: cut wherever one of them has a boundary, joined again where none does."""
    dims = [b // a for a, b in pairwise(_borders(operands, count))][::-1] or [1]
    strides = [_restride(o, dims) for o in operands]
    joined, steps = collapse(dims, strides)
    return [o._replace(dims=tuple(joined), strides=tuple(s)) for o, s in zip(operands, steps, strict=True)]


def _restride(o: Operand, dims: list[int]) -> list[int]:
    """The strides of an operand over finer dimensions."""
    fine: list[int] = []
    at = len(o.dims) - 1
    inside = 1
    for n in reversed(dims):
        fine.append(o.strides[at] * inside if at >= 0 else 0)
        inside *= n
        if at >= 0 and inside == o.dims[at]:
            at, inside = at - 1, 1
    return fine[::-1]


def examples(args: tuple[Any, ...]) -> list[Any]:
    """Values of the types that a program's arguments have."""
    return [np.empty((1,) * len(a.shape), a.dtype) if type(a) is Place else a for a in args]
