"""Where temporaries lie: one arena, in which memories that are never needed at the same time share their place."""

from __future__ import annotations

from typing import Any

from .recording import Recording, places
from .simplify import results_of

#: Every memory starts at a multiple of this: a cache line, and the widest vector.
_ALIGNMENT = 64


class Layout:
    """Steps in order, and for each temporary that is no result its offset in an arena of `arena` bytes."""

    def __init__(self, recording: Recording, steps: list[Any], lines: list[str]):
        self.steps, self.lines = steps, lines
        kept = results_of(recording)
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for at, step in enumerate(steps):
            for place in places(step):
                if recording.memories and recording.memories[place.memory].kind == "temporary" and place.memory not in kept:
                    first.setdefault(place.memory, at)
                    last[place.memory] = at
        sizes = {n: -(-recording.memories[n].length // _ALIGNMENT) * _ALIGNMENT for n in first}
        self.offsets = _pack(first, last, sizes)
        self.arena = max((self.offsets[n] + sizes[n] for n in sizes), default=0)
        self.unshared = sum(sizes.values())
        self.frame, self.frame_length = _line_up({n: recording.memories[n].length for n in recording.kept})


def _line_up(lengths: dict[int, int]) -> tuple[dict[int, int], int]:
    """Offsets one behind the other: what a forward pass keeps is all needed at once."""
    offsets, at = {}, 0
    for n, length in lengths.items():
        offsets[n] = at
        at += -(-length // _ALIGNMENT) * _ALIGNMENT
    return offsets, at


def _pack(first: dict[int, int], last: dict[int, int], sizes: dict[int, int]) -> dict[int, int]:
    """Offsets, largest memories first, each at the lowest place that no memory living at the same time occupies."""
    offsets: dict[int, int] = {}
    for n in sorted(sizes, key=lambda n: (-sizes[n], first[n])):
        taken = sorted((offsets[m], offsets[m] + sizes[m]) for m in offsets if first[m] <= last[n] and first[n] <= last[m])
        at = 0
        for start, stop in taken:
            if at + sizes[n] <= start:
                break
            at = max(at, stop)
        offsets[n] = at
    return offsets
