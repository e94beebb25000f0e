"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Any

from numgrad.optim.adam import Adam
from numgrad.tensor import Tensor


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself: p <- p * (1 - lr * weight_decay).

    See Loshchilov & Hutter 2017."""

    def __init__(self, params: Any, lr: float | Tensor = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
                         capturable=capturable, differentiable=differentiable, fused=fused,
                         decoupled_weight_decay=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # older files do not say so
            group["decoupled_weight_decay"] = True
