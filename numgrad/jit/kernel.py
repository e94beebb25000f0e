"""The doors to native code: `@kernel` and `@device` say how code is compiled, `launch` runs it, `empty` makes its memory.

A kernel is a module-level function whose outer loop is a `prange`; it writes its first argument, allocates nothing and
raises nothing. From one source come two native functions, a parallel one and its serial twin, and both give the same
bits, for work is cut by shape alone and never by the number of threads.

Where it is parallel, `prange(n)` counts in unsigned numbers, and a device function that is called with them would be compiled
for them too; `prange(0, n)` counts in signed ones, like the twin.
"""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, prange
from numba.core.compiler import Compiler
from numba.core.errors import (
    TypingError as Untyped,  # what a launch raises where an argument is no number that kernels know
)

from . import memory, threads  # before Numba: it bounds the OpenMP spin time and the size of the pool
from .borrow import borrowing, is_safe, plain, span
from .cache import DiskCache, fingerprint
from .overlap import compiler, pays
from .patience import patient

__all__ = [
    "DEBUG",
    "DISABLED",
    "Kernel",
    "Observer",
    "Results",
    "Units",
    "Untyped",
    "device",
    "empty",
    "kernel",
    "launch",
    "launch_flat",
    "maker",
    "observe",
    "observed",
    "observers",
    "prange",
    "read",
    "verify",
    "whole",
    "zeros",
]  # fmt: skip

#: True where NUMBA_DISABLE_JIT=1 asks for kernels as plain Python (slow, debuggable, and what coverage sees).
DISABLED: bool = bool(numba.config.DISABLE_JIT)

#: True where NUMGRAD_DEBUG=1 asks for kernels that check their indices; see `numgrad.debug`.
DEBUG: bool = os.environ.get("NUMGRAD_DEBUG", "0") not in ("", "0")

#: Element operations from which a parallel launch pays: about 15 us of work, where a launch takes 2 us if the threads are awake
#: and 60 if they must be woken while other programs use the cores. (`python -m perf limits` measures it.)
GRAIN = 131_072

# numpy error model: a division by zero gives inf or nan; the default model raises, and is 7x slower for the check.
# contract: a * b + c may become one fused multiply-add. Nothing more by default: reordering is asked for where it is safe.
# No reference counting: kernels make no arrays, and every view of a row would cost two atomic additions, which threads share.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}
if DEBUG:
    _OPTIONS["boundscheck"] = True
_CONTRACT = frozenset({"contract"})


class Units(NamedTuple):
    """Which elements of an argument, an array seen as one dimension, a unit of a kernel's loop reads, as source: in terms of the
    kernel's arguments, its loop's variable, and what is set before the loop. No element is read by two units."""

    argument: str
    start: str
    stop: str
    widest: int = 1 << 62  # the most that the argument's last dimension may have


class Results(NamedTuple):
    """Which elements of a kernel's first argument, an array seen as one dimension, a unit of its loop finishes, as source like that of
    `Units`: `rows` of so many columns. Nobody reads or writes them afterwards."""

    start: str
    columns: str
    rows: str = "1"
    step: str = "0"  # from row to row


