"""What a function does that no replay would do again: it prints, looks at a clock, draws random numbers of Python or NumPy."""

from __future__ import annotations

import contextlib
import gc
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

#: Built-in functions, by module and name, and methods, by the name of their object's class.
_FUNCTIONS = frozenset({"builtins.print", "builtins.input", "io.open", "posix.urandom", "posix.system"})
_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "time_ns", "monotonic_ns", "perf_counter_ns", "localtime", "gmtime")
_METHODS = frozenset({"Random", "SystemRandom", "TextIOWrapper", "BufferedWriter", "StringIO", "BytesIO", "socket"})
#: Whose calls are their own business, not the function's.
_OWN = (str(Path(__file__).parent.parent), *(f"/{name}/" for name in ("numba", "llvmlite", "numpy", "_pytest")))
_STANDARD = str(Path(contextlib.__file__).parent)


def _named(called: Any) -> str | None:
    """What to call a built-in function that a replay would leave out; None for the others."""
    owner = getattr(called, "__self__", None)
    if owner is None or isinstance(owner, types.ModuleType):
        name = f"{called.__module__}.{called.__name__}"
        is_clock = called.__module__ == "time" and called.__name__ in _CLOCKS
        return name.removeprefix("builtins.") if is_clock or name in _FUNCTIONS else None
    if isinstance(owner, type):
        return called.__qualname__ if called.__name__ in ("now", "today", "utcnow") else None
    kinds = {base.__name__ for base in type(owner).__mro__}
    if kinds & {"Random", "SystemRandom"}:
        return f"random.{called.__name__}"
    return f"{type(owner).__name__}.{called.__name__}" if kinds & _METHODS and called.__name__.startswith(("write", "read", "send")) else None


def _is_users(frame: Any) -> bool:
    """Whether a call comes from the user's code, maybe through the standard library."""
    while frame is not None and frame.f_code.co_filename.startswith((_STANDARD, "<frozen")) and "site-packages" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None and not any(own in frame.f_code.co_filename for own in _OWN)


@contextlib.contextmanager
def purity(refuse: Callable[[str], None], reached: Iterable[Any], calls: bool) -> Iterator[None]:
    """Refuse if the block does what cannot be replayed; with `calls`, built-in functions are looked at one by one (slow)."""

    def called(frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and (name := _named(function)) is not None and _is_users(frame):
            refuse(f"'{name}' is called, which a replay would leave out")

    generators = [g for g in reached if isinstance(g, (np.random.Generator, np.random.RandomState))]
    before = _states(generators)
    calls = calls and sys.getprofile() is None
    collecting = calls and gc.isenabled()
    if calls:
        gc.disable()  # what others do when garbage is collected is not the function's doing
        sys.setprofile(called)
    try:
        yield
    finally:
        if calls:
            sys.setprofile(None)
        if collecting:
            gc.enable()
    if _states(generators) != before:
        refuse("it draws from NumPy's random numbers (numgrad's own are replayed)")


def _states(generators: list[Any]) -> list[Any]:
    """Where NumPy's generators stand: the ones that were reached, and the one of its module."""
    own = np.random.mtrand._rand  # type: ignore[attr-defined]
    states = [g.bit_generator.state if isinstance(g, np.random.Generator) else g.get_state(legacy=False) for g in (own, *generators)]
    return [{k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in s["state"].items()} for s in states]


__all__ = ["purity"]
