"""Module: the base of everything that has parameters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import numgrad
from numgrad.nn.modules import _hooks
from numgrad.nn.modules._hooks import (  # noqa: F401  (public from here, as in PyTorch)
    HookMixin,
    RemovableHandle,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
)
from numgrad.nn.modules._state import StateMixin, _IncompatibleKeys  # noqa: F401
from numgrad.nn.modules._tree import TreeMixin
from numgrad.nn.parameter import Buffer, Parameter, is_lazy
from numgrad.tensor import Tensor

T = TypeVar("T", bound="Module")

_HOOK_DICTIONARIES = (
    "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)
_MEMBER_DICTIONARIES = ("_parameters", "_buffers", "_modules")


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _addindent(text: str, spaces: int) -> str:
    return text.replace("\n", "\n" + " " * spaces)


class Module(TreeMixin, StateMixin, HookMixin):
    """A part of a network: parameters, buffers, other modules and a ``forward``.

    Subclasses call ``super().__init__()`` first, then assign parameters and modules as attributes."""

    dump_patches: bool = False
    _version: int = 1
    call_super_init: bool = False
    training: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            got = f"an unexpected keyword argument '{next(iter(kwargs))}'" if kwargs else f"{len(args)} of them"
            raise TypeError(f"{type(self).__name__}.__init__() takes no arguments beyond self, but got {got}")
        members = self.__dict__  # not by setattr: its rules need what is made here
        members["training"] = True
        for name in _MEMBER_DICTIONARIES:
            members[name] = {}
        members["_non_persistent_buffers_set"] = set()
        members["_is_full_backward_hook"] = None
        for name in _HOOK_DICTIONARIES:
            members[name] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if (self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks
                or _hooks.any_global_hooks()):
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    # Attributes

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but not trained; without ``persistent`` it stays out of state_dict."""
        self._check_new_name("buffer", name, "_buffers", KeyError)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' "
                            "(a Tensor or None required)")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name for one that is absent."""
        self._check_new_name("parameter", name, "_parameters", KeyError)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign '{_type_name(param)}' object to parameter '{name}' "
                            "(nn.Parameter or None required)")
        if param is not None and param.grad_fn is not None:
            raise ValueError(f"Cannot assign non-leaf Tensor to parameter '{name}': a parameter is made explicitly, "
                             "and what is a function of other tensors is computed in forward()")
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        self._check_new_name("module", name, "_modules", KeyError)
        self._modules[name] = module

    register_module = add_module

    def _check_new_name(self, kind: str, name: str, dictionary: str, error: type[Exception]) -> None:
        if dictionary not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_type_name(name)}")
        if hasattr(self, name) and name not in self.__dict__[dictionary]:
            raise error(f"attribute '{name}' already exists")
        if "." in name:
            raise error(f"{kind} name can't contain \".\", got: {name}")
        if name == "":
            raise error(f'{kind} name can\'t be empty string ""')

    def __getattr__(self, name: str) -> Any:
        members = self.__dict__
        for dictionary in _MEMBER_DICTIONARIES:
            held = members.get(dictionary)
            if held and name in held:
                return held[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        members = self.__dict__
        if isinstance(value, Parameter):
            self._take_member(name, "_parameters", "parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._take_member(name, "_modules", "module")
            members["_modules"][name] = value
        elif name in members.get("_parameters", ()):
            if value is not None:
                raise TypeError(f"cannot assign '{_type_name(value)}' as parameter '{name}' "
                                "(nn.Parameter or None expected)")
            self.register_parameter(name, value)
        elif name in members.get("_modules", ()):
            if value is not None:
                raise TypeError(f"cannot assign '{_type_name(value)}' as child module '{name}' "
                                "(nn.Module or None expected)")
            members["_modules"][name] = value
        elif isinstance(value, Buffer):
            self._take_member(name, "_buffers", "buffer")
            self.register_buffer(name, value, value.persistent)
        elif name in members.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{_type_name(value)}' as buffer '{name}' "
                                "(nn.Buffer, Tensor or None expected)")
            members["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def _take_member(self, name: str, dictionary: str, kind: str) -> None:
        """Free ``name`` of what else it means, before it becomes a member of ``dictionary``."""
        members = self.__dict__
        if dictionary not in members:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        members.pop(name, None)
        for other in _MEMBER_DICTIONARIES:
            if other != dictionary:
                members[other].pop(name, None)
        if name not in members["_buffers"]:
            members["_non_persistent_buffers_set"].discard(name)

    def __delattr__(self, name: str) -> None:
        for dictionary in _MEMBER_DICTIONARIES:
            if name in self.__dict__[dictionary]:
                del self.__dict__[dictionary][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted({name for name in names if not name[0].isdigit()})  # "0" in a Sequential is no attribute name

    # Pickling: objects saved by an older class get the dictionaries it did not have

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        for name in _HOOK_DICTIONARIES:
            self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)

    # Mode, type and place

    def train(self: T, mode: bool = True) -> T:
        """Set training mode for this module and all it contains: dropout and batch norm behave differently."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {_type_name(mode)}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: T) -> T:
        """The same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: T, requires_grad: bool = True) -> T:
        """Set requires_grad of every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of every parameter, or with ``set_to_none=False`` fill them with zeros."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                if set_to_none:
                    parameter.grad = None
                else:
                    parameter.grad.detach_().zero_() if parameter.grad.grad_fn is not None else parameter.grad.zero_()

    def apply(self: T, fn: Callable[[Module], None]) -> T:
        """Call ``fn`` on each submodule, children first, and on this module last."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: T, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> T:
        """Replace what every parameter, gradient and buffer holds by ``fn`` of it; parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with numgrad.no_grad():
            for parameter in self._parameters.values():
                if parameter is not None:
                    parameter.data = fn(parameter.data)
                    if parameter.grad is not None:
                        requires_grad = parameter.grad.requires_grad
                        parameter.grad = fn(parameter.grad.detach()).requires_grad_(requires_grad)
            for name, buffer in self._buffers.items():
                if is_lazy(buffer):
                    buffer.data = fn(buffer.data)
                elif buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self: T, *args: Any, **kwargs: Any) -> T:
        """Change dtype (of floating point tensors) and device of everything, in place.

        ``to(device, dtype=None)``, ``to(dtype)`` or ``to(tensor)``; ``non_blocking`` and ``memory_format`` too."""
        device, dtype, rest = _parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError("nn.Module.to only accepts floating point or complex dtypes, but got desired "
                            f"dtype={dtype}")

        def convert(tensor: Tensor) -> Tensor:
            wants_dtype = dtype is not None and (tensor.is_floating_point() or tensor.is_complex())
            return tensor.to(device, dtype if wants_dtype else None, **rest)

        return self._apply(convert)

    def float(self: T) -> T:
        """Floating point parameters and buffers to float32."""
        return self._apply(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)

    def double(self: T) -> T:
        """Floating point parameters and buffers to float64."""
        return self._apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)

    def half(self: T) -> T:
        """Floating point parameters and buffers to float16."""
        return self._apply(lambda tensor: tensor.half() if tensor.is_floating_point() else tensor)

    def bfloat16(self: T) -> T:
        """Floating point parameters and buffers to bfloat16."""
        return self._apply(lambda tensor: tensor.bfloat16() if tensor.is_floating_point() else tensor)

    def type(self: T, dst_type: Any) -> T:
        """Every parameter and buffer to ``dst_type``."""
        return self._apply(lambda tensor: tensor.type(dst_type))

    def cpu(self: T) -> T:
        """Everything to the CPU, where it is."""
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self: T, device: Any = None) -> T:
        """Everything to a GPU: there is none, so any parameter raises what Tensor.cuda raises."""
        return self._apply(lambda tensor: tensor.cuda(device))

    def to_empty(self: T, *, device: Any, recurse: bool = True) -> T:
        """Everything to ``device`` with undefined values."""
        return self._apply(lambda tensor: numgrad.empty_like(tensor, device=device), recurse=recurse)

    def share_memory(self: T) -> T:
        """Everything to memory that other processes can see."""
        return self._apply(lambda tensor: tensor.share_memory_())

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """From now on call the compiled forward: see ``numgrad.compile``."""
        self.forward = numgrad.compile(self.forward, *args, **kwargs)

    # Text

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands in the parentheses of ``repr``; override it for your own layers."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_addindent(repr(module), 2)}" for name, module in self._modules.items()]
        if not child_lines and len(extra_lines) <= 1:
            return f"{self._get_name()}({extra})"
        return self._get_name() + "(\n  " + "\n  ".join(extra_lines + child_lines) + "\n)"


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, dict]:
    """Split the arguments of ``to`` into device, dtype and what else Tensor.to takes."""
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    other = kwargs.pop("tensor", None)
    rest = {name: kwargs.pop(name) for name in ("non_blocking", "copy", "memory_format") if name in kwargs}
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for position, value in enumerate(args):
        if isinstance(value, Tensor) and position == 0:
            other = value
        elif isinstance(value, numgrad.dtype):
            dtype = value
        elif isinstance(value, bool):
            rest["non_blocking"] = value
        elif isinstance(value, (str, int, numgrad.device)) and position == 0:
            device = value
        elif value is not None:
            raise TypeError(f"to() got {_type_name(value)} as argument {position + 1}, expected a device, a floating "
                            "point dtype or a Tensor")
    if other is not None:
        device, dtype = other.device, other.dtype
    return device, dtype, rest
