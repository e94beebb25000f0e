"""What a recorded step can leave out: launches whose results nobody reads, and copies of what is not needed afterwards."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any

from ..jit.effects import writes
from ..jit.program import Call, Fill, Place
from .recording import Recording, moved, places


def effects(step: Any) -> tuple[set[int], set[int]]:
    """Memories that a step reads and writes. (An output may be read as well, so what is written counts as read.)"""
    used = {p.memory for p in places(step)}
    if type(step) is Fill:
        return set(), used
    if type(step) is not Call:
        return used, set()
    written = writes(step.kernel)
    outputs = () if step.tail is None else step.tail.operands[: step.tail.outputs]
    return used, {p.memory for n, a in enumerate((*step.args, outputs)) if n in written or n == len(step.args) for p in _inner(a)}


def may_move(effects: Sequence[tuple[set[int], set[int]]], this: int, other: int) -> bool:
    """Whether launch `this` may run where `other` does: none between them writes what it reads, or touches what it writes."""
    reads, written = effects[this]
    between = effects[min(this, other) + 1 : max(this, other)]
    return not any(written & (r | w) or reads & w for r, w in between)


def _inner(value: Any) -> list[Place]:
    if type(value) is Place:
        return [value]
    return [p for v in value for p in _inner(v)] if type(value) is tuple else []


def results_of(recording: Recording) -> set[int]:
    """Memories that outlive a step: of its results, of arrays that it leaves at sites, and what its graph keeps."""
    places = [o[0] for o in recording.outputs if type(o) is tuple] + [place for _, place in recording.made]
    return {p.memory for p in places} | set(recording.kept)


def drop_dead(recording: Recording) -> int:
    """Leave out launches that write temporaries which nobody reads later; how many."""
    live = results_of(recording)
    kept: list[tuple[Any, str]] = []
    for step, line in zip(reversed(recording.steps), reversed(recording.lines), strict=True):
        reads, written = effects(step)
        if written and all(recording.memories[n].kind == "temporary" and n not in live for n in written):
            continue
        live |= reads | written
        kept.append((step, line))
    dropped = len(recording.steps) - len(kept)
    recording.steps, recording.lines = [s for s, _ in reversed(kept)], [line for _, line in reversed(kept)]
    return dropped


def drop_copies(recording: Recording) -> int:
    """Let a temporary stand for its copy where it is not needed after it; how many copies that saves."""
    first, last = _spans(recording)
    fixed = results_of(recording)
    renamed: dict[int, tuple[int, int]] = {}  # memory of a copy -> what it was copied from, and how far in
    kept = []
    for at, (step, line) in enumerate(zip(recording.steps, recording.lines, strict=True)):
        pair = _copy(step)
        if pair is not None:
            to, source = pair
            target, origin = recording.memories[to.memory], recording.memories[source.memory]
            whole = to.offset == 0 and target.length == math.prod(to.shape) * to.dtype.itemsize
            owned = target.kind == origin.kind == "temporary" and source.memory not in fixed and to.memory not in recording.kept
            if whole and owned and first[to.memory] == at and last[source.memory] == at and to.memory != source.memory:
                renamed[to.memory] = (source.memory, source.offset)
                continue
        kept.append((step, line))
    if renamed:
        rename(recording, kept, renamed)
    return len(renamed)


def _copy(step: Any) -> tuple[Place, Place] | None:
    """Output and input of a launch that copies one dense array into another of its dtype."""
    form = step.kernel.form if type(step) is Call else None
    if form is None or form.layouts != "ff" or not isinstance(form.tree, ast.Name):
        return None
    to, source = step.args
    return (to, source) if to.dtype == source.dtype == form.compute == form.result else None


def _spans(recording: Recording) -> tuple[dict[int, int], dict[int, int]]:
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for at, step in enumerate(recording.steps):
        for place in places(step):
            first.setdefault(place.memory, at)
            last[place.memory] = at
    return first, last


def rename(recording: Recording, kept: list[tuple[Any, str]], renamed: dict[int, tuple[int, int]]) -> None:
    """Keep these steps and lines; places in memories that are renamed lie in another one from now on, so far in.

    What is kept for the way back is known there by its memory's number, so it must not be renamed.
    """
    assert not renamed.keys() & set(recording.kept)

    def move(place: Place) -> Place:
        while place.memory in renamed:
            memory, offset = renamed[place.memory]
            place = place._replace(memory=memory, offset=place.offset + offset)
        return place

    recording.steps = [moved(step, move) for step, _ in kept]
    recording.lines = [line for _, line in kept]
    recording.outputs = [(move(o[0]), o[1]) if type(o) is tuple else o for o in recording.outputs]
    recording.made = [(site, move(place)) for site, place in recording.made]
