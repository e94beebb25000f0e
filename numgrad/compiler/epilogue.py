"""Products that begin at what would be added to them: no launch of its own is left for a sum of gradients or a residual connection."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

import numpy as np

from ..jit import sweep
from ..jit.program import Call, Place
from ..ops.gemm import NOTHING
from .recorder import Memory, address
from .recording import Recording, places
from .simplify import effects, rename, results_of

#: Among the arguments of `_sum_parts`: how many columns a row has, and how far it is to the next row.
_COLUMNS, _STEP_Y = 4, 7


class _Sum(NamedTuple):
    """A product (and, should it have parts, their sum) at `steps`, and the launch at `at` that adds `other` to its result `y`."""

    at: int
    steps: tuple[int, ...]
    to: Place
    y: Place
    other: Place


def fold_sums(recording: Recording) -> tuple[list[str], list[str]]:
    """Let products begin at what a launch adds to them; what became of them, and of those that stay apart."""
    notes: list[str] = []
    apart: list[str] = []
    at = 0
    while at < len(recording.steps):
        uses = _uses(recording)
        for found in _sums(recording, at, uses):
            made = _accumulating(recording, found, uses) or _beginning(recording, found)
            if made is not None:
                calls, renamed, note = made
                notes.append(note)
                at -= len(found.steps)
                lines = [recording.lines[n] for n in found.steps]
                pairs = list(zip(recording.steps, recording.lines, strict=True))
                pairs[found.at : found.at + 1] = zip(calls, lines, strict=True)
                rename(recording, [pair for n, pair in enumerate(pairs) if n not in found.steps], renamed)
                break
            apart.append("_product and plus: what is added is needed later or read by the product, and the product has a bias or parts")
        at += 1
    return notes, apart


def _sums(recording: Recording, at: int, uses: dict[int, list[int]]) -> list[_Sum]:
    """How a launch adds a product to something, if it does."""
    step = recording.steps[at]
    form = step.kernel.form if type(step) is Call else None
    if form is None or form.layouts not in ("fff", "f=f", "ff=") or not _is_sum(form.tree):
        return []
    to, *operands = step.args
    if any(p.dtype != to.dtype for p in operands) or not to.dtype == form.compute == form.result or to.dtype not in NOTHING or to.dtype.kind != "f":
        return []
    fixed = results_of(recording)
    return [
        _Sum(at, tuple(uses[y.memory][:-1]), to, y, other)
        for y, other in (operands, operands[::-1])
        if _is_whole(recording, y) and y.memory not in (*fixed, other.memory, to.memory) and _makes(recording, uses[y.memory], at, y)
    ]


def _is_sum(tree: ast.expr) -> bool:
    return isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add) and all(isinstance(n, ast.Name) for n in (tree.left, tree.right))


def _is_whole(recording: Recording, place: Place) -> bool:
    """Whether a place is all of a temporary."""
    memory = recording.memories[place.memory]
    return memory.kind == "temporary" and place.offset == 0 and memory.length == place.shape[0] * place.dtype.itemsize


def _makes(recording: Recording, uses: list[int], at: int, y: Place) -> bool:
    """Whether y is made by a product, read by the launch at `at` alone, and the product may run there instead."""
    *made, last = uses
    if last != at or not 1 <= len(made) <= 2:
        return False
    steps = [recording.steps[n] for n in made]
    numbers = _numbers(recording, steps[0])
    if numbers is None or numbers[sweep.TAIL] or numbers[sweep.ADDS] or steps[0].args[0] != y or len(steps) != 1 + (numbers[sweep.PARTS] > 1):
        return False
    if len(steps) == 2 and (type(steps[1]) is not Call or steps[1].kernel.name != "_sum_parts" or steps[1].args[0] != y or any(steps[1].args[-3:])):
        return False
    read = _inputs(steps[0])
    return not any(effects(recording.steps[n])[1] & read for n in range(made[0] + 1, at) if n not in made)


def _inputs(product: Call) -> set[int]:
    """Memories that a product uses besides its result."""
    return {p.memory for p in product.args[1:] if type(p) is Place and p.shape != (0,)}


def _numbers(recording: Recording, step: Any) -> np.ndarray | None:
    """The plan of a product; None for another step."""
    if type(step) is not Call or step.kernel.name != "_product":
        return None
    owner = recording.memories[step.args[-1].memory].owner
    return owner if isinstance(owner, np.ndarray) else None


def _with(recording: Recording, product: Call, numbers: dict[int, int], **places: Place) -> Call:
    """A product with other numbers and places."""
    plan = _numbers(recording, product).copy()  # type: ignore[union-attr]
    for place, number in numbers.items():
        plan[place] = number
    recording.memories.append(Memory("state", address(plan), plan.nbytes, plan))
    y, a, b, bias, scratch, _ = product.args
    where = Place(len(recording.memories) - 1, 0, plan.dtype, plan.shape, plan.strides)
    return product._replace(args=(places.get("y", y), a, b, places.get("bias", bias), scratch, where))


def _accumulating(recording: Recording, found: _Sum, uses: dict[int, list[int]]) -> Any:
    """A product that is added to what nobody needs afterwards: a sum of gradients."""
    to, other = found.to, found.other
    product, *sums = [recording.steps[n] for n in found.steps]
    renamed = {}
    if (to.memory, to.offset) != (other.memory, other.offset):
        origin = recording.memories[other.memory]
        dead = origin.kind == "temporary" and other.memory not in results_of(recording) and uses[other.memory][-1] == found.at
        kept = to.memory in recording.kept
        if not (dead and not kept and _is_whole(recording, to) and uses[to.memory][0] == found.at and to.memory != other.memory):
            return None
        renamed[to.memory] = (other.memory, other.offset)
    if other.memory in _inputs(product):
        return None
    y = found.y._replace(memory=other.memory, offset=other.offset)
    if sums:
        calls = [product._replace(args=(y, *product.args[1:])), sums[0]._replace(args=(y, *sums[0].args[1:-3], 1, *sums[0].args[-2:]))]
    else:
        calls = [_with(recording, product, {sweep.ADDS: 1}, y=y)]
    return calls, renamed, "_product: is added to what it would be added to"


def _beginning(recording: Recording, found: _Sum) -> Any:
    """A product that begins at something else than zero, as it would at a bias: a residual connection."""
    product, *sums = [recording.steps[n] for n in found.steps]
    plan: Any = _numbers(recording, product)
    transposed = any(s.args[_STEP_Y] != s.args[_COLUMNS] for s in sums)
    if transposed or plan[sweep.HAS_BIAS] or found.to.memory in _inputs(product) | {found.other.memory}:
        return None
    y, bias = (found.y._replace(memory=p.memory, offset=p.offset) for p in (found.to, found.other))
    steps = {sweep.OUTER_BIAS: sweep.OUTER_Y, sweep.INNER_BIAS: sweep.INNER_Y, sweep.ROW_BIAS: sweep.STEP_Y}
    begins = {to: int(plan[source]) for to, source in steps.items()} | {sweep.HAS_BIAS: 1, sweep.COLUMN_BIAS: 1}
    calls = [_with(recording, product, begins, y=y, bias=bias), *[s._replace(args=(y, *s.args[1:])) for s in sums]]
    return calls, {}, "_product: begins at what is added to it"


def _uses(recording: Recording) -> dict[int, list[int]]:
    """The steps that name each memory, in order."""
    uses: dict[int, list[int]] = {}
    for at, step in enumerate(recording.steps):
        for number in {p.memory for p in places(step)}:
            uses.setdefault(number, []).append(at)
    return uses


__all__ = ["fold_sums"]
