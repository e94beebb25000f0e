"""Reading archives and pickles from anywhere: only the expected files come out, only plain data is built."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Collection
from typing import Any, cast

import numpy as np

from ...serialization.format import RefusedError
from ...serialization.pickled import Known, Machine, Unfinished
from ...serialization.whole import replacing
from ..limits import Gunzipped, check_announced

_CHUNK = 1 << 16
_LARGEST_MEMBER = 1 << 30  # bytes; the largest wanted so far has 155 million


def unpack(path: str, root: str, folder: str, names: Collection[str]) -> None:
    """Write those members `folder/name` of a .tar.gz that are among `names` to `root/folder`; RuntimeError, and none, if it is damaged.

    Whatever else the archive holds, links and absolute or climbing names included, is left alone. One that would unpack to
    more than a hundred times its size (and 256 MB) is refused.
    """
    wanted, place = {f"{folder}/{name}": name for name in names}, os.path.join(root, folder)
    new = not os.path.exists(place)
    try:
        with Gunzipped(path) as file, tarfile.TarFile(fileobj=cast(Any, file)) as archive, contextlib.ExitStack() as written:
            for member in archive:
                check_announced(archive.offset, file.size, f"what it holds up to {member.name[:200]}")
                name = wanted.get(os.path.normpath(member.name))
                if name is None or not member.isfile() or member.issparse():  # a sparse one is larger than it is
                    continue
                if member.size > _LARGEST_MEMBER:
                    raise ValueError(f"{member.name} would take {member.size} bytes")
                del wanted[f"{folder}/{name}"]  # its first member of a name counts
                os.makedirs(place, exist_ok=True)
                target = written.enter_context(replacing(os.path.join(place, name)))  # they get their names all at the end
                shutil.copyfileobj(cast(Any, archive.extractfile(member)), target, _CHUNK)
                if target.tell() != member.size:
                    raise EOFError(f"{name} ends after {target.tell()} of {member.size} bytes")
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, ArithmeticError, LookupError) as error:
        if new:
            with contextlib.suppress(OSError):  # there is no such folder, or it is not empty
                os.rmdir(place)
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the archive's
            raise
        raise RuntimeError(f"{path} is damaged: {error}; remove it to fetch it anew") from None


def load_plain(path: str) -> Any:
    """The plain data in a pickled file: containers, numbers, text, bytes and NumPy arrays of numbers.

    Anything else it asks for is refused before it is touched. Text of Python 2 is read as latin1.
    """
    try:
        with open(path, "rb") as file:
            return Machine(_NAMES, _elsewhere).run(file)
    except OSError:
        raise
    except Exception as error:  # damaged pickles fail in every possible way
        raise RuntimeError(f"{path} is damaged or not plain data ({type(error).__name__}: {error})") from None


class _Dtype(Unfinished):
    """Stands in for a dtype: NumPy's own would believe whatever state it is given."""

    def __init__(self, name: str, *_options: Any) -> None:
        self.found = np.dtype(name)
        if self.found.kind not in "biuf":
            raise RefusedError(f"{self.found} is no dtype of plain numbers")

    def give(self, state: tuple) -> None:
        """Take the order of bytes."""
        if state[1] in "<>":
            self.found = self.found.newbyteorder(state[1])


class _Array(Unfinished):
    """Stands in for an array."""

    def __init__(self, *_beginning: Any) -> None:
        self.found = None

    def give(self, state: tuple) -> None:
        """Take the shape, the dtype and the numbers."""
        _version, shape, dtype, is_fortran, raw = state
        self.found = _from_buffer(raw, dtype, shape, "F" if is_fortran else "C").found


def _from_buffer(raw: Any, dtype: _Dtype, shape: tuple, order: Any, *_more: Any) -> _Array:
    made = _Array()
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    made.found = np.frombuffer(raw, dtype.found).reshape(shape, order=order)
    return made


def _scalar(dtype: _Dtype, raw: Any) -> int | float:
    return _from_buffer(raw, dtype, (), "C").found.item()


def _no_bytes() -> bytes:
    """How Python 3 writes empty bytes for Python 2."""
    return b""


_NAMES = {
    f"numpy.{core}.{name}": Known(name, stand_in)
    for core in ("core", "_core")
    for name, stand_in in (
        ("multiarray._reconstruct", _Array),
        ("multiarray.scalar", _scalar),
        ("numeric._frombuffer", _from_buffer),
    )
} | {"numpy.ndarray": Known("numpy.ndarray"), "numpy.dtype": Known("numpy.dtype", _Dtype), "__builtin__.bytes": Known("bytes", _no_bytes)}


def _elsewhere(reference: Any) -> Any:
    raise RefusedError("it refers to what is not in it")
