"""The IDX format of the MNIST family: a magic number, sizes, bytes; plain or gzipped."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from typing import Any

import numpy as np

from ..limits import Gunzipped, TooMuchError, check_announced

_UNSIGNED_BYTES = 0x08
_LARGEST = 1 << 34  # bytes; more is a damaged header


def read(path: str, dimensions: int) -> np.ndarray:
    """The uint8 array in this file; RuntimeError, naming the file, if it is damaged or of another kind."""
    try:
        with Gunzipped(path) if path.endswith(".gz") else open(path, "rb") as file:
            return _parse(file, dimensions)
    except (_Damage, TooMuchError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RuntimeError(f"{path} is damaged or not an IDX file: {error}; remove it to fetch it anew") from None


class _Damage(Exception):
    pass


def _parse(file: Any, dimensions: int) -> np.ndarray:
    header = file.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions:
        raise _Damage("it ends within its header")
    zero, kind, count = struct.unpack(">HBB", header[:4])
    if zero != 0 or kind != _UNSIGNED_BYTES or count != dimensions:
        wanted = struct.pack(">HBB", 0, _UNSIGNED_BYTES, dimensions).hex()
        raise _Damage(f"it begins with {header[:4].hex()} instead of {wanted}")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    size = math.prod(shape)
    if size > _LARGEST or math.prod(filter(None, shape)) >= 2**63:
        raise _Damage(f"its header announces the shape {shape}")
    if isinstance(file, Gunzipped):
        check_announced(size, file.size, f"the shape {shape}")
    data = bytearray()
    while block := file.read(min(1 << 20, size + 1 - len(data))):  # memory grows with what is there
        data += block
    if len(data) != size:
        raise _Damage(
            f"the shape {shape} takes {size} bytes, but there are {'more' if len(data) > size else len(data)}"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def find(folders: list[str], name: str) -> str | None:
    """The first of `name` and `name.gz` in the first of these folders that has one."""
    for folder in folders:
        for candidate in (name, name + ".gz"):
            path = os.path.join(folder, candidate)
            if os.path.isfile(path):
                return path
    return None
