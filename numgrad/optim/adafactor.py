"""Adafactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numgrad
from numgrad.optim.optimizer import Optimizer, check_at_least, scalar
from numgrad.tensor import Tensor, wrap


class Adafactor(Optimizer):
    """Adam whose second moments of matrices are kept as sums of rows and columns only.

    See Shazeer & Stern 2018."""

    def __init__(self, params: Any, lr: float | Tensor = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
                 d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False) -> None:  # fmt: skip
        check_at_least(0.0, learning_rate=lr, weight_decay=weight_decay)
        if beta2_decay > 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and eps[0] < 0 or eps[1] < 0:
            raise ValueError(f"epsilon should be >= 0 but is: {eps}")
        if d < 1:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        super().__init__(params, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
                                  "foreach": foreach, "maximize": maximize})  # fmt: skip

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient once."""
        loss = None
        if closure is not None:
            with numgrad.enable_grad():
                loss = closure()
        self.write_settings()
        with numgrad.no_grad():
            for group, memory in zip(self.param_groups, self._memory):
                for param in group["params"]:
                    if param.grad is not None:
                        self._change(param, group, self.state[param], wrap(memory))
        return loss

    def _change(self, param: Tensor, group: dict[str, Any], state: dict[str, Any], settings: Tensor) -> None:
        grad = -param.grad if group["maximize"] else param.grad
        if not state:
            state["step"] = scalar()
            if grad.dim() > 1:
                state["row_var"], state["col_var"] = grad.new_zeros(*grad.shape[:-1], 1), grad.new_zeros(*grad.shape[:-2], 1, grad.shape[-1])
            else:
                state["variance"] = numgrad.zeros_like(grad)
        state["step"] += 1
        step, lr, (eps, floor) = state["step"], settings[0].to(param.dtype), group["eps"]
        eps = numgrad.finfo(param.dtype).eps if eps is None else eps
        share = step ** group["beta2_decay"]
        length = (param.norm() / param.numel() ** 0.5).clamp(min=floor) * numgrad.minimum(lr, step.rsqrt())
        param.mul_(1 - lr * settings[1].to(param.dtype))
        update = self._variance(grad, state, share, eps).clamp_(min=eps * eps).rsqrt_() * grad
        clipped = (update.norm() / (update.numel() ** 0.5 * group["d"])).clamp(min=1.0)
        param.sub_(update * (length / clipped))

    @staticmethod
    def _variance(grad: Tensor, state: dict[str, Any], share: Tensor, eps: float) -> Tensor:
        squares = grad * grad
        if grad.dim() > 1:
            state["row_var"].lerp_(squares.mean(-1, keepdim=True), share)
            state["col_var"].lerp_(squares.mean(-2, keepdim=True), share)
            return (state["row_var"] @ state["col_var"]) / state["row_var"].mean(-2, keepdim=True).clamp_(min=eps)
        state["variance"].lerp_(squares, share)
        return state["variance"].clone()
