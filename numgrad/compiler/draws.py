"""Formulas draw the random numbers that they read, dropout's masks for instance: no launch of its own is left for these."""

from __future__ import annotations

import math

from ..jit.fusion import Draw
from ..jit.program import Call
from .fuse import Fusion, Operand
from .simplify import effects

#: Operations that it takes to draw an element.
_COST = 8


def take_draws(fused: Fusion) -> None:
    """Let the steps of a fusion that read what a launch draws do so themselves, where that launch was.

    What is drawn is kept, for the way back reads it, too.
    """
    used = [effects(s) for s in fused.steps]
    at = 0
    while at < len(fused.steps):
        step = fused.steps[at]
        reader = _reader(fused, used, at) if type(step) is Call and step.kernel.fills is not None else None
        if reader is not None:
            part = fused.parts[reader]
            assert part is not None
            out, state, *numbers = step.args
            drawn = Operand(out.memory, out.offset, out.dtype, part.operands[0].dims, part.operands[0].strides)
            count = len(part.stores)
            part = part._replace(
                names=f"{step.kernel.name}, {part.names}",
                stores=[*part.stores, Draw(step.kernel.fills, tuple(numbers))],
                operands=[*part.operands[:count], drawn, *part.operands[count:]],
                cost=part.cost + _COST * part.elements,
                states=(*part.states, Operand(state.memory, state.offset, state.dtype, state.shape, (1,))),
            )
            fused.steps[at], fused.parts[at], fused.lines[at] = fused.call(part), part, fused.lines[reader]
            for rows in (fused.steps, fused.parts, fused.lines):
                del rows[reader]
            used = [effects(s) for s in fused.steps]
        at += 1


def _reader(fused: Fusion, used: list[tuple[set[int], set[int]]], at: int) -> int | None:
    """The step that reads what another has drawn before all others do, if it may run there, and draw it."""
    out = fused.steps[at].args[0]
    reader = next((n for n in range(at + 1, len(used)) if out.memory in used[n][0] | used[n][1]), None)
    part = None if reader is None else fused.parts[reader]
    if part is None or reader is None or not part.dense or part.elements != math.prod(out.shape):
        return None
    inputs = part.operands[len(part.stores) :]
    there = any((o.memory, o.offset, o.dtype) == (out.memory, out.offset, out.dtype) and o.dense for o in inputs)
    reads, written = used[reader]
    free = not any(written & (r | w) or reads & w for r, w in used[at + 1 : reader]) and not written & (used[at][0] | used[at][1])
    return reader if there and free else None


__all__ = ["take_draws"]
