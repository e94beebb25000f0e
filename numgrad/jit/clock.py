"""The clock, looked at by native code."""

from __future__ import annotations

import ctypes
import functools
import time
from typing import Any

import llvmlite.ir as ir

__all__ = ["clock", "stamp"]

_WORD, _STATUS = ir.IntType(64), ir.IntType(32)
_WORDS = _WORD.as_pointer()


def stamp(module: ir.Module, name: str) -> Any:
    """stamp(times, i, clock): times[i] = now in ns, by the C library's function at `clock`; nothing without a place for times."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_WORD, _WORD, _WORD]), name)
    function.linkage = "internal"
    times, i, look = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    with builder.if_then(builder.icmp_signed("!=", times, _WORD(0)), likely=False):
        now = builder.alloca(_WORD, 2)  # seconds, nanoseconds
        signature = ir.FunctionType(_STATUS, [_STATUS, _WORDS])
        builder.call(builder.inttoptr(look, signature.as_pointer()), [_STATUS(getattr(time, "CLOCK_MONOTONIC", 0)), now])
        seconds, rest = (builder.load(builder.gep(now, [_WORD(k)])) for k in range(2))
        nanoseconds = builder.add(builder.mul(seconds, _WORD(10**9)), rest)
        builder.store(nanoseconds, builder.gep(builder.inttoptr(times, _WORDS), [i]))
    builder.ret_void()
    return function


@functools.cache
def clock() -> int:
    """Where the C library's `clock_gettime` is, if it tells the time that `time.perf_counter_ns` does; else 0."""
    if time.get_clock_info("perf_counter").implementation != "clock_gettime(CLOCK_MONOTONIC)" or ctypes.sizeof(ctypes.c_long) != 8:
        return 0
    return ctypes.cast(ctypes.CDLL(None).clock_gettime, ctypes.c_void_p).value or 0
