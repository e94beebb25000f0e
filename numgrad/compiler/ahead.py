"""Reductions, norms and softmaxes take the formulas that make what they read: each unit computes its elements right before it
reads them, while they are in the cache. What a launch writes stays the same, to the bit."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np

from ..jit import fusion
from ..jit.program import Call, Place, signature_of
from ..ops.walk import contiguous_strides
from .fuse import Fusion, Part, examples, span_of
from .simplify import effects, may_move

#: Element operations from which formulas are worth two threads, so that a launch of a single unit should not take them.
ALONE = 32_768


class Producers:
    """The steps of a fusion, where kernels of units took their producers. `notes` says which; `apart` which did not, and why."""

    def __init__(self, fused: Fusion):
        self.fused, self.notes, self.apart = fused, [], []  # type: ignore[var-annotated]
        self.steps, self.lines, self.parts = list(fused.steps), list(fused.lines), list(fused.parts)
        self._effects = [effects(s) for s in self.steps]
        at = 0
        while at < len(self.steps):
            at += 1 - self._take(at)

    def _take(self, at: int) -> int:
        """Let the step take what makes its argument; how many steps that saves."""
        step = self.steps[at]
        if type(step) is not Call or step.kernel.units is None or step.kernel.fastmath != {"contract"}:
            return 0
        x = step.args[list(inspect.signature(step.kernel.function).parameters).index(step.kernel.units.argument)]
        maker = next((n for n in range(at - 1, -1, -1) if x.memory in self._effects[n][1]), None)
        part = None if maker is None else self.parts[maker]
        if part is None or maker is None or part.states:
            return 0
        why = self._obstacle(maker, at, x, part)
        if why is not None:
            self.apart.append(f"{step.kernel.name} and {self.steps[maker].kernel.name}: {why}")
            return 0
        made = self._merged(step, part)
        self.notes.append(f"{made.kernel.name}: {step.kernel.name} of {part.names}")
        stays, goes = (at, maker) if may_move(self._effects, maker, at) else (maker, at)
        self.steps[stays], self._effects[stays], self.parts[stays] = made, effects(made), None
        self.lines[stays] = self.lines[at]
        for rows in (self.steps, self.lines, self.parts, self._effects):
            del rows[goes]
        return 1

    def _obstacle(self, maker: int, at: int, x: Place, part: Part) -> str | None:
        """Why a launch cannot compute what it reads, if it cannot."""
        step, first = self.steps[at], self._effects[maker]
        output = next(o for o in part.operands[: len(part.stores)] if o.memory == x.memory)
        dense = all(n == 1 or a == b * x.dtype.itemsize for n, a, b in zip(x.shape, x.strides, contiguous_strides(x.shape), strict=True))
        if not dense or (output.offset, output.dtype, part.elements) != (x.offset, x.dtype, math.prod(x.shape)):
            return "it reads another part of the memory"
        if x.shape[-1:] > (step.kernel.units.widest,):
            return "its rows are cut into strips"
        others = {p.memory for p in step.args if type(p) is Place and p is not x}
        if others & first[1] or self._effects[at][1] & (first[0] | first[1]):
            return "it reads or writes other results of the same launch"
        if not (may_move(self._effects, maker, at) or may_move(self._effects, at, maker)):
            return "others between them use what they make, or overwrite what they read"
        alone = is_single(step) and part.cost >= ALONE
        return "one has a single unit of work, the other enough for all threads" if alone else None

    def _merged(self, step: Call, part: Part) -> Call:
        """The launch that does both."""
        count, operands = len(part.stores), part.operands
        layouts = "".join(layout_of(o, n < count) for n, o in enumerate(operands))
        kernel = fusion.ahead(step.kernel, part.statements, part.stores, len(operands) - count, layouts, part.same)
        arrays = tuple(Place(o.memory, o.offset, o.dtype, (span_of(o),), (o.dtype.itemsize,)) for o in operands)
        geometry = (np.array(operands[0].dims, np.int64), np.array([o.strides for o in operands], np.int64))
        more = (*arrays, *(self.fused.constant(a) for a in geometry))
        signature = None if step.signature is None else (*step.signature, *signature_of(kernel, examples(more)))
        work = 0 if is_single(step) else step.work + part.cost  # threads would wait for the one that has it
        return Call(kernel, work, signature, (*step.args, *more))


def is_single(step: Call) -> bool:
    """Whether a launch has a single unit of work: it writes one number, or (of three dimensions) one row."""
    return step.work == 0 or math.prod(step.args[0].shape[:2]) == 1


def layout_of(o: Any, output: bool) -> str:
    """The letter of an operand's layout in formulas that run in another kernel."""
    if output or o.dense:
        return "f"
    return "s" if not any(o.strides) else {0: "0", 1: "1"}.get(o.strides[-1], "n")


__all__ = ["ALONE", "Producers", "is_single", "layout_of"]
