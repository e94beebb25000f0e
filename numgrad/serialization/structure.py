"""Between Python objects and what a safetensors file can hold: JSON and arrays by name."""

from __future__ import annotations

import base64
import ctypes
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import numgrad

from .format import FROM_NUMPY, Source, array_of


def _spelled(dtype: np.dtype) -> str:
    return dtype.name if dtype.kind != "V" else "bfloat16"


#: The only names read: NumPy would parse any text as a dtype.
_DTYPES = {_spelled(dtype): dtype for dtype in FROM_NUMPY}


class Encoder:
    """Turns an object into JSON and, beside it, the arrays in it by name."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.names: dict[int, str] = {}
        self._kept: list[Any] = []  # what `_names` knows by id has to stay alive
        self._within: set[int] = set()

    def encode(self, value: Any, path: tuple) -> Any:
        """A value as JSON can hold it, its tensors put aside under names."""
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind is int:
            return value if abs(value) < 2**63 else {"int": hex(value)}  # reading long decimals is slow and limited
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind in (list, tuple, numgrad.Size, dict, OrderedDict):
            return self._container(kind, value, path)
        if kind is bytes:
            return {"bytes": base64.b64encode(value).decode()}
        if kind in (numgrad.Tensor, numgrad.nn.Parameter):
            flags = {"requires_grad": True} if value.requires_grad else {}
            return {"tensor" if kind is numgrad.Tensor else "Parameter": self._name(value, path), **flags}
        if isinstance(value, numgrad.dtype):
            return {"dtype": str(value).rpartition(".")[2]}
        if isinstance(value, numgrad.device):
            return {"device": str(value)}
        if kind is np.ndarray:
            return {"ndarray": self._name(value, path)}
        if isinstance(value, np.generic) and value.dtype in FROM_NUMPY and value.dtype.kind != "V":
            return {"numpy": [value.dtype.name, self.encode(value.item(), path)]}
        raise TypeError(_refusal(value, path))

    def _container(self, kind: type, value: Any, path: tuple) -> Any:
        if id(value) in self._within:
            raise ValueError(f"save: the object contains itself, at {_spell(path)}")
        self._within.add(id(value))
        if kind in (dict, OrderedDict):
            entries: list = [[self._key(key, path), self.encode(value[key], (*path, key))] for key in value]
        else:
            entries = [self.encode(entry, (*path, position)) for position, entry in enumerate(value)]
        self._within.remove(id(value))
        return entries if kind is list else {kind.__name__: entries}

    def _key(self, key: Any, path: tuple) -> Any:
        if isinstance(key, (numgrad.Tensor, np.ndarray)):
            raise TypeError(f"save: a {type(key).__name__} cannot be saved as a key, at {_spell(path)}")
        return self.encode(key, (*path, key))

    def _name(self, value: Any, path: tuple) -> str:
        if id(value) not in self.names:
            array = array_of(value, f"save: {_spell(path)}")
            stem = ".".join(map(str, path)).encode(errors="replace").decode() or "tensor"
            name, count = stem, 1
            while name in self.arrays or name == "__metadata__":
                count += 1
                name = f"{stem}#{count}"
            self.arrays[name] = array
            self.names[id(value)] = name
            self._kept.append(value)
        return self.names[id(value)]

    def regions(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays to write, and those that are views of one of them: [region, dtype, shape, strides, offset]."""
        written, views = dict(self.arrays), {}
        for names, start, stop in _overlapping(self.arrays):
            whole = [n for n in names if self.arrays[n].flags.c_contiguous and self.arrays[n].nbytes == stop - start]
            region = whole[0] if whole else f"{names[0]}#storage"
            if not whole:
                written[region] = _bytes_between(self.arrays[names[0]], start, stop)
            for name in names:
                if name != region:
                    array = written.pop(name)
                    offset = _address(array) - start
                    views[name] = [region, _spelled(array.dtype), array.shape, array.strides, offset]
        return written, views


def _refusal(value: Any, path: tuple) -> str:
    advice = ""
    if isinstance(value, numgrad.nn.Module):
        advice = "; save its state_dict() and load that into a new one"
    elif isinstance(value, (int, float, str, bytes, list, tuple, dict)):
        advice = (
            f"; make it a plain {next(t for t in type(value).__mro__ if t.__module__ == 'builtins').__name__} first"
        )
    return f"save: cannot save a {type(value).__module__}.{type(value).__qualname__}, at {_spell(path)}{advice}"


def _spell(path: tuple) -> str:
    return "obj" + "".join(f"[{key!r}]" for key in path)


