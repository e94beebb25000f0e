"""Compiled functions: record, compare, compile, replay; and run eagerly what cannot be recorded."""

from __future__ import annotations

import functools
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

from ..autograd import mode
from ..jit.kernel import observers
from ..jit.memory import pool
from ..nn.modules.module import Module
from ..tensor import Tensor
from . import changes
from .ahead import Producers
from .arguments import Arguments
from .changes import logger
from .draws import take_draws
from .epilogue import fold_sums
from .explain import kernels_of
from .fuse import Fusion
from .pair import Call as PairCall
from .pair import Pair
from .recorder import memories_of
from .recording import Recording
from .schedule import Layout
from .shortcut import Shortcut, shortcut_to
from .simplify import drop_copies, drop_dead
from .tails import Tails
from .tree import flatten, unflatten
from .variant import Variant

#: Recordings in a row that may differ before a call is left to run eagerly.
_PATIENCE = 4
#: Recordings in a row where each time something outside had changed before.
_CHANGES = 16
#: Compiled variants of one kind of call, for instance of a value that changes now and then.
_VARIANTS = 16
#: Kinds of calls that are remembered.
_KINDS = 256

_running = threading.local()


class Compiled:
    """A function whose steps are replayed natively where they can be."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool = False, roots: tuple[Any, ...] = (), fuse: bool = True):
        functools.update_wrapper(self, function, updated=())
        self.function, self.fullgraph, self.fuse, self._roots = function, fullgraph, fuse, (function, *roots)
        self._lock = threading.RLock()
        self._kinds: dict[Any, _Kind] = {}
        self._shortcut: Shortcut | None = None  # to what was replayed last
        self._warned = False
        self.changes: deque[str] = deque(maxlen=32)  # what was different where calls were recorded again

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if getattr(_running, "inside", False) or disabled() or mode.anomaly:  # which NUMGRAD_DEBUG switches on
            return self.function(*args, **kwargs)
        if observers:
            return self._observed(args, kwargs)
        return self._dispatch(args, kwargs)

    def _observed(self, args: Any, kwargs: Any) -> Any:
        start = time.perf_counter_ns()
        try:
            return self._dispatch(args, kwargs)
        finally:
            stop = time.perf_counter_ns()
            for observer in observers:
                observer.called(self._name, start, stop)

    def _dispatch(self, args: Any, kwargs: Any) -> Any:
        shortcut = self._shortcut  # another thread may take it away
        if shortcut is not None and not kwargs:
            with self._lock:
                _running.inside = True
                try:
                    done = shortcut.run(args)
                finally:
                    _running.inside = False
            if done is not None:
                return done[0]
        leaves, spec = flatten((args, kwargs))
        call = Arguments(leaves)
        with self._lock:
            kind = self._kinds.get((spec, call.key))
            if kind is None:
                kind = self._new_kind(spec, call.key)
            _running.inside = True
            try:
                return self._call(kind, args, kwargs, call, leaves, spec)
            finally:
                _running.inside = False

    def _new_kind(self, spec: Any, key: Any) -> _Kind:
        if self._kinds:
            self._log(changes.closest(key, spec, self._kinds))
        if len(self._kinds) >= _KINDS:
            oldest = next((k for k, kind in self._kinds.items() if not kind.variants), None)
            if oldest is not None:
                self._warn(self._name, "is called with too many different arguments, the last time with another of "
                           f"{changes.closest(key, spec, self._kinds)}")  # fmt: skip
            del self._kinds[oldest or next(iter(self._kinds))]
        kind = self._kinds[spec, key] = _Kind()
        return kind

    def _call(self, kind: _Kind, args: Any, kwargs: Any, call: Arguments, leaves: list[Any], spec: Any) -> Any:
        for variant in kind.variants:
            if variant.fits(call.owners):
                result = variant.run_pair(call.inputs, call.tracked) if type(variant) is Pair else variant.run(call.inputs)
                for position, count in variant.input_bumps:
                    call.bump(position, count)
                self._shortcut = shortcut_to(variant, args, kwargs)
                return call.received(result) if kind.tracked else result
        if kind.eager is not None or kind.skips():
            return self.function(*args, **kwargs)
        inner: list[Tensor | None] = []
        function = self.function
        kind.tracked = any(t is not None for t in call.tracked)
        if kind.tracked:
            # Gradients of arguments pass through a leaf of our own, so that the graph inside ends there.
            replaced, inner = call.detached(leaves)
            args, kwargs = unflatten(replaced, spec)
            function = lambda *args, **kwargs: (self.function(*args, **kwargs), call.left(inner))
        if kind.variants:
            self._log(changes.of_surroundings(kind.variants[0]))
        moved = kind.last is not None and not kind.last[0].unsteady and kind.last[0].watch.changed() is not None
        versions = call.versions()
        recording = Recording(function, args, kwargs, memories_of(call.inputs), [*self._roots, *call.roots], kind.recordings > 0)
        recording.moved = moved
        recording.input_bumps = [(n, now - was) for n, (was, now) in enumerate(zip(versions, call.versions(), strict=True)) if now != was]
        if kind.tracked and call.has_graphs(recording):
            recording.reason = "it leaves a gradient with a graph in an argument: use autograd.grad and return it"
        if recording.live and (recording.reason is None or kind.tracked):
            kind.waiting += 1
            result = PairCall(recording, call.inputs, inner, call.tracked).results(lambda made: self._consider(kind, recording, made))
            return call.received(result) if kind.tracked else result
        result, recording.result = recording.result, None
        self._consider(kind, recording, None)
        return call.received(result) if kind.tracked else result

    def _consider(self, kind: _Kind, recording: Recording, made: PairCall | None) -> None:
        """Compile a recording that agrees with the one before; give up where they never do.

        The first recordings may be unlike the rest: optimizers make their state at the first step.
        """
        with self._lock:  # a backward pass ends here too, on whatever thread
            self._weigh(kind, recording, made)

    def _weigh(self, kind: _Kind, recording: Recording, made: PairCall | None) -> None:
        kind.recordings, kind.waiting = kind.recordings + 1, 0
        kind.unexplained += not recording.moved
        back = made.backward if made else None
        reason = recording.reason or (back and back.reason) or (f"'{recording.unsteady}' changes during the call" if recording.unsteady else None)
        if reason is None and kind.last is not None:
            before, back_before = kind.last
            reason = recording.differs(before)
            if reason is None and back is not None:
                reason = "its backward pass changes" if back_before is None else back.differs(back_before)
            if reason is None:
                self._compile(kind, recording, made)
                return
        kind.last = (recording, back) if recording.reason is None and (back is None or back.reason is None) else None
        if reason is not None and (kind.unexplained >= _PATIENCE or kind.recordings >= _CHANGES):
            kind.eager, kind.last = reason, None
            self._give_up(reason)

    def _compile(self, kind: _Kind, recording: Recording, made: PairCall | None) -> None:
        kind.last, kind.recordings, kind.unexplained = None, 0, 0
        pool.clear()  # of what the recordings have used, for the plan has memory of its own
        layout = self._layout(recording)
        variant = Variant(recording, layout) if made is None else Pair(made, layout, self._layout(made.backward))
        kind.variants.insert(0, variant)
        if len(kind.variants) > _VARIANTS:
            kind.eager = "its surroundings change too often"
            self._give_up(kind.eager)

    def _layout(self, recording: Any) -> Layout:
        """What a recording becomes: simplified, fused, its memory laid out."""
        recording.before, recording.notes = kernels_of(recording.steps), []
        if not self.fuse:
            return Layout(recording, recording.steps, recording.lines)
        drop_dead(recording)
        drop_copies(recording)
        sums, recording.apart = fold_sums(recording)
        fusion = Fusion(recording)
        take_draws(fusion)
        tails = Tails(fusion)
        producers = Producers(fusion)
        recording.notes = sums + fusion.notes + tails.notes + producers.notes
        recording.apart += tails.apart + producers.apart
        return Layout(recording, producers.steps, producers.lines)

    def _give_up(self, reason: str | None) -> None:
        if self.fullgraph:
            raise RuntimeError(f"numgrad.compile(fullgraph=True): {self._name} cannot be compiled: {reason}")
        self._warn(self._name, f"runs eagerly: {reason}")

    def _warn(self, who: str, what: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(f"numgrad.compile: {who} {what}", stacklevel=6)

    def _log(self, change: str | None) -> None:
        self.changes.append(str(change))
        logger.info("%s is recorded again; what changed: %s", self._name, change)

    @property
    def _name(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))

    def __reduce__(self) -> Any:
        """Copied and pickled as the function it was made of, by name where the name stands for this; to be recorded anew."""
        name = getattr(self, "__qualname__", "")
        if getattr(sys.modules.get(getattr(self, "__module__", "")), name, None) is self:
            return name
        return Compiled, (self.function, self.fullgraph, self._roots[1:], self.fuse)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: compiled for each object on its own."""
        if instance is None:
            return self
        bound = Compiled(self.function.__get__(instance, owner), self.fullgraph, fuse=self.fuse)
        name = self.__name__  # type: ignore[attr-defined]
        if hasattr(instance, "__dict__"):
            instance.__dict__[name] = bound
        return bound


