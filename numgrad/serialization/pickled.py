"""A reader of pickles that can run no code: an interpreter of pickle's instructions which knows a fixed list of names.

A pickle is a program for a small stack machine. Of its instructions the one that could do harm calls what was looked up
by name; here a name is looked up in a table, and what is not in it is refused. Instructions are those of
https://docs.python.org/3/library/pickletools.html.
"""

from __future__ import annotations

import pickletools
import reprlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from .format import RefusedError


class Known:
    """A name that a pickle may say: a value of its own, which it may call if there is a function for that."""

    __slots__ = ("function", "name", "value")

    def __init__(self, name: str, function: Callable[..., Any] | None = None, value: Any = None) -> None:
        self.name, self.function, self.value = name, function, value


class Unfinished:
    """What stands in for a value until the pickle has given its state."""

    found: Any = None

    def give(self, state: Any) -> None:
        """Take the state, which makes `found`."""
        raise TypeError("it gives a state to what takes none")


def _bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in a pickle of protocol 2."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise ValueError(f"it encodes a {type(text).__name__} as {reprlib.repr(encoding)}")
    return text.encode("latin1")


def _bytearray(content: str | bytes = b"", encoding: str = "latin1") -> bytearray:
    return bytearray(content if type(content) is bytes else _bytes(content, encoding))  # type: ignore[arg-type]


def _key(value: Any) -> Any:
    """A value as a key; refused if it has so many parts that finding its hash could take for ever."""
    parts = [value]
    for part in parts:
        if isinstance(part, (tuple, frozenset)):
            if len(parts) + len(part) > _PARTS:
                raise ValueError(f"a key has more than {_PARTS} parts")
            parts.extend(part)
    return value


def _members(kind: type) -> Callable[..., Any]:
    return lambda values=(): kind(map(_key, _listed(values)))


def _ordered(pairs: Any = ()) -> OrderedDict:
    return OrderedDict((_key(key), value) for key, value in _listed(pairs))


def _listed(values: Any) -> Any:
    """What is a list, in which nothing is but plain values, or is empty."""
    if type(values) is not list and values != ():
        raise TypeError(f"it makes a container of a {type(values).__name__}")
    return values


_PARTS = 1000
_PLAIN: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered, "_codecs.encode": _bytes,
    **{f"{m}.{t.__name__}": _members(t) for m in ("builtins", "__builtin__") for t in (set, frozenset)},
    "builtins.complex": complex, "__builtin__.complex": complex,
    "builtins.bytearray": _bytearray, "__builtin__.bytearray": _bytearray,
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}
_LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "FLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "UNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "BINSTRING", "SHORT_BINSTRING", "STRING",
}  # fmt: skip


