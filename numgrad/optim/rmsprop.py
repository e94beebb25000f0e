"""RMSprop."""

from __future__ import annotations

from typing import Any

from numgrad.optim.optimizer import Optimizer, check_at_least, scalar, zeros_like
from numgrad.tensor import Tensor


class RMSprop(Optimizer):
    """p <- p - lr * g / (sqrt(v) + eps), v a running mean of g^2 (Tieleman & Hinton 2012).

    ``centered`` takes the variance of g instead of v (Graves 2013); ``momentum`` sums up the moves."""

    def __init__(self, params: Any, lr: float | Tensor = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0, momentum: float = 0, centered: bool = False, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False, differentiable: bool = False) -> None:
        check_at_least(0.0, learning_rate=lr, epsilon=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable,
        })

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        return [*super()._settings(group), group["alpha"], group["eps"], group["momentum"]]

    def _init_state(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = scalar()
        state["square_avg"] = zeros_like(param)
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(param)
        if group["centered"]:
            state["grad_avg"] = zeros_like(param)

    def _update(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> tuple[str, list[Tensor | None]]:
        if not group["centered"] and group["momentum"] == 0:
            return "rmsprop", [state["square_avg"], state["step"]]
        buffer = state["momentum_buffer"] if group["momentum"] > 0 else None
        mean = state["grad_avg"] if group["centered"] else None
        return "rmsprop_full", [state["square_avg"], buffer, mean, state["step"]]
