"""What the machine can do at most: multiply-adds, memory, launches; a kernel's time is read against these."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir

from numgrad.jit import empty, kernel, launch, prange
from numgrad.jit.machine import features, functions

from .runner import Case
from .worker import Library, measure

_I32, _I64 = ir.IntType(32), ir.IntType(64)
#: elements of each array that is copied: beyond all caches
LARGE, SMALL = 1 << 24, 1 << 20


def _vector() -> tuple[int, int]:
    """Bytes of a vector register, and how many sums fit in registers beside two operands."""
    found = features()
    return (64, 24) if "+avx512f" in found else (32, 12) if "+avx" in found else (16, 12)


def _loop(builder: Any, count: Any, starts: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
    """body(index, values) -> values, `count` times (at least once)."""
    before, inside, after = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.branch(inside)
    builder.position_at_end(inside)
    index, values = builder.phi(_I64), [builder.phi(s.type) for s in starts]
    new, following = body(index, values), builder.add(index, _I64(1))
    for phi, start, then in zip([index, *values], [_I64(0), *starts], [following, *new], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(then, inside)
    builder.cbranch(builder.icmp_signed("<", following, count), inside, after)
    builder.position_at_end(after)
    return new


def _function(module: ir.Module, name: str, pointers: int, scalar: Any) -> tuple[Any, Any, list[Any]]:
    kind = ir.FunctionType(ir.VoidType(), [_I64] + [scalar.as_pointer()] * pointers)
    made = ir.Function(module, kind, name)
    builder = ir.IRBuilder(made.append_basic_block("entry"))
    return builder, made.args[0], list(made.args[1:])


@functools.cache
def native(dtype: str) -> dict[str, Any]:
    """Loops in vector code: `fma(steps, at)`, `copy(vectors, to, a, b)`, `triad(...)`, and both with streaming stores."""
    found = functions(f"limits-{dtype}", lambda module: _write(module, dtype), Path(__file__).read_text())
    kinds = [ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * (1 if n == "fma" else 3)) for n in _LOOPS]
    return {name: kind(address) for name, kind, address in zip(_LOOPS, kinds, found, strict=True)}


_LOOPS = ["fma", "copy", "triad", "streaming_copy", "streaming_triad"]


def _write(module: ir.Module, dtype: str) -> list[str]:
    size, sums = _vector()
    scalar, letter, width = (ir.FloatType(), "f", 4) if dtype == "float32" else (ir.DoubleType(), "f", 8)
    lanes = size // width
    vector = ir.VectorType(scalar, lanes)
    suffix = f"v{lanes}{letter}{8 * width}"
    fma = ir.Function(module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.{suffix}")

    builder, steps, (at,) = _function(module, "fma", 1, scalar)
    place = builder.bitcast(at, vector.as_pointer())
    x = builder.load(place, align=4)
    body = lambda _, totals: [builder.call(fma, [t, x, x]) for t in totals]
    for total in _loop(builder, steps, [ir.Constant(vector, [0.0] * lanes)] * sums, body):
        builder.store(total, place, align=4).volatile = True  # type: ignore[attr-defined]
    builder.ret_void()

    for name in _LOOPS[1:]:
        _stream(module, name, vector, scalar, fma)
    return _LOOPS


def _stream(module: ir.Module, name: str, vector: Any, scalar: Any, fma: Any) -> None:
    """y = a, or y = b * 3 + a, a vector at a time; y is aligned."""
    builder, count, pointers = _function(module, name, 3, scalar)
    y, a, b = (builder.bitcast(p, vector.as_pointer()) for p in pointers)
    three = ir.Constant(vector, [3.0] * vector.count)

    def body(index: Any, _: list[Any]) -> list[Any]:
        value = builder.load(builder.gep(a, [index]), align=4)
        if name.endswith("triad"):
            value = builder.call(fma, [builder.load(builder.gep(b, [index]), align=4), three, value])
        store = builder.store(value, builder.gep(y, [index]), align=_vector()[0])
        if name.startswith("streaming"):
            store.set_metadata("nontemporal", module.add_metadata([ir.Constant(_I32, 1)]))
        return []

    _loop(builder, count, [], body)
    builder.ret_void()


def _aligned(size: int, dtype: str) -> np.ndarray:
    memory = np.ones(size + 16, dtype)
    return memory[-memory.ctypes.data % 64 // memory.itemsize :][:size]


def _together(threads: int, part: Callable[[int], None]) -> Callable[[], Any]:
    """A call of part(0), part(1), ... on as many threads; native code runs without the interpreter's lock."""
    if threads == 1:
        return lambda: part(0)
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(part, range(threads)))


