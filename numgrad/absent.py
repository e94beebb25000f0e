"""Modules that PyTorch has and numgrad has no use for: they can be imported, and say what to do instead when something of them is used.

Programs import what they need on other machines (several hosts, graphs, custom C++) and look at it on this one only in
`isinstance`. So a class of such a module is a type that nothing is an instance of, a function raises when it is called, and
one whose name begins with `is_` says no.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from .lacking import refused

_ALONE = "there is one process, which computes on all cores; guard the call with `numgrad.distributed.is_available()`"
_COMPILE = "`numgrad.compile` records a function below its operations"
_KERNEL = "write an operation in Python, with `numgrad.elementwise` or `numgrad.autograd.Function`"
_WIDE = "numgrad computes in float32 and float64"
#: The module and all below it -> what to do instead.
ABSENT = {
    "distributed": _ALONE,
    "numa": _ALONE,
    "fx": _COMPILE,
    "fft": "complex tensors are needed for it; use `numpy.fft` on `tensor.numpy()`",
    "export": "save `module.state_dict()` with `numgrad.save`",
    "package": "save `module.state_dict()` with `numgrad.save`",
    "onnx": "save `module.state_dict()` with `numgrad.save`, and export from PyTorch",
    "ao": _WIDE,
    "quantization": _WIDE,
    "nn.quantized": _WIDE,
    "nn.intrinsic": _WIDE,
    "nn.qat": _WIDE,
    "nn.attention.flex_attention": "use `nn.functional.scaled_dot_product_attention` with a mask",
    "sparse": "use dense tensors",
    "nested": "pad sequences to one length, as `nn.utils.rnn.pad_sequence` does",
    "masked": "multiply by a mask, or use `numgrad.where`",
    "utils.cpp_extension": _KERNEL,
    "utils.bundled_inputs": "save `module.state_dict()` with `numgrad.save`",
    "utils.mobile_optimizer": "save `module.state_dict()` with `numgrad.save`",
    "utils.flop_counter": "`numgrad.profiler` times operations",
    "utils.module_tracker": "use `module.register_forward_hook`",
    "utils._python_dispatch": _COMPILE,
    "utils._sympy": _COMPILE,
    "utils.data.datapipes": "use an `IterableDataset`",
    "_dynamo": _COMPILE,
    "_export": _COMPILE,
    "_inductor": _COMPILE,
    "_functorch": "use `numgrad.func`",
    "_higher_order_ops": _COMPILE,
    "_lazy": _COMPILE,
    "_ops": _KERNEL,
    "_prims": _KERNEL,
    "_prims_common": _KERNEL,
    "_subclasses": _COMPILE,
}


class _Kind(type):
    """The type of absent classes: their attributes are absent classes too (members of enumerations, mostly)."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return absent_class(f"{cls.__qualname__}.{name}", cls.instead)


def absent_class(name: str, instead: str) -> Any:
    """A class of this name that nothing is an instance of: making one is a NotImplementedError that says what to do instead."""

    def __new__(cls: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"numgrad has no {name}: {instead}")

    body = {"__new__": __new__, "__qualname__": name, "__doc__": f"Cannot be made: {instead}.", "instead": instead, "lacking": True}
    return _Kind(name.rpartition(".")[2], (), body)


def _never(*args: Any, **kwargs: Any) -> bool:
    """Always False: what is absent is not available, not initialized, not running."""
    return False


class _Absent(ModuleType):
    """A module of which every name is there and none can be used."""

    instead: str

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "api":  # what importing and inspecting ask for; and by which libraries know whether rpc is there
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name.startswith("is_"):
            return _never
        short = f"{self.__name__.partition('.')[2]}.{name}"
        found = absent_class(short, self.instead) if name.lstrip("_")[:1].isupper() else refused(short, self.instead)
        setattr(self, name, found)  # the same class each time it is asked for
        return found


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Comes after all others: a name that is no file of numgrad's is an absent module if it is listed, or below one that is."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != "numgrad" or _instead(name) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = _Absent(spec.name, "Absent: what is in here raises when it is used.")
        module.instead = _instead(spec.name.partition(".")[2]) or ""
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def _instead(name: str) -> str | None:
    """What to use instead of a module, by the longest entry that it is at or below."""
    while name:
        if name in ABSENT:
            return ABSENT[name]
        name = name.rpartition(".")[0]
    return None


def register() -> None:
    """Let `import` find absent modules."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
