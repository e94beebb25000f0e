"""Words of memory that were seen once: whether all are still the same, in one native call."""

from __future__ import annotations

import ctypes
import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np

from .kernel import DISABLED
from .program import native

__all__ = ["Words", "cell_words", "dict_words", "held_by", "list_words", "supported", "version"]

_WORD = ir.IntType(64)
#: Where the parts of CPython's objects lie, in bytes from their start: what follows the head that all objects have.
_HEAD = object.__basicsize__
_SIZE, _ITEMS = _HEAD, _HEAD + 8  # of a list: its length, and where its items are
_CONTENT = _HEAD  # of a closure's cell
_VERSION = _HEAD + 8  # of a dictionary


def dict_words(d: dict[Any, Any]) -> list[int]:
    """The addresses of what changes whenever a dictionary does."""
    return [id(d) + _VERSION]


def list_words(items: list[Any]) -> list[int]:
    """The addresses of what changes whenever a list does. The first two tell whether the rest can be read."""
    count, first = _at(id(items) + _SIZE), _at(id(items) + _ITEMS)
    return [id(items) + _SIZE, id(items) + _ITEMS, *range(first, first + 8 * count, 8)]


def cell_words(cell: Any) -> list[int]:
    """The address of what changes when a closure's variable does."""
    return [id(cell) + _CONTENT]


def held_by(address: int, count: int) -> bool:
    """Whether the object at an address (its `id`) has just so many references. The address is that of a word that counts them."""
    return _at(address) == count


def version(d: dict[Any, Any]) -> int:
    """A number that no other state of any dictionary has."""
    return _at(id(d) + _VERSION)


class Words:
    """The words at some addresses as they are now. Their owners must live as long."""

    def __init__(self, addresses: Sequence[int]):
        arrays = np.array(addresses, np.int64), np.array([_at(a) for a in addresses], np.uint64)
        same = ctypes.PYFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 3)(native("same", _same_ir))  # keeps the interpreter's lock
        found = functools.partial(same, arrays[0].ctypes.data, arrays[1].ctypes.data, len(addresses))
        found.arrays = arrays  # type: ignore[attr-defined]  # they live as long as the call that reads them
        #: Whether all words are as they were: 1 or 0.
        self.same: Callable[[], int] = found


def _at(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _same_ir(module: ir.Module, name: str) -> None:
    """same(addresses, values, count): read in this order, up to the first that differs."""
    words = _WORD.as_pointer()
    function = ir.Function(module, ir.FunctionType(_WORD, [words, words, _WORD]), name)
    addresses, values, count = function.args
    start, head, body, good, bad = (function.append_basic_block(n) for n in ("start", "head", "body", "good", "bad"))
    builder = ir.IRBuilder(start)
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(_WORD)
    builder.cbranch(builder.icmp_signed("<", i, count), body, good)
    builder.position_at_end(body)
    now = builder.load(builder.inttoptr(builder.load(builder.gep(addresses, [i])), words))
    i.add_incoming(_WORD(0), start)
    i.add_incoming(builder.add(i, _WORD(1)), body)
    builder.cbranch(builder.icmp_signed("==", now, builder.load(builder.gep(values, [i]))), head, bad)
    for block, answer in ((good, 1), (bad, 0)):
        builder.position_at_end(block)
        builder.ret(_WORD(answer))


# --- whether this interpreter is as expected ---------------------------------------------------------------------------


@functools.cache
def supported() -> bool:
    """Whether every change of a dictionary, list or cell is seen here: tried out, for versions of CPython differ."""
    if DISABLED or ctypes.sizeof(ctypes.c_void_p) != 8 or _HEAD != 16:
        return False
    return _lists_and_cells() and all(_dictionary(make) for make in (dict, OrderedDict)) and _attributes()


def _lists_and_cells() -> bool:
    items, content = [0, None], object()
    cell = (lambda: content).__closure__[0]  # type: ignore[index]
    found = list_words(items)
    if not held_by(id(content), 1) or held_by(id(items[0]), 1):  # the small number has many holders
        return False
    return _at(found[0]) == 2 and len(found) == 4 and _at(found[2]) == id(items[0]) and _at(found[3]) == id(None) and _at(cell_words(cell)[0]) == id(content)


def _tell_apart(d: dict[Any, Any], changes: Sequence[Callable[[], Any]]) -> bool:
    """Whether a dictionary's version is new after each of these, and stays when it is read."""
    seen: set[int] = set()
    for change in changes:
        change()
        now = version(d)
        if now in seen or (d.get("a"), len(d), list(d), version(d))[-1] != now:
            return False
        seen.add(now)
    return True


def _dictionary(make: Callable[[], dict[Any, Any]]) -> bool:
    d = make()
    fresh = lambda: d.__setitem__("a", object())
    loop = lambda: [d.update(a=object()) for _ in range(20)]
    changes = [fresh, fresh, loop, lambda: d.pop("a"), fresh, lambda: d.setdefault("b", 1), lambda: d.__delitem__("b"), lambda: d.update(c=2),
               d.popitem, fresh, d.clear, fresh, lambda: d.__ior__({"d": 3})]  # fmt: skip
    return _tell_apart(d, changes)


def _attributes() -> bool:
    """The same where a dictionary holds attributes or globals: code that runs often stores into them by a shorter way."""

    class Holder:
        pass

    holder: Any = Holder()
    holder.a = 0
    scope: dict[str, Any] = {"holder": holder}
    exec("def attribute():\n    holder.a = object()\ndef variable():\n    global a\n    a = object()", scope)
    often = lambda f: lambda: [f() for _ in range(100)]
    store, assign = scope["attribute"], scope["variable"]
    return (
        _tell_apart(vars(holder), [store, often(store), store, store, lambda: delattr(holder, "a"), store, lambda: setattr(holder, "b", 1)])
        and _tell_apart(scope, [assign, often(assign), assign, assign, lambda: scope.pop("a")])
    )  # fmt: skip
