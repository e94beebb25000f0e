"""Optimizer: the base of all: groups of parameters with hyperparameters, state, hooks, saving and loading."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import count
from typing import Any

import numgrad
from numgrad.autograd import RemovableHandle
from numgrad.ops import optim as updates
from numgrad.ops import optim_round as rounds
from numgrad.tensor import Tensor

required: Any = type("_RequiredParameter", (), {"__repr__": lambda self: "<required parameter>"})()

#: How often a round is made for a group: where it changes again and again, that takes longer than it saves.
_MOST_ROUNDS = 8

_hook_ids = count()
_global_step_pre_hooks: OrderedDict[int, Callable] = OrderedDict()
_global_step_post_hooks: OrderedDict[int, Callable] = OrderedDict()
_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks", "_optimizer_state_dict_pre_hooks",
          "_optimizer_state_dict_post_hooks", "_optimizer_load_state_dict_pre_hooks",
          "_optimizer_load_state_dict_post_hooks")


def _add_hook(hooks: OrderedDict, hook: Callable, prepend: bool = False) -> RemovableHandle:
    key = next(_hook_ids)
    hooks[key] = hook
    if prepend:
        hooks.move_to_end(key, last=False)
    return RemovableHandle(lambda: hooks.pop(key, None))


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before the step of every optimizer."""
    return _add_hook(_global_step_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after the step of every optimizer."""
    return _add_hook(_global_step_post_hooks, hook)


def _with_hooks(step: Callable) -> Callable:
    """A class's ``step`` with the hooks around it, unless a step of a subclass called it."""

    @functools.wraps(step)
    def run(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if getattr(type(self).step, "__wrapped__", None) is not step or _HOOKS[0] not in self.__dict__:  # a wrapper, never initialised
            return step(self, *args, **kwargs)
        for hook in [*_global_step_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()]:
            changed = hook(self, (self, *args), kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError("a step pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
                                       f"{changed}")
                (_, *args), kwargs = changed
        result = step(self, *args, **kwargs)
        if "_opt_called" in self.__dict__:  # a learning rate scheduler wants to know
            self._opt_called = True
        for hook in [*self._optimizer_step_post_hooks.values(), *_global_step_post_hooks.values()]:
            hook(self, (self, *args), kwargs)
        return result

    return run


class Optimizer:
    """Base of the optimizers. ``params`` is an iterable of tensors, of (name, tensor) pairs, or of group dicts.

    A subclass gives the defaults of its hyperparameters and defines ``step``; those of numgrad define instead
    ``_settings`` (what the kernel reads), ``_init_state`` and ``_update`` (which kernel, on which state)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.step)

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        for name in _HOOKS:
            setattr(self, name, OrderedDict())
        if isinstance(params, Tensor):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                            f"{type(params).__name__}")
        if defaults.get("differentiable"):
            raise NotImplementedError(f"{type(self).__name__}: differentiable=True is not supported: a step changes "
                                      "parameters in place, off the tape")
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        param_groups = list(params)
        if not param_groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(param_groups[0], dict):
            param_groups = [{"params": param_groups}]
        for group in param_groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with hyperparameters of their own; what the group does not give is the default."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        self._list_parameters(param_group)
        for param in param_group["params"]:
            if not isinstance(param, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}")
            if not (param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError("parameter group didn't specify a value of required optimization parameter " + name)
            param_group.setdefault(name, default)
        own = {id(param) for param in param_group["params"]}
        if len(own) != len(param_group["params"]):
            warnings.warn("optimizer contains a parameter group with duplicate parameters; each would be changed more "
                          "than once a step", stacklevel=3)
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                how = "with names" if "param_names" in param_group else "without names"
                raise ValueError("all optimizer param groups should be with/without names. cannot add param group "
                                 f"{how} to the optimizer")
            if any(id(param) in own for param in group["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    @staticmethod
    def _list_parameters(group: dict[str, Any]) -> None:
        """Make ``group["params"]`` a list of tensors, and ``group["param_names"]`` of their names if they have any."""
        params = group["params"]
        if isinstance(params, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but the ordering of "
                            "tensors in sets will change between runs. Please use a list instead.")
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [param[0] for param in params if isinstance(param, tuple)]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        if names:
            group["param_names"] = names
        group["params"] = [param[1] if isinstance(param, tuple) else param for param in params]

    # Stepping

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of every parameter, or with ``set_to_none=False`` fill them with zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    if set_to_none:
                        param.grad = None
                    else:
                        param.grad.detach_().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient once; ``closure``, if given, computes the loss first."""
        if type(self)._update is Optimizer._update:
            raise NotImplementedError(f"{type(self).__name__} does not define step")
        loss = None
        if closure is not None:
            with numgrad.enable_grad():
                loss = closure()
        self.write_settings()
        with numgrad.no_grad():
            for position, (group, memory) in enumerate(zip(self.param_groups, self._memory)):
                known = self._rounds.get(position)
                if known is None or not known.run(group["params"], self.state, memory, lambda p, s, g=group: self._update(p, g, s)):
                    self._step_group(position, group, memory)
        return loss

    step = _with_hooks(step)

    def _step_group(self, position: int, group: dict[str, Any], memory: Any) -> None:
        """One update after the other; next time, if all were as before, they are a round."""
        stateless, steady = self._is_stateless(group), True
        for param in group["params"]:
            if param.grad is not None:
                steady &= self._step_one(param, group, {} if stateless else self.state[param], memory)
        made = self._rounds_made.get(position, 0)
        if steady and made < _MOST_ROUNDS:
            self._rounds_made[position] = made + 1
            self._rounds[position] = rounds.make(group["params"], self._plans, self.state, stateless)

    def _step_one(self, param: Tensor, group: dict[str, Any], state: dict[str, Any], memory: Any) -> bool:
        """The update of one parameter; whether it was as the last time."""
        if not state:
            updates.check(type(self).__name__, param)
            self._init_state(param, group, state)
        name, states = self._update(param, group, state)
        steady = updates.update(self._plans, name, param, states, memory)
        if not steady:
            updates.check(type(self).__name__, param)
            updates.update_anew(self._plans, name, param, states, memory)
        return steady

    def write_settings(self) -> None:
        """Put the hyperparameters where the kernels read them; a compiled step calls it before each replay."""
        memory = self.__dict__.setdefault("_memory", [])
        for name in ("_plans", "_rounds", "_rounds_made"):
            self.__dict__.setdefault(name, {})
        for position, group in enumerate(self.param_groups):
            values = self._settings(group)
            if position == len(memory):
                memory.append(updates.settings(len(values)))
            updates.write_settings(memory[position], values)

    def _is_stateless(self, group: dict[str, Any]) -> bool:
        """Whether parameters of the group need no state."""
        return False

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        """The hyperparameters in the order of the kernel; the first three are the same everywhere."""
        return [group["lr"], group.get("weight_decay", 0), -1 if group["maximize"] else 1]

    def _init_state(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Make the state of a parameter, at its first step."""

    def _update(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> tuple[str, list[Tensor | None]]:
        """The update to launch (see ``numgrad.ops.optim``) and the state it changes, in the kernel's order."""
        raise NotImplementedError

    # Saving and loading

    def state_dict(self) -> dict[str, Any]:
        """State and groups, with parameters as numbers in the order of the groups; shares memory with the optimizer."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            packed = {name: value for name, value in group.items() if name != "params"}
            for position, param in enumerate(group["params"], start):
                numbers.setdefault(id(param), position)
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            start += len(packed["params"])
            groups.append(packed)
        state = {numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, of an optimizer with groups of the same sizes."""
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(saved_groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups: "
                             f"{len(saved_groups)}, not {len(self.param_groups)}")
        by_number = {}
        for saved, group in zip(saved_groups, self.param_groups):
            if len(saved["params"]) != len(group["params"]):
                raise ValueError("loaded state dict contains a parameter group that doesn't match the size of "
                                 f"optimizer's group: {len(saved['params'])} parameters, not {len(group['params'])}")
            by_number.update(zip(saved["params"], group["params"]))
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            param = by_number.get(key)
            state[key if param is None else param] = value if param is None else _fitted(value, param)
        self.__setstate__({"state": state, "param_groups": saved_groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _HOOKS:
            self.__dict__.setdefault(name, OrderedDict())
        for group in self.param_groups:  # files of older versions lack what was added since
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        for entry in self.state.values():
            if isinstance(entry, dict) and isinstance(entry.get("step"), (int, float)):
                entry["step"] = scalar(entry["step"])

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for position, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {position}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join(lines) + "\n)"

    # Hooks

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new (args, kwargs)."""
        return _add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return _add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before state_dict."""
        return _add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after; it may change it or return another."""
        return _add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading; it may change the (shallow) copy or return another."""
        return _add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after loading."""
        return _add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def _fitted(value: Any, param: Tensor, name: Any = None) -> Any:
    """Loaded state in the dtype of its parameter; the step count stays as it is."""
    if isinstance(value, Tensor):
        return value.to(param.dtype) if name != "step" and param.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _fitted(inner, param, key) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return type(value)(_fitted(inner, param) for inner in value)
    return value


def zeros_like(param: Tensor) -> Tensor:
    """State of a parameter's shape, zero at the start; contiguous, whatever the parameter is."""
    return numgrad.zeros(param.shape, dtype=param.dtype)


def scalar(value: float = 0.0) -> Tensor:
    """A 0-d state tensor: the count of steps, or another number that changes with them."""
    return numgrad.tensor(float(value), dtype=numgrad.get_default_dtype())


def check_at_least(low: float, **values: Any) -> None:
    """ValueError for a hyperparameter below ``low`` (or NaN); the keyword is what the message calls it."""
    for name, value in values.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
        if not low <= value:
            words = {"learning_rate": "learning rate", "epsilon": "epsilon value"}
            raise ValueError(f"Invalid {words.get(name, name + ' value')}: {value}")


def check_betas(betas: tuple[float, float]) -> None:
    """ValueError for a decay rate outside [0, 1)."""
    for position, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {position}: {beta}")


def check_fused(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """Both are accepted and change nothing: here every update is one kernel; asking for both is an error."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
