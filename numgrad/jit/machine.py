"""LLVM modules of our own, beside Numba's: compiled once, kept in the disk cache, and called by address.

A kernel that calls such a function gets its address in an argument, so it neither compiles the function again nor depends on
it being there when the kernel is loaded from the cache.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir

from .cache import _TOOLCHAIN, directory, read_whole, write_whole
from .patience import patient


def features() -> str:
    """The instruction sets compiled for: NUMBA_CPU_FEATURES, else the host's."""
    chosen = numba.config.CPU_FEATURES
    return llvm.get_host_cpu_features().flatten() if chosen is None else chosen


def _target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name = numba.config.CPU_NAME or llvm.get_host_cpu_name()
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i686", "x86")
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=name, features=features(), opt=2, reloc="static" if x86 else "default", codemodel="jitdefault", jit=True
    )


_engines: list[Any] = []  # code lives as long as its engine


@patient
def functions(name: str, write: Callable[[ir.Module], list[str]], source: str = "") -> list[int]:
    """The addresses of functions that `write` adds to an LLVM module, in the order of the symbols that it returns.

    They are found in the cache by the module's name, the sources of this folder, and `source`, what else they are made from:
    to write them takes longer than to load them.
    """
    key = repr((_TOOLCHAIN, source, numba.config.CPU_NAME or llvm.get_host_cpu_name(), features()))
    folder = directory()
    path = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:40]}.o" if folder else None
    machine = _target_machine()
    content = read_whole(path)
    if content is None:
        module = ir.Module(name)
        symbols = write(module)
        content = "\n".join(symbols).encode() + b"\0" + machine.emit_object(llvm.parse_assembly(str(module)))
        if path:
            write_whole(path, content)
    names, _, code = content.partition(b"\0")
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return [engine.get_function_address(s) for s in names.decode().split("\n")]


@functools.cache
def cache_bytes(level: int) -> int:
    """The size of a data cache of the first core, as Linux tells it; elsewhere what most CPUs have at least."""
    usual = {1: 1 << 15, 2: 1 << 18, 3: 1 << 22}[level]
    for place in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            kind, found, size = ((place / name).read_text().strip() for name in ("type", "level", "size"))
            if kind != "Instruction" and int(found) == level:
                return max(usual, int(size.rstrip("KM")) << {"K": 10, "M": 20}.get(size[-1], 0))
        except (OSError, ValueError):
            continue
    return usual
