"""Adagrad."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.optim.optimizer import Optimizer, check_at_least, check_fused, scalar
from numgrad.tensor import Tensor


class Adagrad(Optimizer):
    """p <- p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps), s the sum of all g^2 so far (Duchi et al. 2011)."""

    def __init__(self, params: Any, lr: float | Tensor = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
                 maximize: bool = False, differentiable: bool = False, fused: bool | None = None) -> None:
        check_at_least(0.0, learning_rate=lr, lr_decay=lr_decay, weight_decay=weight_decay,
                       initial_accumulator_value=initial_accumulator_value, epsilon=eps)
        check_fused(fused, foreach, differentiable)
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        })
        for group in self.param_groups:
            for param in group["params"]:
                self._init_state(param, group, self.state[param])

    def share_memory(self) -> None:
        """Put the state where other processes can see it."""
        for state in self.state.values():
            state["sum"].share_memory_()

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        return [*super()._settings(group), group["lr_decay"], group["eps"]]

    def _init_state(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = scalar()
        value = self.defaults["initial_accumulator_value"]
        state["sum"] = numgrad.full(param.shape, value, dtype=param.dtype)

    def _update(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> tuple[str, list[Tensor | None]]:
        return "adagrad", [state["sum"], state["step"]]
