"""Tails: what becomes of the finished elements of a product or a convolution while they are still in the cache, an activation
for instance, or a residual connection.

A tail is a function, called by address, of a pointer to the first element of a block, the elements from one row to the next,
how many rows and columns the block has, and the address of a table; it may replace the elements. Those of `TAILS` are made
here, of a function of a vector given in LLVM code and a twin in NumPy. Others, which read and write further arrays, are kernels
(`numgrad.jit.fusion.behind`) that find in the table where these are; its first word is where the result begins, so that a tail
knows which elements it is called for.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .emitter import Emitter
from .kernel import DISABLED, Kernel, device
from .machine import functions
from .tile import _call, _strided


def _relu(e: Emitter, x: Any) -> Any:
    return e.builder.select(e.builder.fcmp_ordered("<", x, e.zero), e.zero, x)  # NaN stays, and so does -0.0


#: By name: the vector of results for a vector of elements, in LLVM code and in NumPy.
TAILS: dict[str, tuple[Callable[[Emitter, Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "relu": (_relu, lambda x: np.where(x < 0, x.dtype.type(0), x)),
}


@functools.cache
def address(dtype: np.dtype, name: str) -> int:
    """Where a tail is, for elements of a floating dtype: what `finish` is called with. (Without the JIT: its number, from 1.)"""
    if DISABLED:
        return 1 + list(TAILS).index(name)
    module = ir.Module()
    _write(module, dtype, name)  # anybody may add tails: what they do is known only when it is written
    return functions(f"numgrad_tail_{name}_{dtype.name}", lambda module: _write(module, dtype, name), str(module))[0]


def _write(module: ir.Module, dtype: np.dtype, name: str) -> list[str]:
    e = Emitter(dtype)
    y, step, rows, columns, _ = e.function(module, name, "y step_y rows columns table")
    whole = e.builder.mul(e.builder.sdiv(columns, e.index(e.lanes)), e.index(e.lanes))
    rest = e.builder.sub(columns, whole)
    mask = e.mask(rest)

    def vector(pointers: list[Any], _: list[Any]) -> list[Any]:
        e.store(TAILS[name][0](e, e.load(pointers[0])), pointers[0])
        return []

    def row(pointers: list[Any], _: list[Any]) -> list[Any]:
        e.loop(e.builder.sdiv(columns, e.index(e.lanes)), pointers, [e.index(e.lanes)], 0, vector)
        with e.builder.if_then(e.builder.icmp_signed("<", whole, columns)):
            at = e.builder.gep(pointers[0], [whole])
            e.store_first(TAILS[name][0](e, e.load(at, mask)), at, rest, mask)
        return []

    e.loop(rows, [y], [step], 0, row)
    e.builder.ret_void()
    return [name]


_made: list[Kernel] = []  # without the JIT: after those of TAILS, in the order of their numbers


def address_of(tail: Kernel) -> int:
    """Where a tail is that is a kernel of five integers: the address of a block, step, rows, columns, and the address of a table.

    It is there as long as the kernel lives.
    """
    if DISABLED:
        if tail not in _made:
            _made.append(tail)
        return len(TAILS) + 1 + _made.index(tail)
    signature = (types.int64,) * 5
    tail.serial.compile(signature)  # type: ignore[attr-defined]
    compiled = tail.serial.overloads[signature]  # type: ignore[attr-defined]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name))


if DISABLED:

    def finish(tail: int, y: Any, at: int, step: int, rows: int, columns: int, table: int) -> None:
        """Apply a tail to a block of y."""
        if tail > len(TAILS):
            _made[tail - len(TAILS) - 1].serial(y.ctypes.data + at * y.itemsize, step, rows, columns, table)
            return
        block = _strided(y, at, (rows, columns), (step, 1))
        block[...] = list(TAILS.values())[tail - 1][1](block)

    def array_at(address: int, rows: int, columns: int, dtype: Any) -> np.ndarray:
        """The matrix that lies at an address."""
        raw = (ctypes.c_char * (int(rows) * int(columns) * np.dtype(dtype).itemsize)).from_address(int(address))
        return np.frombuffer(raw, dtype).reshape(rows, columns)

else:

    @device
    def finish(tail, y, at, step, rows, columns, table):  # type: ignore[no-untyped-def]
        """Apply a tail to a block of y."""
        _call(tail, y, at, step, rows, columns, table)

    @intrinsic
    def array_at(typing_context, address, rows, columns, dtype):  # type: ignore[no-untyped-def]
        """The matrix that lies at an address."""
        kind = types.Array(dtype.dtype, 2, "C")

        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            from numba.np.arrayobj import populate_array

            array = context.make_array(kind)(context, builder)
            size = ir.Constant(values[1].type, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
            steps = [builder.mul(values[2], size), size]
            data = builder.inttoptr(values[0], array.data.type)
            populate_array(array, data=data, shape=values[1:3], strides=steps, itemsize=size, meminfo=None)
            return array._getvalue()

        return kind(types.int64, types.int64, types.int64, dtype), generate
