"""What programs are made of: calls of kernels, and what arrays they are called with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .kernel import DISABLED, Kernel


class Place(NamedTuple):
    """Where an array lies: the number of its memory, the offset of its first element in bytes, and its form."""

    memory: int
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Tail(NamedTuple):
    """What becomes of the elements that a call has finished (`numgrad.jit.tail`): its table is told, right before, where they
    begin and where its operands are, of which the first `outputs` are written."""

    kernel: Kernel
    table: Place
    operands: tuple[Place, ...]
    outputs: int

    @property
    def words(self) -> list[int]:
        """The words of the table for the call's result and for each operand."""
        return [0, *range(2, 2 + 2 * len(self.operands), 2)]


class Call(NamedTuple):
    """A kernel and its arguments: places and numbers. `work` is what `launch` was told of its size, `signature` the form it was
    compiled in (None without the JIT)."""

    kernel: Kernel
    work: int
    signature: Any
    args: tuple[Any, ...]
    tail: Tail | None = None


class Fill(NamedTuple):
    """Bytes of a memory set to zero."""

    place: Place


class Verify(NamedTuple):
    """An int64 report that must be -1 everywhere; else the program stops, and `refuse(report, *arrays)` raises."""

    report: Place
    refuse: Any
    arrays: tuple[Place, ...]


def signature_of(kernel: Kernel, args: Sequence[Any]) -> Any:
    """The argument types a kernel is compiled for when it is called with these."""
    return None if DISABLED else tuple(kernel.serial.typeof_pyval(a) for a in args)


__all__ = ["Call", "Fill", "Place", "Tail", "Verify", "signature_of"]
