"""Products, convolutions and norms take the formulas of what they make: a block of results goes through them while it is in the
cache. Bias, residual connections, activations and their gradients' masks then need no launch of their own, whatever else they read.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..jit import fusion, sweep, tail
from ..jit.program import Call, Place, Tail, signature_of
from ..ops import conv_plan
from ..ops.gemm import NOTHING
from ..ops.walk import contiguous_strides
from .ahead import ALONE, is_single, layout_of
from .fuse import Fusion, Operand, Part, examples, span_of
from .recorder import Memory, address
from .recording import places
from .simplify import effects, may_move, results_of

#: Blocks that a product of one block is cut into, where its tail is worth several threads; bytes of a block (of elements of 8)
#: that stay in the cache; elements of a row that is short.
_BLOCKS, _BLOCK, _SHORT = 4, 1 << 19, 128
_NO_PLAN = np.empty(0, np.int64)


class _End(NamedTuple):
    """A launch that finishes the elements of its first argument, all of them: its plan, and where in there a tail's numbers go."""

    plan: np.ndarray
    tail: int
    table: int
    units: int  # that may run side by side
    fresh: bool = True  # whether it does not begin with what was there


class Tails:
    """The steps of a fusion, where products and convolutions took what reads their results. `notes` says which; `apart` which did
    not, and why."""

    def __init__(self, fused: Fusion):
        self.fused, self.recording, self.notes, self.apart = fused, fused.recording, [], []  # type: ignore[var-annotated]
        self.steps, self.lines, self.parts = fused.steps, fused.lines, fused.parts
        self._effects = [effects(s) for s in self.steps]
        self._fixed = results_of(self.recording)
        at = 0
        while at < len(self.steps):
            at += 1 - self._take(at)

    def _take(self, at: int) -> int:
        """Give the formulas of a step to what makes one of its operands; how many steps that saves."""
        part = self.parts[at]
        if part is None:
            return 0
        count = len(part.stores)
        for n, operand in sorted(enumerate(part.operands[count:]), key=lambda o: -self._maker(at, o[1])):
            maker = self._maker(at, operand)
            end = _end_of(self.steps[maker], self.recording) if maker >= 0 and self.parts[maker] is None else None
            if end is None or not self._is_whole(operand, maker, part):
                continue
            why = self._obstacle(maker, at, n, part, end)
            if why is None:
                self._merge(maker, at, n, part, end)
                return 1
            self.apart.append(f"{self.steps[maker].kernel.name} and {part.names}: {why}")
        return 0

    def _maker(self, at: int, operand: Operand) -> int:
        """The last step before that writes an operand's memory, or -1."""
        return next((n for n in range(at - 1, -1, -1) if operand.memory in self._effects[n][1]), -1)

    def _is_whole(self, operand: Operand, maker: int, part: Part) -> bool:
        """Whether an operand is just the result of a launch."""
        y = self.steps[maker].args[0]
        same = (operand.memory, operand.offset, operand.dtype) == (y.memory, y.offset, y.dtype)
        return same and operand.dense and math.prod(y.shape) == part.elements

    def _obstacle(self, maker: int, at: int, number: int, part: Part, end: _End) -> str | None:
        """Why a launch cannot do what another does with its results, if it cannot."""
        y, count = part.operands[len(part.stores) + number], len(part.stores)
        read, written = self._effects[maker]
        others = [o for n, o in enumerate(part.operands) if n != count + number]
        if part.states and not part.dense:
            return "it draws random numbers for arrays that are not dense"
        if any(o.memory in written and not (n < count and o == y) for n, o in enumerate(others)):
            return "it reads or writes other results of the same launch"
        if any(o.memory in read for o in others[:count] if o != y):
            return "it overwrites what the launch reads"
        if not (may_move(self._effects, maker, at) or may_move(self._effects, at, maker)):
            return "others between them use what they make, or overwrite what they read"
        return "it is a single unit of work, the formulas enough for all threads" if end.units == 1 and part.cost >= ALONE else None

    # --- writing ---

    def _merge(self, maker: int, at: int, number: int, part: Part, end: _End) -> None:
        step = self.steps[maker]
        y = step.args[0]
        same = part.same
        home = None if number in same or not end.fresh else self._home(maker, at, number, part)
        if home is not None:
            same[number] = home
            y = y._replace(memory=part.operands[home].memory, offset=part.operands[home].offset)
        made = self._with(step, end, y, part, same)
        self.notes.append(f"{step.kernel.name}: ends in {part.names}")
        stays, goes = (at, maker) if may_move(self._effects, maker, at) else (maker, at)
        self.steps[stays], self._effects[stays], self.parts[stays] = made, effects(made), None
        self.lines[stays] = self.lines[maker]
        for rows in (self.steps, self.lines, self.parts, self._effects):
            del rows[goes]

    def _home(self, maker: int, at: int, number: int, part: Part) -> int | None:
        """An output that may take the place of the launch's result, which nobody else needs."""
        count = len(part.stores)
        y = part.operands[count + number]
        memory = self.fused.memories[y.memory]
        used = [n for n, s in enumerate(self.steps) if any(p.memory == y.memory for p in places(s))]
        if memory.kind != "temporary" or y.memory in self._fixed or used != [maker, at]:
            return None
        inputs = {o.memory for o in part.operands[count:]}
        return next((n for n, o in enumerate(part.operands[:count]) if o.dtype == y.dtype and o.memory not in inputs), None)

    def _with(self, step: Call, end: _End, y: Place, part: Part, same: dict[int, int]) -> Call:
        """A launch that ends in the formulas of a part."""
        work = step.work + part.cost
        if step.kernel.results is None and part.names in tail.TAILS and same == {0: 0} and len(part.operands) == 2:
            return self._ending(step, end, y, tail.address(y.dtype, part.names), 0)._replace(work=work)
        count, operands = len(part.stores), part.operands
        layouts = "".join(layout_of(o, n < count) for n, o in enumerate(operands))
        if step.kernel.results is not None:
            return self._going_on(step, y, part, layouts, same)._replace(work=work)
        kernel = fusion.behind(part.statements, part.stores, [o.dtype for o in (*operands, *part.states)], layouts, y.dtype, same)
        spans = [word for o in (*operands, *part.states) for word in (0, span_of(o))]
        strides = [step for o in operands for step in o.strides]
        table = np.array([0, len(operands[0].dims), *spans, *operands[0].dims, *strides], np.int64)
        where = [_place(o) for o in (*operands, *part.states)]
        for n, k in same.items():
            where[count + n] = where[k]  # also where the result is made instead
        made = self._ending(step, end, y, tail.address_of(kernel), address(table))
        return made._replace(work=work, tail=Tail(kernel, self.fused.constant(table), tuple(where), count))

    def _going_on(self, step: Call, y: Place, part: Part, layouts: str, same: dict[int, int]) -> Call:
        """The launch of a kernel that goes on with the formulas of a part."""
        count, operands = len(part.stores), part.operands
        kernel = fusion.after(step.kernel, part.statements, part.stores, len(operands) - count, layouts, same)
        geometry = (np.array(operands[0].dims, np.int64), np.array([o.strides for o in operands], np.int64))
        more = (*map(_place, operands), *(self.fused.constant(a) for a in geometry), *map(_place, part.states))
        signature = None if step.signature is None else (*step.signature, *signature_of(kernel, examples(more)))
        return Call(kernel, step.work, signature, (y, *step.args[1:], *more))

    def _ending(self, step: Call, end: _End, y: Place, tail_at: int, table_at: int) -> Call:
        if step.kernel.name == "_sum_parts":
            return step._replace(args=(y, *step.args[1:-2], tail_at, table_at))
        plan = end.plan.copy()
        plan[end.tail], plan[end.table] = tail_at, table_at
        if step.kernel.name == "_product":
            _cut(plan)
        memories = self.fused.memories
        memories.append(Memory("state", address(plan), plan.nbytes, plan))
        where = Place(len(memories) - 1, 0, plan.dtype, plan.shape, plan.strides)
        if step.kernel.name == "_product":
            return step._replace(args=(y, *step.args[1:-1], where))
        return step._replace(args=(y, *step.args[1:-2], where, step.args[-1]))


