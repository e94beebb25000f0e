"""What a function can reach besides its arguments: modules, optimizers, tensors and plain values, and whether they are as they were.

A recording stands for the function only while these do. They are found through the function's globals, closure, `self` and
arguments; a `Watch` holds each together with the place it was found in, so that a call checks them without a walk.
"""

from __future__ import annotations

import contextvars
import functools
import os
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable
from operator import is_
from pathlib import Path
from typing import Any

import numpy as np

from ..nn.modules.module import Module
from ..optim.optimizer import Optimizer
from ..tensor import Tensor
from .quiet import Quiet

_ABSENT: Any = object()
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
#: Where code does not change while a program runs, nor the data in it: not walked.
_LIBRARIES = frozenset({"numgrad", "numpy", "numba"})
_FIXED = frozenset(sys.stdlib_module_names) | _LIBRARIES
_PACKAGE = str(Path(__file__).parent.parent)
_LIMIT = 100_000
#: Bytes up to which the content of an array is compared at each call.
_SMALL = 1024
_NUMBERS = "biufc"
#: A module's own dictionaries: those whose entries count, and all.
_MEMBERS = ("_parameters", "_buffers", "_modules", "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_INTERNAL = frozenset(k for k, v in Module().__dict__.items() if isinstance(v, (dict, set)))


class Watch:
    """Everything reachable from some roots, as it is now."""

    def __init__(self, roots: Iterable[Any]):
        roots = list(roots)
        self._words: set[str] = set()  # names that the user's code mentions
        self._walk(roots)  # once for the names, for attributes are chosen by them
        self._walk(roots)
        self._sizes = list(map(len, self.sized))
        self._settings = _hyperparameters(self.optimizers)
        self.quiet = Quiet()

    # --- checking ---

    def changed(self) -> str | None:
        """The name of something that is not what it was, or None."""
        if all(map(is_, map(dict.get, self.maps, self.keys), self.values)) and list(map(len, self.sized)) == self._sizes:
            for cell, value, name in self._cells:
                if _content(cell) is not value:
                    return name
            return _different(self._lists) or self.rest_changed()
        return self._culprit()

    def rest_changed(self) -> str | None:
        """The same of what a quiet watch does not see."""
        for get, key, value, name in self._others:
            if get(key) is not value:
                return name
        for data, content, name in self._contents:
            if bytes(data) != content:
                return name
        return _different(self._bags)

    def has_rest(self) -> bool:
        """Whether there is anything that a quiet watch does not see."""
        return bool(self._others or self._contents or self._bags)

    def lists(self) -> list[list[Any]]:
        """The lists whose items must stay."""
        return [items for items, _, _ in self._lists]

    def cells(self) -> list[Any]:
        """The variables of closures."""
        return [cell for cell, _, _ in self._cells]

    def _culprit(self) -> str | None:
        """The slow way: values that are equal though not the same are taken over."""
        for i, (where, key, value) in enumerate(zip(self.maps, self.keys, self.values, strict=True)):
            now = where.get(key, _ABSENT)
            if now is not value:
                if not _same(now, value):
                    return self._names[i]
                self.values[i] = now
        if list(map(len, self.sized)) != self._sizes:
            return "the members of a module or container"
        return self.changed() if all(map(is_, map(dict.get, self.maps, self.keys), self.values)) else "a value"

    def settings_changed(self) -> bool:
        """Let kernels see what the optimizers' hyperparameters are now; True if they ask for other kernels."""
        now = _hyperparameters(self.optimizers)
        if now != self._settings:
            if [v != 0 for v in now] != [v != 0 for v in self._settings]:
                return True
            self._settings = now
        for optimizer in self.optimizers:
            optimizer.write_settings()
        return False

    def release(self, owners: set[int]) -> None:
        """Arrays that kernels read where they lie may change."""
        self._contents[:] = [c for c in self._contents if id(c[0]) not in owners]

    def reached(self) -> Iterable[Any]:
        """All objects that were found, but for plain values."""
        return self._seen.values()

    # --- walking ---

    def _walk(self, roots: list[Any]) -> None:
        self.tensors: list[Tensor] = []
        self.optimizers: list[Optimizer] = []
        self.maps: list[dict[Any, Any]] = []  # entries of dictionaries: where, under which key, what, and its name
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self._names: list[str] = []
        self._cells: list[tuple[Any, Any, str]] = []
        self.sized: list[Any] = []  # containers whose size must stay
        self._lists: list[tuple[Any, list[Any], str]] = []
        self._bags: list[tuple[Any, list[Any], str]] = []  # sets and deques
        self._others: list[tuple[Callable[[str], Any], str, Any, str]] = []  # attributes of classes, and in slots
        self._seen: dict[int, Any] = {}
        self._contents: list[tuple[Any, bytes, str]] = []  # of small NumPy arrays, whose numbers Python may look at
        self._classes: set[int] = set()
        self._waiting: list[tuple[Any, str]] = [(root, "") for root in roots]
        while self._waiting and len(self._seen) < _LIMIT:
            value, name = self._waiting.pop()
            if not isinstance(value, _PLAIN) and id(value) not in self._seen:
                self._seen[id(value)] = value
                self._visit(value, name)

    def _visit(self, value: Any, name: str) -> None:
        if isinstance(value, Tensor):
            self.tensors.append(value)
            self._tensor_attributes(value, name)
        elif isinstance(value, Module):
            self._module(value, name)
        elif isinstance(value, Optimizer):
            self._optimizer(value, name)
        elif isinstance(value, types.FunctionType):
            self._function(value, name)
        elif isinstance(value, types.MethodType):
            self._waiting += [(value.__self__, name), (value.__func__, name)]
        elif isinstance(value, functools.partial):
            self._waiting += [(value.func, name), (value.args, name), (value.keywords, name)]
        elif isinstance(value, (list, tuple, set, deque)):
            if not isinstance(value, tuple):
                (self._lists if isinstance(value, list) else self._bags).append((value, list(value), name))
            self._waiting += [(v, f"{name}[{i}]") for i, v in enumerate(value)]
        elif isinstance(value, dict):
            self._dictionary(value, name, list(value))
            self.sized.append(value)
        elif isinstance(value, types.ModuleType):
            if not _is_fixed(value.__name__):
                self._dictionary(value.__dict__, name, [k for k in self._words if k in value.__dict__])
        elif isinstance(value, type):
            if not _is_fixed(value.__module__):
                self._class(value, name)
        elif isinstance(value, (np.ndarray, bytearray)):
            if isinstance(value, bytearray) or (value.nbytes <= _SMALL and value.dtype.kind in _NUMBERS):
                self._contents.append((value, bytes(value), name))
        elif isinstance(value, contextvars.ContextVar):
            self._other(functools.partial(_content_of_context, value), value.name, name)
        else:
            self._instance(value, name)

    def _dictionary(self, where: dict[Any, Any], name: str, keys: Iterable[Any]) -> None:
        for key in keys:
            self._entry(where, key, name)
            self._waiting.append((where[key], self._names[-1]))

    def _entry(self, where: dict[Any, Any], key: Any, name: str) -> None:
        self.maps.append(where)
        self.keys.append(key)
        self.values.append(where[key])
        key = "" if isinstance(key, Tensor) else key  # an optimizer's state: to write all of a parameter takes long
        self._names.append(f"{name}.{key}" if name else str(key))

    def _tensor_attributes(self, tensor: Tensor, name: str) -> None:
        if tensor._base is not None:
            self._waiting.append((tensor._base, name))

    def _module(self, module: Module, name: str) -> None:
        members = module.__dict__
        self._dictionary(members, name, [k for k, v in members.items() if k not in _INTERNAL])
        for kind in _MEMBERS:
            self._dictionary(members[kind], name, members[kind])
            self.sized.append(members[kind])
        self._class(type(module), name)

    def _optimizer(self, optimizer: Optimizer, name: str) -> None:
        self.optimizers.append(optimizer)
        self.sized += [optimizer.param_groups, optimizer.state]
        for key in ("param_groups", "state", "_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
            self._entry(optimizer.__dict__, key, name)
        self.sized += [optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks]
        for group in optimizer.param_groups:
            self._dictionary(group, f"{name}.group", [k for k, v in group.items() if not _is_number(v)])
            self.sized.append(group)
        for key, entry in optimizer.state.items():
            self._dictionary(optimizer.state, f"{name}.state", [key])
            if isinstance(entry, dict):
                self._waiting.append((entry, f"{name}.state"))

    def _instance(self, value: Any, name: str) -> None:
        """An object: what code of its user mentions; of the library's own, and of the standard library's, every plain value."""
        kind = type(value)
        fixed = _is_fixed(kind.__module__)
        known = kind.__module__.partition(".")[0] in _LIBRARIES
        if not fixed:
            self._class(kind, name)
            for base in kind.__mro__:
                self._slots(value, base.__dict__.get("__slots__", ()), name)
        members = getattr(value, "__dict__", None) or {}
        chosen = [k for k, v in members.items() if (k in self._words and not known) or (fixed and isinstance(v, _PLAIN))]
        self._dictionary(members, name, chosen)

    def _slots(self, value: Any, slots: Any, name: str) -> None:
        for key in (slots,) if isinstance(slots, str) else slots:
            if key in self._words:
                self._other(functools.partial(_attribute, value), key, name)

    def _other(self, get: Callable[[str], Any], key: str, name: str) -> None:
        value = get(key)
        self._others.append((get, key, value, f"{name}.{key}" if name else key))
        self._waiting.append((value, self._others[-1][-1]))

    def _class(self, kind: type, name: str) -> None:
        """The code of a class, and those of its attributes that code mentions."""
        for base in kind.__mro__:
            if _is_fixed(base.__module__) or id(base) in self._classes:
                continue
            self._classes.add(id(base))
            self._waiting += [(f, name) for v in list(base.__dict__.values()) if (f := _code_of(v)) is not None]
            for key in [k for k in base.__dict__ if k in self._words and not k.startswith("__")]:
                self._other(base.__dict__.get, key, base.__name__)

    def _function(self, function: Any, name: str) -> None:
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self._waiting.append((wrapped, name))
        code = function.__code__
        if _is_fixed(function.__module__ or "numgrad") or code.co_filename.startswith(_PACKAGE):
            return
        names = {n for part in _codes(code) for n in part.co_names}
        self._words |= names
        if names & {"environ", "getenv"}:
            self._waiting.append((os.environ._data, "os.environ"))  # type: ignore[attr-defined]
        for cell_name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            value = _content(cell)
            self._cells.append((cell, value, cell_name))
            self._waiting.append((value, cell_name))
        for key in ("__defaults__", "__kwdefaults__"):
            if getattr(function, key):
                self._other(functools.partial(_attribute, function), key, name)
        self._dictionary(function.__dict__, name, [k for k in function.__dict__ if k in names])
        scope = function.__globals__
        self._dictionary(scope, "", [n for n in names if n in scope and _matters(scope[n])])


def _different(containers: list[tuple[Any, list[Any], str]]) -> str | None:
    """The name of a container that does not hold what it held."""
    for now, before, name in containers:
        if len(now) != len(before) or not all(map(is_, now, before)):
            return name
    return None


def demands(tensor: Tensor) -> Any:
    """Whether a tensor's gradient is wanted, and by which hooks it is seen."""
    if tensor._hooks is None and tensor._accumulate_hooks is None:
        return tensor._requires_grad
    return tensor._requires_grad, *(tuple(map(id, (hooks or {}).values())) for hooks in (tensor._hooks, tensor._accumulate_hooks))


def _content_of_context(variable: Any, _: str) -> Any:
    return variable.get(_ABSENT)


def _attribute(value: Any, key: str) -> Any:
    return getattr(value, key, _ABSENT)


def _code_of(value: Any) -> Any:
    """The function that an entry of a class holds, if any."""
    for name in ("__func__", "fget", "func"):
        value = getattr(value, name, value)
    return value if isinstance(value, types.FunctionType) else None


def _matters(value: Any) -> bool:
    """Whether a global can change what a step does: the library's own functions and classes do not."""
    module = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    is_code = isinstance(value, (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type))
    return not (is_code and isinstance(module, str) and _is_fixed(module))


def _is_fixed(module: str) -> bool:
    return module.partition(".")[0] in _FIXED


def _codes(code: types.CodeType) -> list[types.CodeType]:
    return [code, *(inner for c in code.co_consts if isinstance(c, types.CodeType) for inner in _codes(c))]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return _ABSENT


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, (*_PLAIN, np.dtype)) and (a == b or a != a and b != b)


def _hyperparameters(optimizers: list[Optimizer]) -> list[float]:
    """The numbers in the groups of optimizers. Kernels read them from memory, but whether one is zero chooses the kernel."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return [number for group in groups for value in group.values() if _is_number(value) for number in _numbers(value)]


def _is_number(value: Any) -> bool:
    kind = type(value)
    if kind is tuple:
        return all(map(_is_number, value))
    return kind is float or kind is int or (isinstance(value, Tensor) and value.numel() == 1)


def _numbers(value: Any) -> Iterable[float]:
    return value if type(value) is tuple else (value.item() if isinstance(value, Tensor) else value,)


__all__ = ["Watch", "demands"]