class Kernel:
    """A function in its two native forms; each is compiled when first used, or found in the disk cache."""

    form: Any = None  # of a pointwise kernel: the formula that it computes
    writes: tuple[str, ...] = ()  # arguments by name, if it says so
    fills: Any = None  # of a kernel of an output and what it is drawn from: fills(out, start, stop, ...) does so for a part
    results: Results | None = None  # of a kernel whose units may go on with what they have finished: which part of the result it is
    units: Units | None = None  # of a kernel whose units may compute what they read: which part of what it is

    def __init__(self, function: Callable[..., None], fastmath: frozenset[str]):
        self.function, self.fastmath, self.name = function, fastmath, function.__name__
        self.__doc__ = function.__doc__
        self._serial: Callable[..., None] | None = None
        self._parallel: Callable[..., None] | None = None
        self._lenders: dict[bool, Any] = {}
        self._entries: dict[Any, Callable[..., None]] = {}

    def entry(self, arrays: Sequence[np.ndarray], rest: Sequence[Any], flat: bool = True, work: int = 0) -> Callable[..., None]:
        """What runs the kernel on arrays of these dtypes, which are borrowed: under GRAIN the serial form, else the parallel one, if
        threads are to be had.

        `flat`: they may have any shape, and the kernel sees their memory as one dimension. Else it sees them as they are, contiguous.
        """
        key = work < GRAIN, flat, *[a.dtype if flat else (a.dtype, a.ndim) for a in arrays]
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = self._lent(arrays, rest, flat, False) if work < GRAIN else self._wide(len(arrays), flat)
        return found

    def _lent(self, arrays: Sequence[np.ndarray], rest: Sequence[Any], flat: bool, parallel: bool) -> Callable[..., None]:
        if not (DISABLED or DEBUG) and is_safe():
            return borrowing(self._lender(parallel), arrays, rest, flat)
        form, count = self.parallel if parallel else self.serial, len(arrays) if flat else 0
        return lambda *args: form(*map(span, args[:count]), *args[count:])

    def _wide(self, count: int, flat: bool) -> Callable[..., None]:
        forms: dict[bool, Callable[..., None]] = {}  # each compiled, or found in the disk cache, when first used

        def run(*args: Any) -> None:
            parallel = threads.acquire()
            try:
                form = forms.get(parallel) or forms.setdefault(parallel, self._lent(args[:count], args[count:], flat, parallel))
                form(*args)
            finally:
                if parallel:
                    threads.release()

        return run

    def native(self, signature: Any, parallel: bool) -> Any:
        """What Numba compiled for these types of arguments, now or before."""
        for borrowed, result in self._lender(parallel).overloads.items():
            if plain(borrowed) == signature:
                return result
        dispatcher: Any = self.parallel if parallel else self.serial
        dispatcher.compile(signature)
        return dispatcher.overloads[signature]

    def _lender(self, parallel: bool) -> Any:
        """Apart from `serial` and `parallel`, for Numba would take a borrowed array for an array."""
        return self._lenders.get(parallel) or self._lenders.setdefault(parallel, self._compile(parallel))

    def _compile(self, parallel: bool) -> Callable[..., None]:
        if DISABLED:
            return _quietly(self.function)
        named = _named(self.function, "parallel" if parallel else "serial")
        parallel = parallel and not DEBUG  # threads cannot raise
        dispatcher = njit(parallel=parallel, fastmath=set(self.fastmath), **_OPTIONS)(named)
        dispatcher._cache = DiskCache(self.function, f"parallel={parallel} {sorted(self.fastmath)}{' boundscheck' * DEBUG}", parallel)
        dispatcher.compile = patient(dispatcher.compile)
        return dispatcher

    @property
    def serial(self) -> Callable[..., None]:
        """The form that runs on the calling thread."""
        if self._serial is None:
            self._serial = self._compile(parallel=False)
        return self._serial

    @property
    def parallel(self) -> Callable[..., None]:
        """The form that runs on all threads of the pool."""
        if self._parallel is None:
            self._parallel = self._compile(parallel=True)
        return self._parallel

    def __repr__(self) -> str:
        return f"<kernel {self.function.__module__}.{self.name}>"


def _named(function: Callable[..., Any], suffix: str = "") -> Callable[..., Any]:
    """The function under a name that says what it holds.

    Numba tells compiled functions of one name and one signature apart by a counter of the process that compiled them.
    Loaded from the cache, two that met the same count elsewhere would be one symbol, and one would run as the other.
    """
    copy = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)  # type: ignore[attr-defined]
    copy.__qualname__ = f"{function.__qualname__}_{fingerprint(function)[:16]}{suffix}"
    copy.__module__, copy.__doc__, copy.__dict__ = function.__module__, function.__doc__, vars(function).copy()
    return copy


