"""Tails: what becomes of the finished elements of a product while they are still in the cache, an activation for instance.

A tail is a function, called by address, of a pointer to the first element of a tile, the elements from one row to the next,
and how many rows and columns the tile has; it replaces elements. Those of `TAILS` are made here, of a function of a vector
given in LLVM code and a twin in NumPy; another one is added by a line, or by anybody who has the address of such a function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from .kernel import DISABLED, device
from .machine import functions
from .tile import _call, _Emitter, _strided


def _relu(e: _Emitter, x: Any) -> Any:
    return e.builder.select(e.builder.fcmp_ordered("<", x, e.zero), e.zero, x)  # NaN stays, and so does -0.0


#: By name: the vector of results for a vector of elements, in LLVM code and in NumPy.
TAILS: dict[str, tuple[Callable[[_Emitter, Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
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
    e = _Emitter(dtype)
    y, step, rows, columns = e.function(module, name, "y step_y rows columns")
    whole = e.builder.mul(e.builder.sdiv(columns, e.index(e.lanes)), e.index(e.lanes))
    rest = e.mask(e.builder.sub(columns, whole))

    def vector(pointers: list[Any], _: list[Any], mask: Any = None) -> list[Any]:
        e.store(TAILS[name][0](e, e.load(pointers[0], mask)), pointers[0], mask)
        return []

    def row(pointers: list[Any], _: list[Any]) -> list[Any]:
        e.loop(e.builder.sdiv(columns, e.index(e.lanes)), pointers, [e.index(e.lanes)], 0, vector)
        with e.builder.if_then(e.builder.icmp_signed("<", whole, columns)):
            vector([e.builder.gep(pointers[0], [whole])], [], rest)
        return []

    e.loop(rows, [y], [step], 0, row)
    e.builder.ret_void()
    return [name]


if DISABLED:

    def finish(tail: int, y: Any, at: int, step: int, rows: int, columns: int) -> None:
        """Apply a tail to a tile of y."""
        tile = _strided(y, at, (rows, columns), (step, 1))
        tile[...] = list(TAILS.values())[tail - 1][1](tile)

else:

    @device
    def finish(tail, y, at, step, rows, columns):  # type: ignore[no-untyped-def]
        """Apply a tail to a tile of y."""
        _call(tail, y, at, step, rows, columns)
