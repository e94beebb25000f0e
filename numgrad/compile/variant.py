"""A compiled recording: its program, the memory it runs on, and when it stands for the function it was recorded from."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..jit import empty
from ..jit.program import Place, Program
from ..tensor import wrap
from .recorder import address, owner_of
from .recording import Recording, Site
from .schedule import Layout
from .tree import unflatten


class Variant:
    """One recording made replayable."""

    def __init__(self, recording: Recording, layout: Layout):
        self.watch, self.spec, self.bumps = recording.watch, recording.spec, recording.bumps
        self.no_grads, self.require_grads = recording.no_grads, recording.require_grads
        self.cleared, self.outputs, self.made = recording.cleared, recording.outputs, recording.made
        self.steps, self.lines = layout.steps, layout.lines
        self.program = Program(layout.steps, len(recording.memories))
        addresses = self.program.addresses
        self.arena = empty(max(layout.arena, 1), np.uint8)
        start = address(self.arena)
        self._inputs: list[tuple[int, int]] = []  # memory, number of the argument
        self._sites: list[_Bound] = []
        self._held: list[Any] = []
        for number, memory in enumerate(recording.memories):
            if memory.kind == "input":
                self._inputs.append((number, memory.position))
            elif memory.kind == "state":
                addresses[number] = memory.address
                self._held.append(memory.owner)
                if number in recording.sites:
                    self._sites.append(_Bound(number, *recording.sites[number], memory.address))
            elif number in layout.offsets:
                addresses[number] = start + layout.offsets[number]
        results = {o[0].memory for o in self.outputs if type(o) is tuple}
        grads = {place.memory for _, place in self.made}
        self._buffers = {n: _Buffers(n, recording.memories[n].length) for n in results | grads}
        self._made = [_Made(site, place, self.program) for site, place in self.made]
        self._fresh = [self._buffers[n] for n in sorted(results | grads)]

    def fits(self) -> bool:
        """Whether what the function reaches is as it was when it was recorded."""
        tensors = self.watch.tensors
        return (
            self.watch.changed() is None
            and [t.grad is None for t in tensors] == self.no_grads
            and [t._requires_grad for t in tensors] == self.require_grads
            and all(site.follows(self.program.addresses) for site in self._sites)
        )

    def run(self, inputs: list[np.ndarray]) -> Any:
        """The function's result and effects on these arguments."""
        addresses = self.program.addresses
        for number, position in self._inputs:
            addresses[number] = inputs[position].__array_interface__["data"][0]
        raw = {b.number: b.take(addresses) for b in self._fresh}
        self.watch.settings_to_memory()
        stopped = self.program.run()
        if stopped >= 0:
            step = self.program.steps[stopped]
            array = self.program.array
            step.refuse(array(step.report), *[array(p) for p in step.arrays])
            raise RuntimeError("a kernel reported a fault that nobody explains")
        for tensor in self.cleared:
            tensor.grad = None
        for made in self._made:
            made.settle(raw[made.place.memory])
        for tensor, count in self.bumps:
            tensor.version_counter()[0] += count
        return self._result(raw)

    def _result(self, raw: dict[int, np.ndarray]) -> Any:
        leaves = []
        for output in self.outputs:
            if type(output) is not tuple:
                leaves.append(output)
                continue
            place, requires = output
            tensor = wrap(_view(raw.get(place.memory), place))
            if requires:
                tensor._requires_grad = True
            leaves.append(tensor)
        return unflatten(leaves, self.spec)


def _view(raw: np.ndarray | None, place: Place) -> np.ndarray:
    if raw is None:  # no elements
        return np.empty(place.shape, place.dtype)
    return np.ndarray(place.shape, place.dtype, raw, place.offset, place.strides)


class _Bound:
    """A state memory and the site that holds its array: followed where the array is replaced by another of the same form."""

    __slots__ = ("array", "memory", "site")

    def __init__(self, memory: int, site: Site, array: np.ndarray, start: int):
        self.memory, self.site, self.array = memory, site, array

    def follows(self, addresses: np.ndarray) -> bool:
        array = self.site.array()
        if array is self.array:
            return True
        if array is None or array.dtype != self.array.dtype or array.shape != self.array.shape or array.strides != self.array.strides:
            return False
        if array.nbytes and (owner_of(self.array) is not self.array or not array.flags.writeable):
            return False  # others may use more of that memory
        addresses[self.memory] = address(array)
        self.array = array
        return True


class _Buffers:
    """Memory for one result, used again once nobody holds what was returned in it."""

    __slots__ = ("kept", "length", "number")

    def __init__(self, number: int, length: int):
        self.number, self.length = number, length
        self.kept: list[tuple[np.ndarray, int]] = []

    def take(self, addresses: np.ndarray) -> np.ndarray:
        for entry in self.kept:
            if sys.getrefcount(entry[0]) == 2:  # the entry's and the call's
                addresses[self.number] = entry[1]
                return entry[0]
        raw = empty(self.length, np.uint8)
        entry = (raw, address(raw))
        if len(self.kept) < 4:
            self.kept.append(entry)
        addresses[self.number] = entry[1]
        return raw


class _Made:
    """A gradient or state array that the step makes anew at each call."""

    __slots__ = ("place", "site", "tensor")

    def __init__(self, site: Site, place: Place, program: Program):
        self.site, self.place = site, place

    def settle(self, raw: np.ndarray) -> None:
        array = _view(raw, self.place)
        if self.site.of_grad:
            self.site.tensor.grad = wrap(array)
        else:
            self.site.tensor._data = array
