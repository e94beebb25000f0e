"""Memory for results. Large blocks are kept when their last array dies, and given out again.

Fresh memory has no pages: the first write to each one stops in the kernel, which finds and zeroes it. Adding two arrays of
10 million floats took 20 ms into fresh memory and 4 ms into memory that had been used before. Small arrays come from the
C library, which does the same for them.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
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
    """Memory that a pool has, as bytes. No plain array: NumPy would make it the base of arrays on loan, past the block between."""

    __slots__ = ()


class _Block(np.ndarray):
    """Memory on loan: the base of an array, and so of all its views. When the last one dies the memory goes back."""

    __slots__ = ()


class _Loan(weakref.ref):
    """A block as its pool remembers it. No Python code runs when the block dies: there Ctrl-C would be lost."""

    __slots__ = ("memory",)


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
        self.dead: deque[_Loan] = deque()  # loans whose blocks died, and that were not looked at yet
        self._loans: dict[int, _Loan] = {}
        self._bury = self.dead.append

    @property
    def kept(self) -> int:
        """Bytes that wait for their next use."""
        self.collect()
        return self._kept

    def block(self, size: int) -> np.ndarray:
        """So many bytes, a size that `rounded` gave, that go back to the pool with the last array on them."""
        memory = None
        with self.lock:
            if self.dead:
                self._collect()
            if waiting := self.waiting[size]:
                memory = waiting.pop()
                self._kept -= size
        if memory is None:
            memory = self.fresh(size)
        block = memory.view(_Block)
        loan = _Loan(block, self._bury)
        loan.memory = memory
        self._loans[id(loan)] = loan
        return block

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
            return np.frombuffer(memory, np.uint8).view(_Memory)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without them
                memory.madvise(mmap.MADV_HUGEPAGE)
        start = -np.frombuffer(memory, np.uint8, 1).ctypes.data % _HUGE
        return np.frombuffer(memory, np.uint8, size, start).view(_Memory)

    def collect(self) -> None:
        """Keep the memory of blocks that died; where there would be too much, start over."""
        with self.lock:
            self._collect()

    def _collect(self) -> None:
        while self.dead:
            loan = self.dead.popleft()
            if self._loans.pop(id(loan), None) is None:
                continue  # Ctrl-C came before it was noted: its memory goes with it
            size = loan.memory.size
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
    return np.ndarray(shape, dtype, pool.block(rounded(length)))


def maker(shape: tuple[int, ...], dtype: np.dtype) -> Callable[..., np.ndarray]:
    """What `empty` does for this shape and dtype, as a function of them."""
    length = math.prod(shape) * dtype.itemsize
    if length < LARGE:
        return np.empty
    size, block, new = rounded(length), pool.block, np.ndarray
    return lambda shape, dtype: new(shape, dtype, block(size))


def zeros(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeroed memory for a result."""
    array = empty(shape, dtype)
    (array if array.dtype.kind != "V" else array.view(np.uint16)).fill(0)  # NumPy has no 0 of memory it knows nothing of
    return array


def owns(array: np.ndarray) -> bool:
    """Whether an array is all there is of its memory, and no view of another's."""
    return array.base is None or type(array.base) is _Block
