"""A recording: one eager run of a function as steps on memories, and what it left behind: results, gradients, changed state."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Node
from ..jit import observe
from ..jit.program import Call, Fill, Place, Verify
from ..tensor import Tensor
from .purity import purity
from .recorder import Memory, Recorder, Unrecordable, address, extent
from .tree import flatten
from .watch import Watch, demands

#: What a result may hold besides tensors: values that nobody can change.
_CONSTANT = (bool, int, float, complex, str, bytes, type(None), type, np.generic, np.dtype, dtypes.dtype, dtypes.device, dtypes.Size)
_SHARED = "an argument is also reached without being given, through a closure, a global or self"


class Site:
    """Where Python holds an array that a step uses or makes: the data of a tensor, or of its gradient."""

    __slots__ = ("of_grad", "tensor")

    def __init__(self, tensor: Tensor, of_grad: bool):
        self.tensor, self.of_grad = tensor, of_grad

    @property
    def key(self) -> tuple[int, bool]:
        """What tells sites apart."""
        return id(self.tensor), self.of_grad

    def array(self) -> np.ndarray | None:
        """The array that is there now."""
        if not self.of_grad:
            return self.tensor._data
        return None if self.tensor.grad is None else self.tensor.grad._data


class Spent(Node):
    """Where a result came from whose graph was used up inside the step."""

    __slots__ = ()

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        super().__init__([], [(shape, dtype)])

    def gradients(self, grads: list[Any]) -> list[Any]:
        raise RuntimeError(
            "Trying to backward through the graph a second time: the compiled step that returned this tensor has done so already."
        )


class Recording:
    """One run of a function. `reason` says why it cannot be replayed; if None, the rest says how.

    Results that still have their graph are `live`; what the graph keeps is `kept` for the way back.
    """

    def __init__(
        self, function: Callable[..., Any], args: Any, kwargs: Any, given: list[Memory], roots: list[Any], again: bool = False
    ):  # fmt: skip
        self.watch = Watch(roots)
        before = [(t._data, t.grad, t._version) for t in self.watch.tensors]
        self.no_grads = [t.grad is None for t in self.watch.tensors]
        self.require_grads = list(map(demands, self.watch.tensors))
        recorder = Recorder(given)
        # Built-in calls are looked at the second time only, for the first compiles kernels.
        with observe(recorder), purity(recorder.refuse, self.watch.reached(), again):
            self.result = function(*args, **kwargs)
        leaves, self.spec = flatten(self.result)
        self.live = [(n, leaf) for n, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and _has_graph(leaf)]
        self.reason = recorder.reason or (_SHARED if self._shares(given) else None)
        self.before: Counter[str] = Counter()  # launches by kernel, and what fusion says of them; set when it is compiled
        self.notes: list[str] = []
        self.apart: list[str] = []
        self.moved = False  # whether something outside had changed since the recording before
        self.input_bumps: list[tuple[int, int]] = []  # arguments changed in place: which, how often
        self.unsteady = self.watch.changed() or (None if len(Watch(roots).tensors) == len(before) else "a tensor")
        if self.reason is None:
            try:
                self._conclude(recorder, before)
            except Unrecordable as why:
                self.reason = str(why)

    def _shares(self, given: list[Memory]) -> bool:
        """Whether an argument is, or contains, data that the function reaches by itself, too.

        (A part of such data may be an argument: should steps use all of it, then `Recorder.place` refuses.)
        """
        inputs = [m for m in given if m.kind == "input" and m.length]
        for tensor in self.watch.tensors if inputs else ():
            at, length = address(tensor._data), extent(tensor._data)
            if any(0 < length <= m.length and at < m.address + m.length and m.address < at + length for m in inputs):
                return True
        return False

    def _conclude(self, recorder: Recorder, before: list[Any]) -> None:
        self.lines = recorder.lines
        self.bumps = [(t, t._version - v) for t, (_, _, v) in zip(self.watch.tensors, before, strict=True) if t._version != v]
        self.made: list[tuple[Site, Place]] = []  # sites that hold an array of the step's in the end
        self.cleared: list[Tensor] = []  # tensors whose gradient is gone
        for tensor, (data, grad, _) in zip(self.watch.tensors, before, strict=True):
            if tensor._data is not data:
                self.made.append((Site(tensor, False), recorder.place(tensor._data)))
            if tensor.grad is None and grad is not None:
                self.cleared.append(tensor)
            elif tensor.grad is not grad:
                self.made.append((Site(tensor, True), recorder.place(tensor.grad._data)))
        self._find_results(recorder)
        self._find_sites(recorder, before)
        self._number(recorder)

    def _find_results(self, recorder: Recorder) -> None:
        """How to make the result again: each leaf as the same object, or as a tensor at a place."""
        self.outputs: list[Any] = []
        live = {n for n, _ in self.live}
        watched = {id(t) for t in self.watch.tensors}
        for n, leaf in enumerate(flatten(self.result)[0]):
            if not isinstance(leaf, Tensor) or id(leaf) in watched:
                if not isinstance(leaf, (Tensor, *_CONSTANT)):
                    raise Unrecordable(f"it returns a {type(leaf).__name__}, which may be another one at each call")
                self.outputs.append(leaf)
                continue
            if leaf.grad_fn is not None and n not in live:
                leaf._node = Spent(leaf._data.shape, leaf._data.dtype)  # what is left of the graph would keep temporaries alive
            self.outputs.append((recorder.place(leaf._data), leaf._requires_grad))
        self._refuse_escapes(recorder)

    def _refuse_escapes(self, recorder: Recorder) -> None:
        """Every array of the step's that still lives must be in its result or at a site."""
        known = {o[0].memory for o in self.outputs if type(o) is tuple} | {place.memory for _, place in self.made}
        kept = [n for n, m in enumerate(recorder.memories) if m.alive and n not in known]
        if kept:
            gc.collect(1 if self.unsteady else 2)  # all takes 50 ms: not for a call that will be recorded again anyway
            kept = [n for n in kept if recorder.memories[n].alive]
        if kept and not self.live:
            raise Unrecordable("a tensor made inside is kept outside: return it instead")
        self.kept = kept
        for place in [o[0] for o in self.outputs if type(o) is tuple] + [place for _, place in self.made]:
            if place.shape and 0 in place.shape:
                continue
            if recorder.memories[place.memory].kind != "temporary":
                raise Unrecordable("the result shares memory with an argument or with state")

    def _find_sites(self, recorder: Recorder, before: list[Any]) -> None:
        """Which tensors hold the state memories that steps use, as they were before."""
        self.sites: dict[int, tuple[Site, np.ndarray]] = {}
        for tensor, (data, grad, _) in zip(self.watch.tensors, before, strict=True):
            for array, site in ((data, Site(tensor, False)), (None if grad is None else grad._data, Site(tensor, True))):
                number = recorder.find(address(array)) if array is not None and array.size else None
                if array is not None and number is not None and recorder.memories[number].kind == "state":
                    self.sites.setdefault(number, (site, array))
        self.constants = recorder.constants(set(self.sites))
        self.watch.release({id(m.owner) for m in recorder.memories if m.kind == "state"})

    def _number(self, recorder: Recorder) -> None:
        """Number memories as steps first name them, so that recordings can be compared."""
        order: dict[int, int] = {}
        fixed = [p for _, p in self.made] + [o[0] for o in self.outputs if type(o) is tuple]

        def renumber(place: Place) -> Place:
            return place._replace(memory=order.setdefault(place.memory, len(order)))

        used = {p.memory for s in recorder.steps if type(s) is not Fill for p in places(s)} | {p.memory for p in fixed} | set(self.kept)
        steps = [s for s in recorder.steps if type(s) is not Fill or s.place.memory in used]
        self.lines = [line for s, line in zip(recorder.steps, recorder.lines, strict=True) if type(s) is not Fill or s.place.memory in used]
        self.steps = [moved(step, renumber) for step in steps]
        self.made = [(site, renumber(place)) for site, place in self.made]
        self.outputs = [(renumber(o[0]), o[1]) if type(o) is tuple else o for o in self.outputs]
        self.kept = [order.setdefault(n, len(order)) for n in self.kept]
        self.memories: list[Memory] = [recorder.memories[n] for n in order]
        self.sites = {order[n]: found for n, found in self.sites.items() if n in order}
        self.constants = {order[n]: content for n, content in self.constants.items() if n in order}

    def differs(self, other: Recording) -> str | None:
        """Where two recordings are not the same program, in words, or None."""
        for mine, theirs, line in zip(self.steps, other.steps, self.lines, strict=False):
            if _form(mine) != _form(theirs):
                return f"what is computed at {line} changes from call to call"
        same = len(self.steps) == len(other.steps) and self._identity() == other._identity()
        return None if same else "the memory or the results that it uses change from call to call"

    def _identity(self) -> Any:
        memories = [
            (m.kind, m.length, m.position if m.kind != "state" else self._holder(n, m))
            for n, m in enumerate(self.memories)
        ]
        outputs = [o if type(o) is tuple else (id(o) if isinstance(o, Tensor) else repr(o)) for o in self.outputs]
        made = [(site.key, place) for site, place in self.made]
        return memories, outputs, made, self.spec, self.kept, [id(t) for t in self.cleared], [(id(t), n) for t, n in self.bumps]

    def _holder(self, number: int, memory: Memory) -> Any:
        """What tells a state memory from others: where it is held, its content if that is constant, or itself."""
        return self.sites[number][0].key if number in self.sites else self.constants.get(number, id(memory.owner))


