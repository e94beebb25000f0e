"""The disk cache of compiled kernels: one file a kernel and signature, named by a hash of everything that shaped it.

Numba's own cache keys on less (not on the compiler's options, not on helper functions in other files), fails on a
damaged file, and loses entries when processes start together. Here any failure to load is a miss and any failure to
write is silent: the worst case is a recompilation.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import compiler
from numba.core.caching import _Cache
from numba.core.runtime import rtsys

_FOLDER = Path(__file__).parent
_PREFIX = str(_FOLDER) + os.sep


@functools.cache
def directory() -> Path | None:
    """Where compiled kernels lie: NUMGRAD_CACHE_DIR, else the user's cache folder, else None; None if NUMGRAD_CACHE=0."""
    if os.environ.get("NUMGRAD_CACHE") == "0":
        return None
    try:
        path = _chosen_directory()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What is loaded from here runs, so it must be nobody else's to write.
        if hasattr(os, "getuid") and (path.stat().st_uid != os.getuid() or path.stat().st_mode & 0o022):
            _warn(f"{path} belongs to, or may be written by, others")
            return None
        if not os.access(path, os.W_OK):
            _warn(f"{path} is read-only")  # what is there already is used
        return path
    except (OSError, RuntimeError) as error:  # read-only, or no home directory
        _warn(str(error))
        return None


_warned = False


def _warn(problem: str) -> None:
    """Tell the user, once, why every process compiles anew."""
    global _warned
    if not _warned:
        _warned = True
        advice = "NUMGRAD_CACHE_DIR names a folder of your own with room in it; NUMGRAD_CACHE=0 does without, quietly"
        warnings.warn(f"numgrad cannot keep its compiled kernels, so each process compiles them again: {problem}. {advice}", stacklevel=2)


