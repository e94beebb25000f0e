"""Averaged SGD."""

from __future__ import annotations

from typing import Any

from numgrad.optim.optimizer import Optimizer, check_at_least, scalar, zeros_like
from numgrad.tensor import Tensor


class ASGD(Optimizer):
    """SGD with a falling rate that also averages the parameters, into state "ax", from step ``t0`` on.

    See Polyak & Juditsky 1992."""

    def __init__(self, params: Any, lr: float | Tensor = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
                 t0: float = 1e6, weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False) -> None:
        check_at_least(0.0, learning_rate=lr, weight_decay=weight_decay)
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        return [*super()._settings(group), group["lambd"], group["alpha"], group["t0"]]

    def _init_state(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = scalar()
        state["eta"] = scalar(group["lr"])
        state["mu"] = scalar(1.0)
        state["ax"] = zeros_like(param)

    def _update(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> tuple[str, list[Tensor | None]]:
        return "asgd", [state["ax"], state["step"], state["eta"], state["mu"]]
