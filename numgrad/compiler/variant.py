"""A compiled recording: its program, the memory it runs on, and when it stands for the function it was recorded from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import attrgetter, is_
from typing import Any, NamedTuple

import numpy as np

from ..jit import empty
from ..jit.program import Place, Program
from ..tensor import wrap
from .recorder import address, owner_of
from .recording import Recording, Site, Spent
from .schedule import Layout
from .tree import unflatten
from .watch import demands


class Replay:
    """A program and its memory: an arena for temporaries, addresses of state, and what is given at each run."""

    def __init__(self, recording: Recording, layout: Layout):
        self.steps, self.lines, self.spec = layout.steps, layout.lines, recording.spec
        self.layout, self.before, self.notes, self.apart = layout, recording.before, recording.notes, recording.apart
        self.program = Program(layout.steps, len(recording.memories))
        self.program.lines = layout.lines
        self.arena = empty(max(layout.arena, 1), np.uint8)
        self.outputs = recording.outputs
        self._spent = [Spent(o[0].shape, o[0].dtype) if type(o) is tuple and o[1] else None for o in self.outputs]
        self._held: list[Any] = []
        self._given: dict[str, list[tuple[int, int]]] = {"input": [], "argument": [], "saved": []}  # memory, position
        bound, start, addresses = [], address(self.arena), self.program.addresses
        for number, memory in enumerate(recording.memories):
            if memory.kind == "state":
                addresses[number] = memory.address
                self._held.append(memory.owner)
                if number in recording.sites:
                    bound.append(_Bound(number, *recording.sites[number]))
            elif memory.kind != "temporary":
                self._given[memory.kind].append((number, memory.position))
            elif number in layout.offsets:
                addresses[number] = start + layout.offsets[number]
        self.sites = _Sites(bound, [o for o in self._held if isinstance(o, np.ndarray)])
        results = sorted({o[0].memory for o in self.outputs if type(o) is tuple and 0 not in o[0].shape})
        self._results = [_Buffers(n, recording.memories[n].length) for n in results]

    def bind(self, kind: str, arrays: Sequence[np.ndarray]) -> None:
        """Tell the program where arrays lie that are given to it."""
        for number, position in self._given[kind]:
            self.program.addresses[number] = address(arrays[position])

    def given(self, kind: str) -> list[tuple[int, int]]:
        """Memories of a kind that is given, and the position of each."""
        return self._given[kind]

    def take_results(self) -> dict[int, np.ndarray]:
        """Memory for the results of this run."""
        return {b.number: b.take(self.program.addresses) for b in self._results}

    def execute(self) -> None:
        """Run the program; raise what a report says."""
        stopped = self.program.run()
        if stopped >= 0:
            step, array = self.program.steps[stopped], self.program.array
            step.refuse(array(step.report), *[array(p) for p in step.arrays])
            raise RuntimeError("a kernel reported a fault that nobody explains")

    def result(self, raw: dict[int, np.ndarray]) -> list[Any]:
        """The leaves of the result."""
        leaves = []
        for output, node in zip(self.outputs, self._spent, strict=True):
            if type(output) is not tuple:
                leaves.append(output)
                continue
            tensor = wrap(_view(raw.get(output[0].memory), output[0]))
            if node is not None:
                tensor._requires_grad, tensor._node = True, node
            leaves.append(tensor)
        return leaves


class Variant(Replay):
    """A recorded step: replayed while what it can reach is as it was."""

    def __init__(self, recording: Recording, layout: Layout):
        super().__init__(recording, layout)
        self.watch, self.cleared = recording.watch, recording.cleared
        self.no_grads, self.require_grads = recording.no_grads, recording.require_grads
        self.input_bumps = recording.input_bumps
        self._counters = [(tensor.version_counter(), count) for tensor, count in recording.bumps]
        self._made = [_Made(site, place) for site, place in recording.made]
        self.shortcut: Any = None  # to itself; False if there is none
        self._steady = False  # whether all of them are as the last run left them, and nobody else holds one

    def fits(self, owners: list[int]) -> bool:
        """Whether what the function reaches is as it was when it was recorded, and no argument (of these owners) is a part of it."""
        return self.holds() and self.sites.owners.isdisjoint(owners)

    def holds(self) -> bool:
        """Whether what the function reaches is as it was when it was recorded."""
        watch, quiet = self.watch, self.watch.quiet
        if quiet.same() and not (quiet.rest and not quiet.rest_holds(watch)):
            self._steady = quiet.alone
            fits = (not quiet.tensors or self._tensors_fit()) and (not quiet.settings or not watch.settings_changed())
        else:
            self._steady = False
            fits = watch.changed() is None and self._tensors_fit() and not watch.settings_changed()
            if fits:
                quiet.renew(watch, [made for m in self._made for made in m.objects()])
        return fits

    def _tensors_fit(self) -> bool:
        """Whether tensors ask for the gradients, and hold arrays of the form, that were recorded."""
        tensors = self.watch.tensors
        return (
            [t.grad is None for t in tensors] == self.no_grads
            and [t._requires_grad if t._hooks is None is t._accumulate_hooks else demands(t) for t in tensors] == self.require_grads
            and self.sites.follow(self.program.addresses)
        )

    def run(self, inputs: list[np.ndarray]) -> Any:
        """The function's result and effects on these arguments."""
        return unflatten(self.run_flat(inputs), self.spec)

    def run_flat(self, inputs: list[np.ndarray]) -> list[Any]:
        """The leaves of the function's result, and its effects."""
        self.bind("input", inputs)
        return self._run_bound()

    def run_bound(self) -> Any:
        """The function's result and effects on the arguments that the program has been told of."""
        return unflatten(self._run_bound(), self.spec)

    def _run_bound(self) -> list[Any]:
        raw = self.take_results()
        made = () if self._steady else self._made
        for one in made:
            one.prepare(self.program.addresses, raw)
        self.execute()
        for tensor in self.cleared:
            if tensor.grad is not None:
                tensor.grad = None
        for one in made:
            one.settle()
        for counter, count in self._counters:
            counter[0] += count
        return self.result(raw)


