"""Whether operations are recorded: settings of the tracer that hold for a thread, a block or a function."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any


class _Mode(threading.local):
    enabled = True
    inference = False
    anomaly = False
    check_nan = True  # whether anomaly mode looks for NaN


mode = _Mode()


class _Switch:
    """A setting that holds inside a `with`, or while a decorated function runs."""

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(function):
            return self._generator(function)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return run

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                generator = function(*args, **kwargs)
            value = None
            while True:  # the setting holds while the generator runs, not between its yields
                try:
                    with self._again():
                        item = generator.send(value)
                except StopIteration as stop:
                    return stop.value
                value = yield item

        return run

    def _again(self) -> Any:
        return type(self)()

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(self, *exception: Any) -> None:
        raise NotImplementedError


class set_grad_enabled(_Switch):
    """Switch recording on or off: at once, for a `with` block, or for a decorated function."""

    def __init__(self, mode_enabled: bool, **kwargs: Any):
        self.wanted, self.before = bool(mode_enabled), mode.enabled
        mode.enabled = self.wanted

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        mode.enabled = self.before
        return super().__call__(function)

    def _again(self) -> Any:
        return set_grad_enabled(self.wanted)

    def __enter__(self) -> None:
        mode.enabled = self.wanted

    def __exit__(self, *exception: Any) -> None:
        mode.enabled = self.before


class _Fixed(_Switch):
    value = True

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """Usable with and without parentheses as a decorator."""
        self = object.__new__(cls)
        return self if function is None else self(function)

    def __init__(self) -> None:
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(mode.enabled)
        mode.enabled = self.value

    def __exit__(self, *exception: Any) -> None:
        mode.enabled = self.before.pop()


class no_grad(_Fixed):
    """Record nothing: results do not require grad."""

    value = False


class enable_grad(_Fixed):
    """Record again inside a `no_grad`."""


class inference_mode(_Switch):
    """Like `no_grad`; `inference_mode(False)` does nothing."""

    def __new__(cls, mode: Any = True) -> Any:
        self = object.__new__(cls)
        self.wanted, self.before = (True, []) if callable(mode) else (bool(mode), [])
        return self(mode) if callable(mode) else self

    def __init__(self, mode: Any = True):
        self.wanted: bool
        self.before: list[tuple[bool, bool]]

    def _again(self) -> Any:
        return inference_mode(self.wanted)

    def __enter__(self) -> None:
        self.before.append((mode.enabled, mode.inference))
        if self.wanted:
            mode.enabled, mode.inference = False, True

    def __exit__(self, *exception: Any) -> None:
        mode.enabled, mode.inference = self.before.pop()


class set_detect_anomaly:
    """Name the forward call that led to an error or a NaN in backward."""

    def __init__(self, mode_enabled: bool, check_nan: bool = True):
        self.before = mode.anomaly, mode.check_nan
        mode.anomaly, mode.check_nan = bool(mode_enabled), bool(check_nan)

    def __enter__(self) -> None: ...

    def __exit__(self, *exception: Any) -> None:
        mode.anomaly, mode.check_nan = self.before


def detect_anomaly(check_nan: bool = True) -> set_detect_anomaly:
    """`with detect_anomaly():` - the forward call behind an error or a NaN in backward is named in the exception.

    Without `check_nan`, gradients are not looked at, and NaN passes; errors are named still.
    """
    return set_detect_anomaly(True, check_nan)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded."""
    return mode.enabled


def is_inference_mode_enabled() -> bool:
    """Whether inference mode is on."""
    return mode.inference


class RemovableHandle:
    """Takes a hook away again."""

    def __init__(self, remove: Callable[[], None]):
        self._remove: Callable[[], None] | None = remove

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        if self._remove is not None:
            self._remove()
            self._remove = None

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.remove()
