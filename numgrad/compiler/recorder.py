"""The recorder: notes what a function launches, and on which memory, while it runs eagerly."""

from __future__ import annotations

import bisect
import sys
import threading
import weakref
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from ..jit import Kernel, Observer
from ..jit.borrow import address
from ..jit.program import Call, Fill, Place, Verify, signature_of

_PACKAGE = str(Path(__file__).parent.parent)
#: Bytes up to which the content of an array that nobody keeps is compared from recording to recording.
_SMALL = 1 << 16
_NOTHING = np.zeros(1)
_OVERLAP = "an argument shares memory with other data of the step"


class Memory:
    """A block of memory that launches touch: `temporary` (made by the step), `state` (made before), or given by the caller:
    `input` (an argument's), and for a backward pass `saved` and `argument` (made by, or given to, its forward pass).
    """

    __slots__ = ("address", "kind", "length", "owner", "position", "reference")

    def __init__(self, kind: str, address: int, length: int, owner: Any = None, position: int = -1):
        self.kind, self.address, self.length, self.owner, self.position = kind, address, length, owner, position
        self.reference: Any = None  # of a temporary: to see whether somebody still holds it in the end

    @property
    def alive(self) -> bool:
        """Whether a temporary's array still exists."""
        return self.reference is not None and self.reference() is not None


def memories_of(arrays: list[np.ndarray], kind: str = "input") -> list[Memory]:
    """The memories of arrays that a caller gives, numbered by their position."""
    return [Memory(kind, address(a), extent(a), a, position) for position, a in enumerate(arrays)]


class _Reference(weakref.ref):
    """Whether an array lives. No Python code runs when it dies: there Ctrl-C would be lost."""

    __slots__ = ("left",)


class Unrecordable(Exception):
    """Why a function cannot be replayed, in words for its user."""