def _view(raw: np.ndarray | None, place: Place) -> np.ndarray:
    if raw is None or 0 in place.shape:
        return np.empty(place.shape, place.dtype)
    return np.ndarray(place.shape, place.dtype, raw, place.offset, place.strides)


class _Bound(NamedTuple):
    """A state memory, and the site that held its array when it was recorded."""

    memory: int
    site: Site
    array: np.ndarray


class _Sites:
    """State memories and where their arrays are held: followed where an array is replaced by another of the same form."""

    def __init__(self, bound: list[_Bound], held: list[np.ndarray]):
        self._held = held
        self._bound = sorted(bound, key=lambda b: b.site.of_grad)
        self._plain = [b.site.tensor for b in self._bound if not b.site.of_grad]
        self._arrays = [b.array for b in self._bound]
        self._find_owners()

    def follow(self, addresses: np.ndarray) -> bool:
        """Put the addresses of replaced arrays into the table; False if one has another form."""
        count = len(self._plain)
        if all(map(is_, map(_data_of, self._plain), self._arrays)) and (
            len(self._bound) == count or all(b.site.array() is a for b, a in zip(self._bound[count:], self._arrays[count:], strict=True))
        ):
            return True
        for n, (memory, site, old) in enumerate(self._bound):
            array = site.array()
            if array is not self._arrays[n]:
                if array is None or not _interchangeable(old, array):
                    return False
                addresses[memory] = address(array)
                self._arrays[n] = array
        self._find_owners()
        return True

    def _find_owners(self) -> None:
        """Whose memory the state is: `owners` has their identities."""
        self.owners = {id(owner_of(a)) for a in (*self._held, *self._arrays)}


_data_of = attrgetter("_data")


def _interchangeable(old: np.ndarray, new: np.ndarray) -> bool:
    """Whether steps on one array can run on the other: same form, and nobody uses more of their memory."""
    if (old.dtype, old.shape, old.strides) != (new.dtype, new.shape, new.strides):
        return False
    return old.size == 0 or (owner_of(old) is old and new.flags.writeable)


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
    """A gradient or state array that the step makes anew at each call; in the same memory while nobody else holds it."""

    __slots__ = ("address", "array", "place", "shared", "site", "tensor")

    def __init__(self, site: Site, place: Place):
        self.site, self.place = site, place
        self.tensor: Any = None
        self.array: Any = None
        self.shared = False

    def objects(self) -> tuple[int, int]:
        """What is its own and the site's, by their `id`: nobody else holds it while the memory may be written again."""
        return (id(None), id(None)) if self.shared else (id(self.tensor), id(self.array))

    def prepare(self, addresses: np.ndarray, raw: dict[int, np.ndarray]) -> None:
        place = self.place
        self.shared = place.memory in raw  # it is a result as well, or two sites share it
        if self.shared:
            self.array = _view(raw[place.memory], place)
        elif self.tensor is None or self.tensor._data is not self.array or sys.getrefcount(self.tensor) > 3 or sys.getrefcount(self.array) > 3:
            memory = empty(place.offset + _extent(place), np.uint8)
            raw[place.memory], self.address = memory, address(memory)
            self.array = _view(memory, place)
        else:
            addresses[place.memory] = self.address
            return
        self.tensor = wrap(self.array)
        if place.memory in raw:
            addresses[place.memory] = address(raw[place.memory])

    def settle(self) -> None:
        if not self.site.of_grad:
            self.site.tensor._data, self.site.tensor._kind = self.array, None
        elif self.site.tensor.grad is not self.tensor:
            self.site.tensor.grad = self.tensor


def _extent(place: Place) -> int:
    return place.dtype.itemsize + sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True)) if 0 not in place.shape else 0