def _chosen_directory() -> Path:
    if chosen := os.environ.get("NUMGRAD_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "numgrad"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "numgrad" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numgrad"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that a reader sees all of it or nothing. Of failures the first warns."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        _warn(f"{path.parent}: {error.strerror or error}")


def _hash_toolchain() -> bytes:
    """The versions and the jit folder's sources: what every kernel depends on."""
    digest = hashlib.sha256(repr((platform.python_version(), numba.__version__, llvmlite.__version__, np.__version__)).encode())
    for path in sorted(_FOLDER.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


# Taken on import, when the sources are those that run: a process outliving an upgrade must not file old code under new keys.
_TOOLCHAIN = _hash_toolchain()


def fingerprint(function: Callable[..., Any]) -> str:
    """A hash of a function's code and of every function and constant it reaches outside `numgrad.jit`."""
    digest, seen, waiting = hashlib.sha256(_TOOLCHAIN), set(), [function]
    while waiting:
        current = waiting.pop()
        current = _source(current)
        if id(current) in seen:
            continue
        seen.add(id(current))
        parts = _code_objects(current.__code__)
        digest.update(repr((current.__module__, current.__qualname__, vars(current).get("options"))).encode())
        for part in parts:
            digest.update(part.co_code)
            digest.update(repr([c for c in part.co_consts if not isinstance(c, types.CodeType)]).encode())
            digest.update(repr((part.co_names, part.co_varnames, part.co_freevars)).encode())
        for name, value in _reached(current, {name for part in parts for name in part.co_names}):
            digest.update(repr((name, _identity(value))).encode())
            if hasattr(_source(value), "__code__"):
                if not _in_jit(value):
                    waiting.append(value)
            elif isinstance(value, np.ndarray):
                digest.update(value.tobytes())
    return digest.hexdigest()


_CONSTANTS = (int, float, complex, bool, str, bytes, tuple, frozenset, type(None), np.dtype, np.generic, type, numba.types.Type)


def _identity(value: Any) -> Any:
    """What tells a value from others that may go by the same name: a constant itself, of a function where it comes from."""
    if isinstance(value, _CONSTANTS):
        return value
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape
    source = _source(value)
    known = [getattr(source, a, "") for a in ("__module__", "__qualname__", "__name__")]
    cells = source.__closure__ or () if hasattr(source, "__code__") and _in_jit(source) else ()  # others' are looked at with their code
    return type(source).__name__, *known, *[_identity(_content(cell)) for cell in cells]


def _source(value: Any) -> Any:
    """The Python function behind what Numba made of it."""
    return getattr(value, "py_func", None) or getattr(value, "_defn", None) or value


def _reached(function: Any, names: set[str]) -> list[tuple[str, Any]]:
    """What a function's code may stand on: defaults, cells, globals, and of modules the attributes that it names."""
    found = list(enumerate([*(function.__defaults__ or ()), *[_content(cell) for cell in function.__closure__ or ()]]))
    waiting = [(name, function.__globals__[name]) for name in sorted(names) if name in function.__globals__]
    seen = set()
    while waiting:
        name, value = waiting.pop()
        found.append((name, value))
        if not isinstance(value, types.ModuleType) or id(value) in seen:
            continue
        seen.add(id(value))
        if value.__name__.partition(".")[0] not in ("numpy", "numba", "math"):  # the toolchain's
            waiting += [(f"{name}.{n}", vars(value)[n]) for n in sorted(names) if n in vars(value)]
    return [(str(name), value) for name, value in found]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _in_jit(value: Any) -> bool:
    """Whether `_TOOLCHAIN` covers it: generated code names this package as its module, but its file lies elsewhere."""
    return _source(value).__code__.co_filename.startswith(_PREFIX)


def _code_objects(code: types.CodeType) -> list[types.CodeType]:
    found = [code]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += _code_objects(constant)
    return found


def remembered(what: str, function: Callable[..., Any], find: Callable[[], str]) -> str:
    """What `find` once found out of a function and all that it reaches, in words."""
    folder = directory()
    path = folder / f"{function.__name__}-{fingerprint(function)[:40]}.{what}" if folder else None
    content = read_whole(path)
    if content is None:
        content = find().encode()
        if path:
            write_whole(path, content)
    return content.decode()


def read_whole(path: Path | None) -> bytes | None:
    """What `write_whole` wrote, if it is there and whole."""
    with contextlib.suppress(OSError):
        content = path.read_bytes() if path else b""
        if hashlib.sha256(content[32:]).digest() == content[:32]:
            return content[32:]
    return None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that tells whether it is damaged."""
    write_atomically(path, hashlib.sha256(content).digest() + content)


class DiskCache(_Cache):
    """What Numba's dispatcher asks for compiled code, and gives it to."""

    def __init__(self, function: Callable[..., Any], options: str, parallel: bool):
        self._function, self._options, self._parallel = function, options, parallel

    @property
    def cache_path(self) -> str:
        return str(directory())

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder = directory()
        if folder is None:
            return None
        # Taken anew for each signature: a constant may have changed since the last was compiled.
        key = repr((fingerprint(self._function), self._options, str(signature), codegen.magic_tuple()))
        return folder / f"{self._function.__name__}-{hashlib.sha256(key.encode()).hexdigest()[:40]}.bin"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        path = self._path(signature, target_context.codegen())
        if path is None:
            return None
        content = read_whole(path)
        if content is None:
            return None
        try:
            if self._parallel:
                numba.get_num_threads()  # cached parallel code needs the thread pool's symbols
            called, result = pickle.loads(content)
            rtsys.initialize(target_context)
            if not all(map(llvm.address_of_symbol, called)):
                target_context.refresh()  # all that Numba can compile; takes 0.2 s, and as much again to import SciPy if it is there
            return compiler.CompileResult._rebuild(target_context, *result)
        except Exception:  # truncated, foreign, or of another time: compile again
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        path = self._path(signature, result.codegen)
        if path is None or result.library.has_dynamic_globals:
            return
        try:
            reduced = result._reduce()
            _, bitcode = reduced[0][2]
            called = [f.name for f in llvm.parse_bitcode(bitcode).functions if f.is_declaration and not f.name.startswith("llvm.")]
            content = pickle.dumps((called, reduced), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception:  # not every result can be pickled; it still runs
            return
        write_whole(path, content)

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...