class Recorder(Observer):
    """Everything a function did below its ops: `steps`, on numbered `memories`. `reason` says why it cannot be replayed."""

    def __init__(self, given: list[Memory]):
        self.thread = threading.get_ident()
        self.steps: list[Any] = []
        self.lines: list[str] = []
        self.memories: list[Memory] = [Memory("state", address(_NOTHING), 0, _NOTHING)]  # arrays without elements lie in the first
        self.reason: str | None = None
        self._starts: list[int] = []  # addresses of memories that exist now, in order, and their numbers
        self._numbers: list[int] = []
        self._dead: deque[_Reference] = deque()  # of arrays that died since somebody looked
        for memory in given:
            if memory.length:
                self._enter(memory)

    # --- what the doors tell ---

    def launched(self, kernel: Kernel, work: int, args: tuple[Any, ...]) -> None:
        if threading.get_ident() != self.thread or self.reason:
            return
        try:
            signature = signature_of(kernel, args)
            self.steps.append(Call(kernel, work, signature, tuple([self._argument(a) for a in args])))
            self.lines.append(user_line())
        except Unrecordable as why:
            self.refuse(str(why))

    def allocated(self, array: np.ndarray, zeroed: bool) -> None:
        if threading.get_ident() != self.thread or self.reason or array.nbytes == 0:
            return
        memory = Memory("temporary", address(array), array.nbytes)
        number = self._enter(memory)
        memory.reference = _Reference(array, self._dead.append)
        memory.reference.left = memory.address, number
        if zeroed:
            self.steps.append(Fill(Place(number, 0, array.dtype, array.shape, array.strides)))
            self.lines.append("")

    def was_read(self, array: np.ndarray) -> None:
        if threading.get_ident() == self.thread:
            self.refuse("a value is read by Python (.item(), .numpy(), bool(), print, a data-dependent shape)")

    def verified(self, report: np.ndarray, refuse: Any, arrays: tuple[np.ndarray, ...]) -> None:
        if threading.get_ident() == self.thread and not self.reason:
            self.steps.append(Verify(self.place(report), refuse, tuple(self.place(a) for a in arrays)))
            self.lines.append(user_line())

    def replayed(self, steps: Any, lines: Any, times: Any) -> None:
        if threading.get_ident() == self.thread:
            self.refuse("the backward pass of another compiled function runs inside")

    def refuse(self, reason: str) -> None:
        """Note that this cannot be replayed, and where in the user's code the cause is."""
        if self.reason is None:
            self.reason = f"{reason}, at {user_line()}"

    # --- arrays and memories ---

    def _argument(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self.place(value)
        if isinstance(value, tuple):
            return tuple(self._argument(v) for v in value)
        if isinstance(value, (bool, int, float, np.generic)):
            return value
        raise Unrecordable(f"a kernel takes an argument of type {type(value).__name__}")

    def place(self, array: np.ndarray) -> Place:
        """Which memory an array lies in, and where."""
        if array.size == 0:
            return Place(0, 0, array.dtype, array.shape, array.strides)
        at = address(array)
        number = self.find(at)
        if number is None:
            number = self._enter_state(array)
        elif at + extent(array) > self.memories[number].address + self.memories[number].length:
            raise Unrecordable(_OVERLAP)
        return Place(number, at - self.memories[number].address, array.dtype, array.shape, array.strides)

    def find(self, at: int) -> int | None:
        """The number of the memory that an address lies in."""
        self._bury()
        where = bisect.bisect_right(self._starts, at) - 1
        if where < 0:
            return None
        memory = self.memories[self._numbers[where]]
        low = self._starts[where]
        return self._numbers[where] if low <= at < low + memory.length else None

    def _enter_state(self, array: np.ndarray) -> int:
        owner = owner_of(array)
        memory = Memory("state", address(owner), extent(owner), owner)
        where = bisect.bisect_right(self._starts, memory.address + memory.length - 1) - 1
        if where >= 0 and self._starts[where] + self.memories[self._numbers[where]].length > memory.address:
            raise Unrecordable(_OVERLAP)
        return self._enter(memory)

    def _bury(self) -> None:
        while self._dead:
            self._leave(*self._dead.popleft().left)

    def _enter(self, memory: Memory) -> int:
        self._bury()
        self.memories.append(memory)
        number = len(self.memories) - 1
        where = bisect.bisect_left(self._starts, memory.address)
        self._starts.insert(where, memory.address)
        self._numbers.insert(where, number)
        return number

    def _leave(self, low: int, number: int) -> None:
        where = bisect.bisect_left(self._starts, low)
        while where < len(self._starts) and self._starts[where] == low:
            if self._numbers[where] == number:
                del self._starts[where], self._numbers[where]
                return
            where += 1

    # --- when it is over ---

    def constants(self, at_sites: set[int]) -> dict[int, bytes]:
        """Content of arrays that nobody else keeps alive: the step made them on the host, and they must not change."""
        found = {}
        for number, memory in enumerate(self.memories):
            # references: the memory's own and the call's
            if memory.kind == "state" and number not in at_sites and sys.getrefcount(memory.owner) <= 2:
                if memory.length > _SMALL:
                    raise Unrecordable("the step makes a large array on the host (from a list or with NumPy)")
                found[number] = memory.owner.tobytes()
        return found


def extent(array: np.ndarray) -> int:
    """Bytes from an array's first element to the end of its last. (There are no negative strides.)"""
    return array.itemsize + sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)) if array.size else 0


def owner_of(array: np.ndarray) -> np.ndarray:
    """The array whose memory a view shows."""
    while True:
        base = array.base
        if type(base) is not np.ndarray:
            base = getattr(base, "base", None) if type(base).__name__ == "DummyArray" else None  # as_strided's helper
            if type(base) is not np.ndarray:
                return array
        array = base


def user_line() -> str:
    """File and line of the innermost frame that is not numgrad's."""
    frame: Any = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename.startswith(_PACKAGE) or "__name__" not in frame.f_globals):  # or made by it
        frame = frame.f_back
    return "an unknown line" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


__all__ = ["Memory", "Recorder", "Unrecordable", "address", "memories_of", "owner_of", "user_line"]
