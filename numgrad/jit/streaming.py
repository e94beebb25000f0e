"""Results that no cache holds, written past the caches.

A store reads the line that it changes, and drives another one out. A result this large is gone from the cache before anybody reads it,
so both are in vain: whole vectors may go straight to memory. LLVM makes no such stores of a loop's own, for it does not know
that vectors are aligned; so a unit computes a part of its results in a room that stays in the first cache, and streams it from
there. To add or copy arrays of 10 million floats takes a fifth to a quarter less time. The locked instruction with which a
parallel loop ends, or a Python thread makes way for another, shows the others what was streamed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .emitter import VECTOR_BYTES
from .kernel import DISABLED, device
from .machine import cache_bytes

#: Bytes of a result from which it is streamed: beyond the last cache of all.
BEYOND = max(cache_bytes(3), 1 << 25)
#: The cost of a formula up to which it waits for memory; of longer ones the memory waits for the arithmetic.
SHORT = 8
#: Bytes of a room.
_ROOM = 4096
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)

if DISABLED:

    def room(result: np.ndarray) -> np.ndarray:
        """Room for some elements of a result, as many each time."""
        return np.empty(_ROOM // result.itemsize, result.dtype)

    def _start(x: np.ndarray) -> int:
        return x.ctypes.data

    def _store(out: np.ndarray, part: np.ndarray) -> None:
        out[...] = part[: out.size]

else:

    @intrinsic
    def room(typing_context, result):  # type: ignore[no-untyped-def]
        """Room for some elements of a result, as many each time."""
        kind = types.Array(result.dtype, 1, "C")

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            from numba.np.arrayobj import populate_array

            array = context.make_array(kind)(context, builder)
            with builder.goto_entry_block():  # once a call, not once a turn of a loop
                bytes_ = builder.alloca(_I8, _ROOM)
                bytes_.align = VECTOR_BYTES
            size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
            populate_array(
                array, data=builder.bitcast(bytes_, array.data.type), shape=[_I64(_ROOM // size)], strides=[_I64(size)],
                itemsize=_I64(size), meminfo=None,
            )  # fmt: skip
            return array._getvalue()

        return kind(result), generate

    @intrinsic
    def _start(typing_context, x):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.ptrtoint(context.make_array(x)(context, builder, arguments[0]).data, _I64)

        return types.int64(x), generate

    @intrinsic
    def _store(typing_context, out, part):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(_I8, VECTOR_BYTES)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            y, x = (context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args, arguments, strict=True))
            size = context.get_abi_sizeof(context.get_data_type(out.dtype))
            to, source = (builder.bitcast(a.data, vector.as_pointer()) for a in (y, x))
            count = builder.extract_value(y.shape, 0)
            vectors = builder.sdiv(builder.mul(count, _I64(size)), _I64(VECTOR_BYTES))
            once = builder.module.add_metadata([_I32(1)])
            with cgutils.for_range(builder, vectors) as loop:
                value = builder.load(builder.gep(source, [loop.index]), align=VECTOR_BYTES)
                builder.store(value, builder.gep(to, [loop.index]), align=VECTOR_BYTES).set_metadata("nontemporal", once)
            done = builder.mul(vectors, _I64(VECTOR_BYTES // size))
            with cgutils.for_range_slice(builder, done, count, _I64(1), intp=_I64) as (at, _):
                builder.store(builder.load(builder.gep(x.data, [at])), builder.gep(y.data, [at]))
            return context.get_dummy_value()

        return types.none(out, part), generate


@device
def aligned(result: Any) -> bool:
    """Whether a result begins where a vector may be streamed to."""
    return _start(result) % VECTOR_BYTES == 0


@device
def stream(out: Any, part: Any) -> None:
    """Write what begins a room into a part of a result, which begins where another room ended."""
    _store(out, part)