def _place(o: Operand) -> Place:
    return Place(o.memory, o.offset, o.dtype, (span_of(o),), (o.dtype.itemsize,))


def _plan_of(step: Call, argument: int, memories: list[Memory]) -> Any:
    owner = memories[step.args[argument].memory].owner
    return owner if isinstance(owner, np.ndarray) else None


def _end_of(step: Any, recording: Any) -> _End | None:
    """How a step finishes elements, if it does and has no tail yet."""
    if type(step) is not Call or step.tail is not None or step.args[0].dtype not in NOTHING:
        return None
    size = math.prod(step.args[0].shape)
    if step.kernel.results is not None and step.kernel.fastmath == {"contract"}:
        y = step.args[0]
        dense = all(n == 1 or a == b * y.dtype.itemsize for n, a, b in zip(y.shape, y.strides, contiguous_strides(y.shape), strict=True))
        return _End(_NO_PLAN, 0, 0, 1 if is_single(step) else 2) if dense else None
    if step.kernel.name == "_product":
        plan = _plan_of(step, -1, recording.memories)
        if plan is None or plan[sweep.TAIL] or plan[sweep.PARTS] > 1 or not plan[sweep.K]:
            return None
        batch = plan[sweep.UNITS] // (plan[sweep.DOWN] * plan[sweep.ACROSS])
        units = int(_cut(plan.copy()))
        return _End(plan, sweep.TAIL, sweep.TABLE, units, not plan[sweep.ADDS]) if batch * plan[sweep.M] * plan[sweep.N] == size else None
    if step.kernel.name == "_sum_parts" and step.kernel.function.__module__ == "numgrad.ops.gemm":
        *_, rest, _, given, _ = step.args
        return None if given or rest != size else _End(_NO_PLAN, 0, 0, size // step.args[4])
    if step.kernel.name == "_correlate" and step.args[0].dtype.kind == "f":
        plan = _plan_of(step, -2, recording.memories)
        free = plan is not None and plan[conv_plan.STRIP] and not plan[conv_plan.TAIL]
        return _End(plan, conv_plan.TAIL, conv_plan.TAIL_TABLE, int(plan[conv_plan.TASKS])) if free else None
    return None


def _cut(plan: np.ndarray) -> int:
    """Cut a product along its rows where that suits a tail, which makes no difference to the bits; how many blocks there are.

    Blocks of whole rows are dense, where rows are short; blocks of their own for several threads, where there was one; and,
    where nothing is packed for each of them, blocks that stay in the cache.
    """
    n, tall, packs = int(plan[sweep.N]), int(plan[sweep.TALL]), plan[sweep.PACKS_A] or plan[sweep.PACKS_B]
    high = -(-int(plan[sweep.M]) // tall)
    down, across, batch = int(plan[sweep.DOWN]), int(plan[sweep.ACROSS]), int(plan[sweep.UNITS] // (plan[sweep.DOWN] * plan[sweep.ACROSS]))
    if across > 1 and n < _SHORT and high >= 2 * down * across:
        down, across = down * across, 1
    if not packs:
        rows = max(1, _BLOCK * across // (8 * n * tall))
        down = max(down, -(-high // rows), 1 if batch * down * across > 1 else min(high, _BLOCKS))
        plan[sweep.TASKS] = max(plan[sweep.TASKS], min(batch * down * across, 2 * _BLOCKS))
    plan[sweep.DOWN], plan[sweep.ACROSS], plan[sweep.UNITS] = down, across, batch * down * across
    plan[sweep.BLOCK_ROWS] = min(plan[sweep.BLOCK_ROWS], -(-high // down))
    return int(plan[sweep.UNITS])


__all__ = ["Tails"]
