"""Files that `torch.save` wrote, read without PyTorch: weights, numbers, text and containers of these.

Two formats: a zip archive with a pickle (`data.pkl`) and one entry a block of memory, and before PyTorch 1.6 a row of pickles
with the blocks behind them. The pickles are read by `Machine`, which runs no code.
"""

from __future__ import annotations

import io
import math
import reprlib
import zipfile
from typing import Any

import numpy as np

import numgrad
from numgrad.ops.interop import from_memory

from .format import FileFormatError, RefusedError, Source
from .pickled import Known, Machine

_short = reprlib.repr  # what a pickle says of itself may be small there and endless when written out

_CHUNK = 1 << 24

#: PyTorch's storage classes: the dtype their elements have in the file, and the one they are read as
_STORAGES: dict[str, tuple[str, str]] = {
    "Float": ("f4", "f4"), "Double": ("f8", "f8"), "Half": ("f2", "f2"), "BFloat16": ("V2", "V2"), "Long": ("i8", "i8"),
    "Int": ("i4", "i4"), "Short": ("i2", "i2"), "Char": ("i1", "i1"), "Byte": ("u1", "u1"), "Bool": ("?", "?"),
    "Untyped": ("u1", "u1"),
}  # fmt: skip
#: dtypes that have no storage class of their own: tensors of them lie in untyped storage
_NEWER = {"uint16": ("u2", "i4"), "uint32": ("u4", "i8")}


def load_checkpoint(file: Any, zipped: bool, source: Source) -> Any:
    """The object in a file of PyTorch's, of the newer format or the older one."""
    try:
        with _Archive(file) if zipped else _Legacy(file) as archive:
            found = archive.object()
    except RefusedError as error:
        raise RefusedError(f"{source.error(str(error))}. numgrad reads weights and runs no code: save a state_dict, numbers and text only") from None
    except FileFormatError as error:
        raise source.error(str(error)) from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError, OSError,
            MemoryError, zipfile.BadZipFile) as error:  # fmt: skip
        raise source.error(f"this is not what torch.save writes, or damaged ({type(error).__name__}: {error})") from None
    return found


class _Storage(Known):
    """A block of memory, and how its elements are written in it."""

    __slots__ = ("arrays", "kind", "little", "memory")

    def __init__(self, memory: np.ndarray, kind: str, little: bool) -> None:
        super().__init__("a storage")
        self.memory, self.kind, self.little = memory, kind, little
        self.arrays: dict[str, np.ndarray] = {}  # by the dtype in the file

    def elements(self, stored: str, read: str) -> np.ndarray:
        """All its elements; the same array each time."""
        if stored not in self.arrays:
            width = np.dtype(stored).itemsize
            memory = self.memory[: self.memory.size // width * width]
            order: Any = "<" if self.little else ">"
            if stored == "V2":  # bfloat16
                found = memory.view(order + "u2").astype(np.uint16, copy=False).view(stored)
            else:
                found = memory.view(np.dtype(stored).newbyteorder(order)).astype(read, copy=False)
            if stored == "?" and memory.size and memory.max() > 1:
                raise ValueError("truth values other than 0 and 1")
            self.arrays[stored] = found
        return self.arrays[stored]


class _Reader:
    """What both formats share: names that the pickle may say, and tensors on blocks of memory."""

    def __init__(self, file: Any) -> None:
        here = file.tell()
        self.left = file.seek(0, 2) - here  # bytes that memory may be spent on
        file.seek(here)
        self.storages: dict[str, _Storage] = {}
        self.little = True
        self.names = self._known()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def _known(self) -> dict[str, Known]:
        known: dict[str, Any] = {
            "torch._utils._rebuild_tensor": lambda storage, offset, size, stride: self._tensor(storage, offset, size, stride),
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._tensor_of_dtype,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": lambda data, requires_grad, hooks, state: _parameter(data, requires_grad),
            "torch._tensor._rebuild_from_type_v2": _of_type,
            "torch.Size": numgrad.Size,
            "torch.device": lambda *place: numgrad.device("cpu"),
        }
        names = {name: Known(name, function) for name, function in known.items()}
        for kind in _STORAGES:
            for module in ("torch", "torch.cuda", "torch.storage"):
                names[f"{module}.{kind}Storage"] = Known(kind)
        for name in ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"):
            names[name] = Known(name)
        for name, value in vars(numgrad).items():
            if isinstance(value, numgrad.dtype):
                names[f"torch.{name}"] = Known(name, value=value)
        names |= {f"torch.{name}": Known(name) for name in _NEWER}
        return names

    def run(self, file: Any) -> Any:
        """The object of the pickle that comes next in a file."""
        return Machine(self.names, self._stored).run(file)

    def _stored(self, reference: Any) -> _Storage:
        """What the pickle calls a persistent id: ("storage", class, key, device, number of elements, ...)."""
        if type(reference) is not tuple or len(reference) < 5 or reference[0] != "storage" or not isinstance(reference[1], Known):
            raise TypeError(f"it refers to {_short(reference)}")
        kind, key, count = reference[1].name, reference[2], reference[4]
        if kind not in _STORAGES or type(key) is not str or type(count) is not int or count < 0 or any(reference[5:]):
            raise TypeError(f"it refers to {_short(reference)}")
        found = self.storages.get(key)
        if found is None:
            size = count * np.dtype(_STORAGES[kind][0]).itemsize
            found = self.storages[key] = _Storage(self.memory(key, size), kind, self.little)
        return found

    def memory(self, key: str, size: int) -> np.ndarray:
        """The bytes of a block."""
        raise NotImplementedError

    def take(self, file: Any, size: int) -> np.ndarray:
        """The next bytes of a file."""
        self.spend(size)
        memory = np.empty(size, np.uint8)
        filled = 0
        while filled < size:
            count = file.readinto(memory[filled : filled + _CHUNK].data)
            if not count:
                raise FileFormatError(f"it is cut short: {size - filled} bytes are missing")
            filled += count
        return memory

    def spend(self, size: int) -> None:
        """Note that memory is needed for this much of the file."""
        self.left -= size
        if self.left < 0:
            raise FileFormatError("it announces more data than it has")

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *_: Any) -> Any:
        """A tensor on a block of memory; tensors on one block share it."""
        return self._view(storage, _STORAGES[storage.kind], offset, size, stride, requires_grad)

    def _tensor_of_dtype(self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, _: Any, dtype: Known, *__: Any) -> Any:
        if dtype.name not in _NEWER:
            raise RefusedError(f"it has a tensor of {dtype.name}, which numgrad does not have")
        return self._view(storage, _NEWER[dtype.name], offset, size, stride, requires_grad)

    def _view(self, storage: _Storage, kinds: tuple[str, str], offset: Any, size: Any, stride: Any, requires_grad: Any) -> Any:
        elements = storage.elements(*kinds)
        if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)) or len(size) != len(stride):
            raise ValueError(f"a tensor has the shape {_short(size)}, the strides {_short(stride)} and begins at {_short(offset)}")
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if math.prod(size) == 0:
            array = np.empty(tuple(size), elements.dtype)
        elif last >= elements.size:
            raise ValueError(f"a tensor reaches to element {last} of {elements.size}")
        else:
            steps = tuple(s * elements.itemsize for s in stride)
            array = np.ndarray(tuple(size), elements.dtype, elements, offset * elements.itemsize, steps)
        return from_memory(array).requires_grad_(bool(requires_grad))


