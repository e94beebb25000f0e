"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from numgrad.optim.optimizer import Optimizer, check_at_least, check_fused, zeros_like
from numgrad.tensor import Tensor


class SGD(Optimizer):
    """p <- p - lr * b, b <- momentum * b + (1 - dampening) * g, g the gradient plus weight_decay * p.

    With ``nesterov`` p moves by g + momentum * b (Sutskever et al. 2013)."""

    def __init__(self, params: Any, lr: float | Tensor = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None) -> None:
        check_at_least(0.0, learning_rate=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_fused(fused, foreach, differentiable)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable,
            "fused": fused,
        })

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        return [*super()._settings(group), group["momentum"], 1 - group["dampening"], group["nesterov"]]

    def _is_stateless(self, group: dict[str, Any]) -> bool:
        return group["momentum"] == 0

    def _update(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> tuple[str, list[Tensor | None]]:
        if group["momentum"] == 0:
            return "sgd", []
        if state.get("momentum_buffer") is not None:
            return "sgd_momentum", [state["momentum_buffer"]]
        state["momentum_buffer"] = zeros_like(param)
        return "sgd_first", [state["momentum_buffer"]]
