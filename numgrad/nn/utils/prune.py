"""Pruning: some elements of a parameter stay 0, held there by a mask.

A pruned parameter `weight` becomes `weight_orig`, which is trained, beside the buffer `weight_mask`; `weight` itself is their
product, made anew before each forward. `remove` makes the product the parameter again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numgrad
from numgrad.nn.modules.module import Module
from numgrad.nn.utils.convert_parameters import parameters_to_vector
from numgrad.tensor import Tensor

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
    "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


class BasePruningMethod:
    """A way to choose what is pruned: subclasses write `compute_mask(t, default_mask)` and say which PRUNING_TYPE they are.

    "unstructured": single elements, of those that are left; "structured": whole slices of `self.dim`; "global": as it is given.
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask: 1 where an element stays, by its importance `t`, and within what the mask so far leaves."""
        raise NotImplementedError(f"{type(self).__name__} has no compute_mask")

    def apply_mask(self, module: Module) -> Tensor:
        """The parameter times its mask."""
        name = self._tensor_name
        mask: Any = getattr(module, name + "_mask", None)
        if mask is None:
            raise RuntimeError(f"Module {module} has to be pruned")
        return mask.to(getattr(module, name + "_orig").dtype) * getattr(module, name + "_orig")

    @classmethod
    def apply(cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any) -> Any:
        """Prune the parameter `name`, further if it is pruned already; returns the hook that does so."""
        method, before = cls(*args, **kwargs), _hook_of(module, name)
        tensor: Any = getattr(module, name)
        if importance_scores is not None and importance_scores.shape != tensor.shape:
            raise AssertionError(f"importance_scores should have the same shape as parameter {name} of {module}")
        scores: Any = tensor if importance_scores is None else importance_scores
        method._tensor_name = name
        hook: Any = method
        if before is None:
            mask: Any = numgrad.ones_like(tensor)
        else:
            mask = getattr(module, name + "_mask")
            hook = PruningContainer(*(before[1] if isinstance(before[1], PruningContainer) else [before[1]]), method)
        mask = hook.compute_mask(scores.detach(), mask.detach().clone()).to(tensor.dtype)
        if before is None:
            del module._parameters[name]
            module.register_parameter(name + "_orig", tensor)
        else:
            del module._forward_pre_hooks[before[0]]
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, hook.apply_mask(module))
        module.register_forward_pre_hook(hook)
        return hook

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """A tensor with the mask that this method gives applied."""
        mask: Any = numgrad.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(t if importance_scores is None else importance_scores, mask)  # type: ignore[operator]

    def remove(self, module: Module) -> None:
        """The product of parameter and mask becomes the parameter."""
        name = self._tensor_name
        pruned = self.apply_mask(module)
        if name in module.__dict__:
            delattr(module, name)
        parameter: Any = module._parameters.pop(name + "_orig")
        parameter.data = pruned.data
        del module._buffers[name + "_mask"]
        setattr(module, name, parameter)


class PruningContainer(BasePruningMethod):
    """Several methods, one after the other, on one parameter."""

    PRUNING_TYPE = "global"

    def __init__(self, *methods: BasePruningMethod):
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if methods and not isinstance(methods[0], BasePruningMethod):
            methods = tuple(*methods)
        for method in methods:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """One more; all must prune the same parameter."""
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is None:
            return
        name = getattr(method, "_tensor_name", getattr(self, "_tensor_name", None))
        if self._pruning_methods and name != self._tensor_name:
            raise ValueError(f"Can only add pruning methods acting on the parameter named '{self._tensor_name}' to PruningContainer, but got '{name}'")
        if name is not None:
            self._tensor_name = name
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """What the last method leaves of what the mask so far does."""
        method: Any = self._pruning_methods[-1]
        x: Any = t
        mask: Any = default_mask.clone()  # type: ignore[attr-defined]
        if method.PRUNING_TYPE == "unstructured":
            left = mask == 1
            mask[left] = method.compute_mask(x[left], mask[left]).to(mask.dtype)
        elif method.PRUNING_TYPE == "structured":
            others = [d for d in range(x.dim()) if d != method.dim % x.dim()]
            index = (mask.sum(others) != 0).nonzero().flatten()
            part = method.compute_mask(x.index_select(method.dim, index), mask.index_select(method.dim, index))
            mask = mask.index_copy(method.dim, index, part.to(mask.dtype))
        elif method.PRUNING_TYPE == "global":
            mask = method.compute_mask(x, mask)
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing, but makes the mask."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask as it is."""
        return default_mask


class _Some(BasePruningMethod):
    """A number of elements or slices (an int), or a fraction of all (a float)."""

    def __init__(self, amount: int | float):
        if isinstance(amount, bool) or not isinstance(amount, (int, float)):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        if amount < 0 or (isinstance(amount, float) and amount > 1):
            raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")
        self.amount = amount

    def count(self, size: int) -> int:
        """How many of so many are pruned."""
        found = self.amount if isinstance(self.amount, int) else round(self.amount * size)
        if found > size:
            raise ValueError(f"amount={self.amount} should be smaller than the number of parameters to prune={size}")
        return found


