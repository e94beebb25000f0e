"""Whether objects are arrays of a known form: one native look at the fields of all, which also notes where their elements begin."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils
from numpy.lib.stride_tricks import as_strided

from .borrow import _FIELDS, is_safe
from .program import native
from .words import _ITEMS, _SIZE, supported

__all__ = ["Alike"]

_WORD = ir.IntType(64)
#: Fields of NumPy's arrays, in words; the type is a field of every object.
_TYPE = 1
_DATA, _NDIM, _SIZES, _STRIDES, _BASE, _DTYPE, _FLAGS = range(_FIELDS, _FIELDS + 7)
_WRITEABLE = 0x400
#: The table: how many objects, NumPy's type of arrays, the type of `as_strided`'s helper, where the owners and the addresses are; then
#: who owns each array's memory; and for each object its dimensions (-1: no array), its dtype (or itself), whether it is writeable,
#: its memory's number, its sizes and strides.
_COUNT, _ARRAY, _HELPER, _OWNERS, _ADDRESSES, _HEAD = range(6)
_ENTRY = 4


class Alike:
    """The form of some arrays, and other objects that must be the same. `addresses[numbers[i]]` is set to where array i begins, unless
    its number is -1."""

    def __init__(self, like: Sequence[Any], numbers: Sequence[int], addresses: np.ndarray):
        helper = type(as_strided(np.zeros(1), (1,)).base)
        table = [len(like), id(np.ndarray), id(helper), 0, addresses.ctypes.data, *([0] * len(like))]
        for value, number in zip(like, numbers, strict=True):
            if type(value) is np.ndarray:
                table += [value.ndim, id(value.dtype), _WRITEABLE * value.flags.writeable, number, *value.shape, *value.strides]
            else:
                table += [-1, id(value), 0, 0]
        # What is known by its `id` must live as long, so that nothing else gets it.
        self._kept = [addresses, *(v.dtype if type(v) is np.ndarray else v for v in like)]
        self._table = np.array(table, np.int64)
        self.avoid([])
        word = ctypes.c_int64
        found = ctypes.PYFUNCTYPE(word, word, ctypes.py_object)(native("alike", _alike_ir))  # keeps the interpreter's lock
        #: 1 if a list's objects are of this form, and no two arrays' memory belongs to one owner, nor to one that is avoided; else 0.
        self.take: Callable[[list[Any]], int] = functools.partial(found, self._table.ctypes.data)

    def avoid(self, owners: Iterable[int]) -> None:
        """Whose memory must not be given, by their `id`."""
        words = list(owners)
        self._owners = np.array([len(words), *words], np.int64)
        self._table[_OWNERS] = self._owners.ctypes.data

    @staticmethod
    def supported() -> bool:
        """Whether this interpreter's lists and arrays are as expected."""
        return supported() and is_safe()


class _Writer:
    """Code that reads words and may end with 0."""

    def __init__(self, builder: Any):
        self.builder = builder

    def at(self, address: Any, i: Any) -> Any:
        return self.builder.load(self.place(address, i))

    def place(self, address: Any, i: Any) -> Any:
        return self.builder.gep(self.builder.inttoptr(address, _WORD.as_pointer()), [i if isinstance(i, ir.Value) else _WORD(i)])

    def fail(self, condition: Any) -> None:
        with self.builder.if_then(condition, likely=False):
            self.builder.ret(_WORD(0))

    def fail_unless(self, a: Any, b: Any) -> None:
        self.fail(self.builder.icmp_signed("!=", a, b))

    def fail_if(self, a: Any, b: Any) -> None:
        self.fail(self.builder.icmp_signed("==", a, b))


def _alike_ir(module: ir.Module, name: str) -> None:
    """alike(table, list): 1 or 0."""
    function = ir.Function(module, ir.FunctionType(_WORD, [_WORD] * 2), name)
    builder = ir.IRBuilder(function.append_basic_block())
    w = _Writer(builder)
    table, items = function.args
    owners, addresses = w.at(table, _OWNERS), w.at(table, _ADDRESSES)
    w.fail_unless(w.at(items, _SIZE // 8), w.at(table, _COUNT))
    first = w.at(items, _ITEMS // 8)
    entry = cgutils.alloca_once_value(builder, builder.add(_WORD(_HEAD), w.at(table, _COUNT)))
    with cgutils.for_range(builder, w.at(table, _COUNT)) as loop:
        item, here = w.at(first, loop.index), builder.load(entry)
        n, same, writeable, number = (w.at(table, builder.add(here, _WORD(k))) for k in range(_ENTRY))
        builder.store(builder.add(here, _WORD(_ENTRY)), entry)
        with builder.if_else(builder.icmp_signed("<", n, _WORD(0))) as (other, array):
            with other:
                w.fail_unless(item, same)
            with array:
                w.fail_unless(w.at(item, _TYPE), w.at(table, _ARRAY))
                w.fail_unless(w.at(item, _DTYPE), same)
                w.fail_unless(builder.and_(w.at(item, _FLAGS), _WORD(_WRITEABLE)), writeable)
                w.fail_unless(builder.and_(w.at(item, _NDIM), _WORD(0x7FFFFFFF)), n)
                _same_sizes(w, item, table, builder.load(entry), n)
                builder.store(builder.add(builder.load(entry), builder.mul(n, _WORD(2))), entry)
                _own_memory(w, item, table, owners, loop.index)
                with builder.if_then(builder.icmp_signed(">=", number, _WORD(0))):
                    builder.store(w.at(item, _DATA), w.place(addresses, number))
    builder.ret(_WORD(1))


def _same_sizes(w: _Writer, item: Any, table: Any, start: Any, n: Any) -> None:
    """Fail where sizes or strides are others."""
    builder = w.builder
    sizes, strides = w.at(item, _SIZES), w.at(item, _STRIDES)
    with cgutils.for_range(builder, n) as loop:
        here = builder.add(start, loop.index)
        w.fail_unless(w.at(sizes, loop.index), w.at(table, here))
        w.fail_unless(w.at(strides, loop.index), w.at(table, builder.add(here, n)))


def _own_memory(w: _Writer, item: Any, table: Any, owners: Any, count: Any) -> None:
    """Fail where the memory is one of the owners', or that of an argument before; note whose it is."""
    builder = w.builder
    owner = cgutils.alloca_once_value(builder, item)
    head, body, end = (builder.function.append_basic_block() for _ in range(3))
    builder.branch(head)
    builder.position_at_end(head)
    base = w.at(builder.load(owner), _BASE)
    builder.cbranch(builder.icmp_signed("==", base, _WORD(0)), end, body)
    builder.position_at_end(body)
    kind = w.at(base, _TYPE)
    w.fail_if(kind, w.at(table, _HELPER))
    with builder.if_then(builder.icmp_signed("==", kind, w.at(table, _ARRAY))):
        builder.store(base, owner)
        builder.branch(head)
    builder.branch(end)
    builder.position_at_end(end)
    found = builder.load(owner)
    with cgutils.for_range(builder, w.at(owners, 0)) as loop:
        w.fail_if(found, w.at(owners, builder.add(loop.index, _WORD(1))))
    with cgutils.for_range(builder, count) as loop:
        w.fail_if(found, w.at(table, builder.add(loop.index, _WORD(_HEAD))))
    builder.store(found, w.place(table, builder.add(count, _WORD(_HEAD))))
