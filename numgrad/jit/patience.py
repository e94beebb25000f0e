"""Ctrl-C waits while code is compiled: LLVM and Numba, stopped halfway, would be left in pieces."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Answer Ctrl-C after the block."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed: list[Any] = []

    def note(number: int, frame: Any) -> None:
        pressed.append((number, frame))

    try:
        signal.signal(signal.SIGINT, note)
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            handler(*pressed[0])


def patient(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is not interrupted."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with uninterrupted():
            return function(*args, **kwargs)

    return run