class _Kind:
    """Calls of one form: what was compiled for them, or why they run eagerly."""

    def __init__(self) -> None:
        self.variants: list[Variant] = []
        self.last: Any = None  # the recording before, and that of its way back
        self.recordings = 0
        self.unexplained = 0  # recordings before which nothing had changed
        self.waiting = 0  # calls in a row after which nobody asked for gradients, though they could have
        self.eager: str | None = None
        self.tracked = False  # whether results come with the gradients that are left in arguments

    def skips(self) -> bool:
        """Whether not to record a call: most of those whose backward pass never comes, for recording is slow."""
        self.waiting += self.waiting > _PATIENCE
        return self.waiting > _PATIENCE + 1 and self.waiting % 16 != 0


_off = threading.local()


def disabled() -> bool:
    """Whether compiled functions run eagerly now."""
    return getattr(_off, "count", 0) > 0


def is_compiling() -> bool:
    """Whether a compiled function runs now, to be recorded."""
    return getattr(_running, "inside", False)


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True) -> Any:
    """A function that runs eagerly, and with it every compiled function that it calls."""
    if fn is None:
        return functools.partial(disable, recursive=recursive)

    @functools.wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        _off.count = getattr(_off, "count", 0) + 1
        try:
            return fn(*args, **kwargs)
        finally:
            _off.count -= 1

    return run