def _has_graph(tensor: Tensor) -> bool:
    """Whether backward can start from here: it has a node, and no node on any way from there was used up.

    (The sum of two losses that have both gone back has one that nobody used, but it leads nowhere.)
    """
    if getattr(tensor.grad_fn, "values", None) is None:
        return False
    waiting: list[Any] = [tensor.grad_fn]
    seen = set()
    while waiting:
        node = waiting.pop()
        if getattr(node, "values", node) is None:
            return False
        if id(node) not in seen:
            seen.add(id(node))
            waiting += [e[0] for e in getattr(node, "edges", ()) if e is not None and isinstance(e[0], Node)]
    return True


def places(step: Any) -> list[Place]:
    """All places that a step names."""
    if type(step) is Fill:
        return [step.place]
    if type(step) is Verify:
        return [step.report, *step.arrays]
    tail = () if step.tail is None else (step.tail.table, *step.tail.operands)
    return [p for a in (*step.args, tail) for p in _inner(a)]


def _inner(value: Any) -> list[Place]:
    if type(value) is Place:
        return [value]
    return [p for v in value for p in _inner(v)] if type(value) is tuple else []


def moved(step: Any, move: Callable[[Place], Place]) -> Any:
    """A step with its places replaced."""

    def replaced(value: Any) -> Any:
        if type(value) is Place:
            return move(value)
        return tuple(replaced(v) for v in value) if type(value) is tuple else value

    if type(step) is Call:
        return step._replace(args=replaced(step.args))
    if type(step) is Fill:
        return Fill(move(step.place))
    return Verify(move(step.report), step.refuse, replaced(step.arrays))


def _form(step: Any) -> Any:
    """A step as far as two recordings must agree on it."""
    if type(step) is Call:
        return step.kernel, step.work, step.signature, repr(step.args)
    return step if type(step) is Fill else (step.report, step.arrays)


__all__ = ["Recording", "Site", "Spent", "moved", "places"]
