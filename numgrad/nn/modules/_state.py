"""Saving and loading what a module holds: state_dict and load_state_dict."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

import numgrad
from numgrad.nn.modules._hooks import RemovableHandle, _add_hook
from numgrad.nn.parameter import Parameter, is_lazy
from numgrad.tensor import Tensor

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What load_state_dict returns: the keys that were asked for and missing, and those nobody asked for."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if self.missing_keys or self.unexpected_keys else "<All keys matched successfully>"

    __str__ = __repr__


class StateMixin:
    """The part of Module that writes and reads a state dict."""

    def get_extra_state(self) -> Any:
        """Override, with set_extra_state, to put more than tensors into the state dict (anything picklable)."""
        raise RuntimeError(f"{type(self).__name__} overrides set_extra_state, so it must override get_extra_state too")

    def set_extra_state(self, state: Any) -> None:
        """Take back what get_extra_state gave; override both."""
        raise RuntimeError(f"{type(self).__name__} overrides get_extra_state, so it must override set_extra_state too")

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before the module's state is collected."""
        return _add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after; it may change ``state_dict`` in place."""
        hook = _NoResultHook(hook)
        return _add_hook(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable) -> RemovableHandle:
        return _add_hook(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``
        before the module reads its entries; it may change ``state_dict`` in place."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook: Callable, with_module: bool = False) -> RemovableHandle:
        return _add_hook(self._load_state_dict_pre_hooks, _LoadPreHook(hook, self if with_module else None))

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after loading; it may change the keys in place."""
        return _add_hook(self._load_state_dict_post_hooks, hook)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Put this module's own entries, not its children's, into ``destination``."""
        for name, tensor in self._named_state():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not StateMixin.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def _named_state(self) -> list[tuple[str, Tensor]]:
        """This module's own parameters and persistent buffers."""
        buffers = [item for item in self._buffers.items() if item[0] not in self._non_persistent_buffers_set]
        return [(name, tensor) for name, tensor in [*self._parameters.items(), *buffers] if tensor is not None]

    def state_dict(self, *args: Any, destination: dict | None = None, prefix: str = "",
                   keep_vars: bool = False) -> dict[str, Any]:
        """Every parameter and persistent buffer by its full name, detached unless ``keep_vars``, sharing memory."""
        if args:  # the old positional form: destination, prefix, keep_vars
            destination, prefix, keep_vars = (*args, *(destination, prefix, keep_vars)[len(args):])
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            result = hook(self, destination, prefix, local_metadata)
            destination = destination if result is None else result
        return destination

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool,
                              missing_keys: list, unexpected_keys: list, error_msgs: list) -> None:
        """Read this module's own entries; override to read files of an older version of a layer."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        for name, current in self._named_state():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
            else:
                problem = self._load_entry(key, name, current, state_dict[key], local_metadata)
                if problem:
                    error_msgs.append(problem)
        self._load_extra_state(state_dict, prefix, strict, missing_keys, unexpected_keys)
        if strict:
            self._note_unexpected_keys(state_dict, prefix, unexpected_keys)

    def _load_entry(self, key: str, name: str, current: Tensor, new: Any, metadata: dict) -> str | None:
        """Copy one entry into its tensor, or put it in its place; return what is wrong with it, if anything."""
        if not isinstance(new, Tensor):
            return (f'While copying the parameter named "{key}", expected a Tensor in the state dict, '
                    f"got {type(new).__name__}")
        if is_lazy(new):
            return None if is_lazy(current) else f'"{key}" has no shape yet in the state dict, but one in the model.'
        if current.ndim == 0 and tuple(new.shape) == (1,):  # 0-d values were saved with one dimension long ago
            new = new[0]
        if new.shape != current.shape:
            return (f"size mismatch for {key}: copying a param with shape {new.shape} from checkpoint, "
                    f"the shape in current model is {current.shape}.")
        try:
            with numgrad.no_grad():
                if metadata.get("assign_to_params_buffers", False):
                    if isinstance(current, Parameter):
                        if not isinstance(new, Parameter):
                            new = Parameter(new, requires_grad=current.requires_grad)
                        else:
                            new.requires_grad_(current.requires_grad)
                    setattr(self, name, new)
                else:
                    current.copy_(new)
        except Exception as error:
            return (f'While copying the parameter named "{key}", whose dimensions in the model are {current.shape} '
                    f"and in the checkpoint {new.shape}, an exception occurred: {error.args}.")
        return None

    def _load_extra_state(self, state_dict: dict, prefix: str, strict: bool, missing: list, unexpected: list) -> None:
        key = prefix + _EXTRA_STATE_KEY_SUFFIX
        if type(self).set_extra_state is not StateMixin.set_extra_state:
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            elif strict:
                missing.append(key)
        elif strict and key in state_dict:
            unexpected.append(key)

    def _note_unexpected_keys(self, state_dict: dict, prefix: str, unexpected_keys: list) -> None:
        own = {name for name, _ in self._named_state()}
        extra = prefix + _EXTRA_STATE_KEY_SUFFIX
        for key in state_dict:
            if key.startswith(prefix) and key != extra:
                name, dot, _ = key[len(prefix):].partition(".")
                if not (name in self._modules if dot else name in own):
                    unexpected_keys.append(key)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True,
                        assign: bool = False) -> _IncompatibleKeys:
        """Copy the entries of ``state_dict`` into the parameters and buffers of this module and its children.

        With ``assign`` the entries take the place of the parameters instead. Returns the missing and unexpected
        keys. Raises RuntimeError with the whole list of what does not fit: missing and unexpected keys (only when
        ``strict``), shapes that differ."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"expected state_dict to be dict-like, got {type(state_dict)}.")
        missing_keys: list[str] = []
        unexpected_keys: list[str] = []
        error_msgs: list[str] = []
        metadata = getattr(state_dict, "_metadata", None) or {}
        notes = (missing_keys, unexpected_keys, error_msgs)
        self._load_tree(OrderedDict(state_dict), metadata, "", assign, notes)  # a copy: hooks may change it
        if strict:
            for title, keys in (("Missing", missing_keys), ("Unexpected", unexpected_keys)):
                if keys:
                    error_msgs.append(f"{title} key(s) in state_dict: " + ", ".join(f'"{key}"' for key in keys) + ".")
        if error_msgs:
            listing = "\n\t".join(error_msgs)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listing}")
        return _IncompatibleKeys(missing_keys, unexpected_keys)

    def _load_tree(self, state_dict: dict, metadata: dict, prefix: str, assign: bool,
                   notes: tuple[list, list, list]) -> None:
        local_metadata = dict(metadata.get(prefix[:-1], {}))
        if assign:
            local_metadata["assign_to_params_buffers"] = True
        self._load_from_state_dict(state_dict, prefix, local_metadata, True, *notes)
        for name, module in self._modules.items():
            if module is not None:
                start = f"{prefix}{name}."
                part = OrderedDict((key, value) for key, value in state_dict.items() if key.startswith(start))
                module._load_tree(part, metadata, start, assign, notes)
        incompatible = _IncompatibleKeys(notes[0], notes[1])
        for hook in self._load_state_dict_post_hooks.values():
            if hook(self, incompatible) is not None:
                raise AssertionError("a hook of register_load_state_dict_post_hook must return None; it may change "
                                     "the incompatible keys in place")


class _LoadPreHook:
    """A load_state_dict pre-hook with the module it belongs to; a class, so that modules can be pickled."""

    def __init__(self, hook: Callable, module: Any) -> None:
        self.hook, self.module = hook, module

    def __call__(self, *args: Any) -> Any:
        return self.hook(*args) if self.module is None else self.hook(self.module, *args)


class _NoResultHook:
    """A public state_dict post-hook: it must work in place."""

    def __init__(self, hook: Callable) -> None:
        self.hook = hook

    def __call__(self, *args: Any) -> None:
        if self.hook(*args) is not None:
            raise RuntimeError("a hook of register_state_dict_post_hook must return None; it may change the "
                               "state_dict in place")
