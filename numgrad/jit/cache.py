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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import compiler
from numba.core.caching import _Cache

_FOLDER = Path(__file__).parent


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
            return None
        return path
    except (OSError, RuntimeError):  # read-only, or no home directory
        return None


def _chosen_directory() -> Path:
    if chosen := os.environ.get("NUMGRAD_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "numgrad"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "numgrad" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numgrad"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that a reader sees all of it or nothing. Failures are silent."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


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
        current = getattr(current, "py_func", current)
        if id(current) in seen:
            continue
        seen.add(id(current))
        code = current.__code__
        digest.update(repr((current.__module__, current.__qualname__)).encode())
        for part in _code_objects(code):
            digest.update(part.co_code)
            digest.update(repr([c for c in part.co_consts if not isinstance(c, types.CodeType)]).encode())
            digest.update(repr((part.co_names, part.co_varnames)).encode())
        for name in sorted({name for part in _code_objects(code) for name in part.co_names}):
            if name in current.__globals__:
                value = current.__globals__[name]
                if isinstance(value, (int, float, bool, str, tuple, np.dtype, np.generic, type)):
                    digest.update(repr((name, value)).encode())
                elif hasattr(getattr(value, "py_func", value), "__code__") and not _in_jit(value):
                    waiting.append(value)
    return digest.hexdigest()


def _in_jit(value: Any) -> bool:
    """Whether `_TOOLCHAIN` covers it: generated code names this package as its module, but its file lies elsewhere."""
    return Path(getattr(value, "py_func", value).__code__.co_filename).is_relative_to(_FOLDER)


def _code_objects(code: types.CodeType) -> list[types.CodeType]:
    found = [code]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += _code_objects(constant)
    return found


class DiskCache(_Cache):
    """What Numba's dispatcher asks for compiled code, and gives it to."""

    def __init__(self, function: Callable[..., Any], options: str, parallel: bool):
        self._function, self._options, self._parallel = function, options, parallel

    @property
    def cache_path(self) -> str:
        return str(directory())

    @functools.cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._function)

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder = directory()
        if folder is None:
            return None
        key = repr((self._fingerprint, self._options, str(signature), codegen.magic_tuple()))
        return folder / f"{self._function.__name__}-{hashlib.sha256(key.encode()).hexdigest()[:40]}.bin"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        path = self._path(signature, target_context.codegen())
        if path is None:
            return None
        try:
            content = path.read_bytes()
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                return None
            if self._parallel:
                numba.get_num_threads()  # cached parallel code needs the thread pool's symbols
            target_context.refresh()
            return compiler.CompileResult._rebuild(target_context, *pickle.loads(content[32:]))
        except Exception:  # truncated, foreign, or of another time: compile again
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        path = self._path(signature, result.codegen)
        if path is None or result.library.has_dynamic_globals:
            return
        try:
            content = pickle.dumps(result._reduce(), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception:  # not every result can be pickled; it still runs
            return
        write_atomically(path, hashlib.sha256(content).digest() + content)

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...