def _quietly(function: Callable[..., None]) -> Callable[..., None]:
    def run(*args: Any) -> None:  # native code neither warns nor raises on overflow, so its Python twin must not
        with np.errstate(all="ignore"):
            function(*args)

    return run


def kernel(function: Callable[..., None] | None = None, *, fastmath: tuple[str, ...] = ("contract",), writes: tuple[str, ...] = ()) -> Any:
    """Make a kernel of a function; `fastmath` names the LLVM flags it may use ("contract", "reassoc", "nsz", "arcp"), `writes` the
    arguments that it writes, where its source does not show it, for it calls code by address.

    "nnan", "ninf" and "fast" are refused: masks are -inf and a NaN must survive.
    """
    if function is None:
        return lambda f: kernel(f, fastmath=fastmath, writes=writes)
    made = Kernel(function, _flags(fastmath))
    made.writes = writes
    return made


def device(
    function: Callable[..., Any] | None = None, *, fastmath: tuple[str, ...] = ("contract",), inline: bool = False, apart: bool = False,
    overlap: int = 1, writes: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """Make a function callable from kernels. Its loops are compiled once, so both twins of a kernel share their bits.

    `inline` makes it part of its callers however long it is: a loop that calls anything does not run in vectors. `apart` says that
    arrays it writes have no element in common with its others: else each loop compares the bounds of all, which takes longer than
    a short row. `overlap`: so many vectors are computed side by side (see `overlap`). `writes` is what it is for `kernel`.
    """
    if function is None:
        return lambda f: device(f, fastmath=fastmath, inline=inline, apart=apart, overlap=overlap, writes=writes)
    flags = _flags(fastmath)
    if writes:
        vars(function)["writes"] = writes
    if DISABLED:
        return function
    vars(function)["options"] = (sorted(flags), inline, apart, overlap)  # part of its fingerprint
    # Only kernels call it, so the entry points for Python and C, a third of the compile time, are left out.
    options = _OPTIONS | {"fastmath": set(flags), "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": inline}
    pipeline = _Apart if apart else Compiler
    options["pipeline_class"] = compiler(pipeline, overlap) if overlap > 1 and pays() else pipeline
    return njit(**options)(_named(function))


class _Apart(Compiler):
    """The compiler, told that arguments do not overlap."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.state.flags.noalias = True


def _flags(fastmath: tuple[str, ...]) -> frozenset[str]:
    refused = set(fastmath) & {"fast", "nnan", "ninf"}
    if refused:
        raise ValueError(f"fastmath={fastmath}: {sorted(refused)} would break NaN and infinity, which kernels must keep")
    return frozenset(fastmath) if fastmath else frozenset()


class Observer:
    """Who is told of every launch, allocation and look at a value, while `observe` lasts: recorders and profilers.

    `each_step` says whether programs run step by step, to be timed; else they run as they do unobserved.
    """

    each_step = True

    def launched(self, kernel: Kernel, work: int, args: tuple[Any, ...]) -> None:
        """A kernel is about to run, in its parallel or its serial form; `args` begin with its output."""

    def allocated(self, array: np.ndarray, zeroed: bool) -> None:
        """Memory for a result was made."""

    def was_read(self, array: np.ndarray) -> None:
        """Python is about to look at values: what it does next may depend on them."""

    def verified(self, report: np.ndarray, refuse: Callable[..., None], arrays: tuple[np.ndarray, ...]) -> None:
        """A kernel's report was looked at, and found without fault."""

    def finished(self, kernel: Kernel) -> None:
        """The kernel that was launched last on this thread has run."""

    def replayed(self, steps: Sequence[Any], lines: Sequence[str], times: Sequence[int]) -> None:
        """A program has run: its steps (or itself, as one), the lines of code they stand for, and the time (ns) before each and
        after the last."""

    def called(self, name: str, start: int, stop: int) -> None:
        """A compiled function was called, from one time (ns) to another."""


#: Those who are told, see `observe`. Where nobody is, what is known ahead may go straight to an entry or to `maker`'s function.
observers: list[Observer] = []


def launch(kernel: Kernel, out: np.ndarray, *args: Any, work: int | None = None) -> None:
    """Run a kernel on `out` and `args`: the only way native code runs.

    `work` is the number of element operations (default `out.size`); under GRAIN the serial twin runs, and so it does
    with one thread, in a forked child, and where another Python thread holds a pool that only one may use.
    """
    work = out.size if work is None else work
    if observers:
        _launch_observed(kernel, work, (out, *args))
        return
    if work < GRAIN or not threads.acquire():
        kernel.serial(out, *args)
        return
    try:
        kernel.parallel(out, *args)
    finally:
        threads.release()


def _launch_observed(kernel: Kernel, work: int, args: tuple[Any, ...], entry: Callable[..., None] | None = None) -> None:
    """`launch` with everybody told before and after; `entry` is called with the same, should it be given."""
    for observer in observers:
        observer.launched(kernel, work, args)
    if work >= GRAIN and threads.acquire():
        try:
            kernel.parallel(*args)
        finally:
            threads.release()
    else:
        (entry or kernel.serial)(*args)
    for observer in observers:
        observer.finished(kernel)


def whole(x: np.ndarray) -> np.ndarray:
    """For `launch_flat`: the array as it is."""
    return x


def launch_flat(
    kernel: Kernel, entry: Callable[..., None] | None, arrays: Sequence[np.ndarray], rest: Sequence[Any], work: int,
    flatten: Callable[[np.ndarray], np.ndarray] = span,
) -> None:  # fmt: skip
    """`launch` for a kernel that sees its first arguments as memory of one dimension, whatever their shape, or as they are (`whole`).

    `entry` is what `kernel.entry` gave, if it is known ahead: then the launch costs little more than the kernel.
    """
    flat = flatten is not whole
    if observers:
        seen = [flatten(a) for a in arrays]
        _launch_observed(kernel, work, (*seen, *rest), lambda *_: kernel.entry(arrays, rest, flat)(*arrays, *rest))
        return
    (entry or kernel.entry(arrays, rest, flat, work))(*arrays, *rest)


@contextlib.contextmanager
def observe(observer: Observer) -> Iterator[Observer]:
    """Tell `observer` what happens inside the block, on any thread."""
    observers.append(observer)
    try:
        yield observer
    finally:
        observers.remove(observer)


def observed() -> bool:
    """Whether somebody is told of launches: then optional looks at values are better left out."""
    return bool(observers)


def read(array: np.ndarray) -> np.ndarray:
    """The array, for Python to look at its values: the only way values leave kernels, so that a recorder knows."""
    for observer in observers:
        observer.was_read(array)
    return array


def verify(report: np.ndarray, refuse: Callable[..., None], *arrays: np.ndarray) -> None:
    """Call `refuse(report, *arrays)`, which raises, if a kernel put anything but -1 into an int64 report.

    Values are not otherwise looked at, so that a recorded step can be verified again at each replay.
    """
    if report.item() != -1 if report.size == 1 else (report != -1).any():
        refuse(report, *arrays)
    for observer in observers:
        observer.verified(report, refuse, arrays)


def empty(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Uninitialised memory for a result: the only way results get memory."""
    array = memory.empty(shape, dtype)
    for observer in observers:
        observer.allocated(array, False)
    return array


def maker(shape: tuple[int, ...], dtype: np.dtype) -> Callable[..., np.ndarray]:
    """What makes arrays of this size where nobody observes it."""
    return memory.maker(shape, dtype)


def zeros(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeroed memory for a result."""
    array = memory.zeros(shape, dtype)
    for observer in observers:
        observer.allocated(array, True)
    return array
