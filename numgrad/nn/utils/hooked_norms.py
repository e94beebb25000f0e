"""Weight norm and spectral norm by hooks: the older form, whose saved names are weight_g, weight_v and weight_orig, weight_u, weight_v."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import numgrad
from numgrad.nn import functional as F
from numgrad.nn.modules.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.nn.utils.parametrizations import as_matrix, norm_except_dim

M = TypeVar("M", bound=Module)


class WeightNorm:
    """Computes a weight from its length and direction before each forward."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Any:
        """g v / |v|."""
        v = getattr(module, self.name + "_v")
        return v * (getattr(module, self.name + "_g") / norm_except_dim(v, 2, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


class SpectralNorm:
    """Divides a weight by its largest singular value before each forward."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Any:
        """The weight over u^T W v, after power iterations if asked for."""
        weight, u, v = (getattr(module, self.name + suffix) for suffix in ("_orig", "_u", "_v"))
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            with numgrad.no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.t().mv(u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix.mv(v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()
        return weight / u.dot(matrix.mv(v))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def _refuse_second(module: Module, kind: type, name: str, what: str) -> None:
    if any(isinstance(hook, kind) and hook.name == name for hook in module._forward_pre_hooks.values()):
        raise RuntimeError(f"Cannot register two {what} hooks on the same parameter {name}")


def _take_hook(module: Module, kind: type, name: str, what: str) -> Any:
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:
            del module._forward_pre_hooks[key]
            return hook
    raise ValueError(f"{what} of '{name}' not found in {module}")


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """`parametrizations.weight_norm` in its older form: parameters ``name_g`` and ``name_v``."""
    warnings.warn("`nn.utils.weight_norm` is deprecated in favor of `nn.utils.parametrizations.weight_norm`.", FutureWarning, stacklevel=2)
    _refuse_second(module, WeightNorm, name, "weight_norm")
    hook, weight = WeightNorm(name, dim), getattr(module, name)
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(norm_except_dim(weight.detach(), 2, hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again."""
    weight = _take_hook(module, WeightNorm, name, "weight_norm").compute_weight(module)
    for old in (name, name + "_g", name + "_v"):
        delattr(module, old)
    module.register_parameter(name, Parameter(weight.detach()))
    return module


def spectral_norm(module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> M:
    """`parametrizations.spectral_norm` in its older form: the parameter ``name_orig``, buffers ``name_u`` and ``name_v``."""
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    _refuse_second(module, SpectralNorm, name, "spectral_norm")
    hook, weight = SpectralNorm(name, n_power_iterations, dim, eps), module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    u, v = (F.normalize(numgrad.randn(n, dtype=weight.dtype), dim=0, eps=eps) for n in as_matrix(weight.detach(), dim).shape)
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again."""
    hook = _take_hook(module, SpectralNorm, name, "spectral_norm")
    with numgrad.no_grad():
        weight = hook.compute_weight(module, False)
    for old in (name, name + "_u", name + "_v", name + "_orig"):
        delattr(module, old)
    module.register_parameter(name, Parameter(weight.detach()))
    return module
