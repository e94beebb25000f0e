"""Activations that run where a product writes: the tile is still in the cache, and no launch of their own is left."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import tail
from ..jit.program import Call, Place
from ..ops.gemm import NOTHING, PARTS, TAIL
from .recorder import Memory, address
from .recording import Recording, places
from .simplify import rename, results_of


def fold_tails(recording: Recording) -> list[str]:
    """Let products end in the activation that alone reads their result; what became of them."""
    fixed, uses = results_of(recording), _uses(recording)
    notes: list[str] = []
    renamed: dict[int, tuple[int, int]] = {}
    gone: set[int] = set()
    for at, step in enumerate(recording.steps):
        name = _activation(step)
        if name is None:
            continue
        to, source = step.args
        origin, target = recording.memories[source.memory], recording.memories[to.memory]
        whole = to.offset == 0 and target.length == to.shape[0] * to.dtype.itemsize
        owned = origin.kind == target.kind == "temporary" and source.memory not in fixed
        if not (whole and owned and uses[to.memory][0] == at and len(uses[source.memory]) == 2 and uses[source.memory][1] == at):
            continue
        before = uses[source.memory][0]
        product = _ending_in(recording, recording.steps[before], source, name)
        if product is not None:
            recording.steps[before] = product
            renamed[to.memory] = (source.memory, source.offset)
            gone.add(at)
            notes.append(f"{product.kernel.name}: ends in {name}")
    if gone:
        kept = [pair for at, pair in enumerate(zip(recording.steps, recording.lines, strict=True)) if at not in gone]
        rename(recording, kept, renamed)
    return notes


def _uses(recording: Recording) -> dict[int, list[int]]:
    """The steps that name each memory, in order."""
    uses: dict[int, list[int]] = {}
    for at, step in enumerate(recording.steps):
        for number in {p.memory for p in places(step)}:
            uses.setdefault(number, []).append(at)
    return uses


def _activation(step: Any) -> str | None:
    """The tail that does what a launch over dense arrays of one dtype does."""
    form = step.kernel.form if type(step) is Call else None
    if form is None or form.layouts != "ff":
        return None
    to, source = step.args
    name = step.kernel.name.removesuffix("_kernel")
    return name if name in tail.TAILS and to.dtype == source.dtype == form.compute == form.result and to.dtype in NOTHING else None


def _ending_in(recording: Recording, step: Any, y: Place, name: str) -> Call | None:
    """A product that writes all of y, with a tail; None for another step, or a product that has one or is not finished."""
    if type(step) is not Call or step.kernel.name != "_product" or step.args[0] != y:
        return None
    owner = recording.memories[step.args[-1].memory].owner
    if not isinstance(owner, np.ndarray) or owner[TAIL] or owner[PARTS] > 1:
        return None
    numbers = owner.copy()
    numbers[TAIL] = tail.address(y.dtype, name)
    recording.memories.append(Memory("state", address(numbers), numbers.nbytes, numbers))
    place = Place(len(recording.memories) - 1, 0, numbers.dtype, numbers.shape, numbers.strides)
    return step._replace(args=(*step.args[:-1], place))


__all__ = ["fold_tails"]
