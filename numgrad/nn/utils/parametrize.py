"""Parametrizations: a parameter or buffer that is computed, by a module, from another one each time it is read.

The module's class becomes a class of its own in which the tensor is a property; what it is computed from is at
``module.parametrizations[name].original`` (or ``original0``, ``original1``, ... where there are several).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numgrad
from numgrad.nn.modules.container import ModuleDict, ModuleList
from numgrad.nn.modules.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import Tensor

_cache: dict[tuple[int, str], Tensor] = {}
_depth = 0


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Inside the block each parametrized tensor is computed once, when it is first read."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _cache.clear()


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _check_same(found: Any, dtype: Any, shape: Any, what: str) -> None:
    """ValueError unless a parametrization keeps the dtype and the shape."""
    if not isinstance(found, Tensor):
        raise ValueError(f"{what} must return a tensor. Got {type(found).__name__}.")
    if found.dtype != dtype:
        raise ValueError(f"{what} may not change the dtype of the tensor, unless the `unsafe` flag is enabled: {dtype} became {found.dtype}")
    if shape is not None and tuple(found.shape) != tuple(shape):
        raise ValueError(f"{what} may not change the shape of the tensor, unless the `unsafe` flag is enabled: "
                         f"{tuple(shape)} became {tuple(found.shape)}")


def _replace(old: Tensor, new: Tensor) -> None:
    """Other values, in another shape even, in the same tensor: optimizers keep it."""
    with numgrad.no_grad():
        if old.shape == new.shape:
            old.copy_(new)
        else:
            old.data = new.detach().clone()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied in turn, and what they start from."""

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        dtype, shape = original.dtype, tuple(original.shape)
        new: Any = original
        with numgrad.no_grad():
            for module in reversed(list(modules)):
                if hasattr(module, "right_inverse"):
                    with contextlib.suppress(NotImplementedError):  # then it is taken for the identity
                        new = module.right_inverse(new)
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(new).__name__}")
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if isinstance(new, Tensor) else len(new)
        if isinstance(new, Tensor):
            if new.dtype != dtype:
                raise ValueError("When `right_inverse` outputs one tensor, it may not change the dtype: "
                                 f"original.dtype: {dtype}, right_inverse(original).dtype: {new.dtype}")
            if new is not original:
                _replace(original, new)
            _register(self, "original", original)
        else:
            self._register_several(new, original)
        if not unsafe:
            _check_same(self(), dtype, shape, "A parametrization")

    def _register_several(self, tensors: Sequence[Any], original: Tensor) -> None:
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise ValueError("'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                                 f"Got element {i} of the sequence with type {type(tensor).__name__}.")
            tensor = tensor.detach().clone()
            if isinstance(original, Parameter):
                tensor = Parameter(tensor, original.requires_grad)
            _register(self, f"original{i}", tensor.requires_grad_(original.requires_grad))

    def right_inverse(self, value: Tensor) -> None:
        """Set what the tensor is computed from so that it becomes ``value``; called when it is assigned to."""
        found: Any = value
        with numgrad.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                found = module.right_inverse(found)
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        tensors = [found] if self.is_tensor else list(found)
        if len(tensors) != len(names):
            raise ValueError(f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length {len(tensors)}.")
        for name, tensor in zip(names, tensors, strict=True):
            _check_same(tensor, getattr(self, name).dtype, None, "`right_inverse`")
            _replace(getattr(self, name), tensor)

    def forward(self) -> Tensor:
        modules = list(self)
        originals = [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]
        x = modules[0](*originals)
        for module in modules[1:]:
            x = module(x)
        return x


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    replica = self.__new__(type(self))
    memo[id(self)] = replica
    replica.__dict__ = copy.deepcopy(self.__dict__, memo)
    return replica


def _refuse_state(self: Any) -> Any:
    raise RuntimeError("A parametrized module can only be saved by its state_dict()")


def _make_class(module: Module) -> None:
    """Give a module a class of its own, for properties."""
    kind = type(module)
    members: dict[str, Any] = {"__getstate__": _refuse_state}
    if not hasattr(kind, "__deepcopy__"):
        members["__deepcopy__"] = _deepcopy
    module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), members)


def _make_property(module: Module, name: str) -> None:
    def read(self: Any) -> Tensor:
        if not _depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def assign(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, assign))


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """From now on ``module.tensor_name`` is ``parametrization`` of what it was; of what it is already computed as, if it is.

    A ``right_inverse`` method of the parametrization gives what to start from, so that assigning to the tensor works. ``unsafe`` skips
    the check that dtype and shape stay."""
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            before = getattr(module, tensor_name)
            found = parametrization(before)
            _check_same(found, before.dtype, before.shape, "A parametrization")
            if hasattr(parametrization, "right_inverse"):
                with contextlib.suppress(NotImplementedError):
                    _check_same(parametrization.right_inverse(found), before.dtype, before.shape, "parametrization.right_inverse")
        chain = module.parametrizations[tensor_name]
        chain.append(parametrization)
        chain.unsafe |= unsafe
        return module
    if tensor_name not in module._buffers and tensor_name not in module._parameters:
        raise ValueError(f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'")
    chain = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _make_class(module)
        module.parametrizations = ModuleDict()
    _make_property(module, tensor_name)
    module.parametrizations[tensor_name] = chain
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module, or one tensor of it, is parametrized."""
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor a plain one again: as it was last computed, or else what it was computed from."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    chain = module.parametrizations[tensor_name]
    if chain.is_tensor:
        original = chain.original
        if leave_parametrized:
            with numgrad.no_grad():
                _replace(original, getattr(module, tensor_name))
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError("Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
                         "sequence of tensors.")
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class a module had before it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)
