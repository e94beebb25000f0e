"""How a batch crosses from a worker to the process that trains: through memory both can reach.

Arrays are copied twice, into a slot by the worker and out of it by the reader, by one system call each; only a
header of constant size goes through the pipe, so that a worker never waits for its reader to have time.
"""

from __future__ import annotations

import io
import os
import pickle
import tempfile
from multiprocessing import reduction
from typing import Any

import numpy as np

import numgrad
from numgrad.ops.interop import from_memory, memory

_SMALLEST_SEPARATE = 4096  # bytes; smaller arrays travel within the pickle


class Slot:
    """A growing piece of memory shared by two processes, written and read by turns."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = _anonymous_file() if descriptor is None else descriptor

    def __reduce__(self):  # only while a process is being spawned; a forked one has the descriptor already
        return _received_slot, (reduction.DupFd(self.descriptor),)

    def write(self, parts: list) -> None:
        """Write buffers one after the other."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        for part in parts:
            rest = memoryview(part).cast("B")
            while rest.nbytes:
                rest = rest[os.write(self.descriptor, rest) :]

    def read(self, start: int, sizes: list[int]) -> list[np.ndarray]:
        """Blocks of the given sizes, read from a place on."""
        os.lseek(self.descriptor, start, os.SEEK_SET)
        with io.FileIO(self.descriptor, "r", closefd=False) as file:
            return [_read_block(file, size) for size in sizes]

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.descriptor)


def pack(data: Any, slot: Slot) -> int:
    """Put `data` into the slot; what is returned goes to `unpack`."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()

    def keep_within(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes >= _SMALLEST_SEPARATE:
            buffers.append(buffer)
            return False
        return True

    _Pickler(stream, protocol=5, buffer_callback=keep_within).dump(data)
    parts = [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]
    slot.write([np.array([part.nbytes for part in parts], np.int64), *parts])
    return len(parts)


def unpack(count: int, slot: Slot) -> Any:
    """The data that was packed into the slot, in memory of its own."""
    (sizes,) = slot.read(0, [8 * count])
    pickled, *buffers = slot.read(8 * count, sizes.view(np.int64).tolist())
    return pickle.loads(pickled.data, buffers=buffers)


class _Pickler(pickle.Pickler):
    """Pickles tensors as their arrays, and large arrays beside the pickle."""

    def reducer_override(self, obj: Any):
        if type(obj) is not numgrad.Tensor:
            return NotImplemented
        if obj.requires_grad and not obj.is_leaf:
            raise RuntimeError(
                "a tensor that was computed from one that requires grad cannot leave a DataLoader worker, for its "
                "graph stays behind: detach() it first"
            )
        return _tensor, (np.require(memory(obj), requirements=["C", "W"]), obj.requires_grad)


def _tensor(array: np.ndarray, requires_grad: bool):
    return from_memory(array).requires_grad_(requires_grad)


def _received_slot(descriptor) -> Slot:
    return Slot(descriptor.detach())


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("numgrad-batch", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _read_block(file: io.FileIO, size: int) -> np.ndarray:
    block = np.empty(size, np.uint8)
    rest = block.data
    while rest.nbytes:
        count = file.readinto(rest)
        if not count:
            raise EOFError("a DataLoader worker wrote less than it announced")
        rest = rest[count:]
    return block