def _parameter(data: Any, requires_grad: Any, *_: Any) -> Any:
    return numgrad.nn.Parameter(data, bool(requires_grad))


def _of_type(function: Known, kind: Known, arguments: tuple, state: Any) -> Any:
    """A tensor with attributes, which are left out, or of a class of its own, of which Parameter is known."""
    found = function.function(*arguments)  # type: ignore[misc]
    return _parameter(found, found.requires_grad) if kind.name.endswith("Parameter") and type(found) is numgrad.Tensor else found


class _Archive(_Reader):
    """A zip archive: NAME/data.pkl, NAME/byteorder, and a block of memory in each NAME/data/KEY."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._zip = zipfile.ZipFile(file)
        entries = self._zip.namelist()
        places = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(places) != 1:
            raise FileFormatError("this is a zip archive, but none that torch.save writes: it has no data.pkl")
        self._place = places[0]
        if f"{self._place}constants.pkl" in entries:
            raise RefusedError("this is a TorchScript archive, which is a program; save a state_dict with torch.save instead")
        if f"{self._place}byteorder" in entries:
            self.little = self._read("byteorder").tobytes() == b"little"

    def __exit__(self, *error: Any) -> None:
        self._zip.close()

    def object(self) -> Any:
        """What was saved."""
        return self.run(io.BytesIO(self._read("data.pkl").tobytes()))

    def memory(self, key: str, size: int) -> np.ndarray:
        return self._read(f"data/{key}", size)

    def _read(self, name: str, size: int = 0) -> np.ndarray:
        entry = self._zip.getinfo(self._place + name)
        if entry.compress_type != zipfile.ZIP_STORED:  # or a small file could become an endless one
            raise FileFormatError(f"its entry {name!r} is compressed, which torch.save does not do")
        if size > entry.file_size:
            raise FileFormatError(f"its entry {name!r} should have {size} bytes, but has {entry.file_size}")
        with self._zip.open(entry) as file:
            return self.take(file, entry.file_size)


class _Legacy(_Reader):
    """Pickles in a row: a magic number, a version, the machine's kind, the object, the blocks' keys; then the blocks."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._buffered = isinstance(file, io.RawIOBase)
        self._file = io.BufferedReader(file) if self._buffered else file

    def __exit__(self, *error: Any) -> None:
        if self._buffered:
            self._file.detach()

    def object(self) -> Any:
        """What was saved."""
        for what, expected in (("magic number", 0x1950A86A20F9469CFC6C), ("version", 1001)):
            if self.run(self._file) != expected:
                raise FileFormatError(f"this is not what torch.save writes: it has another {what}")
        self.little = self.run(self._file).get("little_endian", True)
        place = self._file.tell()
        self.run(self._file)  # which blocks there are: they come last
        for key in self.run(self._file):
            storage = self.storages[key]
            count = int.from_bytes(self._file.read(8), "little" if self.little else "big")
            if count * np.dtype(_STORAGES[storage.kind][0]).itemsize != storage.memory.size:
                raise FileFormatError(f"a block should have {storage.memory.size} bytes, but has {count} elements")
            self.left += storage.memory.size
            storage.memory = self.take(self._file, storage.memory.size)
            storage.arrays.clear()
        self._file.seek(place)
        return self.run(self._file)

    def memory(self, key: str, size: int) -> np.ndarray:
        self.spend(size)
        return np.zeros(size, np.uint8)