def compile(
    model: Any = None, *, fullgraph: bool = False, dynamic: bool | None = None, backend: Any = None, mode: Any = None,
    options: dict[str, Any] | None = None, disable: bool = False,
) -> Any:  # fmt: skip
    """A function or module that records what it launches, and replays it as one native call once two recordings agree.

    `fullgraph=True` makes an error of what would run eagerly. `options={"fuse": False}` replays every launch as it was
    recorded, to the same bits; fused launches may differ in the last bit, where a product and a sum become one operation.
    `dynamic`, `backend` and `mode` are accepted: new shapes are always recorded anew.
    """
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable)
    if not callable(model):
        raise TypeError(f"compile() expects a function or a Module, but got {type(model).__name__}")
    unknown = set(options or {}) - {"fuse"}
    if unknown:
        raise RuntimeError(f"compile(): unknown option {min(unknown)!r}; there is 'fuse'")
    if disable:
        return model
    fuse = bool((options or {}).get("fuse", True))
    return CompiledModule(model, fullgraph, fuse) if isinstance(model, Module) else Compiled(model, fullgraph, fuse=fuse)


class CompiledModule(Module):
    """A module whose forward pass, and the backward pass through it, are compiled; parameters and state are the module's own."""

    def __init__(self, module: Module, fullgraph: bool = False, fuse: bool = True):
        super().__init__()
        self._orig_mod = module
        self.__dict__["_compiled"] = Compiled(module.forward, fullgraph, (module,), fuse)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiled(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_orig_mod"), name)

    def train(self, mode: bool = True) -> CompiledModule:
        self._orig_mod.train(mode)
        return super().train(mode)
