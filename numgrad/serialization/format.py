"""The safetensors format: a length, a JSON header, the tensors' bytes. https://github.com/huggingface/safetensors#format"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import pickle
import stat
from collections.abc import Iterator
from typing import Any

import numpy as np

import numgrad
from numgrad.ops.interop import from_memory, memory

from .whole import replacing

_LARGEST_HEADER = 100_000_000  # bytes, as in the reference implementation
_CHUNK = 1 << 24
_NAMES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "V2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_TO_NUMPY = {name: np.dtype(code).newbyteorder("<") for name, code in _NAMES.items()}
FROM_NUMPY = {np.dtype(code): name for name, code in _NAMES.items()}
_ITEMSIZE = {name: dtype.itemsize for name, dtype in _TO_NUMPY.items()}
_WIDER = {"F16": np.float32, "U16": np.int32, "U32": np.int64}  # dtypes that hold every value of these
_ADVICE = "load_safetensors(..., widen=True) reads it as a wider one"


#: How files of PyTorch's begin: zip archives, and before PyTorch 1.6 a pickle of the number 0x1950a86a20f9469cfc6c.
ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


class FileFormatError(ValueError):
    """A file that is not what it should be: damaged, cut short, or of another format."""


class RefusedError(FileFormatError, pickle.UnpicklingError):
    """A file that asks for a function or class which a reader of weights does not call."""


def array_of(value: Any, where: str) -> np.ndarray:
    """A tensor's or array's memory; TypeError names the place where something else stands."""
    if isinstance(value, numgrad.Tensor):
        return memory(value)
    if isinstance(value, np.ndarray) and value.dtype.kind != "V" and value.dtype.newbyteorder("=") in FROM_NUMPY:
        return value
    found = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
    raise TypeError(f"{where} is {found}, which cannot be written")


def write(f: Any, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write named arrays and text about them to an open file."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    # The widest types first, so that with a header of whole eights every tensor is aligned.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    offset = 0
    for name in order:
        array = arrays[name]
        kind = FROM_NUMPY[array.dtype.newbyteorder("=")]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LARGEST_HEADER:
        raise ValueError(f"what is beside the tensors takes {len(text)} bytes, more than a header may have")
    with destination(f) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            little = np.ascontiguousarray(arrays[name], arrays[name].dtype.newbyteorder("<"))
            file.write(little.reshape(-1).view(np.uint8).data)


@contextlib.contextmanager
def destination(f: Any) -> Iterator[Any]:
    """What to write to; a path is written beside its place and moved there when complete."""
    if hasattr(f, "write"):
        if isinstance(f, io.TextIOBase):
            raise TypeError(f"expected a binary file, but got a {type(f).__name__} of text: open it with mode 'wb'")
        yield f
        return
    if not isinstance(f, (str, os.PathLike)):
        raise TypeError(f"expected a path or a binary file with a write method, but got {type(f).__name__}")
    path = os.path.realpath(f)
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe stays what it is
        with open(path, "wb") as file:
            yield file
        return
    with replacing(path) as file:
        yield file


@contextlib.contextmanager
def opened(f: Any) -> Iterator[Source]:
    """A source to read from: a path, or an open binary file."""
    if hasattr(f, "read"):
        if isinstance(f, io.TextIOBase):
            raise TypeError(f"expected a binary file, but got a {type(f).__name__} of text: open it with mode 'rb'")
        yield Source(f, f"<{type(f).__name__}>", None)
        return
    if not isinstance(f, (str, os.PathLike)):
        raise TypeError(f"expected a path or a binary file with a read method, but got {type(f).__name__}")
    with open(f, "rb", buffering=0) as file:
        information = os.fstat(file.fileno())
        size = information.st_size if stat.S_ISREG(information.st_mode) else None
        yield Source(file, os.fsdecode(f), size)


class Source:
    """A file that is believed nothing: all that it says is checked before memory is spent on it."""

    def __init__(self, file: Any, name: str, size: int | None) -> None:
        self.file, self.name, self._left = file, name, size

    def error(self, message: str) -> FileFormatError:
        """What is raised when the file is not what it should be; names the file."""
        return FileFormatError(f"{self.name}: {message}")

    def start(self, count: int) -> bytes:
        """The next bytes without taking them; none where a file cannot go back."""
        if not (hasattr(self.file, "seekable") and self.file.seekable()):
            return b""
        here = self.file.tell()
        found = self.file.read(count)
        self.file.seek(here)
        return found

    def read_all(self, widen: bool = False) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """All arrays by name, and the text about them."""
        header = self._header()
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise self.error("its __metadata__ is not a mapping of text to text")
        layout = sorted((self._entry(name, entry) for name, entry in header.items()), key=lambda entry: entry[0])
        end = 0
        for (begin, stop), name, *_ in layout:
            if begin != end:
                raise self.error(f"the data of {name!r} begin at byte {begin}, but what is before them ends at {end}")
            end = stop
        if self._left is not None and self._left != end:
            problem = "cut short" if self._left < end else "longer than it should be"
            raise self.error(f"it is {problem}: its header announces {end} bytes of data, but {self._left} follow")
        arrays = {name: self._array(name, span, kind, shape, widen) for span, name, kind, shape in layout}
        return {name: arrays[name] for name in header}, metadata

    def tensor(self, name: str, array: np.ndarray) -> Any:
        """An array as a tensor; the error says how to read dtypes that tensors do not have."""
        try:
            return from_memory(array) if array.dtype.kind == "V" else numgrad.from_numpy(array)
        except TypeError:
            advice = f"; {_ADVICE}" if FROM_NUMPY[array.dtype] in _WIDER else ""
            raise self.error(f"numgrad has no dtype for the {array.dtype} of {name!r}{advice}") from None

    def parse(self, text: str) -> Any:
        """JSON in which no key may occur twice."""
        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) != len(pairs):
                raise ValueError("a key occurs twice")
            return found

        def refuse(constant: str) -> Any:
            raise ValueError(f"{constant} is not JSON")

        try:
            return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
        except (ValueError, RecursionError) as error:
            raise self.error(f"its header is damaged ({error})") from None

    def _header(self) -> dict[str, Any]:
        prefix = self._take(8).tobytes()
        length = int.from_bytes(prefix, "little")
        if prefix.startswith(b"PK\x03\x04") or (prefix.startswith(b"\x80\x02") and length > _LARGEST_HEADER):
            raise self.error("this is a checkpoint as torch.save writes them: numgrad.load reads it, from files that can seek")
        if length > _LARGEST_HEADER:
            raise self.error(f"it is not a safetensors file: its header would have {length} bytes")
        raw = self._take(length).tobytes()
        if not raw.startswith(b"{"):
            raise self.error("it is not a safetensors file: its header does not begin with '{'")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"its header is damaged ({error})") from None
        return self.parse(text)

    def _entry(self, name: str, entry: Any) -> tuple[tuple[int, int], str, str, tuple[int, ...]]:
        def sizes(value: Any) -> bool:
            return isinstance(value, list) and all(type(size) is int and 0 <= size < 2**63 for size in value)

        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise self.error(f"the entry of {name!r} should have dtype, shape and data_offsets, but is {entry!r:.200}")
        kind, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(kind, str) or kind not in _ITEMSIZE:
            raise self.error(f"{name!r} has the dtype {kind!r:.100}, which is not supported")
        if not sizes(shape) or len(shape) > 32 or math.prod(filter(None, shape)) * _ITEMSIZE[kind] >= 2**63:
            raise self.error(f"{name!r} has the shape {shape!r:.200}: that is no list of sizes, or more than memory can hold")
        if not sizes(span) or len(span) != 2 or span[1] - span[0] != math.prod(shape) * _ITEMSIZE[kind]:
            raise self.error(f"the data_offsets {span!r:.100} of {name!r} do not fit its shape {shape} of {kind}")
        return (span[0], span[1]), name, kind, tuple(shape)

    def _array(self, name: str, span: tuple[int, int], kind: str, shape: tuple[int, ...], widen: bool) -> np.ndarray:
        raw = self._take(span[1] - span[0])
        if kind == "BOOL" and raw.size and raw.max() > 1:
            raise self.error(f"{name!r} has truth values other than 0 and 1")
        if kind == "BF16" and widen:  # the upper half of a float32
            return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        array = raw.view(_TO_NUMPY[kind]).reshape(shape)
        native = _WIDER.get(kind, array.dtype.newbyteorder("=")) if widen else array.dtype.newbyteorder("=")
        return array.astype(native, copy=False)

    def _take(self, count: int) -> np.ndarray:
        """The next `count` bytes; memory grows with what is there, not with what was announced."""
        if self._left is not None and count > self._left:
            raise self.error(f"it is cut short: {count} bytes should follow, but {self._left} do")
        parts, missing = [], count
        while missing:
            part = self.file.read(min(missing, _CHUNK))
            if not part:
                raise self.error(f"it is cut short: {missing} bytes are missing")
            parts.append(part)
            missing -= len(part)
        if self._left is not None:
            self._left -= count
        return np.frombuffer(bytearray().join(parts), np.uint8)
