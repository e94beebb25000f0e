"""Rprop."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.optim.optimizer import Optimizer, check_at_least, scalar, zeros_like
from numgrad.tensor import Tensor


class Rprop(Optimizer):
    """Steps that follow the sign of the gradient only: they grow while it stays, shrink where it changes.

    See Riedmiller & Braun 1993; for full batches."""

    def __init__(self, params: Any, lr: float | Tensor = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
                 step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False, differentiable: bool = False) -> None:
        check_at_least(0.0, learning_rate=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        })

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        return [*super()._settings(group), *group["etas"], *group["step_sizes"]]

    def _init_state(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = scalar()
        state["prev"] = zeros_like(param)
        state["step_size"] = numgrad.full(param.shape, float(group["lr"]), dtype=param.dtype)

    def _update(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> tuple[str, list[Tensor | None]]:
        return "rprop", [state["prev"], state["step_size"], state["step"]]
