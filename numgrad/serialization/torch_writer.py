"""Writing what `torch.load(weights_only=True)` reads: a zip archive with a pickle and one entry a block of memory."""

from __future__ import annotations

import struct
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np

import numgrad
from numgrad.ops.interop import memory

from .format import destination
from .structure import Encoder, blocks

_STORAGES = {"f4": "Float", "f8": "Double", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char", "u1": "Byte", "b1": "Bool",
             "f2": "Half", "V2": "BFloat16"}  # fmt: skip


def write_checkpoint(obj: Any, f: Any) -> None:
    """Write `obj`, made of what `Encoder` knows but NumPy's arrays and numbers, to a path or binary file."""
    pickler = _Pickler(obj)
    pickle = b"\x80\x02" + pickler.pickled(obj) + b"."
    with destination(f) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, text in {"data.pkl": pickle, "byteorder": b"little", "version": b"3\n"}.items():
            archive.writestr(f"archive/{name}", text)
        for key, memory in enumerate(pickler.blocks):
            with archive.open(f"archive/data/{key}", "w", force_zip64=True) as entry:
                entry.write(memory.data)


class _Pickler:
    """Turns an object into pickle's instructions; its tensors become views of `blocks`."""

    def __init__(self, obj: Any) -> None:
        encoder = Encoder()
        encoder.encode(obj, ())  # says where something is that cannot be saved
        self.blocks: list[np.ndarray] = []
        self._places: dict[str, tuple[int, int, int, tuple[int, ...]]] = {}  # block, elements in it, offset, strides
        self._names = encoder.names
        self._written: dict[int, int] = {}  # id of a tensor -> its place in the memo: one tensor is written once
        for kind in dict.fromkeys(array.dtype for array in encoder.arrays.values()):
            self._lay_out({name: a for name, a in encoder.arrays.items() if a.dtype == kind})

    def _lay_out(self, arrays: dict[str, np.ndarray]) -> None:
        """Blocks for arrays of one dtype; those that overlap lie on one."""
        arrays = {n: a if all(s >= 0 and s % a.itemsize == 0 for s in a.strides) else a.copy() for n, a in arrays.items()}
        for names, held, offsets in blocks(arrays):
            for name, offset in zip(names, offsets, strict=True):
                size = arrays[name].itemsize
                strides = tuple(s // size for s in arrays[name].strides)
                self._places[name] = (len(self.blocks), held.size // size, offset // size, strides)
            self.blocks.append(held)

    def pickled(self, value: Any) -> bytes:
        """The instructions that put a value on the stack."""
        kind = type(value)
        if value is None:
            return b"N"
        if kind is bool:
            return b"\x88" if value else b"\x89"
        if kind is int:
            return self._integer(value)
        if kind is float:
            return b"G" + struct.pack(">d", value)
        if kind is str:
            text = value.encode("utf-8", "surrogatepass")
            return b"X" + struct.pack("<I", len(text)) + text
        if kind is bytes:
            return self._call("_codecs encode", value.decode("latin1"), "latin1")
        if kind is list:
            return b"](" + b"".join(map(self.pickled, value)) + b"e"
        if kind is tuple:
            return b"(" + b"".join(map(self.pickled, value)) + b"t"
        if kind in (dict, OrderedDict):
            start = b"}" if kind is dict else self._call("collections OrderedDict")
            about = getattr(value, "_metadata", None)  # of a state_dict: its modules' versions
            end = b"u" if about is None else b"u" + self.pickled({"_metadata": about}) + b"b"
            return start + b"(" + b"".join(self.pickled(k) + self.pickled(v) for k, v in value.items()) + end
        if kind is numgrad.Size:
            return self._call("torch Size", tuple(value))
        if isinstance(value, numgrad.dtype):
            return _name(f"torch {str(value).rpartition('.')[2]}")
        if isinstance(value, numgrad.device):
            return self._call("torch device", "cpu")
        if isinstance(value, numgrad.Tensor):
            return self._tensor(value)
        raise TypeError(f"save_torch: PyTorch's reader of weights knows no {kind.__module__}.{kind.__qualname__}; make it a tensor or a number first")

    def _integer(self, value: int) -> bytes:
        if 0 <= value < 256:
            return b"K" + bytes([value])
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        if len(digits) > 255:
            raise ValueError("save_torch: an integer has more than 2039 bits")
        return b"\x8a" + bytes([len(digits)]) + digits

    def _call(self, name: str, *arguments: Any) -> bytes:
        return _name(name) + self.pickled(arguments) + b"R"

    def _tensor(self, tensor: Any) -> bytes:
        if id(tensor) in self._written:
            return b"j" + struct.pack("<I", self._written[id(tensor)])
        array = memory(tensor)
        block, count, offset, strides = self._places[self._names[id(tensor)]]
        place = [self.pickled(part) for part in (str(block), "cpu", count)]
        stored = b"(" + self.pickled("storage") + _name(f"torch {_STORAGES[array.dtype.str[1:]]}Storage") + b"".join(place) + b"tQ"
        parameter = isinstance(tensor, numgrad.nn.Parameter)
        about: tuple[Any, ...] = (offset, array.shape, strides, tensor.requires_grad and not parameter, OrderedDict())
        rest = map(self.pickled, about)
        found = _name("torch._utils _rebuild_tensor_v2") + b"(" + stored + b"".join(rest) + b"tR"
        if parameter:
            found = _name("torch._utils _rebuild_parameter") + b"(" + found + self.pickled(tensor.requires_grad) + self.pickled(OrderedDict()) + b"tR"
        self._written[id(tensor)] = index = len(self._written)
        return found + b"r" + struct.pack("<I", index)


def _name(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"