class _Unstructured(_Some):
    PRUNING_TYPE = "unstructured"

    def importance(self, t: Any) -> Any:
        """What decides: the least important elements go."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask without the least important elements."""
        mask: Any = default_mask.clone()  # type: ignore[attr-defined]
        count = self.count(t.numel())
        if count:
            mask.view(-1)[self.importance(t).reshape(-1).topk(count, largest=False).indices] = 0
        return mask


class RandomUnstructured(_Unstructured):
    """Prunes elements at random."""

    def importance(self, t: Any) -> Any:
        """A random number each."""
        return numgrad.rand(t.shape)


class L1Unstructured(_Unstructured):
    """Prunes the elements that are least in absolute value."""

    def importance(self, t: Any) -> Any:
        """The absolute value."""
        return t.abs()


class _Structured(_Some):
    PRUNING_TYPE = "structured"

    def __init__(self, amount: int | float, dim: int = -1):
        super().__init__(amount)
        self.dim = dim

    def importance(self, t: Any, others: list[int]) -> Any:
        """What decides, a number for each slice."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask without the least important slices."""
        if t.dim() <= 1:
            raise ValueError(f"Structured pruning can only be applied to multidimensional tensors. Found tensor of shape {tuple(t.shape)} with {t.dim()} dims")
        if not -t.dim() <= self.dim < t.dim():
            raise IndexError(f"Invalid index {self.dim} for tensor of size {tuple(t.shape)}")
        dim = self.dim % t.dim()
        count = self.count(t.shape[dim])
        least = self.importance(t, [d for d in range(t.dim()) if d != dim]).topk(count, largest=False).indices
        mask: Any = default_mask
        return mask.index_fill(dim, least, 0) if count else mask


class RandomStructured(_Structured):
    """Prunes slices of one dimension at random."""

    def importance(self, t: Any, others: list[int]) -> Any:
        """A random number each."""
        return numgrad.rand(t.numel() // max(1, _size(t, others)))


class LnStructured(_Structured):
    """Prunes the slices of one dimension whose norm of order `n` is least."""

    def __init__(self, amount: int | float, n: Any, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def importance(self, t: Any, others: list[int]) -> Any:
        """The norm."""
        return t.norm(p=self.n, dim=others)


def _size(t: Any, dims: Sequence[int]) -> int:
    found = 1
    for d in dims:
        found *= t.shape[d]
    return found


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is 0."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor):
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Both masks, which must have one shape."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"a mask of shape {tuple(self.mask.shape)} for a parameter of shape {tuple(default_mask.shape)}")
        return default_mask * self.mask.to(default_mask.dtype)  # type: ignore[attr-defined, operator]


def identity(module: Module, name: str) -> Module:
    """Make the mask of a parameter without pruning it."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: int | float) -> Module:
    """Prune elements of a parameter at random."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: int | float, importance_scores: Tensor | None = None) -> Module:
    """Prune the elements of a parameter that are least in absolute value."""
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: int | float, dim: int) -> Module:
    """Prune slices of one dimension at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module: Module, name: str, amount: int | float, n: Any, dim: int, importance_scores: Tensor | None = None) -> Module:
    """Prune the slices of one dimension whose norm of order `n` is least."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune a parameter where `mask` is 0."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(parameters: Iterable[tuple[Module, str]], pruning_method: Any, importance_scores: Any = None, **kwargs: Any) -> None:
    """Prune elements of several parameters, (module, name) each, as if they were one."""
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    pairs, scores = list(parameters), importance_scores or {}
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method {pruning_method} of type {method.PRUNING_TYPE}')
    tensors: list[Any] = [getattr(module, name) for module, name in pairs]
    masks = [getattr(module, name + "_mask", numgrad.ones_like(t)) for (module, name), t in zip(pairs, tensors, strict=True)]
    important = parameters_to_vector([scores.get(pair, t).detach() for pair, t in zip(pairs, tensors, strict=True)])
    container = PruningContainer(method)
    found: Any = container.compute_mask(important, parameters_to_vector(masks))
    start = 0
    for (module, name), t in zip(pairs, tensors, strict=True):
        custom_from_mask(module, name, found[start : start + t.numel()].view(t.shape))
        start += t.numel()


def remove(module: Module, name: str) -> Module:
    """Make the pruned values the parameter, and forget the mask. ValueError if it is not pruned."""
    hook = _hook_of(module, name)
    if hook is None:
        raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")
    hook[1].remove(module)
    del module._forward_pre_hooks[hook[0]]
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one inside it, is pruned."""
    return any(isinstance(hook, BasePruningMethod) for m in module.modules() for hook in m._forward_pre_hooks.values())


def _hook_of(module: Module, name: str) -> tuple[Any, Any] | None:
    """The hook that prunes a parameter, with its key."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None