class Machine:
    """Reads one pickle: `names` are what it may look up, `stored` gives what it refers to outside of itself."""

    def __init__(self, names: Mapping[str, Known], stored: Callable[[Any], Any]) -> None:
        self._names, self._stored = names, stored
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._tuples: dict[int, tuple[Any, Any]] = {}  # by id, those that are not plain, beside what they become
        self._read = self._spent = 0  # bytes of the pickle, and how much was made out of them

    def run(self, file: Any) -> Any:
        """The object that the pickle at the file's position makes; the file is left behind it."""
        for instruction, argument, place in pickletools.genops(file):
            name, self._read = instruction.name, place or 0
            if name in _LITERALS:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in _EMPTY:
                self._stack.append(_EMPTY[name]())
            elif name == "STOP":
                break
            elif name not in ("PROTO", "FRAME"):
                step = getattr(self, f"_{name.lower()}", None)
                if step is None:
                    raise RefusedError(f"its pickle has the instruction {name}, which weights do not need")
                step(argument)
        return self._plain(self._stack.pop())

    # --- the stack ---

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _above_mark(self) -> list[Any]:
        start = self._marks.pop()
        found = self._stack[start:]
        del self._stack[start:]
        return found

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._above_mark()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _put(self, index: Any) -> None:
        self._memo[int(index)] = self._stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index: Any) -> None:
        self._stack.append(self._memo[int(index)])

    _binget = _long_binget = _get

    # --- containers ---

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._above_mark()))

    def _list(self, _: Any) -> None:
        self._stack.append(self._above_mark())

    def _dict(self, _: Any) -> None:
        pairs = self._above_mark()
        self._stack.append({})
        self._fill(self._stack[-1], pairs)

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError("its stack is empty")
        found = self._stack[-count:]
        del self._stack[-count:]
        return found

    def _tuple1(self, _: Any) -> None:
        self._stack.append(tuple(self._last(1)))

    def _tuple2(self, _: Any) -> None:
        self._stack.append(tuple(self._last(2)))

    def _tuple3(self, _: Any) -> None:
        self._stack.append(tuple(self._last(3)))

    def _append(self, _: Any) -> None:
        self._extend(list, "append", self._last(1))

    def _appends(self, _: Any) -> None:
        self._extend(list, "append", self._above_mark())

    def _additems(self, _: Any) -> None:
        self._extend(set, "add", self._above_mark())

    def _extend(self, kind: type, method: str, values: list[Any]) -> None:
        if type(self._stack[-1]) is not kind:
            raise TypeError(f"what it adds to is a {type(self._stack[-1]).__name__}")
        add = getattr(self._stack[-1], method)
        for value in values:
            add(self._plain(value) if kind is list else _key(self._plain(value)))

    def _setitem(self, _: Any) -> None:
        pair = self._last(2)
        self._fill(self._stack[-1], pair)

    def _setitems(self, _: Any) -> None:
        pairs = self._above_mark()
        self._fill(self._stack[-1], pairs)

    def _fill(self, mapping: Any, pairs: list[Any]) -> None:
        if type(mapping) not in (dict, OrderedDict):
            raise TypeError(f"what it puts items into is a {type(mapping).__name__}")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            mapping[_key(self._plain(key))] = self._plain(value)

    def _frozenset(self, _: Any) -> None:
        self._stack.append(frozenset(_key(self._plain(value)) for value in self._above_mark()))

    # --- names ---

    def _global(self, name: str) -> None:
        name = ".".join(name.split(" ", 1))
        if name in _PLAIN:
            self._stack.append(Known(name, _PLAIN[name]))
        elif name in self._names:
            self._stack.append(self._names[name])
        else:
            raise RefusedError(f"it asks for {name[:200]}, which is no tensor and no plain data")

    def _stack_global(self, _: Any) -> None:
        module, name = self._last(2)
        self._global(f"{module} {name}")

    def _reduce(self, _: Any) -> None:
        found, arguments = self._last(2)
        if not isinstance(found, Known) or found.function is None or type(arguments) is not tuple:
            raise TypeError(f"it calls {found.name if isinstance(found, Known) else type(found).__name__}")
        self._spend(arguments)
        self._stack.append(found.function(*arguments))

    def _spend(self, arguments: tuple) -> None:
        """Note what is about to be copied: each part of a pickle once or twice, but not the same part a thousand times."""
        self._spent += sum(len(a) for a in arguments if isinstance(a, (str, bytes, bytearray, list, tuple)))
        if self._spent > 4 * self._read + 1000:
            raise ValueError("it makes far more than it has")

    _newobj = _reduce

    def _build(self, _: Any) -> None:
        (state,) = self._last(1)
        owner = self._stack[-1]
        if isinstance(owner, Unfinished):
            if type(state) is not tuple:
                raise TypeError(f"it gives the state {reprlib.repr(state)}")
            self._spend(state)
            return owner.give(state)
        if type(owner) is not OrderedDict or type(state) is not dict or any(hasattr(OrderedDict, key) for key in state):
            raise TypeError(f"it gives attributes to a {type(owner).__name__}")
        owner.__dict__.update(state)  # state_dict's _metadata

    def _binpersid(self, _: Any) -> None:
        self._stack.append(self._stored(self._stack.pop()))

    def _plain(self, value: Any) -> Any:
        """A value as it goes into containers: names stand for their values."""
        if type(value) is tuple:
            if not any(isinstance(v, (Known, Unfinished, tuple)) for v in value):
                return value
            if id(value) not in self._tuples:  # each once, for a tuple of tuples may be small and yet have endless places
                self._tuples[id(value)] = value, tuple(map(self._plain, value))
            return self._tuples[id(value)][1]
        if isinstance(value, Unfinished):
            return value.found
        if not isinstance(value, Known):
            return value
        if value.value is None:
            raise RefusedError(f"it keeps {value.name} itself as a value")
        return value.value
