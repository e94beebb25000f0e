"""Adadelta."""

from __future__ import annotations

from typing import Any

from numgrad.optim.optimizer import Optimizer, check_at_least, scalar, zeros_like
from numgrad.tensor import Tensor


class Adadelta(Optimizer):
    """p <- p - lr * d, d = sqrt(u + eps) / sqrt(v + eps) * g; v, u running means of g^2 and d^2 (Zeiler 2012)."""

    def __init__(self, params: Any, lr: float | Tensor = 1.0, rho: float = 0.9, eps: float = 1e-6,
                 weight_decay: float = 0, foreach: bool | None = None, *, capturable: bool = False,
                 maximize: bool = False, differentiable: bool = False) -> None:
        check_at_least(0.0, learning_rate=lr, epsilon=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        return [*super()._settings(group), group["rho"], group["eps"]]

    def _init_state(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = scalar()
        state["square_avg"] = zeros_like(param)
        state["acc_delta"] = zeros_like(param)

    def _update(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> tuple[str, list[Tensor | None]]:
        return "adadelta", [state["square_avg"], state["acc_delta"], state["step"]]
