"""Hooks of a module: functions that run around its forward, its backward, or every module's."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from typing import Any

from numgrad.autograd import Function, RemovableHandle
from numgrad.tensor import Tensor

_hook_ids = count()

_global_forward_pre_hooks: OrderedDict[int, Callable] = OrderedDict()
_global_forward_hooks: OrderedDict[int, Callable] = OrderedDict()
_global_forward_hooks_with_kwargs: OrderedDict[int, bool] = OrderedDict()
_global_backward_hooks: OrderedDict[int, Callable] = OrderedDict()


def _add_hook(hooks: OrderedDict, hook: Callable, *, prepend: bool = False, flags: Any = ()) -> RemovableHandle:
    """Put ``hook`` into ``hooks``; ``flags`` is (dictionary, on) pairs that note a property of the hook."""
    key = next(_hook_ids)
    hooks[key] = hook
    for flag, on in flags:
        if on:
            flag[key] = True
    if prepend:
        hooks.move_to_end(key, last=False)

    def remove() -> None:
        for entries in (hooks, *(flag for flag, _ in flags)):
            entries.pop(key, None)

    return RemovableHandle(remove)


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(module, args)`` before the forward of every module."""
    return _add_hook(_global_forward_pre_hooks, hook)


def register_module_forward_hook(hook: Callable, *, with_kwargs: bool = False) -> RemovableHandle:
    """Call ``hook(module, args, output)`` after the forward of every module."""
    return _add_hook(_global_forward_hooks, hook, flags=[(_global_forward_hooks_with_kwargs, with_kwargs)])


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` whenever gradients of any module's inputs are computed."""
    return _add_hook(_global_backward_hooks, hook)


def any_global_hooks() -> bool:
    return bool(_global_forward_pre_hooks or _global_forward_hooks or _global_backward_hooks)


class _BackwardHooks:
    """One call's backward hooks: gates around the forward that see the gradients pass."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.pre_hooks = list(module._backward_pre_hooks.values())
        self.hooks = [*_global_backward_hooks.values(), *module._backward_hooks.values()]
        self.grad_output: tuple | None = None
        self.input_count = 0
        self.input_positions: list[int] = []

    def gate_inputs(self, args: tuple) -> tuple:
        self.input_count = len(args)
        gated, self.input_positions = _gate(_InputGate, self, args)
        return gated

    def gate_outputs(self, result: Any) -> Any:
        outputs = result if isinstance(result, tuple) else (result,)
        if not any(isinstance(output, Tensor) for output in outputs):
            warnings.warn("a backward hook needs the forward to return a Tensor or a tuple of Tensors; it returned "
                          f"{type(result).__name__}, so the hook will not run", stacklevel=4)
            return result
        self.output_count = len(outputs)
        gated, self.output_positions = _gate(_OutputGate, self, outputs)
        return gated if isinstance(result, tuple) else gated[0]

    def saw_grad_output(self, grads: tuple) -> tuple:
        full = _scatter(grads, self.output_positions, self.output_count)
        for hook in self.pre_hooks:
            full = _replaced(full, hook(self.module, full), "backward pre hook")
        self.grad_output = full
        if not self.input_positions:  # no input wants a gradient: this is the only moment to call the hooks
            for hook in self.hooks:
                if hook(self.module, (None,) * self.input_count, full) is not None:
                    raise RuntimeError("a backward hook returned gradients for inputs, but no input of "
                                       f"{type(self.module).__name__} requires a gradient")
        return tuple(full[position] for position in self.output_positions)

    def saw_grad_input(self, grads: tuple) -> tuple:
        if self.grad_output is None:
            raise RuntimeError(f"the gradient reached the inputs of {type(self.module).__name__} without passing its "
                               "outputs: a forward that hands out tensors by other ways cannot have a backward hook")
        full = _scatter(grads, self.input_positions, self.input_count)
        for hook in self.hooks:
            full = _replaced(full, hook(self.module, full, self.grad_output), "backward hook")
        self.grad_output = None
        return tuple(full[position] for position in self.input_positions)


def _gate(gate: type[Function], hooks: _BackwardHooks, values: tuple) -> tuple[tuple, list[int]]:
    """Send the tensors among ``values`` that require a gradient through ``gate``; return all and their places."""
    positions = [i for i, value in enumerate(values) if isinstance(value, Tensor) and value.requires_grad]
    if not positions:
        return values, positions
    gated = gate.apply(hooks, *(values[i] for i in positions))
    out = list(values)
    for i, value in zip(positions, gated if isinstance(gated, tuple) else (gated,)):
        out[i] = value
    return tuple(out), positions


def _scatter(grads: tuple, positions: list[int], length: int) -> tuple:
    full: list[Any] = [None] * length
    for position, grad in zip(positions, grads):
        full[position] = grad
    return tuple(full)


def _replaced(grads: tuple, result: Any, what: str) -> tuple:
    """The gradients after a hook: those it returned, if any."""
    if result is None:
        return grads
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(grads):
        raise RuntimeError(f"{what} returned {len(result)} gradients, expected {len(grads)}")
    return result


class _InputGate(Function):
    """The identity on a module's inputs; in backward it calls the module's hooks."""

    @staticmethod
    def forward(ctx: Any, hooks: _BackwardHooks, *tensors: Tensor) -> Any:
        ctx.set_materialize_grads(False)
        ctx.hooks = hooks
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        return None, *ctx.hooks.saw_grad_input(grads)


class _OutputGate(_InputGate):
    """The identity on a module's outputs; in backward it keeps their gradients for the hooks."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        return None, *ctx.hooks.saw_grad_output(grads)


class HookMixin:
    """The part of Module that registers hooks and calls the forward with them."""

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False,
                                  with_kwargs: bool = False) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward; what it returns replaces the arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)`` and returns None or ``(args, kwargs)``."""
        return _add_hook(self._forward_pre_hooks, hook, prepend=prepend,
                         flags=[(self._forward_pre_hooks_with_kwargs, with_kwargs)])

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False,
                              always_call: bool = False) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward; what it returns, if not None, replaces the output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``; with ``always_call`` it runs even
        where the forward raised (its output is then None)."""
        return _add_hook(self._forward_hooks, hook, prepend=prepend,
                         flags=[(self._forward_hooks_with_kwargs, with_kwargs),
                                (self._forward_hooks_always_called, always_call)])

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` whenever gradients of the inputs are computed.

        Both are tuples, with None for what is no tensor or needs no gradient; keyword arguments are not seen.
        What the hook returns, if not None, replaces ``grad_input``."""
        self._set_backward_kind(full=True)
        return _add_hook(self._backward_hooks, hook, prepend=prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the module's backward; its result replaces ``grad_output``."""
        return _add_hook(self._backward_pre_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook: Callable) -> RemovableHandle:
        """The old name of :meth:`register_full_backward_hook`; ``grad_input`` is that of the module's inputs."""
        self._set_backward_kind(full=False)
        return _add_hook(self._backward_hooks, hook)

    def _set_backward_kind(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full) and self._backward_hooks:
            raise RuntimeError("register_backward_hook and register_full_backward_hook cannot be used on the same "
                               "module: use register_full_backward_hook only")
        self._is_full_backward_hook = full

    def _call_with_hooks(self, args: tuple, kwargs: dict) -> Any:
        called: set[int] = set()
        try:
            return self._forward_between_hooks(args, kwargs, called)
        except Exception:
            for hook_id, hook in list(self._forward_hooks.items()):
                if hook_id in self._forward_hooks_always_called and hook_id not in called:
                    try:
                        self._run_forward_hook(hook_id, hook, args, kwargs, None)
                    except Exception as error:  # the forward's own exception is the one to raise
                        warnings.warn(f"a forward hook with always_call=True raised an exception that was silenced "
                                      f"because another was on its way: {error}", stacklevel=3)
            raise

    def _forward_between_hooks(self, args: tuple, kwargs: dict, called: set[int]) -> Any:
        args, kwargs = self._run_forward_pre_hooks(args, kwargs)
        backward = None
        if self._backward_hooks or self._backward_pre_hooks or _global_backward_hooks:
            backward = _BackwardHooks(self)
            args = backward.gate_inputs(args)
        result = self.forward(*args, **kwargs)
        for hook_id, hook in list(_global_forward_hooks.items()):
            with_kwargs = hook_id in _global_forward_hooks_with_kwargs
            new = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            result = result if new is None else new
        for hook_id, hook in list(self._forward_hooks.items()):
            called.add(hook_id)
            result = self._run_forward_hook(hook_id, hook, args, kwargs, result)
        return result if backward is None else backward.gate_outputs(result)

    def _run_forward_hook(self, hook_id: int, hook: Callable, args: tuple, kwargs: dict, result: Any) -> Any:
        if hook_id in self._forward_hooks_with_kwargs:
            new = hook(self, args, kwargs, result)
        else:
            new = hook(self, args, result)
        return result if new is None else new

    def _run_forward_pre_hooks(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        for hook_id, hook in [*_global_forward_pre_hooks.items(), *self._forward_pre_hooks.items()]:
            if hook_id in self._forward_pre_hooks_with_kwargs:
                new = hook(self, args, kwargs)
                if new is None:
                    continue
                if not (isinstance(new, tuple) and len(new) == 2):
                    raise RuntimeError("a forward pre-hook with kwargs must return None or a tuple (args, kwargs), "
                                       f"got {type(new).__name__}")
                args, kwargs = new
            else:
                new = hook(self, args)
                if new is not None:
                    args = new if isinstance(new, tuple) else (new,)
        return args, kwargs
