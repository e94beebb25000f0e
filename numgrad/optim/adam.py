"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from numgrad.optim.optimizer import Optimizer, check_at_least, check_betas, check_fused, scalar, zeros_like
from numgrad.tensor import Tensor


class Adam(Optimizer):
    """p <- p - lr * m / (sqrt(v) + eps), m and v running means of the gradient and its square, made unbiased.

    See Kingma & Ba 2014. ``amsgrad`` uses the largest v so far (Reddi et al. 2018); ``decoupled_weight_decay`` shrinks
    p itself instead of adding to the gradient (Loshchilov & Hutter 2017)."""

    def __init__(self, params: Any, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None, decoupled_weight_decay: bool = False) -> None:
        check_at_least(0.0, learning_rate=lr, epsilon=eps, weight_decay=weight_decay)
        check_betas(betas)
        check_fused(fused, foreach, differentiable)
        super().__init__(params, {
            "lr": lr, "betas": tuple(float(beta) for beta in betas), "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
        })

    def _settings(self, group: dict[str, Any]) -> list[Any]:
        return [*super()._settings(group), *group["betas"], group["eps"], group["decoupled_weight_decay"]]

    def _init_state(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["step"] = scalar()
        state["exp_avg"] = zeros_like(param)
        state["exp_avg_sq"] = zeros_like(param)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(param)

    def _update(self, param: Tensor, group: dict[str, Any], state: dict[str, Any]) -> tuple[str, list[Tensor | None]]:
        if group["amsgrad"]:
            return "adam_amsgrad", [state["exp_avg"], state["exp_avg_sq"], state["max_exp_avg_sq"], state["step"]]
        return "adam", [state["exp_avg"], state["exp_avg_sq"], state["step"]]
