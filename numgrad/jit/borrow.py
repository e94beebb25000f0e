"""Arrays as kernels borrow them: memory from the first element on, whatever the shape, with nothing counted or copied.

Numba's own way of passing an array makes it an object of its runtime, and wants as many dimensions as were compiled for.
For a small launch that, and making one-dimensional views first, takes longer than the kernel. A `Borrowed` argument is read
out of NumPy's object directly: where its elements begin, and how far the last lies from the first.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import NativeValue, models, register_model, unbox

#: Where a NumPy array's own fields begin, in words: data, number of dimensions, sizes, strides (bytes).
_FIELDS = object.__basicsize__ // 8
#: A length that stays negative, whatever the further dimensions of an array without elements add to it.
_NEVER = -(1 << 62)


class Borrowed(types.Array):
    """A contiguous array in kernels; outside, one that the caller keeps alive, of any shape where there it has one dimension."""

    def __init__(self, dtype: Any, ndim: int = 1):
        super().__init__(dtype, ndim, "C", name=f"lent({dtype})" if ndim == 1 else f"lent({dtype}, {ndim}d)")

    @property
    def key(self) -> Any:
        """What tells types apart."""
        return "borrowed", self.dtype, self.ndim

    def __repr__(self) -> str:
        return self.name  # what the disk cache tells signatures apart by

    @property
    def mangling_args(self) -> Any:
        """What tells compiled functions apart by name."""
        return "borrowed", [self.dtype] if self.ndim == 1 else [self.dtype, self.ndim]


register_model(Borrowed)(models.ArrayModel)


@unbox(Borrowed)
def _unbox(typ: Any, obj: Any, c: Any) -> NativeValue:
    from numba.np.arrayobj import populate_array

    builder, word = c.builder, ir.IntType(64)
    fields = builder.bitcast(obj, word.as_pointer())

    def field(i: int) -> Any:
        return builder.load(builder.gep(fields, [ir.Constant(word, _FIELDS + i)]))

    data, sizes, strides = field(0), *(builder.inttoptr(field(i), word.as_pointer()) for i in (2, 3))
    itemsize = c.context.get_abi_sizeof(c.context.get_data_type(typ.dtype))
    array = c.context.make_array(typ)(c.context, builder)
    pointer = builder.inttoptr(data, array.data.type)
    if typ.ndim > 1:
        shape, steps = ([builder.load(builder.gep(of, [ir.Constant(word, d)])) for d in range(typ.ndim)] for of in (sizes, strides))
        populate_array(array, data=pointer, shape=shape, strides=steps, itemsize=itemsize, meminfo=None)
        return NativeValue(array._getvalue())
    length = cgutils.alloca_once_value(builder, ir.Constant(word, itemsize))
    with cgutils.for_range(builder, builder.and_(field(1), ir.Constant(word, 0x7FFFFFFF))) as loop:
        steps = builder.sub(builder.load(builder.gep(sizes, [loop.index])), ir.Constant(word, 1))
        reach = builder.mul(steps, builder.load(builder.gep(strides, [loop.index])))
        builder.store(builder.add(builder.load(length), reach), length)
        with builder.if_then(builder.icmp_signed("<", steps, ir.Constant(word, 0)), likely=False):
            builder.store(ir.Constant(word, _NEVER), length)
    found = builder.load(length)
    none = builder.icmp_signed("<", found, ir.Constant(word, 0))
    count = builder.select(none, ir.Constant(word, 0), builder.sdiv(found, ir.Constant(word, itemsize)))
    populate_array(array, data=pointer, shape=[count], strides=[ir.Constant(word, itemsize)], itemsize=itemsize, meminfo=None)
    return NativeValue(array._getvalue())


@functools.cache
def is_safe() -> bool:
    """Whether NumPy's arrays lie in memory as `_unbox` reads them."""
    sample = np.empty((2, 3), np.int16)
    words = (ctypes.c_int64 * 4).from_address(id(sample) + 8 * _FIELDS)
    tuples = [(ctypes.c_int64 * 2).from_address(a) for a in words[2:]]
    found = words[0], words[1] & 0x7FFFFFFF, *(tuple(t) for t in tuples)
    return ctypes.sizeof(ctypes.c_void_p) == 8 and found == (sample.ctypes.data, 2, sample.shape, sample.strides)


def address(array: np.ndarray) -> int:
    """The address of an array's first element."""
    if is_safe():
        return ctypes.c_int64.from_address(id(array) + 8 * _FIELDS).value
    return array.__array_interface__["data"][0]


def borrowing(dispatcher: Any, arrays: Sequence[np.ndarray], rest: Sequence[Any], flat: bool = True) -> Callable[..., None]:
    """The compiled function for arrays like these, which it borrows, and for further arguments as they are."""
    lent = [Borrowed(numba.from_dtype(a.dtype), 1 if flat else a.ndim) for a in arrays]
    signature = (*lent, *[numba.typeof(r) for r in rest])
    dispatcher.compile(signature)
    return dispatcher.overloads[signature].entry_point


def plain(signature: Sequence[Any]) -> tuple[Any, ...]:
    """A signature with ordinary arrays for borrowed ones: native code takes both in the same form."""
    return tuple([types.Array(t.dtype, t.ndim, "C") if isinstance(t, Borrowed) else t for t in signature])


def span(x: np.ndarray) -> np.ndarray:
    """The memory from an array's first to its last element, as one dimension. (There are no negative strides.)"""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    length = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)) // x.itemsize
    return np.lib.stride_tricks.as_strided(x, (length,), (x.itemsize,), writeable=x.flags.writeable)
