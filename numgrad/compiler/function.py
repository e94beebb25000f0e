"""Compiled functions: record, compare, compile, replay; and run eagerly what cannot be recorded."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import mode
from ..nn.modules.module import Module
from ..tensor import Tensor
from .recorder import owner_of
from .recording import Recording
from .schedule import Layout
from .tree import flatten
from .variant import Variant

#: Recordings in a row that may differ before a call is left to run eagerly.
_PATIENCE = 4
#: Compiled variants of one kind of call, for instance of a value that changes now and then.
_VARIANTS = 16

_running = threading.local()


class Compiled:
    """A function whose steps are replayed natively where they can be."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool = False, roots: tuple[Any, ...] = ()):
        functools.update_wrapper(self, function, updated=())
        self.function, self.fullgraph, self._roots = function, fullgraph, (function, *roots)
        self._lock = threading.RLock()
        self._kinds: dict[Any, _Kind] = {}
        self._warned = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if getattr(_running, "inside", False) or disabled() or mode.anomaly:
            return self.function(*args, **kwargs)
        leaves, spec = flatten((args, kwargs))
        key, inputs, roots = _describe(leaves)
        with self._lock:
            kind = self._kinds.get((spec, key))
            if kind is None:
                kind = self._kinds[spec, key] = _Kind()
            _running.inside = True
            try:
                return self._call(kind, args, kwargs, inputs, roots)
            finally:
                _running.inside = False

    def _call(self, kind: _Kind, args: Any, kwargs: Any, inputs: list[np.ndarray], roots: list[Any]) -> Any:
        for variant in kind.variants:
            if variant.fits():
                return variant.run(inputs)
        if kind.eager is not None:
            return self.function(*args, **kwargs)
        recording = Recording(self.function, args, kwargs, inputs, [*self._roots, *roots])
        result, recording.result = recording.result, None
        self._consider(kind, recording)
        return result

    def _consider(self, kind: _Kind, recording: Recording) -> None:
        """Compile a recording that agrees with the one before; give up where they never do.

        The first recordings may be unlike the rest: optimizers make their state at the first step.
        """
        kind.recordings += 1
        reason = recording.reason or (f"'{recording.unsteady}' changes during the call" if recording.unsteady else None)
        if reason is None and kind.last is not None:
            reason = recording.differs(kind.last)
            if reason is None:
                self._compile(kind, recording)
                return
        kind.last = recording if recording.reason is None else None
        if kind.recordings >= _PATIENCE:
            kind.eager, kind.last = reason, None
            self._give_up(reason)

    def _compile(self, kind: _Kind, recording: Recording) -> None:
        kind.last, kind.recordings = None, 0
        kind.variants.insert(0, Variant(recording, Layout(recording, recording.steps, recording.lines)))
        if len(kind.variants) > _VARIANTS:
            kind.eager = "its surroundings change too often"
            self._give_up(kind.eager)

    def _give_up(self, reason: str | None) -> None:
        name = getattr(self.function, "__qualname__", repr(self.function))
        if self.fullgraph:
            raise RuntimeError(f"numgrad.compile(fullgraph=True): {name} cannot be compiled: {reason}")
        if not self._warned:
            self._warned = True
            warnings.warn(f"numgrad.compile: {name} runs eagerly: {reason}", stacklevel=5)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: compiled for each object on its own."""
        if instance is None:
            return self
        bound = Compiled(self.function.__get__(instance, owner), self.fullgraph)
        name = self.__name__  # type: ignore[attr-defined]
        if hasattr(instance, "__dict__"):
            instance.__dict__[name] = bound
        return bound


class _Kind:
    """Calls of one form: what was compiled for them, or why they run eagerly."""

    def __init__(self) -> None:
        self.variants: list[Variant] = []
        self.last: Recording | None = None
        self.recordings = 0
        self.eager: str | None = None


def _describe(leaves: list[Any]) -> tuple[Any, list[np.ndarray], list[Any]]:
    """What a recording holds for of a call's arguments; the arrays among them; and the objects that carry state."""
    key: list[Any] = [mode.enabled, mode.inference, dtypes.default()]
    inputs: list[np.ndarray] = []
    roots: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            if leaf._base is not None:
                leaf.catch_up()
            if leaf._requires_grad:
                roots.append(leaf)
                key.append(id(leaf))
                continue
            leaf = leaf._data
        if type(leaf) is np.ndarray:
            inputs.append(leaf)
            key.append((leaf.dtype, leaf.shape, leaf.strides, leaf.flags.writeable))
        elif isinstance(leaf, (bool, int, float, complex, str, bytes, type(None), np.generic, type(Ellipsis))):
            key.append((type(leaf), repr(leaf)))
        else:
            roots.append(leaf)
            key.append(id(leaf))
    if len(inputs) > 1:
        key.append(_overlaps(inputs))
    return tuple(key), inputs, roots


def _overlaps(inputs: list[np.ndarray]) -> Any:
    """Which arguments share memory, and how they lie in it."""
    owners: dict[int, int] = {}
    if len({id(owner_of(array)) for array in inputs}) == len(inputs):
        return ()
    shared = []
    for n, array in enumerate(inputs):
        first = owners.setdefault(id(owner_of(array)), n)
        if first != n:
            shared.append((first, n, array.__array_interface__["data"][0] - inputs[first].__array_interface__["data"][0]))
    return tuple(shared)


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


def compile(model: Any = None, *, fullgraph: bool = False, dynamic: bool | None = None, backend: Any = None, mode: Any = None, options: Any = None, disable: bool = False) -> Any:
    """A function or module that records what it launches and replays it as one native call; see `numgrad.compile`."""
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable)
    if not callable(model):
        raise TypeError(f"compile() expects a function or a Module, but got {type(model).__name__}")
    if disable:
        return model
    if isinstance(model, Module):
        raise NotImplementedError("compile(Module): compile the training step, a function")
    return Compiled(model, fullgraph)