def multiply_adds(threads: int, dtype: str, seconds: float) -> float:
    """Floating-point operations a second of multiply-adds that stay in registers."""
    (size, sums), steps = _vector(), 2_000_000 if seconds > 0.1 else 100_000
    places = [_aligned(64, dtype) * 0.5 for _ in range(threads)]
    addresses, run = [p.ctypes.data for p in places], native(dtype)["fma"]
    taken = measure(_together(threads, lambda i: run(steps, addresses[i])), seconds)
    return 2.0 * threads * steps * sums * (size // np.dtype(dtype).itemsize) / taken


def bandwidth(name: str, threads: int, size: int, seconds: float) -> float:
    """Bytes read and written a second, into memory that was used before; the better of plain and streaming stores."""
    arrays = [_aligned(size, "float32") for _ in range(3)]
    share = size // threads // 16 * 16
    vectors = share * 4 // _vector()[0]
    addresses = [[a.ctypes.data + 4 * share * i for a in arrays] for i in range(threads)]
    moved = 4.0 * share * threads * (2 if name == "copy" else 3)
    loops = [native("float32")[kind] for kind in (name, f"streaming_{name}")]
    return max(moved / measure(_together(threads, lambda i, f=f: f(vectors, *addresses[i])), seconds) for f in loops)


@kernel
def _nothing(y):  # type: ignore[no-untyped-def]
    for i in prange(y.size):
        y[i] = 1.0


def launches(seconds: float) -> dict[str, float]:
    """Seconds from Python to a kernel that does next to nothing and back, on one thread and on all."""
    y = empty(16, np.float32)
    return {
        "launch serial": measure(lambda: launch(_nothing, y, work=0), seconds),
        "launch parallel": measure(lambda: launch(_nothing, y, work=1 << 40), seconds),
    }


def all_limits(library: Library, quick: bool) -> dict[str, float]:
    """Every limit, by name; rates are a second."""
    threads, seconds = library.threads, 0.02 if quick else 0.4
    found = {}
    for dtype in ("float32", "float64"):
        found[f"fma {dtype} 1"] = multiply_adds(1, dtype, seconds)
        found[f"fma {dtype}"] = multiply_adds(threads, dtype, seconds) if threads > 1 else found[f"fma {dtype} 1"]
    for name in ("copy", "triad"):
        found[name + " 1"] = bandwidth(name, 1, SMALL if quick else LARGE, seconds)
        found[name] = bandwidth(name, threads, SMALL if quick else LARGE, seconds)
    return found | launches(seconds)


def cases(quick: bool) -> list[Case]:
    """One case, whose value is all limits."""
    return [Case("limits", all_limits, (quick,), contenders=("numgrad",))]


_LABELS = {"fma": ("GFLOP/s", 1e-9), "copy": ("GB/s", 1e-9), "triad": ("GB/s", 1e-9), "launch": ("us", 1e6)}


def lines(limits: dict[str, float], threads: int) -> list[str]:
    """The limits as lines to read."""
    found = []
    for name, value in limits.items():
        unit, factor = _LABELS[name.split()[0]]
        many = "" if name.startswith("launch") else " thread" if name.endswith(" 1") else f" {threads} threads"
        found.append(f"{name + many:28s} {value * factor:10.2f} {unit}")
    return found