def blocks(arrays: dict[str, np.ndarray]) -> Iterator[tuple[list[str], np.ndarray, list[int]]]:
    """Contiguous memory that holds arrays: the names of those on each block, its bytes, and how far into it each begins."""
    alone = dict(arrays)
    for names, start, stop in _overlapping(arrays):
        yield names, _bytes_between(arrays[names[0]], start, stop), [_address(alone.pop(name)) - start for name in names]
    for name, array in alone.items():
        start, stop = np.lib.array_utils.byte_bounds(array) if array.size else (0, 0)
        yield [name], _bytes_between(array, start, stop), [0]


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _overlapping(arrays: dict[str, np.ndarray]) -> Iterator[tuple[list[str], int, int]]:
    """Groups of arrays that share a stretch of memory, or that alone lie on one more than once, as expanded ones do."""
    bounds = {name: np.lib.array_utils.byte_bounds(array) for name, array in arrays.items() if array.size}
    group: list[str] = []
    start = stop = 0
    for name in [*sorted(bounds, key=lambda name: bounds[name]), None]:
        if name is not None and group and bounds[name][0] < stop:
            group.append(name)
            stop = max(stop, bounds[name][1])
            continue
        if len(group) > 1 or (group and arrays[group[0]].nbytes > stop - start):
            yield sorted(group, key=list(arrays).index), start, stop
        if name is not None:
            group, (start, stop) = [name], bounds[name]


def _once(array: np.ndarray) -> np.ndarray:
    """The bytes that an array of truth values lies on, hardly more often than once: a small file may say that it repeats for ever."""
    array = array[tuple(slice(None if step else 1) for step in array.strides)].view(np.uint8)
    start, stop = np.lib.array_utils.byte_bounds(array)
    return array if array.size <= stop - start else _bytes_between(array, start, stop)


def _bytes_between(array: np.ndarray, start: int, stop: int) -> np.ndarray:
    """The memory from `start` to `stop`, all of which arrays that are alive reach into."""
    return np.frombuffer(ctypes.string_at(start, stop - start), np.uint8)


class Decoder:
    """Turns JSON back into the object it stands for."""

    def __init__(self, arrays: dict[str, np.ndarray], source: Source) -> None:
        self._arrays, self._source = arrays, source
        self._made: dict[tuple[str, str], Any] = {}

    def add_view(self, name: str, view: Any) -> None:
        """Make a tensor that shares a stored region of memory with others."""
        region, dtype, shape, strides, offset = view
        memory = self._arrays[region].reshape(-1).view(np.uint8)
        if name in self._arrays or dtype not in _DTYPES or not all(type(size) is int for size in shape):
            raise ValueError(f"the view {name!r} is {view!r:.200}")
        dtype = _DTYPES[dtype]
        found = np.ndarray(shape, dtype, memory, offset, strides)  # checks that it stays within the memory
        if dtype == np.bool_ and found.size and _once(found).max() > 1:
            raise ValueError(f"the view {name!r} has truth values other than 0 and 1")
        self._arrays[name] = found

    def decode(self, value: Any) -> Any:
        """The value that was encoded."""
        if isinstance(value, list):
            return [self.decode(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        kind: Any = next(iter(value), None)
        if value.keys() - {"requires_grad"} != {kind} or value.get("requires_grad", True) is not True:
            raise ValueError(f"{sorted(value)} stands for nothing")
        if kind in ("tensor", "Parameter", "ndarray"):
            return self._array(kind, value[kind], value.get("requires_grad", False))
        return self._KINDS[kind](self, value[kind])

    def _array(self, kind: str, name: str, requires_grad: bool) -> Any:
        if (kind, name) not in self._made:
            found: Any = self._arrays[name]
            if kind != "ndarray":
                found = self._source.tensor(name, found)
            if kind == "Parameter":
                found = numgrad.nn.Parameter(found, requires_grad)
            elif requires_grad:
                found.requires_grad_()
            self._made[kind, name] = found
        return self._made[kind, name]

    def _mapping(self, kind: type, entries: list) -> Any:
        found = kind((self.decode(key), self.decode(entry)) for key, entry in entries)
        if len(found) != len(entries):
            raise ValueError("a key occurs twice")
        return found

    def _dtype(self, name: str) -> Any:
        found = vars(numgrad)[name]
        if not isinstance(found, numgrad.dtype):
            raise ValueError(f"{name} is not a dtype")
        return found

    def _numpy(self, dtype: str, value: Any) -> Any:
        if dtype not in _DTYPES:
            raise ValueError(f"{dtype} is not a number's dtype")
        number = self.decode(value)
        if type(number) not in (bool, int, float):
            raise ValueError(f"a {type(number).__name__} is no number")
        return _DTYPES[dtype].type(number)

    _KINDS: dict[str, Callable[[Decoder, Any], Any]] = {
        "int": lambda self, digits: int(digits, 16),
        "float": lambda self, digits: float(digits),
        "bytes": lambda self, text: base64.b64decode(text, validate=True),
        "tuple": lambda self, entries: tuple(self.decode(entries)),
        "Size": lambda self, entries: numgrad.Size(self.decode(entries)),
        "dict": lambda self, entries: self._mapping(dict, entries),
        "OrderedDict": lambda self, entries: self._mapping(OrderedDict, entries),
        "dtype": lambda self, name: self._dtype(name),
        "device": lambda self, text: numgrad.device(text),
        "numpy": lambda self, pair: self._numpy(*pair),
    }
