"""PyTorch's `jit` as scripts use it: decorators that leave a function or module as it is. `numgrad.compile` makes them fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = [
    "Final", "ScriptFunction", "ScriptModule", "TracerWarning", "annotate", "export", "freeze", "ignore", "is_scripting", "is_tracing", "load", "optimize_for_inference", "save", "script",
    "script_if_tracing", "script_method", "trace", "trace_module", "unused",
]  # fmt: skip


def script(obj: Any, optimize: Any = None, **kwargs: Any) -> Any:
    """The function, class or module itself: it runs as Python. Use `numgrad.compile` to compile it."""
    return obj


def trace(func: Any, example_inputs: Any = None, **kwargs: Any) -> Any:
    """The function or module itself: nothing is frozen, so it is right for other inputs too. Use `numgrad.compile` to compile it."""
    return func


def trace_module(mod: Any, inputs: Any, **kwargs: Any) -> Any:
    """The module itself, as `trace`."""
    return mod


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: all code runs as Python."""
    return function


script_method = script_if_tracing = export = unused = interface = _itself


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The function itself, with or without arguments of the decorator."""
    return drop if callable(drop) else _itself


def freeze(mod: Any, preserved_attrs: Any = None, **kwargs: Any) -> Any:
    """The module itself."""
    return mod


def optimize_for_inference(mod: Any, other_methods: Any = None) -> Any:
    """The module itself. Use `numgrad.compile`."""
    return mod


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value itself."""
    return the_value


def is_scripting() -> bool:
    """Always False: code runs as Python."""
    return False


def is_tracing() -> bool:
    """Always False: code runs as Python."""
    return False


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Always an error: there is no program to save, only parameters."""
    raise NotImplementedError("numgrad has no jit.save: save `module.state_dict()` with `numgrad.save`, and keep the model's code")


def load(f: Any, map_location: Any = None, _extra_files: Any = None) -> None:
    """Always an error: TorchScript programs are not read."""
    raise NotImplementedError("numgrad has no jit.load: TorchScript programs are not read. Write the model with `numgrad.nn` and load a state_dict")


save.lacking = load.lacking = True  # type: ignore[attr-defined]


class ScriptFunction:
    """Nothing is one: functions stay as they are."""


class ScriptModule:
    """Nothing is one: modules stay as they are. A class that derives from it cannot be made."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("numgrad has no jit.ScriptModule: derive from `nn.Module`, and make it fast with `numgrad.compile`")


RecursiveScriptModule = ScriptModule


class TracerWarning(Warning):
    """Never given."""


_overload = _overload_method = _itself
