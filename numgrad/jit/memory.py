"""Memory for results. Large blocks are kept when their last array dies, and given out again.

Fresh memory has no pages: the first write to each one stops in the kernel, which finds and zeroes it. Adding two arrays of
10 million floats took 20 ms into fresh memory and 4 ms into memory that had been used before. Small arrays come from the
C library, which does the same for them.
"""

from __future__ import annotations

import contextlib
import functools
import math
import mmap
import os
import sys
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from . import limits

__all__ = ["LARGE", "empty", "maker", "owns", "pool", "rounded", "zeros"]

#: Bytes from which an array comes from the pool.
LARGE = 1 << 18
#: Elements that never need so many bytes.
_FEW = LARGE // 16
#: Bytes of a huge page: from twice as many, blocks start at a multiple of it and ask for such pages.
_HUGE = 1 << 21
_PRIVATE: dict[str, int] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
)  # private: a forked child must not write into its parent's results


class _Memory(np.ndarray):
    """Memory that a pool has, as bytes. No plain array, nor a view of one: NumPy would make that the base of arrays on loan and their views."""

    __slots__ = ("loan",)


class _Loan(weakref.ref):
    """An array on loan as its memory remembers it. No Python code runs when the array dies: there Ctrl-C would be lost."""

    __slots__ = ("memory",)


def _free(loan: _Loan) -> bool:
    """Whether nobody has the memory of a dead array: not the array's base either, which anybody may have asked for."""
    return sys.getrefcount(loan.memory) == 2  # the loan's, and what is asked about


def rounded(length: int) -> int:
    """The size of a block for so many bytes: eight sizes from one power of two to the next."""
    step = 1 << max(length.bit_length() - 4, 12)
    return (length + step - 1) // step * step


class Pool:
    """Blocks that wait for their next use, by size, and how many bytes they are; at most `limit` are kept."""

    def __init__(self, limit: int):
        self.limit, self._kept = limit, 0
        self.waiting: defaultdict[int, list[_Memory]] = defaultdict(list)
        self.lock = threading.RLock()  # what a signal calls may want memory
        self.dead: deque[_Loan] = deque()  # loans whose arrays died, and that were not looked at yet
        self._bury = self.dead.append

    @property
    def kept(self) -> int:
        """Bytes that wait for their next use."""
        self.collect()
        return self._kept

    def array(self, size: int, shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array in a block of so many bytes, a size that `rounded` gave, which goes back to the pool when it and its views are dead."""
        memory = self._last(size) if self.dead else None
        if memory is None:
            memory = self._kept_before(size)
        if memory is None:
            memory = self.fresh(size)
        array = np.ndarray(shape, dtype, memory)
        loan = _Loan(array, self._bury)
        loan.memory, memory.loan = memory, loan  # should Ctrl-C come before, the memory goes with the array
        return array

    def _last(self, size: int) -> _Memory | None:
        """The memory of the array that died last, if it has this size: it may still be in the cache, and no list changes."""
        try:
            loan = self.dead.pop()
            if loan.memory.size == size and _free(loan):
                return loan.memory
        except (IndexError, AttributeError):  # another thread was faster; Ctrl-C came before it was noted
            return None
        self.dead.append(loan)
        return None

    def _kept_before(self, size: int) -> _Memory | None:
        with self.lock:
            self._collect()
            waiting = self.waiting[size]
            if not waiting:
                return None
            self._kept -= size
            return waiting.pop()

    def fresh(self, size: int) -> _Memory:
        """New memory from the system, as bytes."""
        spare = _HUGE if size >= 2 * _HUGE else 0
        try:
            memory = mmap.mmap(-1, size + spare, **_PRIVATE)
        except OSError:
            self.clear()
            try:
                memory = mmap.mmap(-1, size + spare, **_PRIVATE)
            except OSError:
                raise MemoryError(f"cannot allocate {size} bytes") from None
        if not spare:
            return _Memory(size, np.uint8, memory)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without them
                memory.madvise(mmap.MADV_HUGEPAGE)
        start = -np.frombuffer(memory, np.uint8, 1).ctypes.data % _HUGE
        return _Memory(size, np.uint8, memory, start)

    def collect(self) -> None:
        """Keep the memory of blocks that died; where there would be too much, start over."""
        with self.lock:
            self._collect()

    def _collect(self) -> None:
        while self.dead:
            loan = self.dead.popleft()
            if (memory := getattr(loan, "memory", None)) is None:
                continue
            size, memory.loan, memory = memory.size, None, None
            if not _free(loan):
                continue
            if self._kept + size > self.limit:
                self._forget()
            if size <= self.limit:
                self.waiting[size].append(loan.memory)
                self._kept += size

    def clear(self) -> None:
        """Give all that is kept back to the system."""
        with self.lock:
            self.collect()
            self._forget()

    def _forget(self) -> None:
        self.waiting.clear()
        self._kept = 0

    def after_fork(self) -> None:
        """In a child: another thread may have held the lock, and what the parent kept is the parent's."""
        self.lock = threading.RLock()
        self.clear()


def _usable() -> int:
    """Bytes of memory this process may use: the machine's, or its group's."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        machine = 1 << 33
    return int(min(machine, limits.memory()))


#: The pool that results come from; `pool.clear()` empties it, `pool.limit` is in bytes.
pool = Pool(_usable() // 8)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.after_fork)


def empty(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Uninitialised memory for a result: the only way results get memory."""
    count = math.prod(shape) if isinstance(shape, (tuple, list)) else int(shape)
    if count < _FEW or (length := count * (dtype if type(dtype) is np.dtype else np.dtype(dtype)).itemsize) < LARGE:
        if pool.dead:
            pool.collect()
        return np.empty(shape, dtype)
    return pool.array(rounded(length), shape, dtype)


def maker(shape: tuple[int, ...], dtype: np.dtype) -> Callable[..., np.ndarray]:
    """What `empty` does for this shape and dtype, as a function of them."""
    length = math.prod(shape) * dtype.itemsize
    if length < LARGE:
        return np.empty
    return functools.partial(pool.array, rounded(length))


def zeros(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeroed memory for a result."""
    array = empty(shape, dtype)
    (array if array.dtype.kind != "V" else array.view(np.uint16)).fill(0)  # NumPy has no 0 of memory it knows nothing of
    return array


def owns(array: np.ndarray) -> bool:
    """Whether an array is all there is of its memory, and no view of another's."""
    return array.base is None or type(array.base) is _Memory
